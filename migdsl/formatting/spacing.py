"""The words of a statement become words with what stands before each: a blank, nothing, or a new line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting.facts import Facts
from migdsl.formatting.tree import Word

_NEVER_BEFORE = frozenset([",", ")", "?", ".", "[", "]"])
_NEVER_BEHIND = frozenset(["(", ".", "[", "-"])


@dataclass(frozen=True, slots=True)
class Placed:
    """A word, the blank before it, and whether it begins a line inside its statement instead."""

    word: Word
    gap: str
    turns: bool


def placed(words: Sequence[Word], facts: Facts) -> Iterator[Placed]:
    """The words of a statement, or those from the beginning of one of its cells on, with what stands before each."""
    depth = 0
    for index, word in enumerate(words):
        left = words[index - 1] if index else None
        space = _gap(left, word, depth, facts) if left else ""
        # A comma or a dot never begins a line; a comment before it leaves no choice.
        apart = left is not None and (bool(space) or word.text == ")" or left.text == "(")
        yield Placed(word, space, left is not None and (bool(word.notes) or (word.breaks and apart)))
        depth += opens(word)


def _gap(left: Word, right: Word, depth: int, facts: Facts) -> str:
    """What stands between two words on one line, `depth` parentheses being open there."""
    if right.kind == "sign" and right.text in _NEVER_BEFORE:
        return ""
    if left.kind == "sign" and left.text in _NEVER_BEHIND:
        return ""
    if right.kind == "sign" and right.text == "(":
        return "" if facts.in_type(right.start) or _is_call(left, depth) else " "
    # numeric(12,2), as PostgreSQL itself writes it.
    return "" if left.text == "," and right.kind == "number" and facts.in_type(left.start) else " "


def _is_call(left: Word, depth: int) -> bool:
    """`lower(b)` within `(…)`; directly in a statement, a parenthesis begins a list."""
    return depth > 0 and left.kind in ("word", "string")


def joined(words: Sequence[Word], facts: Facts) -> str:
    """All words on one line."""
    return "".join(each.gap + each.word.text for each in placed(words, facts))


def opens(word: Word) -> int:
    """1 for an opening parenthesis, -1 for a closing one, else 0."""
    return (word.text == "(") - (word.text == ")") if word.kind == "sign" else 0


def end_column(column: int, text: str) -> int:
    """The column behind `text` that begins at `column`."""
    start = text.rfind("\n") + 1
    return text_width(text[start:]) + (0 if start else column)
