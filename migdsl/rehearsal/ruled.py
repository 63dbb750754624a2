"""The alert rules as they lie there become whether the plan's are all there: by their own tests, and Grafana's beside them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migdsl.executor.model import Project
from migdsl.rehearsal import alerts
from migdsl.rehearsal.model import Log, Undoable

_LINES = 3


def ruled(project: Project, log: Log) -> None:
    """An alert that is gone, or waits for a month before it fires, pages nobody: nothing that is measured here shows that.

    Raises Undoable where one of the files can't be read as such.
    """
    paths = project.planned.paths
    rules, tests, shown = (project.texts.get(path) for path in (paths.rules, paths.rule_tests, paths.alerts))
    if rules is None:
        return
    tool = alerts.promtool()
    try:
        alerts.expressions(rules)
        if tool is not None and tests is not None and json.loads(tests)["tests"]:
            _tested(tool, project, log)
        if shown is not None:
            _alike(json.loads(rules), json.loads(shown), paths.alerts, log)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"the alert rules or their tests can't be read: {type(error).__name__}: {error}"
        raise Undoable(why, f"see {paths.rules}, {paths.rule_tests} and {paths.alerts}") from None


def _tested(tool: str, project: Project, log: Log) -> None:
    path = project.planned.paths.rule_tests
    argv = [tool, "test", "rules", str(Path(project.folder, path))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        told = [line for line in said if "alertname" in line or "rror" in line] or said
        way = "an alert of the plan is missing, or fires too late: see the rules, or mend their tests where it is meant so"
        log.against("alerts", f"the rules fail their own tests: {'; '.join(told[:_LINES])[:400]}", path, way)


def _alike(rules: Mapping[str, Any], shown: Mapping[str, Any], path: str, log: Log) -> None:
    """Grafana has each of them, with the same question and the same patience."""
    there = [rule for group in shown["groups"] for rule in group["rules"]]
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        asked = [each for each in there if rule["expr"] in _questions(each)]
        if not any(each.get("for") == rule.get("for") and not each.get("isPaused") for each in asked):
            what = f"Grafana's rules have no {rule['alert']} with the question and the `for` of Prometheus'"
            log.against("alerts", what, path, "whoever is paged by Grafana alone isn't: make the two files alike")


def _questions(rule: Mapping[str, Any]) -> str:
    return "\n".join(str(each["model"].get("expr", "")) for each in rule["data"])
