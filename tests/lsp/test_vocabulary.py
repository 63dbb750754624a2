"""Every construct of the language has hover and completion: a text is walked to each, by the grammar alone."""

from __future__ import annotations

from collections import deque
from functools import cache

import pytest

from migdsl.lsp.completion import complete
from migdsl.lsp.hover import hover
from migdsl.lsp.navigate import reading_of
from migdsl.lsp.pages import page
from migdsl.lsp.roles import ROLES
from migdsl.lsp.walk import Leaf, State, beginning
from migdsl.syntax.notation import is_family, rules
from migdsl.syntax.unit import Files
from migdsl.syntax.vocabulary import construct, texts

_PATH = "a.mig"
_SPELT = {
    "NAME": ("word", "x"),
    "STRING": ("string", '"x"'),
    "SQL": ("sql", "`x`"),
    "NUMBER": ("number", "1"),
    "MINUS": ("sign", "-"),
    "EQUAL": ("sign", "="),
    "COMPARED": ("sign", "<"),
    "RANGE": ("sign", ".."),
    "BOOLEAN": ("word", "boolean"),
}
_TOLD = [rule for rule in texts() if rule in rules() and not is_family(rule)]
_COMPOSED = frozenset(["condition", "held"])
_LONGEST = 16  # tokens; no rule is further from the beginning of a declaration


@cache
def ways() -> dict[str, str]:
    """For each rule a text after which it may begin."""
    found: dict[str, str] = {}
    seen: set[State] = set()
    todo: deque[tuple[State, tuple[str, ...]]] = deque([(beginning(), ())])
    while todo:
        state, before = todo.popleft()
        if state in seen or len(before) > _LONGEST:
            continue
        seen.add(state)
        for leaf in (each for each in state.leaves() if each.terminal != "_SEP"):
            within = next((rule for rule in leaf.path if rule.startswith("constrain_")), "")
            for rule in (each for each in leaf.path if not within or each == within):
                # A constraint of an entity is read within an operation as well, but is another construct there.
                found.setdefault(rule, " ".join(before))
            kind, text = spelt(leaf)
            step = state.step(kind, text)
            if step is not None and leaf.path.count("condition") < 2:
                todo.append((step[0], (*before, f"{text}\n" if text == "{" else text)))
    return found


@cache
def leaves() -> frozenset[tuple[str, int, str, bool]]:
    """Every place of a terminal that can be reached: rule, piece, terminal, and whether a name stands there."""
    found = set()
    seen: set[State] = set()
    todo = [beginning()]
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        for leaf in (each for each in state.leaves() if each.terminal != "_SEP"):
            found.add((leaf.rule, leaf.at, leaf.terminal, "name" in leaf.path))
            step = state.step(*spelt(leaf))
            if step is not None and all(len(place) < 30 for place in step[0].places):
                todo.append(step[0])
    return frozenset(found)


def spelt(leaf: Leaf) -> tuple[str, str]:
    """A token that a leaf takes."""
    if leaf.text:
        return ("word" if leaf.text.isidentifier() else "sign"), leaf.text
    return _SPELT[leaf.terminal]


@pytest.mark.parametrize("rule", _TOLD)
def test_a_construct_has_hover(rule: str):
    """On its first word, or where it begins with another construct (a condition does), on one of its own."""
    before = f"{ways()[rule]} "
    text = before + construct(rule).example
    pieces = [piece for line in reading_of(text).all for piece in line.pieces if piece.start >= len(before)]
    said = [hover(Files({_PATH: text}), _PATH, piece.start) for piece in pieces]
    own = said[:1] if rule not in _COMPOSED else said
    assert any(each is not None and page(rule) in each.text for each in own)
    assert construct(rule).says in page(rule)


@pytest.mark.parametrize("rule", _TOLD)
def test_a_construct_has_completion(rule: str):
    before = f"{ways()[rule]} "
    offered = complete(Files({_PATH: before}), _PATH, len(before))
    first = construct(rule).example.split()[0].strip("(,")
    if first.isidentifier() and any(each.text == first for each in offered):
        assert any(each.rule for each in offered if each.text == first)
    elif construct(rule).syntax[0][:1].islower():
        pytest.fail(f"`{first}` is not offered for {rule}")
    words = construct(rule).words
    if words and construct(rule).syntax[0][0].isupper() and construct(rule).syntax[0].split(" ")[0] != "NAME":
        assert {each.label for each in offered} & set(words)


def test_every_name_in_the_grammar_has_a_role():
    """A `name` that nobody said anything of could be neither found, renamed nor completed."""
    names = {(rule, at) for rule, at, terminal, name in leaves() if name and terminal == "NAME"}
    assert len(names) > 50
    assert names - set(ROLES) == set()


def test_no_role_is_of_a_place_that_is_gone():
    assert set(ROLES) - {(rule, at) for rule, at, _, _ in leaves()} == set()
