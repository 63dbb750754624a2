"""Prometheus rules are checked and tested by promtool, and their metrics are those that the runtime exports."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from migdsl.emit.artifact import canonical_json
from migdsl.emit.prometheus import rule_tests, rules
from migdsl.emit.standard_alerts import standard_alerts
from migdsl.emit.telemetry import (
    AlertSpec,
    TelemetryView,
    promql_string,
    runbook_anchor,
    runbook_heading,
)

VIEW = TelemetryView(
    "users_email",
    "docs/migrations/users_email.md",
    ("user.contact_email",),
    ("User",),
    has_old_writes=True,
    stage="live",
)
STREAMED = replace(VIEW, streamed=(("Order", 30.0), ("OrderLine", 60.0)), captured=("OrderLine",), carrying=True)
HOSTILE = (
    '"; drop" \\ back\\x41slash',
    "{{ .Labels.migration }} {{{ }} {",
    "$HOME ${HOME} $__env{HOME} $$",
    "[[datasource]] ${datasource}",
    "Zürich · 東京 · 😀",
    "line\nbreak\ttab \x7f \x85 \u2028",
    "n" * 63,
)
RULES, TESTS = "prometheus/M.rules.json", "prometheus/M.test.json"


def rule_list(text: str) -> list[dict]:
    return json.loads(text)["groups"][0]["rules"]


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def written(folder: Path, view: TelemetryView, alerts: tuple[AlertSpec, ...], rules_path: str = RULES) -> Path:
    for artifact in (rules(view, alerts, rules_path), rule_tests(view, alerts, TESTS, rules_path)):
        path = folder / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.text, encoding="utf-8")
    return folder / TESTS


def passes(tests: Path) -> bool:
    return promtool("test", "rules", tests.name, cwd=tests.parent).returncode == 0


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("name", ["users_email", " ".join(HOSTILE)], ids=["plain", "hostile"])
def test_promtool_accepts_the_rules_and_their_tests(tmp_path: Path, name: str):
    view = replace(VIEW, migration=name, backfills=(name,), entities=(name,), runbook_path=f"docs/{name}.md")
    tests = written(tmp_path, view, standard_alerts(view))
    checked = promtool("check", "rules", "M.rules.json", cwd=tests.parent)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "7 rules found" in checked.stdout
    done = promtool("test", "rules", tests.name, cwd=tests.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("alert", standard_alerts(STREAMED), ids=lambda alert: alert.id)
@pytest.mark.parametrize("broken", ["vector(1)", "vector(1) < 0"], ids=["always", "never"])
def test_the_tests_notice_an_alert_that_always_or_never_fires(tmp_path: Path, alert: AlertSpec, broken: str):
    tests = written(tmp_path, STREAMED, (alert,))
    assert passes(tests)
    broken_rules = rules(STREAMED, (replace(alert, expr=broken),), RULES)
    (tmp_path / RULES).write_text(broken_rules.text, encoding="utf-8")
    assert not passes(tests)


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize(
    ("alert", "old", "new"),
    [
        ("backfill_stalled", "> 600", "> 901"),
        ("backfill_stalled", " and max", " or max"),
        ("backfill_stalled", "[1d]", "[5m]"),
        ("backfill_errors", 'outcome="failed"', 'outcome!="failed"'),
        ("backfill_errors", "migdsl_backfill_errors", "migdsl_backfill_quarantined"),
        ("drift", "migdsl_reconcile_rows_extra", "migdsl_reconcile_rows_odd"),
        ("drift", " unless on (migration)", " and on (migration)"),
        ("constraint_violations", " unless on (migration)", " or on (migration)"),
        ("drift", "[3d]", "[5m]"),
        ("reconcile_stale", "> 93600", "> 99999"),
        ("reconcile_stale", "[3d]", "[5m]"),
        ("sync_silent", "> 180", "> 9999"),
        ("sync_silent", " or absent", " unless absent"),
        ("sync_silent", "absent_over_time(", "count_over_time("),
        ("sync_wal_kept", "> 10737418240", "> 10737418242"),
        ("tenants_unlisted", "> 0", "> 2"),
        ("old_writes", "increase(", "("),
    ],
)
def test_the_tests_notice_a_changed_expression(tmp_path: Path, alert: str, old: str, new: str):
    spec = next(each for each in standard_alerts(STREAMED) if each.id == alert)
    assert old in spec.expr
    tests = written(tmp_path, STREAMED, (spec,))
    changed = rules(STREAMED, (replace(spec, expr=spec.expr.replace(old, new)),), RULES)
    (tmp_path / RULES).write_text(changed.text, encoding="utf-8")
    assert not passes(tests)


@pytest.mark.needs_tool("promtool")
def test_another_migrations_samples_fire_nothing(tmp_path: Path):
    tests = written(tmp_path, VIEW, standard_alerts(VIEW))
    other = replace(VIEW, migration="users_email2")
    (tmp_path / RULES).write_text(rules(other, standard_alerts(other), RULES).text, encoding="utf-8")
    document = json.loads(tests.read_text(encoding="utf-8"))
    for test in document["tests"]:
        test["alert_rule_test"][0]["exp_alerts"] = []
    tests.write_text(json.dumps(document), encoding="utf-8")
    assert passes(tests)


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("rules_path", ["prometheus/[a]*?.rules.json", "elsewhere/deep/M.rules.json", "M.rules.json"])
def test_the_tests_find_their_rules(tmp_path: Path, rules_path: str):
    assert passes(written(tmp_path, VIEW, standard_alerts(VIEW)[:1], rules_path))
    assert not passes(written(tmp_path, VIEW, (replace(standard_alerts(VIEW)[0], expr="vector(1)"),), rules_path))


BACKFILL = 'migration="users_email",backfill="user.contact_email"'
USER, ORDER = (f'migration="users_email",entity="{name}"' for name in ("User", "Order"))
LEFT, SINCE = "migdsl_backfill_remaining_rows", "migdsl_backfill_last_progress_timestamp_seconds"
ERRORS, LOOKED = "migdsl_backfill_errors", "migdsl_sync_last_look_timestamp_seconds"
DIFFERING, RAN = "migdsl_reconcile_rows_mismatched", "migdsl_reconcile_last_run_timestamp_seconds"
BESIDE = {f'{LOOKED}{{migration="users_email",entity="OrderLine",direction="old_to_new",instance="a"}}': "0+60x3000"}


def fires(folder: Path, view: TelemetryView, name: str, series: dict[str, str], at: str) -> bool:
    """Whether an alert fires at a time, with these samples one minute apart."""
    folder.mkdir(exist_ok=True)
    (folder / "M.rules.json").write_text(rules(view, standard_alerts(view), RULES).text, encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []}],
    }
    document = {"rule_files": ["M.rules.json"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "M.test.json").write_text(json.dumps(document), encoding="utf-8")
    done = promtool("test", "rules", "M.test.json", cwd=folder)
    assert done.returncode == 0 or "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


def of(metric: str, labels: str, instance: str = "a") -> str:
    return f'{metric}{{{labels},instance="{instance}"}}'


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize(
    ("name", "series", "expected"),
    [
        # Killed with rows left, scraped or at a gateway; begun and held before its first batch.
        ("BackfillStalled", {of(SINCE, BACKFILL): "0+60x5 stale", of(LEFT, BACKFILL): "9x5 stale"}, True),
        ("BackfillStalled", {of(SINCE, BACKFILL): "300x200", of(LEFT, BACKFILL): "9x200"}, True),
        (
            "BackfillStalled",
            {
                of(SINCE, BACKFILL): "0+60x5 stale",
                of(LEFT, BACKFILL): "9x5 stale",
                of(SINCE, BACKFILL, "b"): "_x9 600+60x5 stale",
                of(LEFT, BACKFILL, "b"): "_x9 9x4 0 stale",
            },
            False,
        ),
        (
            "BackfillErrors",
            {
                of(SINCE, BACKFILL): "60x200",
                of(ERRORS, BACKFILL): "2x200",
                of(SINCE, BACKFILL, "b"): "_x9 600x200",
                of(ERRORS, BACKFILL, "b"): "_x9 0x200",
            },
            False,
        ),
        # A reconciliation that is read at its end alone, and one after it from another host.
        ("Drift", {of(DIFFERING, USER): "_ _ 7 stale", of(RAN, USER): "_ _ 120 stale"}, True),
        *(
            (
                "Drift",
                {
                    of(DIFFERING, USER): f"{before} stale",
                    of(RAN, USER): "10 stale",
                    of(DIFFERING, USER, "b"): f"_x9 {after} stale",
                    of(RAN, USER, "b"): "_x9 550 stale",
                },
                bool(after),
            )
            for before, after in ((7, 0), (0, 7))
        ),
        # Two sync jobs, of which one or both are dead.
        (
            "SyncSilent",
            {of(LOOKED, f'{ORDER},direction="old_to_new"', i): v for i, v in (("a", "0x200"), ("b", "0+60x200"))}
            | BESIDE,
            False,
        ),
        (
            "SyncSilent",
            {of(LOOKED, f'{ORDER},direction="old_to_new"', i): v for i, v in (("a", "0x200"), ("b", "0+60x9 stale"))}
            | BESIDE,
            True,
        ),
        ("SyncSilent", BESIDE, True),
    ],
)
def test_jobs_that_are_gone_are_missed(tmp_path: Path, name: str, series: dict[str, str], expected: bool):
    assert fires(tmp_path, STREAMED, f"Migdsl{name}", series, "60m") is expected


@pytest.mark.needs_tool("promtool")
def test_a_dead_job_pages_for_more_than_a_day_once_readers_depend_on_it(tmp_path: Path):
    series = {of(LOOKED, f'{ORDER},direction="old_to_new"'): "0+60x5 stale"} | BESIDE
    before = replace(STREAMED, carrying=False)
    assert fires(tmp_path / "a", before, "MigdslSyncSilent", series, "60m")
    for at in ("60m", "24h2m", "40h"):
        assert fires(tmp_path / "b", STREAMED, "MigdslSyncSilent", series, at), at
    # Before expand has run nobody is missed; nor when contract has ended the job.
    assert not fires(tmp_path / "c", before, "MigdslSyncSilent", {}, "60m")
    assert "sync_silent" not in {alert.id for alert in standard_alerts(replace(STREAMED, stage="complete"))}


@pytest.mark.needs_tool("promtool")
def test_a_reconciliation_that_was_read_once_is_missed_after_a_day(tmp_path: Path):
    series = {of(RAN, USER): "_ _ 120 stale"}
    assert not fires(tmp_path, VIEW, "MigdslReconcileStale", series, "25h")
    assert fires(tmp_path, VIEW, "MigdslReconcileStale", series, "27h")
    assert fires(tmp_path, VIEW, "MigdslReconcileStale", series, "60h")


def test_who_has_no_slot_keeps_no_wal():
    assert "sync_wal_kept" in {alert.id for alert in standard_alerts(STREAMED)}
    assert "sync_wal_kept" not in {alert.id for alert in standard_alerts(replace(STREAMED, captured=()))}


def test_every_alert_is_shown_firing_and_silent():
    for alert in standard_alerts(STREAMED):
        outcomes = {case.fires is None for case in alert.cases}
        assert outcomes == {True, False}, alert.id


def test_which_alerts_there_are():
    def ids(view: TelemetryView) -> set[str]:
        return {alert.id for alert in standard_alerts(view)}

    backfill = {"backfill_stalled", "backfill_errors"}
    entity = {"drift", "constraint_violations", "reconcile_stale"}
    assert ids(VIEW) == backfill | entity | {"tenants_unlisted", "old_writes"}
    assert ids(replace(VIEW, has_old_writes=False, has_tenants=False)) == backfill | entity
    assert ids(replace(VIEW, backfills=())) == entity | {"tenants_unlisted", "old_writes"}
    assert ids(replace(VIEW, entities=())) == backfill
    assert ids(replace(VIEW, backfills=(), entities=())) == set()


@pytest.mark.parametrize("stage", ["off", "dualwrite", "shadow", "live", "rampdown", "complete"])
def test_old_writes_alert_during_the_soak_alone(stage: str):
    alerts = standard_alerts(replace(VIEW, stage=stage))
    assert any(alert.id == "old_writes" for alert in alerts) == (stage in {"live", "rampdown", "complete"})


@pytest.mark.needs_tool("promtool")
def test_without_backfill_the_rules_stand_alone(tmp_path: Path):
    view = replace(VIEW, backfills=())
    alerts = standard_alerts(view)
    assert "migdsl_backfill" not in rules(view, alerts, RULES).text
    assert passes(written(tmp_path, view, alerts))


@pytest.mark.needs_tool("promtool")
def test_no_alerts_give_an_empty_file(tmp_path: Path):
    path = tmp_path / "M.rules.json"
    path.write_text(rules(VIEW, (), RULES).text, encoding="utf-8")
    assert promtool("check", "rules", path.name, cwd=tmp_path).returncode == 0


@pytest.mark.needs_tool("promtool")
def test_an_alert_of_the_users_is_printed_beside_ours(tmp_path: Path):
    mine = AlertSpec(
        *("user_slow_reads", "Slow {{ reads }}", 'reads_seconds{job=~"a$"} > 1 # "$x"', 300, "page"),
        *("Reads cost $5", "Call {{ $who }}", "cutover", "docs/a$b.md#x"),
    )
    tests = written(tmp_path, VIEW, (standard_alerts(VIEW)[0], mine))
    assert promtool("check", "rules", "M.rules.json", cwd=tests.parent).returncode == 0
    assert rule_list((tmp_path / RULES).read_text(encoding="utf-8"))[-1]["alert"] == "MigdslUserSlowReads"
    assert passes(tests)


def test_labels_name_phase_and_severity():
    found = {rule["alert"]: rule["labels"] for rule in rule_list(rules(VIEW, standard_alerts(VIEW), RULES).text)}
    assert found["MigdslDrift"] == {"phase": "validate", "severity": "page"}
    assert found["MigdslBackfillStalled"] == {"phase": "backfill", "severity": "ticket"}
    assert {labels["severity"] for labels in found.values()} == {"page", "ticket"}


def test_every_alert_points_into_the_runbook():
    for alert in standard_alerts(VIEW):
        slug = re.sub(r"[^\w\- ]", "", runbook_heading(alert).lower()).replace(" ", "-")
        assert slug == runbook_anchor(alert.id)
        assert alert.runbook == f"docs/migrations/users_email.md#{slug}"


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("$x [[y]]", r'"\x24x \x5b\x5by]]"'),
        ("a\nb", r'"a\x0ab"'),
        ("é😀", '"é😀"'),
    ],
)
def test_promql_strings(text: str, literal: str):
    assert promql_string(text) == literal


def test_json_is_canonical_and_yaml_can_read_it():
    text = canonical_json({"b": "é\x7f\x85\u2028", "a": ["😀", "\\ud83d", True]})
    assert (
        text == '{\n  "a": [\n    "😀",\n    "\\\\ud83d",\n    true\n  ],\n  "b": "\\u00e9\\u007f\\u0085\\u2028"\n}\n'
    )
    assert json.loads(text) == {"b": "é\x7f\x85\u2028", "a": ["😀", "\\ud83d", True]}
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
