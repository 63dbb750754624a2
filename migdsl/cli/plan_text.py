"""The view of a plan becomes plain text of a given width: the same bytes for the same plan, on a terminal or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migdsl.cli.plan_view import NOTHING, OVERVIEW, STEPS, PhaseView, Row, view
from migdsl.diagnostics.render_text import Ink, text_width, visible, wrap
from migdsl.plan import DataMigrationPlan

_NARROWEST = 24  # columns that a step's title gets at least
_STAGE = OVERVIEW.index("stage at most")


def render_plan(plan: DataMigrationPlan, *, colour: bool, width: int = 100) -> str:
    """The plan for `width` columns; ends with a newline."""
    ink, shown = Ink(colour), view(plan)
    lines = [ink("title", line) for line in wrap(shown.title, width)]
    for fact in shown.facts:
        lines += wrap(fact, width)
    lines += ["", *_overview(shown.overview, ink, width)]
    for phase in shown.phases:
        lines += ["", *_phase(phase, ink, width)]
    for name, texts in shown.lists:
        if texts:
            lines += ["", ink("word", name)]
        for text in texts:
            lines += _item(text, width)
    return "\n".join(lines) + "\n"


def _overview(rows: Iterable[tuple[str, ...]], ink: Ink, width: int) -> Iterator[str]:
    table = [OVERVIEW, *(tuple(map(visible, row)) for row in rows)]
    wide = [max(len(row[column]) for row in table) for column in range(len(OVERVIEW))]
    # The stage stands in each phase's heading too: where there is no room, that has to do.
    shown = [n for n in range(len(OVERVIEW)) if n != _STAGE or sum(wide) + 2 * len(wide) < width]
    for number, row in enumerate(table):
        line = "  ".join(row[n].ljust(wide[n]) for n in shown).rstrip()
        yield f"   {ink('frame', line) if number == 0 else line}"


def _phase(phase: PhaseView, ink: Ink, width: int) -> Iterator[str]:
    heading = wrap(f"{phase.heading} (stage at most: {phase.stage})", width)
    yield from (ink("word", line) for line in heading)
    for text in phase.first:
        yield from (f"   {line}" for line in wrap(text, width - 3))
    yield from _steps(phase.rows, ink, width)
    if phase.done:
        yield f"   {ink('frame', 'done when')}"
    for text in phase.done:
        yield from _item(text, width)


def _steps(rows: Sequence[Row], ink: Ink, width: int) -> Iterator[str]:
    cells = [(visible(row.lock), visible(row.cost), row.time) for row in rows]
    lock, cost, time = (max(map(len, column)) for column in zip(STEPS[2:], *cells, strict=True))
    room = width - lock - cost - time - 13
    if room < _NARROWEST:
        yield from _stacked(rows, width)
        return

    def line(number: str, title: str, values: tuple[str, ...]) -> str:
        pad = " " * max(room - text_width(title), 0)
        return f"{number:>2}  {title}{pad}  {values[0]:<{lock}}  {values[1]:<{cost}}  {values[2]}".rstrip()

    if rows:
        yield f"   {ink('frame', line('', STEPS[1], STEPS[2:]))}"
    for row, values in zip(rows, cells, strict=True):
        first, *rest = wrap(row.title, room)
        yield f"   {line(row.number, first, values)}"
        yield from (f"       {text}" for text in [*rest, *(text for note in row.notes for text in wrap(note, room))])


def _stacked(rows: Iterable[Row], width: int) -> Iterator[str]:
    """On a narrow terminal: what a table would have in columns, below the title."""
    for row in rows:
        first, *rest = wrap(row.title, width - 7)
        facts = ", ".join(fact for fact in (row.lock, row.cost, row.time) if fact != NOTHING)
        yield f"   {row.number:>2}  {first}"
        notes = [text for note in (f"[{facts}]", *row.notes) for text in wrap(note, width - 7)]
        yield from (f"       {text}" for text in (*rest, *notes))


def _item(text: str, width: int) -> Iterator[str]:
    first, *rest = wrap(text, width - 5)
    yield f"   - {first}"
    yield from (f"     {line}" for line in rest)
