"""Alerts that a file asks for, as promtool sees them: each fires while its condition holds, and not before."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from migdsl.workspace import Compilation, compile_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
METRICS = """
metric busy = `sum by (node) (node_busy{why=~".*[[]x$"})` unit count
metric errors = `rate(errors_total[5m])` unit ratio
"""


def compiled(more: str, header: str = "", cutover: str = "") -> Compilation:
    text = EXAMPLE.replace("downtime none", f"downtime none\n  {header}") if header else EXAMPLE
    found = compile_files(
        {"users.mig": text.replace("every 24h", f"every 24h\n  {cutover}") + METRICS + more}, "users.mig"
    )
    assert found.ok, found.diagnostics
    return found


def text_of(compilation: Compilation, kind: str) -> str:
    return next(a.text for a in compilation.artifacts if a.kind == kind)


def rule(compilation: Compilation, name: str) -> dict:
    rules = json.loads(text_of(compilation, "prometheus_rules"))["groups"][0]["rules"]
    return next(each for each in rules if each["alert"] == name)


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def fires(folder: Path, compilation: Compilation, name: str, series: dict[str, str], at: str) -> bool:
    """Whether an alert fires at a time, with these samples one minute apart."""
    (folder / "rules.json").write_text(text_of(compilation, "prometheus_rules"), encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []}],
    }
    document = {"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.json").write_text(json.dumps(document), encoding="utf-8")
    done = promtool(folder, "test", "rules", "test.json")
    assert done.returncode == 0 or "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


EVERYTHING = """
rollback { when drift_rate > 0.5% for 10m; when errors > 5% }
alert high { when busy > 3 for 5m and (drift_rate >= 1% or errors != 0) }
alert low { when backfill_progress < 50% or backfill_rate < 10; severity info }
alert odd { when (busy = 3 or busy = 4) for 1h and rows_extra = 0; severity page; runbook "docs/{{ .x }}.md#a" }
"""


@pytest.mark.needs_tool("promtool")
def test_promtool_accepts_what_conditions_become(tmp_path: Path) -> None:
    more = EVERYTHING.replace("{{ .x }}", "x")
    found = compiled(more, "slo drift_rate < 1% for 1h and errors < 1%", "abort when rows_mismatched > 3 for 5m")
    for kind, name in (("prometheus_rules", "users_email.rules.json"), ("prometheus_tests", "users_email.test.json")):
        (tmp_path / name).write_text(text_of(found, kind), encoding="utf-8")
    checked = promtool(tmp_path, "check", "rules", "users_email.rules.json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "13 rules found" in checked.stdout
    done = promtool(tmp_path, "test", "rules", "users_email.test.json")
    assert done.returncode == 0, done.stdout + done.stderr


GAUGES = ("tenants_unlisted", "backfill_progress")
SIMPLE = [
    (f"it{n}", metric, operator, "40%" if metric in ("drift_rate", "backfill_progress") else "40")
    for n, (metric, operator) in enumerate((m, o) for m in GAUGES for o in ("<", "<=", ">", ">=", "=", "!="))
]


@pytest.mark.needs_tool("promtool")
def test_the_tests_of_simple_alerts_hold_and_notice_other_expressions(tmp_path: Path) -> None:
    found = compiled("\n".join(f"alert {name} {{ when {m} {o} {number} for 3m }}" for name, m, o, number in SIMPLE))
    document, rules = json.loads(text_of(found, "prometheus_tests")), text_of(found, "prometheus_rules")
    document["tests"] = [test for test in document["tests"] if test["name"].startswith("it")]
    (tmp_path / "users_email.test.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "users_email.rules.json").write_text(rules, encoding="utf-8")
    assert promtool(tmp_path, "test", "rules", "users_email.test.json").returncode == 0
    for pattern, wrong in ((r".+", "vector(1)"), (r"\b(40|0\.4)\b", "7")):
        changed = json.loads(rules)
        group = changed["groups"][0]
        mine = [r for r in group["rules"] if r["alert"].startswith("MigdslIt")]
        group["rules"] = [r | {"expr": re.sub(pattern, wrong, r["expr"])} for r in mine]
        (tmp_path / "users_email.rules.json").write_text(json.dumps(changed), encoding="utf-8")
        done = promtool(tmp_path, "test", "rules", "users_email.test.json")
        said = done.stdout + done.stderr
        assert {name for name, *_ in SIMPLE if f"alertname: MigdslIt{name[2:]}," in said} == {
            name for name, *_ in SIMPLE
        }


DRIFT = 'migdsl_reconcile_drift_ratio{migration="users_email",entity="User"}'
LEFT = 'migdsl_backfill_remaining_rows{migration="users_email",backfill="User"}'
BUSY = 'node_busy{node="a",why="[x"}'
QUIET = 'node_busy{node="b",why="[x"}'
COMPARED = 'migdsl_router_shadow_compared_total{migration="users_email",instance="%s"}'
MISMATCHED = 'migdsl_router_shadow_mismatched_total{migration="users_email",instance="%s"}'
READS = 'migdsl_router_reads_total{migration="users_email",stage="live",side="new",instance="%s"}'
WRITES = 'migdsl_router_writes_total{migration="users_email",stage="live",side="new",order="first",instance="%s"}'
FAILURE = 'migdsl_router_failures_total{migration="users_email",stage="live",side="new",operation="OF",instance="%s"}'
FAILED, SECOND = FAILURE.replace("OF", "read"), FAILURE.replace("OF", "second_write")
LAG = 'migdsl_replication_lag_seconds{migration="users_email",backfill="User"}'
ERRORS = 'migdsl_backfill_errors{migration="users_email",backfill="User"}'


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize(
    ("condition", "series", "expected"),
    [
        # Of several series the one that is furthest in decides.
        ("busy > 3", {BUSY: "9x60", QUIET: "0x60"}, True),
        ("busy > 3", {BUSY: "3x60", QUIET: "0x60"}, False),
        ("busy < 3", {BUSY: "9x60", QUIET: "0x60"}, True),
        ("busy = 9", {BUSY: "9x60", QUIET: "0x60"}, True),
        ("busy = 8", {BUSY: "9x60", QUIET: "0x60"}, False),
        ("busy > 3 and drift_rate > 1%", {BUSY: "9x60", DRIFT: "0.02x60"}, True),
        ("busy > 3 and drift_rate > 1%", {BUSY: "9x60", DRIFT: "0.01x60"}, False),
        ("busy > 3 and drift_rate > 1%", {BUSY: "9x60"}, False),
        ("busy > 3 or drift_rate > 1%", {DRIFT: "0.02x60"}, True),
        ("busy > 3 or drift_rate > 1%", {BUSY: "1x60", DRIFT: "0x60"}, False),
        # For a time: every reading of it, and at least two.
        ("busy > 3 for 20m and drift_rate > 1%", {BUSY: "9x60", DRIFT: "0.02x60"}, True),
        ("busy > 3 for 20m and drift_rate > 1%", {BUSY: "9x30 1 9x60", DRIFT: "0.02x60"}, False),
        ("busy > 3 for 20m and drift_rate > 1%", {BUSY: "_x39 9", DRIFT: "0.02x60"}, False),
        ("(busy > 3 or busy = 0) for 20m and drift_rate > 1%", {BUSY: "9x30 0x60", DRIFT: "0.02x60"}, True),
        ("(busy > 3 or busy = 0) for 20m and drift_rate > 1%", {BUSY: "9x30 1 0x60", DRIFT: "0.02x60"}, False),
        ("(busy > 3 and drift_rate > 1%) for 20m or rows_extra > 5", {BUSY: "9x60", DRIFT: "0.02x60"}, True),
        ("(busy > 3 and drift_rate > 1%) for 20m or rows_extra > 5", {BUSY: "9x60", DRIFT: "0.02x30 0 0.02x60"}, False),
        # The share over all processes; where nothing is compared, nothing is known.
        *(
            ("shadow_mismatch_rate > 10%", {COMPARED % "a": "0+90x60", COMPARED % "b": "0+10x60", **series}, fires_)
            for series, fires_ in (
                ({MISMATCHED % "a": "0x60", MISMATCHED % "b": "0+11x60"}, True),
                ({MISMATCHED % "a": "0x60", MISMATCHED % "b": "0+9x60"}, False),
            )
        ),
        ("shadow_mismatch_rate > 0%", {COMPARED % "a": "0x60", MISMATCHED % "a": "0x60"}, False),
        ("shadow_mismatch_rate < 1%", {COMPARED % "a": "0x60", MISMATCHED % "a": "0x60"}, False),
        # Of all requests, over all processes; a series of failures is there from the first of them.
        ("cutover_errors > 10%", {READS % "a": "0+50x60", WRITES % "b": "0+30x60", FAILED % "a": "0+10x60"}, True),
        ("cutover_errors > 12%", {READS % "a": "0+50x60", WRITES % "b": "0+30x60", FAILED % "a": "0+10x60"}, False),
        ("cutover_errors > 10%", {READS % "a": "0+50x60", SECOND % "a": "0+50x60"}, False),
        ("cutover_errors < 1%", {READS % "a": "0+50x60"}, True),
        ("cutover_errors < 1%", {READS % "a": "0x60", WRITES % "a": "0x60"}, False),
        ("cutover_errors > 99%", {FAILED % "a": "0+10x60"}, True),
        # What jobs export while they run.
        ("replication_lag > 10s for 5m", {LAG: "11x60"}, True),
        ("replication_lag > 10s for 5m", {LAG: "9x60"}, False),
        ("backfill_errors > 0", {ERRORS: "0x30 1x30"}, True),
        ("backfill_errors > 0", {ERRORS: "0x60"}, False),
        ("(busy > 3 for 5m) for 20m or rows_extra > 5", {BUSY: "9x60"}, True),
        ("(busy > 3 for 5m) for 20m or rows_extra > 5", {BUSY: "9x14 0 9x60"}, False),
    ],
)
def test_when_an_alert_fires(tmp_path: Path, condition: str, series: dict[str, str], expected: bool) -> None:
    found = compiled(f"alert it {{ when {condition} }}")
    assert fires(tmp_path, found, "MigdslIt", series, "35m") is expected


@pytest.mark.needs_tool("promtool")
def test_rows_that_are_not_filled_yet_page_nobody(tmp_path: Path) -> None:
    found = compiled("rollback { when drift_rate > 1% }", "slo drift_rate < 1%")
    for name in ("MigdslRollBack", "MigdslSlo"):
        assert fires(tmp_path, found, name, {DRIFT: "0.5x60", LEFT: "0x60"}, "30m")
        assert not fires(tmp_path, found, name, {DRIFT: "0.5x60", LEFT: "10x60"}, "30m")


def test_grafana_gets_the_same_alerts_and_the_runbook_a_section_each() -> None:
    found = compiled(
        'alert high { when busy > 3; severity page; summary "Busy. {{ $x }} ${HOME}"; runbook "https://w.io/x" }'
    )
    rules = json.loads(text_of(found, "alerts"))["groups"][0]["rules"]
    mine = next(r for r in rules if r["title"].endswith(": High"))
    assert mine["labels"] == {"phase": "any", "severity": "page"}
    assert mine["annotations"]["runbook"] == "https://w.io/x"
    assert "$" not in json.dumps(mine["annotations"])
    assert mine["data"][0]["model"]["expr"] == f"({rule(found, 'MigdslHigh')['expr']}\n) ^ 0"
    assert "$" not in mine["data"][0]["model"]["expr"]
    assert "### Alert: high\n" in text_of(found, "runbook")


def test_severity_is_ticket_where_nothing_is_said() -> None:
    assert rule(compiled("alert it { when busy > 3 for 2h }"), "MigdslIt")["labels"]["severity"] == "ticket"
    assert rule(compiled("alert it { when busy > 3 for 2h }"), "MigdslIt")["for"] == "7200s"
