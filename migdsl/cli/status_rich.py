"""The view of a status report becomes tables, laid out by rich for the terminal at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from migdsl.cli.status_view import Section, view
from migdsl.diagnostics.render_text import visible

_LOOKS = {"good": "green", "bad": "bold red", "wait": "yellow", "plain": ""}


def render(report: Mapping[str, Any], *, colour: bool, width: int) -> str:
    """The report for a terminal of `width` columns; ends with a newline."""
    console = Console(
        width=width, force_terminal=True, no_color=not colour, color_system="standard", legacy_windows=False
    )
    with console.capture() as captured:
        for section in view(report):
            console.print(_panel(section, report))
    return captured.get()


def _panel(section: Section, report: Mapping[str, Any]) -> Panel:
    table = Table(box=None, show_header=False, pad_edge=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for row in section.rows:
        # Text and never markup: what a file or a database says must not be able to colour or link anything.
        table.add_row(Text(visible(row.name)), Text(visible(row.said), style=_LOOKS[row.look]))
    parts: list[RenderableType] = [table]
    if section.heading == "backfills":
        parts += [ProgressBar(total=1.0, completed=each["progress"]) for each in report["backfills"]]
    heading = Text(visible(section.heading), style="bold cyan")
    return Panel(Group(*parts), title=heading, title_align="left", border_style="blue", box=box.ROUNDED)
