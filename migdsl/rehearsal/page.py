"""A rehearsal's report becomes one HTML page: verdicts with their evidence, what happened when, how traffic fared."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.rehearsal import curves
from migdsl.rehearsal.curves import Axis
from migdsl.rehearsal.model import FAILED, PASSED, UNPLAYED, Finding
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.tell import by_step
from migdsl.report.page import Link, Page, render
from migdsl.report.parts import Cell, Fact, Grid
from migdsl.report.parts import Mark as Tag
from migdsl.report.plots import Bars, Plot
from migdsl.values import Value

_TAGS = {PASSED: Tag("passed", "good"), FAILED: Tag("failed", "grave"), UNPLAYED: Tag("not played")}
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
    faults: Bars | None
    data: tuple[Plot, ...]
    latency: Plot
    throughput: Plot
    traffic: Grid
    waits: Bars | None
    shorter: str
    notes: tuple[str, ...]
    again: str


def html(report: Report) -> str:
    """The page, whole: it needs no network. The same report gives the same bytes."""
    view = _view(report)
    parts = [("summary", "Summary"), ("verdicts", "Verdicts"), ("course", "What happened when")]
    parts += [("data", "Backfill and drift")] if view.data else []
    parts += [("traffic", "Traffic")]
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
    axis = Axis.of(report)
    found = (curves.progress(report, axis), curves.drift(report, axis))
    return View(
        lead=_lead(report),
        facts=tuple(_facts(report)),
        wrong=tuple(_wrong(finding) for v in report.verdicts for finding in v.findings),
        verdicts=_verdicts(report),
        course=curves.course(report, axis),
        faults=curves.faults(report, axis),
        data=tuple(each for each in found if each is not None),
        latency=curves.latency(report, axis),
        throughput=curves.throughput(report, axis),
        traffic=_traffic(report),
        waits=curves.waits(report),
        shorter=curves.shorter(report),
        notes=tuple(dict.fromkeys(report.log.notes)),
        again=f"{report.rows} rows in the tables at the start. The same again: --seed {report.settings.seed}.",
    )


def _lead(report: Report) -> str:
    if not report.rows:
        return (
            f"No table changes. The rollout was played with {report.told}, by the files that are to run in production, while "
            "requests of old and new code came in: step by step forward, back, and forward again, with faults. This page says "
            "what was looked at, what was found, and what can't be played here."
        )
    return (
        f"The whole migration was played on {report.told}, with the files that are to run in production, while old and new "
        "application code read and wrote: each phase forward, back and forward again, with faults. This page says what was "
        "looked at, and what was found."
    )


def _facts(report: Report) -> Iterator[Fact]:
    bad = [v for v in report.verdicts if v.state == FAILED]
    good = [v for v in report.verdicts if v.state == PASSED]
    unplayed = sum(v.state == UNPLAYED for v in report.verdicts)
    said = (f"{len(good)} passed", *((f"{unplayed} not played: see why",) if unplayed else ()))
    yield Fact(
        "Verdicts",
        f"{len(bad)} failed" if bad else "none failed" if unplayed else "all passed",
        said,
        "grave" if bad else "good",
    )
    failed = sum(not r.ok for r in report.requests)
    yield Fact("Requests", f"{len(report.requests):,}", (f"{failed} failed",), "grave" if failed else "")
    longest = max((w.seconds for w in report.waits), default=0.0)
    if report.rows:
        yield Fact(
            "Longest wait behind the migration",
            f"{longest * 1000:.0f} ms",
            ("of any request, by the database's locks",),
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
