"""The words of a statement become words with what stands before each: a blank, nothing, or a new line."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting.facts import Facts
from migdsl.formatting.tree import Word

_NEVER_BEFORE = frozenset([",", ")", "?", ".", "..", "[", "]"])
_NEVER_BEHIND = frozenset(["(", ".", "..", "[", "-"])


# A word, the blank before it, and whether it begins a line inside its statement instead.
Placed = tuple[Word, str, bool]


def placed(words: Sequence[Word], facts: Facts) -> list[Placed]:
    """The words of a statement with what stands before each."""
    found: list[Placed] = []
    left, depth = None, 0
    for word in words:
        if left is None:
            found.append((word, "", False))
        else:
            space = _gap(left, word, depth, facts)
            # A comma or a dot never begins a line; a comment before it leaves no choice.
            apart = word.breaks and (bool(space) or word.text == ")" or left.text == "(")
            found.append((word, space, apart or bool(word.notes)))
        if word.kind == "sign":
            depth += opens(word)
        left = word
    return found


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
    return "".join([gap + word.text for word, gap, _ in placed(words, facts)])


def opens(word: Word) -> int:
    """1 for an opening parenthesis, -1 for a closing one, else 0."""
    return (word.text == "(") - (word.text == ")") if word.kind == "sign" else 0


def end_column(column: int, text: str) -> int:
    """The column behind `text` that begins at `column`."""
    if "\n" not in text:
        return column + text_width(text)
    start = text.rfind("\n") + 1
    return text_width(text[start:]) + (0 if start else column)
