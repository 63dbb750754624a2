"""`metric`, `alert`, `gate`, and each `when` of other declarations become what is watched and what must hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migdsl.semantics import promql
from migdsl.semantics.conditions import BUILT_IN, EXPORTED, UNITS, watched
from migdsl.semantics.header import again, once
from migdsl.semantics.policy import Alert, Condition, Gate, Metric
from migdsl.semantics.problems import Problems, inside
from migdsl.syntax import ast

# Names that migdsl gives itself.
_ALERTS = re.compile(
    r"(backfill_?stalled|backfill_?errors|drift|constraint_?violations|reconcile_?stale|tenants_?unlisted|old_?writes"
    r"|replace_?errors|replace_?flag_?errors|deprecated_?usage|gone_?requests"
    r"|(slo|abort|roll_?back)(_?\d+)?)_?"
)
_GATES = re.compile(
    r"stage_live|stage_complete|soak|repaired|swapped|(slo)(_\d+)?"
    r"|(backfilled|tenants_unlisted|reconciled|agreed|old_writes|exit|invariant)_.*"
)
SEVERITIES = ("page", "ticket", "info")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_URL = re.compile(r"https?://[^\s\"<>{}$`]+|[\w./-]+(#[\w-]+)?")


def metrics(problems: Problems, nodes: list[ast.Metric]) -> Mapping[str, Metric]:
    """The user's metrics, by name."""
    found: dict[str, Metric] = {}
    for node in nodes:
        name, unit = node.name.text, node.unit.text
        if name in found or name in EXPORTED:
            what = "is measured by migdsl's own jobs" if name in EXPORTED else "is a metric already"
            problems.error("MIG104", node.name.span, f"`{name}` {what}", "taken", help="call it otherwise")
            continue
        if unit not in UNITS:
            problems.unknown("MIG106", "unit", unit, node.unit.span, UNITS)
        elif BUILT_IN.get(name, unit) != unit:
            title = f"`{name}` has the unit {BUILT_IN[name]} wherever it is spoken of"
            problems.error("MIG122", node.unit.span, title, "another unit", help=f"unit {BUILT_IN[name]}")
        named(problems, node.name, "metric")
        _promql(problems, node.promql)
        # Also where something is wrong with it: whoever uses it is not to blame.
        unit = BUILT_IN.get(name, unit if unit in UNITS else "count")
        found[name] = Metric(name, unit, promql.embedded(node.promql.text))
    return found


def _promql(problems: Problems, text: ast.Sql) -> None:
    found = promql.flaw(text.text)
    if found:
        place = inside(text, found.start, found.end)
        problems.error("MIG221", place, f"this is no PromQL: {found.what}", "here", help="`promtool` tells more")


def named(problems: Problems, name: ast.Name, what: str) -> None:
    """Report a name that alerting systems would not take."""
    if _PLAIN.fullmatch(name.text) is None:
        title = (
            f"`{name.text}` is no name for a {what}"
            if what[0] not in "aeiou"
            else f"`{name.text}` is no name for an {what}"
        )
        help_ = "1 to 63 ASCII letters, digits and underscores, a letter first"
        problems.error("MIG008", name.span, title, "not a name everywhere", help=help_)


def conditions(
    problems: Problems, nodes: tuple[ast.When, ...], known: Mapping[str, Metric], *, alarms: bool = False
) -> tuple[Condition, ...]:
    """The conditions of several `when` lines; `alarms`: something goes off while one of them holds."""
    found = (watched(problems, node.condition, known, alarms=alarms) for node in nodes)
    return tuple(condition for condition in found if condition is not None)


def alerts(problems: Problems, nodes: list[ast.Alert], known: Mapping[str, Metric]) -> tuple[Alert, ...]:
    """The user's alerts."""
    seen: dict[str, ast.Name] = {}
    for node in nodes:
        _free(problems, node.name, _ALERTS, "an alert")
    found = (_alert(problems, node, known) for node in nodes if _new(problems, node.name, seen, "alerts"))
    return tuple(alert for alert in found if alert is not None)


def _free(problems: Problems, name: ast.Name, taken: re.Pattern[str], what: str) -> None:
    if taken.fullmatch(name.text.lower()):
        problems.error(
            "MIG104", name.span, f"`{name.text}` is {what} that is derived", "taken", help="call it otherwise"
        )


def _new(problems: Problems, name: ast.Name, seen: dict[str, ast.Name], what: str) -> bool:
    # Two that differ in case or underscores alone would get one name in CamelCase.
    key = name.text.replace("_", "").lower()
    if key in seen:
        more = [(seen[key].span, "the first one")]
        problems.error("MIG104", name.span, f"two {what} are called `{name.text}`", "the second one", more=more)
        return False
    seen[key] = name
    return True


def _alert(problems: Problems, node: ast.Alert, known: Mapping[str, Metric]) -> Alert | None:
    named(problems, node.name, "alert")
    once(problems, node.settings, "alert")
    settings = {s.key: s for s in node.settings}
    severity, runbook = settings.get("severity"), settings.get("alert_runbook")
    if severity is not None and severity.words[0].text not in SEVERITIES:
        problems.unknown("MIG106", "severity", severity.words[0].text, severity.words[0].span, SEVERITIES)
    if runbook is not None and not _URL.fullmatch(runbook.texts[0].value):
        title = f"`{runbook.texts[0].value}` is no address of a page"
        problems.error(
            "MIG008", runbook.texts[0].span, title, "neither https://… nor a path", help='runbook "docs/oncall.md"'
        )
    if len(node.whens) != 1:
        if node.whens:
            again(problems, node.whens[1].span, node.whens[0].span, "when", "the alert")
        else:
            title = f"the alert `{node.name.text}` doesn't say when"
            problems.error("MIG124", node.name.span, title, "never fires", help="when drift_rate > 1% for 10m")
        return None
    condition = watched(problems, node.whens[0].condition, known, alarms=True)
    if condition is None:
        return None
    return Alert(
        node.name.text,
        condition,
        severity.words[0].text if severity else "ticket",
        settings["summary"].texts[0].value if "summary" in settings else None,
        runbook.texts[0].value if runbook else None,
    )


def gates(problems: Problems, nodes: list[ast.Gate], known: Mapping[str, Metric]) -> tuple[Gate, ...]:
    """The user's gates."""
    seen: dict[str, ast.Name] = {}
    found = []
    for node in nodes:
        named(problems, node.name, "gate")
        _free(problems, node.name, _GATES, "a gate")
        condition = watched(problems, node.condition, known)
        if _new(problems, node.name, seen, "gates") and condition is not None:
            found.append(Gate(node.name.text, condition))
    return tuple(found)
