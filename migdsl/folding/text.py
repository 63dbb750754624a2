"""A text and edits become the text edited: statements come and go with their lines, everything else stays where it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What may stand behind the last statement of a line.
_REST = re.compile(r"[ \t]*(?:;[ \t]*)?(?:#[^\n]*?)?(\r?\n|$)")
_NEXT = re.compile(r"[ \t]*;[ \t]*")
_BEFORE = re.compile(r"[ \t]*;[ \t]*$")

Edit = tuple[int, int, str]  # from, to, and what stands there instead


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they don't overlap, and those at one place are made in their order."""
    pieces: list[str] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        assert start >= at, "two edits of one place"
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]])


def removed(text: str, start: int, end: int) -> Edit:
    """The edit that takes the statement at `[start, end)` away: with its line and the comment behind it, if it is alone."""
    line = text.rfind("\n", 0, start) + 1
    rest = _REST.match(text, end)
    if rest is not None and not text[line:start].strip():
        return line, rest.end(), ""
    following = _NEXT.match(text, end)
    if following is not None:
        return start, following.end(), ""
    before = _BEFORE.search(text, line, start)
    return (before.start() if before else start), end, ""


def inserted(text: str, start: int, end: int, statement: str) -> Edit:
    """The edit that puts a statement behind the one at `[start, end)`: on a line of its own, if that has one."""
    line = text.rfind("\n", 0, start) + 1
    margin = text[line:start]
    rest = _REST.match(text, end)
    if rest is not None and rest[1] and not margin.strip():
        return rest.end(), rest.end(), f"{margin}{statement}{rest[1]}"
    return end, end, f"; {statement}"


def unmarked(text: str, start: int, end: int) -> Edit:
    """The edit that takes the words at `[start, end)` away, and the blanks before them."""
    return len(text[:start].rstrip(" \t")), end, ""


def with_notes(text: str, start: int) -> int:
    """Where the comments begin that stand right above the declaration at `start`; `start` where there are none."""
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():
        return start
    while line:
        above = text.rfind("\n", 0, line - 1) + 1
        if not text[above:line].lstrip().startswith("#"):
            break
        line = above
    return line
