"""Every construct of the language has hover and completion, wherever it stands in the project's own files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from migdsl.lsp.completion import complete
from migdsl.lsp.hover import hover
from migdsl.lsp.navigate import reading_of
from migdsl.lsp.pages import page
from migdsl.lsp.reading import Line, Piece
from migdsl.lsp.roles import ROLES
from migdsl.lsp.walk import beginning
from migdsl.syntax.notation import PARTS, is_family, rules
from migdsl.syntax.unit import Files
from migdsl.syntax.vocabulary import construct, texts

ROOT = Path(__file__).resolve().parent.parent.parent
_PATH = "a.mig"


@cache
def corpus() -> dict[str, tuple[str, Line, Piece]]:
    """For each rule a text that has it, the line, and the rule's first token."""
    found: dict[str, tuple[str, Line, Piece]] = {}
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    samples = [block.split("```")[0] for page_ in pages for block in page_.split("```mig\n")[1:]]
    files = [*sorted((ROOT / "examples").rglob("*.mig")), *sorted((ROOT / "tests").rglob("*.mig"))]
    for text in (*(path.read_bytes().decode("utf-8", "ignore") for path in files), *samples):
        for line in reading_of(text).all:
            for piece in line.pieces:
                for rule in piece.leaf.path if piece.leaf is not None else ():
                    if rule not in found and _first(line, piece, rule):
                        found[rule] = (text, line, piece)
    return found


def _first(line: Line, piece: Piece, rule: str) -> bool:
    """Whether a token is the first of a line that a rule reads."""
    at = line.pieces.index(piece)
    before = line.pieces[at - 1] if at else None
    return before is None or before.leaf is None or rule not in before.leaf.path


_TOLD = [rule for rule in texts() if rule in rules() and not is_family(rule)]


@pytest.mark.parametrize("rule", _TOLD)
def test_a_construct_has_hover_and_completion(rule: str):
    assert rule in corpus(), f"no .mig file of the project has a {rule}: write one, under tests/cases or in the docs"
    text, line, piece = corpus()[rule]
    files = Files({_PATH: text})
    said = hover(files, _PATH, piece.start)
    assert said is not None
    assert any(page(each) and page(each) in said.text for each in (*piece.leaf.path, piece.leaf.rule))  # type: ignore[union-attr]
    offered = complete(files, _PATH, piece.start)
    begins = construct(rule).syntax[0].split(" ")[0]
    if begins.isidentifier() and begins.islower():
        assert begins in {each.label.split(" ")[0] for each in offered}
        assert any(each.rule == rule or each.label == begins for each in offered)
    elif piece.kind == "word" and piece.leaf is not None and ROLES.get((piece.leaf.rule, piece.leaf.at)) is None:
        assert offered, f"nothing is offered for a {rule}"


def test_the_page_of_a_keyword_is_that_of_its_own_construct():
    missing = []
    for rule in _TOLD:
        if rule in PARTS or not construct(rule).syntax[0].split(" ")[0].islower():
            continue
        text, _, piece = corpus()[rule]
        said = hover(Files({_PATH: text}), _PATH, piece.start)
        if said is None or page(rule) not in said.text:
            missing.append(rule)
    assert missing == []


def test_every_name_in_the_grammar_has_a_role():
    """A `name` that nobody said anything of could be neither found, renamed nor completed."""
    seen, todo, missing = set(), [beginning()], set()
    tokens = [("word", "x"), ("string", '"x"'), ("sql", "`x`"), ("number", "1"), *(("sign", s) for s in "{}(),.=?[]<-")]
    words = {each.text for rule in texts() if rule in rules() for each in _words(rule)}
    while todo:
        state = todo.pop()
        if state in seen or len(seen) > 4000:
            continue
        seen.add(state)
        for leaf in state.leaves():
            if leaf.terminal == "NAME" and "name" in leaf.path and (leaf.rule, leaf.at) not in ROLES:
                missing.add((leaf.rule, leaf.at))
        for kind, text in [*tokens, ("sign", "->"), ("sign", ".."), *(("word", word) for word in words)]:
            step = state.step(kind, text)
            if step is not None and step[0].places and len(max(step[0].places, key=len)) < 22:
                todo.append(step[0])
    assert len(seen) > 300
    assert missing == set()


def _words(rule: str):
    return [item for way in rules()[rule] for item in way.items if item.text.isidentifier()]
