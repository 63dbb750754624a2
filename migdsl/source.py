"""Source text and positions in it: a file's text becomes lines, and offsets become line and column."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of character offsets `[start, end)` in the file at `path` (relative, with `/`)."""

    path: str
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.path, self.start, max(self.end, other.end))


@dataclass(frozen=True)
class Position:
    """A place for people and editors: `line` and `column` count from 1, `utf16` counts UTF-16 units from 0."""

    line: int
    column: int
    utf16: int


@dataclass(frozen=True)
class SourceFile:
    """One file's text under the path that diagnostics show."""

    path: str
    text: str

    @cached_property
    def _line_starts(self) -> tuple[int, ...]:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return tuple(starts)

    def position(self, offset: int) -> Position:
        """Where `offset` (0 to the text's length) stands."""
        line = bisect_right(self._line_starts, offset)
        start = self._line_starts[line - 1]
        before = self.text[start:offset]
        return Position(line, offset - start + 1, len(before.encode("utf-16-le", "surrogatepass")) // 2)

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its end."""
        start = self._line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def slice(self, span: Span) -> str:
        """The text that `span` covers."""
        return self.text[span.start : span.end]
