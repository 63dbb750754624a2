"""A rehearsal's measurements become plots and bars: latency, throughput, backfill, drift, and who waited behind what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migdsl.rehearsal.gauge import Passed
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.tell import timeline
from migdsl.rehearsal.watch import Wait
from migdsl.report.plots import Band, Bar, Bars, Plot, Points, Row, Sign, Tick, calendar_ticks, percent, plot
from migdsl.values import Value

_TABLES = 3  # curves that can be told apart
_ROOM = 2.5  # percent of the width that a number needs
_SHOWN = 12
_CURVES = (("half of them were faster", "p50"), ("99 of 100 were faster", "p99"))

Moment = tuple[float, float | None]


class Axis(Value):
    """The time that a rehearsal took: seconds, its ticks, and what to see along it."""

    whole: int
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]

    @classmethod
    def of(cls, report: Report) -> Axis:
        whole = max(1, int(report.seconds) + 1)
        return cls(whole, calendar_ticks(whole), tuple(_bands(report.log.marks, whole)))

    def at(self, seconds: float) -> float:
        """A moment, in percent of the width."""
        return percent(seconds, self.whole)


def numbered(marks: Iterable[Mark]) -> list[tuple[int, Mark]]:
    """The steps, with the numbers by which plots call them."""
    return list(enumerate((m for m in marks if m.kind == "step"), 1))


def _bands(marks: Sequence[Mark], whole: int) -> Iterator[Band]:
    """Steps by their number, faults as what they cover."""
    for mark in (m for m in marks if m.kind == "fault"):
        yield Band("fault", percent(mark.start, whole), max(0.3, percent(mark.end - mark.start, whole)))
    for number, mark in numbered(marks):
        width = percent(mark.end - mark.start, whole)
        yield Band("step", percent(mark.start, whole), width, str(number) if width >= _ROOM else "")


# ------------------------------------------------------------------------------------------- what happened


def course(report: Report, axis: Axis) -> Bars:
    """Steps by number, with the flag's moves."""
    marks = report.log.marks
    rows = tuple(_step(number, step, marks, axis) for number, step in numbered(marks))
    return Bars("Steps", rows, axis.ticks, "wide")


def faults(report: Report, axis: Axis) -> Bars | None:
    """Those of one name in one row; None where there was none."""
    found: dict[str, list[Mark]] = {}
    for mark in (m for m in report.log.marks if m.kind == "fault"):
        found.setdefault(mark.name, []).append(mark)
    rows = tuple(_faults(name, marks, axis) for name, marks in found.items())
    return Bars("What went wrong, on purpose", rows, axis.ticks, "wide") if rows else None


def _step(number: int, step: Mark, marks: Sequence[Mark], axis: Axis) -> Row:
    moves = [m for m in marks if m.kind == "stage" and step.start <= m.start < step.end]
    signs = tuple(Sign(axis.at(m.start), "open", 0) for m in moves)
    under = "; ".join(dict.fromkeys(m.name for m in moves))
    return Row(f"{number} {step.name}", under, (_bar("work", step, axis),), signs, f"{step.end - step.start:.1f} s", "")


def _faults(name: str, found: Sequence[Mark], axis: Axis) -> Row:
    bars = tuple(_bar("wait", mark, axis) for mark in found)
    longest = max(mark.end - mark.start for mark in found)
    often = f"{len(found)} times, at most" if len(found) > 1 else ""
    return Row(name[0].upper() + name[1:], often, bars, (), f"{longest:.1f} s", "")


def _bar(kind: str, mark: Mark, axis: Axis) -> Bar:
    return Bar(kind, axis.at(mark.start), max(0.3, axis.at(mark.end - mark.start)))


# ------------------------------------------------------------------------------------------- traffic


def latency(report: Report, axis: Axis) -> Plot:
    """How long requests took, second by second."""
    seconds = timeline(report)
    top = rounded(max((row["p99"] for row in seconds), default=1.0))
    words = f"From when each request was due to its answer, second by second; the scale ends at {top:g} ms."
    curves = [(name, _points(((r["at"], r[key]) for r in seconds), axis)) for name, key in _CURVES]
    return plot("How long requests took", words, curves, axis.ticks, top=top, unit=" ms", bands=axis.bands)


