"""A rehearsal's report becomes one HTML page: verdicts with their evidence, what happened when, how traffic fared."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.rehearsal.model import FAILED, PASSED, Finding, Mark
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.tell import by_step, timeline
from migdsl.report.page import Link, Page, render
from migdsl.report.parts import Cell, Fact, Grid
from migdsl.report.parts import Mark as Tag
from migdsl.report.plots import Bar, Bars, Plot, Row, Sign, Tick, calendar_ticks, percent, plot
from migdsl.values import Value

_TAGS = {PASSED: Tag("passed", "good"), FAILED: Tag("failed", "grave")}
_NOTHING = Tag("nothing to look at")


class Wrong(Value):
    """What speaks against a verdict, laid out: a heading and sentences."""

    heading: str
    texts: tuple[str, ...]


class View(Value):
    """All that the template lays out."""

    lead: str
    facts: tuple[Fact, ...]
    wrong: tuple[Wrong, ...]
    verdicts: Grid
    course: Bars
    latency: Plot
    throughput: Plot
    traffic: Grid
    waits: Grid | None
    notes: tuple[str, ...]
    again: str


def html(report: Report) -> str:
    """The page, whole: it needs no network. The same report gives the same bytes."""
    view = _view(report)
    parts = [("summary", "Summary"), ("verdicts", "Verdicts"), ("course", "What happened when"), ("traffic", "Traffic")]
    parts += [("waits", "Who waited for what")] if view.waits is not None else []
    parts += [("granted", "What was taken for granted")] if view.notes else []
    heading = "Safe, as far as a rehearsal can tell" if report.passed else "Not safe as it is"
    page = Page(
        f"Rehearsal of {report.migration}",
        "Rehearsal",
        f"{report.migration} · seed {report.settings.seed}",
        heading,
        tuple(Link(id_, text) for id_, text in parts),
    )
    return render("rehearsal.html.j2", page, view)


def _view(report: Report) -> View:
    seconds = timeline(report)
    whole = max(1, int(report.seconds) + 1)
    ticks = calendar_ticks(whole)
    return View(
        lead=_lead(report),
        facts=tuple(_facts(report)),
        wrong=tuple(_wrong(finding) for v in report.verdicts for finding in v.findings),
        verdicts=_verdicts(report),
        course=_course(report, whole, ticks),
        latency=_latency(seconds, whole, ticks),
        throughput=_throughput(seconds, whole, ticks),
        traffic=_traffic(report),
        waits=_waits(report),
        notes=tuple(dict.fromkeys(report.log.notes)),
        again=f"{report.rows} rows in the tables at the start. The same again: --seed {report.settings.seed}.",
    )


def _lead(report: Report) -> str:
    return (
        f"The whole migration was played on {report.told}, with the files that are to run in production, while old and new "
        "application code read and wrote: each phase forward, back and forward again, with faults. This page says what was "
        "looked at, and what was found."
    )


def _facts(report: Report) -> Iterator[Fact]:
    bad = [v for v in report.verdicts if v.state == FAILED]
    good = [v for v in report.verdicts if v.state == PASSED]
    yield Fact(
        "Verdicts", f"{len(bad)} failed" if bad else "all passed", (f"{len(good)} passed",), "grave" if bad else "good"
    )
    failed = sum(not r.ok for r in report.requests)
    yield Fact("Requests", f"{len(report.requests):,}", (f"{failed} failed",), "grave" if failed else "")
    longest = max((w.seconds for w in report.waits), default=0.0)
    yield Fact(
        "Longest wait behind the migration", f"{longest * 1000:.0f} ms", ("of any request, by the database's locks",)
    )
    yield Fact("Time", f"{report.seconds:.0f} s", (f"{report.settings.rate:g} requests a second",))


def _wrong(finding: Finding) -> Wrong:
    texts = [finding.what, f"In the step {finding.step}, {finding.at:.1f} s after the start."]
    texts += [f"By: {finding.statement}"] if finding.statement else []
    texts += [f"What to do: {finding.way_out}"] if finding.way_out else []
    return Wrong(finding.verdict.replace("_", " "), tuple(texts))


def _verdicts(report: Report) -> Grid:
    rows = []
    for verdict in report.verdicts:
        shown = dict.fromkeys(verdict.evidence[-3:])
        says = verdict.says[0].upper() + verdict.says[1:]
        rows.append((Cell(says, marks=(_TAGS.get(verdict.state, _NOTHING),)), Cell("; ".join(shown))))
    return Grid("What was judged, and by what", ("Verdict", "Evidence, the last of it"), tuple(rows), headed=True)


def _course(report: Report, whole: int, ticks: tuple[Tick, ...]) -> Bars:
    marks = report.log.marks
    rows = tuple(_row(step, marks, whole) for step in marks if step.kind == "step")
    faults = [m for m in marks if m.kind == "fault"]
    named = tuple(
        Row(
            m.name,
            "",
            (Bar("wait", percent(m.start, whole), max(0.3, percent(m.end - m.start, whole))),),
            (),
            f"{m.end - m.start:.1f} s",
            "",
        )
        for m in faults
    )
    return Bars("Steps, and what went wrong on purpose", (*rows, *named), ticks)


def _row(step: Mark, marks: list[Mark], whole: int) -> Row:
    bar = Bar("work", percent(step.start, whole), max(0.3, percent(step.end - step.start, whole)))
    moves = [m for m in marks if m.kind == "stage" and step.start <= m.start < step.end]
    signs = tuple(Sign(percent(m.start, whole), "open", 0) for m in moves)
    return Row(step.name, "; ".join(m.name for m in moves), (bar,), signs, f"{step.end - step.start:.1f} s", "")


def _latency(seconds: list[dict[str, float]], whole: int, ticks: tuple[Tick, ...]) -> Plot:
    top = _round(max((row["p99"] for row in seconds), default=1.0))
    words = f"From when each request was due to its answer, second by second; at most {top:g} ms."
    curves = [
        (name, [(percent(row["at"], whole), min(row[key], top)) for row in seconds] or [(0.0, 0.0)])
        for name, key in _CURVES
    ]
    return plot("How long requests took", words, curves, ticks, top=top, unit=" ms")


_CURVES = (("half of them were faster", "p50"), ("99 of 100 were faster", "p99"))


def _throughput(seconds: list[dict[str, float]], whole: int, ticks: tuple[Tick, ...]) -> Plot:
    top = _round(max((row["requests"] for row in seconds), default=1.0))
    words = f"Those that were due in each second and have ended; at most {top:g}. Gaps are looks at all rows: nobody writes."
    curves = [("requests", [(percent(r["at"], whole), r["requests"]) for r in seconds] or [(0.0, 0.0)])]
    curves += [("of them failed", [(percent(r["at"], whole), r["errors"]) for r in seconds] or [(0.0, 0.0)])]
    return plot("Requests a second", words, curves, ticks, top=top)


def _round(value: float) -> float:
    """The next one of 1, 2, 5, 10, 20 …"""
    unit = 1.0
    while True:
        for step in (1, 2, 5):
            if value <= step * unit:
                return step * unit
        unit *= 10


def _traffic(report: Report) -> Grid:
    rows = [
        (
            Cell(step),
            Cell(f"{row['code']} code"),
            *(Cell(f"{row[key]:g}") for key in ("count", "errors", "p50", "p95", "p99")),
        )
        for step, row in by_step(report)
    ]
    columns = ("Step", "Code", "Requests", "Failed", "p50 (ms)", "p95 (ms)", "p99 (ms)")
    return Grid("Requests of old and new code, step by step", columns, tuple(rows), headed=True)


def _waits(report: Report) -> Grid | None:
    rows = tuple(
        (Cell(wait.statement, mono=True), Cell(f"{wait.seconds * 1000:.0f} ms"), Cell(wait.step))
        for wait in report.waits[:20]
    )
    if not rows:
        return None
    return Grid(
        "How long requests waited at most behind each statement of the migration",
        ("Statement", "Longest wait", "Step"),
        rows,
    )
