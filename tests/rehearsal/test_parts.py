"""Made-up values, and what is told of a rehearsal."""

from __future__ import annotations

import random
import time
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from migdsl.dialect.types import resolve
from migdsl.emit import prometheus
from migdsl.emit.standard_alerts import standard_alerts
from migdsl.emit.telemetry import TelemetryView
from migdsl.rehearsal import alerts, making, page, scrutiny, tell
from migdsl.rehearsal.model import Log, Mark, Settings
from migdsl.rehearsal.run import Report
from migdsl.rehearsal.stage import Stage
from migdsl.rehearsal.watch import Request, Wait, statement
from tests.conftest import needs_tool

TYPES = ("text", "varchar(9)", "integer", "smallint", "bigint", "uuid", "date", "timestamptz", "numeric(12, 2)")


def sql_type(text: str):
    name, _, rest = text.partition("(")
    found = resolve(
        name, None, False, tuple(part.strip() for part in rest.rstrip(")").split(",")) if rest else (), "", 0
    )
    assert found is not None
    return found


@pytest.mark.parametrize("text", TYPES)
def test_a_fresh_value_is_given_once(text: str):
    of = sql_type(text)
    assert making.freshable(of)
    values = [making.fresh(of, number, "O'Brien ") for number in range(1, 400)]
    assert len(set(values)) == len(values)
    assert text != "varchar(9)" or max(map(len, values)) <= 9


@pytest.mark.parametrize("text", [*TYPES, "boolean", "jsonb", "bytea", "interval", "inet", "real"])
def test_postgresql_takes_the_values(text: str, database: str):
    import psycopg  # beside its only use

    of, chance = sql_type(text), random.Random(1)
    values = [making.usual(of, chance) for _ in range(60)] + [making.usual(of, chance, tame=True) for _ in range(9)]
    with psycopg.connect(database, autocommit=True) as connection:
        for value in values:
            connection.execute(f"SELECT %s::{of.sql}".encode(), (value,))


def a_report(log: Log) -> Report:
    requests = (Request(0.1, 0.002, "old", "insert", True), Request(0.2, 0.2, "new", "read", False))
    waits = (Wait("LOCK TABLE t", 2.0, "expand", 1.0),)
    return Report("m", Settings(), "a test", 7, 3.0, log.verdicts(), requests, waits, 0.0, log)


def test_a_finding_is_told_everywhere_with_what_to_do():
    log = Log()
    log.step = "expand"
    log.saw("revisions", "expand")
    log.against("blocked", "traffic | waited <2 s> \x01", "LOCK TABLE t", "try *again*")
    report = a_report(log)
    assert not report.passed
    text = "\n".join(tell.text(report))
    for part in ("expand, at ", "LOCK TABLE t", "do: try *again*", "not safe: blocked", "--seed 1"):
        assert part in text
    markdown = tell.markdown(report)
    assert r"traffic \| waited \<2 s\>" in markdown
    assert r"try \*again\*" in markdown
    suite = ET.fromstring(tell.junit(report))
    assert (suite.get("failures"), suite.get("skipped")) == ("1", str(len(report.verdicts) - 2))
    (failure,) = suite.iter("failure")
    assert "LOCK TABLE t" in (failure.text or "")


def test_the_page_says_what_is_wrong_and_escapes_it():
    log = Log()
    log.marks += [
        Mark("step", "expand", 0.0, 2.0),
        Mark("stage", "dualwrite for all", 1.0, 1.0),
        Mark("fault", "held", 0.5, 2),
    ]
    log.against("blocked", "<script>alert(1)</script>", "LOCK TABLE t", "try again")
    html = page.html(a_report(log))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    for part in (
        "Not safe as it is",
        "What to do: try again",
        "LOCK TABLE t",
        "dualwrite for all",
        "Requests a second",
    ):
        assert part in html
    assert html == page.html(a_report(log))
    empty = page.html(a_report(Log()))
    assert "Safe, as far as a rehearsal can tell" in empty


def test_what_nobody_looked_at_is_skipped_and_passes():
    report = a_report(Log())
    assert report.passed
    assert {v.state for v in report.verdicts} == {"skipped"}


def test_a_block_is_known_by_its_lock():
    assert (
        statement("DO $m$\nBEGIN\n  x\nLOCK TABLE public.users IN EXCLUSIVE MODE;\n")
        == "LOCK TABLE public.users IN EXCLUSIVE MODE"
    )
    assert statement("VACUUM t") == "VACUUM t"


def test_rules_are_evaluated_on_what_a_job_measured():
    tool = needs_tool("promtool")
    rules = {"Bad": 'max by (entity) (rows_wrong{m="x"}) > 0', "Never": "absent_metric > 0"}
    metrics = '# HELP rows_wrong x\nrows_wrong{m="x",entity="User"} %d\nother NaN\n'
    assert alerts.firing(tool, rules, metrics % 2) == {"Bad"}
    assert alerts.firing(tool, rules, metrics % 0) == frozenset()
    with pytest.raises(ValueError, match="parse error"):
        alerts.firing(tool, {"Broken": "max by ("}, metrics % 0)


def test_a_sync_job_is_missed_only_where_its_own_metrics_are_looked_at():
    needs_tool("promtool")
    view = TelemetryView("m", "m.md", entities=("Order",), streamed=(("Order", 30.0),), carrying=True)
    text = prometheus.rules(view, standard_alerts(view), "m.rules.json").text
    log = Log()
    rehearsed = SimpleNamespace(project=SimpleNamespace(texts={"m.rules.json": text}), log=log)
    scrutiny.fire(rehearsed, 'migdsl_reconcile_rows_extra{migration="m",entity="Order"} 0', frozenset(), "clean")
    assert not log.findings
    said = 'migdsl_sync_last_look_timestamp_seconds{migration="m",entity="Order",direction="old_to_new"}'
    scrutiny.fire(rehearsed, f"{said} {time.time()}", frozenset(), "it has looked")
    assert not log.findings
    scrutiny.fire(rehearsed, f"{said} 0", frozenset(), "it looks no more")
    assert [found.what for found in log.findings] == ["MigdslSyncSilent fires for nothing: it looks no more"]


def test_no_process_is_started_with_a_password(tmp_path: Path) -> None:
    """Anybody on the machine can read what a process was started with."""
    (tmp_path / "psql").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\necho "given: $PGPASSWORD"\n', encoding="utf-8")
    (tmp_path / "psql").chmod(0o700)
    said = Stage("postgresql://me:hunter%402@db:77/shop", tmp_path, "test").run("psql", "-X").stdout
    assert said.splitlines()[:2] == ["-X", "-d"]
    assert "hunter" not in said.partition("given: ")[0]
    assert said.endswith("given: hunter@2\n")
    assert "password" not in Stage("postgresql:///shop", tmp_path, "test").run("psql").stdout
