"""What a rehearsal measured, as plots: what is there, what isn't, and what is left out."""

from __future__ import annotations

import json

import jsonschema

from migdsl.rehearsal import curves, page, tell
from migdsl.rehearsal.curves import Axis
from migdsl.rehearsal.gauge import Drift, Passed, thinned
from migdsl.rehearsal.model import Log, Mark, Settings
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.watch import Request, Wait
from tests.rehearsal.conftest import ROOT

PROGRESS = (
    Passed(1.0, "User", 0, 40),
    Passed(1.0, "Order", 0, 10),
    Passed(1.5, "User", 20, 40),
    Passed(1.5, "Order", 10, 10),
    Passed(2.0, "User", None, None),
    Passed(2.0, "Order", None, None),
    Passed(9.0, "User", 40, 40),
    Passed(9.0, "Order", 10, 10),
)
DRIFT = (Drift(1.0, "User", 40), Drift(1.5, "User", 3), Drift(1.5, "<Order>", 0))


def a_report(progress: tuple[Passed, ...] = PROGRESS, drift: tuple[Drift, ...] = DRIFT) -> Report:
    log = Log()
    log.marks += [
        Mark("step", "expand", 0.0, 4.0),
        Mark("step", "backfill", 4.0, 9.9),
        Mark("fault", "a job killed", 4.5, 5.0),
        Mark("fault", "a job killed", 6.0, 7.5),
    ]
    requests = tuple(Request(second + 0.5, 0.002, "old", "insert", second != 3) for second in range(10))
    waits = tuple(Wait(f"LOCK TABLE t{n}", 0.2 - n / 100, "expand", 1.0) for n in range(14))
    return Report("m", Settings(), "a test", 7, 9.9, log.verdicts(), requests, waits, 0.0, log, progress, drift)


def test_plots_have_the_steps_by_number_and_the_faults():
    axis = Axis.of(a_report())
    assert axis.whole == 10
    assert [(b.kind, b.left, b.width, b.text) for b in axis.bands] == [
        ("fault", 45.0, 5.0, ""),
        ("fault", 60.0, 15.0, ""),
        ("step", 0.0, 40.0, "1"),
        ("step", 40.0, 59.0, "2"),
    ]
    steps, faults = curves.course(a_report(), axis), curves.faults(a_report(), axis)
    assert [(row.name, len(row.bars), row.value) for row in steps.rows] == [
        ("1 expand", 1, "4.0 s"),
        ("2 backfill", 1, "5.9 s"),
    ]
    assert faults is not None
    assert [(row.name, len(row.bars), row.value) for row in faults.rows] == [("A job killed", 2, "1.5 s")]


def test_backfills_are_summed_and_a_time_without_a_ledger_breaks_the_curve():
    plot = curves.progress(a_report(), Axis.of(a_report()))
    assert plot is not None
    passed, planned = plot.curves
    assert (passed.name, planned.name) == ("rows passed", "rows planned")
    # The scale ends at 60; of 160 pixels 30 rows are 80.
    assert passed.path == "M100 160L150 80M900 26.7"
    assert planned.path == "M100 26.7L150 26.7M900 26.7"
    assert len(plot.bands) == 4


def test_drift_is_one_curve_a_table_and_nothing_without_columns():
    plot = curves.drift(a_report(), Axis.of(a_report()))
    assert plot is not None
    assert [curve.name for curve in plot.curves] == ["User", "<Order>"]
    assert curves.drift(a_report(drift=()), Axis.of(a_report())) is None
    assert curves.drift(a_report(drift=(Drift(1.0, "User", None),)), Axis.of(a_report())) is None
    assert curves.progress(a_report(progress=()), Axis.of(a_report())) is None


def test_waits_are_bars_beside_the_limit_and_the_shortest_are_counted():
    found = curves.waits(a_report())
    assert found is not None
    assert len(found.rows) == 12
    first = found.rows[0]
    assert (first.name, first.under, first.value) == ("LOCK TABLE t0", "in expand", "200 ms")
    assert (first.bars[0].width, first.marks[0].at) == (20.0, 100.0)
    assert curves.shorter(a_report()) == "2 more were shorter."


def test_what_lies_between_two_like_moments_is_left_out():
    still = [Drift(n / 4, "User", 0 if n < 8 else 5) for n in range(12)]
    assert [(each["at"], each["rows"]) for each in thinned(still)] == [(0.0, 0), (1.75, 0), (2.0, 5), (2.75, 5)]


def test_page_and_json_have_the_series():
    report = a_report()
    html = page.html(report)
    for part in ("Backfill and drift", "rows passed", "Rows that differ", "&lt;Order&gt;", "2 more were shorter."):
        assert part in html, part
    assert html.count('class="fault"') == 2 * 4
    document = json.loads(tell.as_json(report))
    jsonschema.validate(document, json.loads((ROOT / "schemas/rehearsal.schema.json").read_text(encoding="utf-8")))
    assert document["drift"][0] == {"at": 1.0, "entity": "User", "rows": 40}
    assert document["progress"][0] == {"at": 1.0, "backfill": "User", "rows": 0, "planned": 40}
    bare = page.html(a_report((), ()))
    assert "Backfill and drift" not in bare
