"""Turns alerts into a Prometheus rule file, and their cases into promtool tests of each alert firing and silent."""

from __future__ import annotations

import posixpath
import re

from migdsl.emit.artifact import Artifact, canonical_json
from migdsl.emit.telemetry import AlertCase, AlertSpec, Labels, Series, TelemetryView, alert_annotations, promql_string


def rules(view: TelemetryView, alerts: tuple[AlertSpec, ...], path: str) -> Artifact:
    """The rule file: JSON, which is YAML to Prometheus; check it with `promtool check rules`."""
    group = {"name": f"migdsl {view.migration}", "interval": "1m", "rules": [_rule(view, each) for each in alerts]}
    return Artifact(path, canonical_json({"groups": [group] if alerts else []}), "prometheus_rules")


def rule_tests(view: TelemetryView, alerts: tuple[AlertSpec, ...], path: str, rules_path: str) -> Artifact:
    """The tests of the rules at `rules_path`, for `promtool test rules`; an alert without cases has none.

    Both paths are relative to the same folder; the test file names the rules relative to itself.
    """
    beside = posixpath.relpath(rules_path, posixpath.dirname(path) or ".")
    document = {
        # promtool takes this for a glob.
        "rule_files": [re.sub(r"([*?\[\\])", r"\\\1", beside)],
        "evaluation_interval": "1m",
        "tests": [_test(view, alert, case) for alert in alerts for case in alert.cases],
    }
    return Artifact(path, canonical_json(document), "prometheus_tests")


def _rule(view: TelemetryView, alert: AlertSpec) -> dict[str, object]:
    return {
        "alert": alert.alert_name,
        "expr": alert.expr,
        "for": f"{alert.for_seconds}s",
        "labels": alert.static_labels,
        "annotations": alert_annotations(view, alert),
    }


def _test(view: TelemetryView, alert: AlertSpec, case: AlertCase) -> dict[str, object]:
    firing = [] if case.fires is None else [_instance(view, alert, case.fires)]
    check = {"eval_time": f"{case.at_seconds}s", "alertname": alert.alert_name, "exp_alerts": firing}
    return {
        "name": f"{alert.id}: {case.name}",
        "interval": "1m",
        "input_series": [{"series": _selector(series), "values": series.values} for series in case.series],
        "alert_rule_test": [check],
    }


def _selector(series: Series) -> str:
    return f"{series.metric}{{{','.join(f'{key}={promql_string(value)}' for key, value in series.labels)}}}"


def _instance(view: TelemetryView, alert: AlertSpec, labels: Labels) -> dict[str, object]:
    """The alert as promtool expects it: annotations printed for `labels`."""
    about = f" ({alert.subject} {dict(labels)[alert.subject]})" if alert.subject else ""
    return {
        "exp_labels": {**dict(labels), **alert.static_labels},
        "exp_annotations": {
            "summary": f"{alert.summary} in migration {view.migration}{about}",
            "description": f"{alert.what_to_do} See {alert.runbook}.",
            "runbook": alert.runbook,
        },
    }
