"""What pages are made of: flat values that the macros of `templates/report/parts.html.j2` lay out."""

from __future__ import annotations

from migdsl.values import Value


class Mark(Value):
    """A short word in a frame. `tone`: nothing, `good`, `careful` or `grave`; the word says it too."""

    text: str
    tone: str = ""


class Fact(Value):
    """A number or a word that a summary begins with, and what explains it."""

    name: str
    value: str
    notes: tuple[str, ...] = ()
    tone: str = ""


class Cell(Value):
    """A cell of a table; `mono` sets it as code, `beneath` are smaller lines, `marks` stand after them."""

    text: str
    beneath: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    mono: bool = False


class Grid(Value):
    """A table with its caption; `headed`: the first cell of each row is its heading. `kind`: `steps`, or nothing."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    headed: bool = False
    kind: str = ""


class Command(Value):
    """Lines to be copied and run; those that begin with `#` are for people. `name` says what they are."""

    name: str
    lines: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether there is anything in it for a shell."""
        return any(line and not line.startswith("#") for line in self.lines)


def cells(*texts: str) -> tuple[Cell, ...]:
    """A row of plain cells."""
    return tuple(Cell(text) for text in texts)
