"""A text and offsets become lines and columns as an editor counts them, and the other way round."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from migdsl.diagnostics import Edit
from migdsl.source import Span

_END = re.compile(r"\r\n|\n|\r")
# How many units a character has, by the protocol's names of encodings.
UTF8, UTF16, UTF32 = "utf-8", "utf-16", "utf-32"


class Places:
    """The lines of a text; columns count units of `encoding` (utf-8, utf-16 or utf-32) from 0, lines count from 0."""

    def __init__(self, text: str, encoding: str = UTF16) -> None:
        self._text = text
        self._encoding = encoding
        self._starts = [0, *(match.end() for match in _END.finditer(text))]
        self._plain = text.isascii()

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset; what lies outside the text is taken as its nearest end."""
        offset = min(max(offset, 0), len(self._text))
        line = bisect_right(self._starts, offset) - 1
        return line, self._units(self._text[self._starts[line] : offset])

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and a column; a column behind the line's end is its end."""
        if line < 0:
            return 0
        if line >= len(self._starts):
            return len(self._text)
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self._text)
        body = self._text[start:end].rstrip("\r\n")
        if self._plain or self._encoding == UTF32:
            return start + min(max(column, 0), len(body))
        left = column
        for at, char in enumerate(body):
            left -= self._units(char)
            if left < 0:
                return start + at
        return start + len(body)

    def units(self, start: int, end: int) -> int:
        """How many units there are between two offsets."""
        return self._units(self._text[start:end])

    def _units(self, piece: str) -> int:
        if self._plain or self._encoding == UTF32:
            return len(piece)
        if self._encoding == UTF8:
            return len(piece.encode("utf-8", "surrogatepass"))
        return len(piece.encode("utf-16-le", "surrogatepass")) // 2


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits that don't overlap, all of that text."""
    for edit in sorted(edits, key=lambda each: (each.span.start, each.span.end), reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def differing(path: str, old: str, new: str, first: int = 0, last: int | None = None) -> tuple[Edit, ...]:
    """The edits that make `new` of `old`, line by line; only those that touch the lines from `first` to `last`, from 0."""
    from difflib import SequenceMatcher  # for edits alone

    a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    starts = [0]
    for line in a:
        starts.append(starts[-1] + len(line))
    edits = []
    for tag, begin, end, other, behind in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        touched = last is None or (begin <= last and max(end, begin + 1) > first)
        if tag != "equal" and touched:
            edits.append(Edit(Span(path, starts[begin], starts[end]), "".join(b[other:behind])))
    return tuple(edits)
