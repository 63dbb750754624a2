"""The view of a plan becomes tables and panels, laid out by rich for the terminal at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from migdsl.cli.plan_view import OVERVIEW, STEPS, PhaseView, PlanView, view
from migdsl.diagnostics.render_text import visible

if TYPE_CHECKING:
    from migdsl.plan import DataMigrationPlan

_LOCKS = {"ACCESS EXCLUSIVE": "red", "SHARE ROW EXCLUSIVE": "yellow"}
_COSTS = {"rewrite": "red", "scan": "yellow", "batches": "cyan"}
_STATES = {"has run": "green", "written": "cyan", "later": "dim"}


def render_plan(plan: DataMigrationPlan, *, colour: bool, width: int) -> str:
    """The plan for a terminal of `width` columns; ends with a newline."""
    console = Console(
        width=width, force_terminal=True, no_color=not colour, color_system="standard", legacy_windows=False
    )
    with console.capture() as captured:
        for part in _parts(view(plan)):
            console.print(part)
    return captured.get()


def _parts(shown: PlanView) -> Iterator[RenderableType]:
    # Text and never markup: what a file says must not be able to colour or link anything.
    yield Text(visible(shown.title), style="bold")
    yield from (Text(visible(fact)) for fact in shown.facts)
    yield _overview(shown)
    yield from (_phase(phase) for phase in shown.phases)
    for name, texts in shown.lists:
        if texts:
            yield Text(name, style="bold cyan")
            yield _items(texts)


def _overview(shown: PlanView) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in OVERVIEW:
        table.add_column(name, justify="right" if name in ("code", "schema", "work", "wait") else "left")
    for row in shown.overview:
        *cells, state = map(visible, row)
        table.add_row(*map(Text, cells), Text(state, style=_STATES.get(state, "")))
    return table


def _phase(phase: PhaseView) -> Panel:
    inner: list[RenderableType] = [Text(visible(text), style="italic") for text in phase.first]
    if phase.rows:
        inner.append(_steps(phase))
    if phase.done:
        inner += [Text("done when", style="blue"), _items(phase.done)]
    heading = Text.assemble((visible(phase.heading), "bold cyan"), " (stage at most: ", (phase.stage, "bold"), ")")
    return Panel(Group(*inner), title=heading, title_align="left", border_style="blue")


def _steps(phase: PhaseView) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="blue")
    for name in STEPS:
        table.add_column(name, justify="right" if name in ("", "time") else "left", no_wrap=name != "step")
    table.columns[1].ratio = 1
    for row in phase.rows:
        title = Text(visible(row.title))
        for note in row.notes:
            title.append(f"\n{visible(note)}", style="dim")
        lock = Text(row.lock, style=_LOCKS.get(row.lock, ""))
        table.add_row(row.number, title, lock, Text(row.cost, style=_COSTS.get(row.cost, "")), row.time)
    return table


def _items(texts: tuple[str, ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for text in texts:
        table.add_row("-", Text(visible(text)))
    return table
