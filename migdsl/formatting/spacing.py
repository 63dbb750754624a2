"""Two neighbouring words of a statement become the blank between them, or none."""

from __future__ import annotations

from collections.abc import Sequence

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting.facts import Facts
from migdsl.formatting.tree import Word

_NEVER_BEFORE = frozenset([",", ")", "?", ".", "[", "]"])
_NEVER_BEHIND = frozenset(["(", ".", "[", "-"])


def gap(left: Word, right: Word, depth: int, facts: Facts) -> str:
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
    return depth > 0 and left.kind in ("word", "string") and left.text not in ("and", "or")


def joined(words: Sequence[Word], facts: Facts) -> str:
    """All words on one line."""
    out, depth = [], 0
    for index, word in enumerate(words):
        out.append(gap(words[index - 1], word, depth, facts) + word.text if index else word.text)
        depth += opens(word)
    return "".join(out)


def opens(word: Word) -> int:
    """1 for an opening parenthesis, -1 for a closing one, else 0."""
    return (word.text == "(") - (word.text == ")") if word.kind == "sign" else 0


def end_column(column: int, text: str) -> int:
    """The column behind `text` that begins at `column`."""
    start = text.rfind("\n") + 1
    return text_width(text[start:]) + (0 if start else column)
