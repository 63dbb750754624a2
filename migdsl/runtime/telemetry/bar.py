"""Turns how far a backfill is into a progress bar on a terminal: one line, and one a lane where there are several."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, NamedTuple, TextIO

_WIDTH: Final = 24
_SHOWN_LANES: Final = 8
_TENANT: Final = 36


class LaneView(NamedTuple):
    """A tenant's lane: rows passed by this process, rows a second, batch size; of `planned` rows `before` were done."""

    tenant: str
    passed: int
    rate: float
    size: int
    planned: int = 0
    before: int = 0


class View(NamedTuple):
    """All tenants' rows, this process's rows a second, the tenant of the newest batch, and the open lanes."""

    backfill: str
    planned: int
    passed: int
    rate: float
    tenant: str
    lanes: tuple[LaneView, ...]


@dataclass(slots=True)
class Bar:
    """The bar that stands on a terminal just now. Not for several threads at once: its owner has the lock."""

    stream: TextIO
    _lines: int = 0

    def draw(self, view: View) -> None:
        """Replaces what stands there; no line is longer than the terminal, since one that wraps can't be taken back."""
        lines = rendered(view)
        columns = self._columns()
        shown = [line if columns is None else line[: columns - 1] for line in lines]
        self.stream.write(self._back() + "\n".join(shown))
        self.stream.flush()
        self._lines = len(shown)

    def erase(self) -> None:
        """Takes it away, if it stands there."""
        if self._lines:
            self.stream.write(self._back())
            self.stream.flush()
            self._lines = 0

    def _back(self) -> str:
        return f"\x1b[{self._lines - 1}A\r\x1b[J" if self._lines > 1 else "\r\x1b[K"

    def _columns(self) -> int | None:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or None
        except (OSError, ValueError):
            return None


def rendered(view: View) -> list[str]:
    """The bar's lines."""
    share = min(1.0, view.passed / view.planned) if view.planned else 1.0
    left = max(0, view.planned - view.passed) / max(view.rate, 1e-6)
    head = (
        f"{view.backfill} {_bar(share)} {share:4.0%}"
        f"  {view.passed:,} of {view.planned:,} rows  {view.rate:,.0f}/s  ETA {clock(left)}"
    )
    if len(view.lanes) <= 1:
        size = view.lanes[0].size if view.lanes else 0
        tenant = f"  tenant {_plain(view.tenant)}" if view.tenant else ""
        return [f"{head}  batch {size}{tenant}"]
    more = len(view.lanes) - _SHOWN_LANES
    lines = [f"{head}  {len(view.lanes)} lanes", *(_lane(each) for each in view.lanes[:_SHOWN_LANES])]
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _lane(lane: LaneView) -> str:
    passed = lane.before + lane.passed
    share = f"{min(1.0, passed / lane.planned):4.0%}  " if lane.planned else ""
    return f"  {_plain(lane.tenant):<{_TENANT}}  {share}{passed:,} rows  {lane.rate:,.0f}/s  batch {lane.size}"


def _bar(share: float) -> str:
    full = int(share * _WIDTH)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}]"


def _plain(text: str) -> str:
    """A tenant's name without what would move a terminal's cursor."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)[:_TENANT]


def clock(seconds: float) -> str:
    """`3700` → `1:01:40`; at most a hundred hours."""
    whole = int(min(seconds, 360_000))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
