"""The view of a plan becomes plain text of a given width: the same bytes for the same plan, on a terminal or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migdsl.cli.plan_view import OVERVIEW, STEPS, PhaseView, Row, view
from migdsl.diagnostics.render_text import Ink, text_width, visible, wrap
from migdsl.plan import DataMigrationPlan

_NARROWEST = 24  # columns that a step's title gets at least


def render_plan(plan: DataMigrationPlan, *, colour: bool, width: int = 100) -> str:
    """The plan for `width` columns; ends with a newline."""
    ink, shown = Ink(colour), view(plan)
    lines = [ink("title", line) for line in wrap(shown.title, width)]
    for fact in shown.facts:
        lines += wrap(fact, width)
    lines += ["", *_overview(shown.overview, ink)]
    for phase in shown.phases:
        lines += ["", *_phase(phase, ink, width)]
    for name, texts in shown.lists:
        if texts:
            lines += ["", ink("word", name)]
        for text in texts:
            lines += _item(text, width)
    return "\n".join(lines) + "\n"


def _overview(rows: Iterable[tuple[str, ...]], ink: Ink) -> Iterator[str]:
    table = [OVERVIEW, *(tuple(map(visible, row)) for row in rows)]
    wide = [max(len(row[column]) for row in table) for column in range(len(OVERVIEW))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(size) for cell, size in zip(row, wide, strict=True)).rstrip()
        yield f"   {ink('frame', line) if number == 0 else line}"


def _phase(phase: PhaseView, ink: Ink, width: int) -> Iterator[str]:
    yield f"{ink('word', visible(phase.heading))}, tenants at most at {ink('title', phase.stage)}"
    for text in phase.first:
        yield from (f"   {line}" for line in wrap(text, width - 3))
    yield from _steps(phase.rows, ink, width)
    if phase.done:
        yield f"   {ink('frame', 'done when')}"
    for text in phase.done:
        yield from _item(text, width)


def _steps(rows: Sequence[Row], ink: Ink, width: int) -> Iterator[str]:
    if not rows:
        return
    table = [STEPS[2:], *((visible(r.lock), visible(r.cost), r.time) for r in rows)]
    lock, cost, time = (max(len(row[column]) for row in table) for column in range(3))
    room = max(width - lock - cost - time - 13, _NARROWEST)

    def line(number: str, title: str, cells: tuple[str, ...]) -> str:
        pad = " " * max(room - text_width(title), 0)
        return f"{number:>2}  {title}{pad}  {cells[0]:<{lock}}  {cells[1]:<{cost}}  {cells[2]}".rstrip()

    yield f"   {ink('frame', line('', STEPS[1], table[0]))}"
    for row, cells in zip(rows, table[1:], strict=True):
        first, *rest = wrap(row.title, room)
        yield f"   {line(row.number, first, cells)}"
        yield from (f"       {text}" for text in [*rest, *(text for note in row.notes for text in wrap(note, room))])


def _item(text: str, width: int) -> Iterator[str]:
    first, *rest = wrap(text, width - 5)
    yield f"   - {first}"
    yield from (f"     {line}" for line in rest)