def throughput(report: Report, axis: Axis) -> Plot:
    """How many requests were due in each second, and how many of them failed."""
    seconds = timeline(report)
    top = rounded(max((row["requests"] for row in seconds), default=1.0))
    words = (
        f"Those that were due in each second and have ended; at most {top:g}, and half as many where only old or only new code "
        "is at work. Dips are looks at all rows: nobody writes."
    )
    curves = [
        (name, _points(((r["at"], r[key]) for r in seconds), axis))
        for name, key in (("requests", "requests"), ("of them failed", "errors"))
    ]
    return plot("Requests a second", words, curves, axis.ticks, top=top, bands=axis.bands)


# ------------------------------------------------------------------------------------------- the data


def progress(report: Report, axis: Axis) -> Plot | None:
    """Rows that the backfills have passed, of those that they planned; None where there is none."""
    if not report.progress:
        return None
    passed, planned = _sums(report.progress)
    top = _top(planned)
    words = (
        "Rows that the job has passed, of those that it planned: fewer where some were deleted meanwhile. Where it stands still "
        "the job was killed or had to wait; a new pass begins at nothing."
    )
    curves = [("rows passed", _points(passed, axis)), ("rows planned", _points(planned, axis))]
    return plot("How far the backfill is, in rows", words, curves, axis.ticks, top=top, bands=axis.bands)


def _sums(found: Sequence[Passed]) -> tuple[list[Moment], list[Moment]]:
    """All backfills together, moment by moment."""
    moments: dict[float, list[Passed]] = {}
    for each in found:
        moments.setdefault(each.at, []).append(each)
    passed: list[Moment] = [(at, _sum(each.rows for each in all_)) for at, all_ in moments.items()]
    return passed, [(at, _sum(each.planned for each in all_)) for at, all_ in moments.items()]


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [n for n in numbers if n is not None]
    return sum(known) if known else None


def drift(report: Report, axis: Axis) -> Plot | None:
    """Rows whose two sides differ, by table; None where no column has a counterpart."""
    tables: dict[str, list[Moment]] = {}
    for each in report.drift:
        tables.setdefault(each.entity, []).append((each.at, each.rows))
    known = [name for name in tables if any(rows is not None for _, rows in tables[name])]
    worst = sorted(known, key=lambda name: (-_top(tables[name]), name))[:_TABLES]
    if not worst:
        return None
    top = max(_top(tables[name]) for name in worst)
    words = (
        "Rows in which new columns, or the row of the other side, aren't yet what the file says: all of them at first, none once "
        "the backfill is done. Short peaks after that are writes on their way to another database, and rows that were made to "
        "differ, until the reconciliation mends them."
    )
    curves = [(name, _points(tables[name], axis)) for name in worst]
    return plot("Rows that differ", words, curves, axis.ticks, top=top, bands=axis.bands)


# ------------------------------------------------------------------------------------------- waits


def waits(report: Report) -> Bars | None:
    """The longest wait of any request behind each statement; the mark is where it would be too long."""
    shown = report.waits[:_SHOWN]
    if not shown:
        return None
    limit = report.settings.limit_s
    top = rounded(max(limit, *(w.seconds for w in shown)) * 1000)
    ticks = tuple(
        Tick(100 * part, f"{top * part:g} ms", anchor) for part, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    rows = tuple(_wait(each, limit, top) for each in shown)
    return Bars("How long requests waited at most behind each statement of the migration", rows, ticks, "over")


def shorter(report: Report) -> str:
    """How many waits aren't shown, in a sentence; empty where all are."""
    more = len(report.waits) - _SHOWN
    return f"{more} more were shorter." if more > 0 else ""


def _wait(wait: Wait, limit: float, top: float) -> Row:
    width = max(0.3, percent(wait.seconds * 1000, top))
    sign = Sign(percent(limit * 1000, top), "tick", 0)
    return Row(
        wait.statement, f"in {wait.step}", (Bar("wait", 0.0, width),), (sign,), f"{wait.seconds * 1000:.0f} ms", ""
    )


# ------------------------------------------------------------------------------------------- parts


def _points(found: Iterable[Moment], axis: Axis) -> Points:
    """Places on the axis; where there was nothing to look at the curve is broken."""
    return [(axis.at(at), value) for at, value in found] or [(0.0, 0.0)]


def _top(found: Iterable[Moment]) -> float:
    """Where a scale ends that has room for all of them."""
    return rounded(max((value for _, value in found if value is not None), default=1.0))


def rounded(value: float) -> float:
    """The next one of 1, 2, 4, 6, 8, 10, 20 …"""
    unit = 1.0
    while True:
        for step in (1, 2, 4, 6, 8):
            if value <= step * unit:
                return step * unit
        unit *= 10
