"""The statements of a block become the columns at which their values begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migdsl.diagnostics.render_text import text_width
from migdsl.formatting.facts import Facts
from migdsl.formatting.spacing import Placed, placed
from migdsl.formatting.tree import Statement, Word
from migdsl.values import Value

# One cell that is wider than this does not push the others' values to the right; it stands out on its own.
_WIDEST = 40
# Blanks between two cells, at least.
_GAPS = {"column": 2, "setting": 1, "list": 1}
# Blocks whose lines are not `word value`, by the word that begins them: a table's lines, and operations.
_OTHER = {"entity": "table", "change": "plain"}


class Stop(Value):
    """Where a word is to begin: at `column`, or `gap` blanks behind the word before it if that is further on."""

    column: int
    gap: int


class _Row(Value):
    """A statement's cells begin at the words with these indexes; the first one at 0."""

    kind: str
    placed: Sequence[Placed]
    cells: tuple[int, ...]


Stops = Mapping[int, Stop]


def style_of(words: Sequence[Word]) -> str:
    """How the lines of the block behind these words are aligned: table, plain or settings."""
    return _OTHER.get(words[0].text, "settings") if words else "plain"


def stops_of(
    statements: Sequence[Statement], style: str, indent: int, facts: Facts
) -> list[tuple[Sequence[Placed], Stops]]:
    """For each statement of a block its words with what stands before each, and: index of a word → where it begins."""
    rows = [_row(statement.words, style, facts) for statement in statements]
    columns: dict[str, list[Stop]] = {}
    for kind, space in _GAPS.items():
        mine = [row for row in rows if row.kind == kind]
        column, found = indent, []
        for cell in range(max((len(row.cells) for row in mine), default=0)):
            column += max((_width(row, cell) for row in mine if cell < len(row.cells)), default=0) + space
            found.append(Stop(column, space))
        columns[kind] = found
    alike = {(row.kind, row.cells) for row in rows}
    stops = {each: dict(zip(each[1], columns.get(each[0], ()), strict=False)) for each in alike}
    return [(row.placed, stops[row.kind, row.cells]) for row in rows]


def _row(words: Sequence[Word], style: str, facts: Facts) -> _Row:
    kind, cells = _cells(words, style, facts)
    return _Row(kind, placed(words, facts), cells)


def _cells(words: Sequence[Word], style: str, facts: Facts) -> tuple[str, tuple[int, ...]]:
    end = facts.columns.get(words[0].start) if words else None
    if end is not None:
        marks = next((i for i, word in enumerate(words) if word.start >= end and word.text != "?"), None)
        return "column", (1,) if marks is None else (1, marks)
    if style == "settings" and len(words) > 1:
        return "setting", (1,)
    if style == "table" and len(words) > 1 and words[0].kind == "word" and words[1].text == "(":
        return "list", (1,)
    return "", ()


def _width(row: _Row, cell: int) -> int:
    """The width of what stands before the cell; 0 where that is of several lines or too wide to align by."""
    begin = row.cells[cell - 1] if cell else 0
    (first, *_), *others = row.placed[begin : row.cells[cell]]
    if any(turns for _, _, turns in others):
        return 0
    # Every type has room for a `?`, so that a column that becomes nullable changes one line and no other.
    optional = row.kind == "column" and cell == 1
    if optional and others and others[-1][0].text == "?":
        others.pop()
    width = text_width("".join([first.text, *(gap + word.text for word, gap, _ in others)])) + optional
    return width if width <= _WIDEST else 0
