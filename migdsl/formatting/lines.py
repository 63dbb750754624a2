"""The words of one statement become its lines: with blanks between them, and broken where their author broke them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting.align import Stop, Stops
from migdsl.formatting.spacing import Placed, end_column, opens
from migdsl.formatting.tree import Comment, Word
from migdsl.values import Value

_FURTHEST = 60  # columns; what begins further right has no room for what goes on below it
_BESIDE = 76  # columns; the comment behind a longer line does not push its neighbours' to the right


class Line(Value):
    """A line (several, where SQL is) of a statement that stands at `indent`, and the comment at its end.

    `blank`: an empty line stands before it.
    """

    indent: int
    text: str
    comment: str = ""
    blank: bool = False


def lay(words: Sequence[Placed], indent: int, stops: Stops) -> list[Line]:
    """A statement's words as lines: its author's breaks (behind `,`, `and`, `or`, inside parentheses) and no others."""
    pen = _Pen(indent)
    last = len(words) - 1
    for index, (word, gap, turns) in enumerate(words):
        if turns:
            pen.turn(word)
        elif index in stops:
            pen.move(stops[index])
        elif gap:
            pen.write(gap)
        pen.put(word, index, follows=index < last and words[index + 1][2])
    return pen.finish()


def own_line(comment: Comment, indent: int) -> Line:
    """A comment on a line of its own."""
    return Line(indent, " " * indent + comment.text, blank=comment.blank)


class _Pen:
    """Writes word after word, and knows the column at which it stands."""

    def __init__(self, indent: int) -> None:
        self._indent = indent
        self._lines: list[Line] = []
        self._text = [" " * indent]
        self._column = indent
        self._margin = indent  # where the line began
        self._hangs = [indent + 4]  # per open parenthesis: where a line inside it begins
        self._closes = [indent]  # and where a line that closes it does

    @property
    def depth(self) -> int:
        """How many parentheses are open."""
        return len(self._hangs) - 1

    def write(self, text: str) -> None:
        """Write on, on this line."""
        self._text.append(text)
        self._column = end_column(self._column, text)

    def move(self, stop: Stop) -> None:
        """Go to the column."""
        self.write(" " * max(stop.gap, stop.column - self._column))

    def turn(self, word: Word) -> None:
        """Begin a line for the word, below the comments before it."""
        column = self._hangs[-1]
        notes = list(word.notes)
        self._end(notes.pop(0).text if notes and not notes[0].own else "")
        for note in notes:
            self._lines.append(Line(self._indent, " " * column + note.text))
        self._margin = self._column = self._closes[-1] if word.text == ")" else column
        self._text = [" " * self._margin]

    def put(self, word: Word, index: int, *, follows: bool) -> None:
        """Write the word; `follows`: the next one begins a line."""
        if index == 1 and self.depth == 0 and self._column <= _FURTHEST:
            self._hangs[0] = self._column
        self.write(word.text)
        if word.kind != "sign":
            return
        if opens(word) > 0:
            beside = not follows and self._column <= _FURTHEST
            self._hangs.append(self._column if beside else self._margin + 2)
            self._closes.append(self._margin)
        elif opens(word) < 0 and self.depth:
            self._hangs.pop()
            self._closes.pop()

    def finish(self) -> list[Line]:
        """All lines."""
        self._end("")
        return self._lines

    def _end(self, comment: str) -> None:
        self._lines.append(Line(self._indent, "".join(self._text), comment))


def render(lines: Iterable[Line]) -> Iterator[str]:
    """The lines as text, without their ends: empty lines put in, comments on neighbouring lines aligned."""
    for _, run in groupby(_numbered(lines), key=lambda each: each[0]):
        group = [line for _, line in run]
        widths = [end_column(0, line.text) for line in group]
        column = max((width for width in widths if width <= _BESIDE), default=0)
        for line, width in zip(group, widths, strict=True):
            if line.blank:
                yield ""
            yield f"{line.text}{' ' * max(2, column + 2 - width)}{line.comment}" if line.comment else line.text


def _numbered(lines: Iterable[Line]) -> Iterator[tuple[int, Line]]:
    """Each line with a number that it shares with the lines around it whose comments are to stand in one column."""
    number, before = 0, Line(-1, "")
    for line in lines:
        both = before.comment and line.comment and "\n" not in before.text + line.text
        together = both and before.indent == line.indent and not line.blank
        number += not together
        before = line
        yield number, line


def fits(text: str, width: int) -> bool:
    """Whether the text is one line of at most `width` columns."""
    return "\n" not in text and text_width(text) <= width
