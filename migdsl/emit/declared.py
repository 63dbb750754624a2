"""What a file wants to be told of (`alert`, `slo`, `abort`, `rollback when`) becomes alerts beside the standard ones."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.emit import promql
from migdsl.emit import telemetry as t
from migdsl.emit.context import EmitContext
from migdsl.semantics.policy import Alert, Comparison, Condition, Policy, comparisons, negated, spoken

# Of these a backfill that is under way makes more than there is.
_OF_ROWS = frozenset("drift_rate rows_missing rows_extra rows_mismatched".split())
_OF_STREAMS = frozenset(["sync_lag", "sync_waiting"])
_GAUGES = {
    "backfill_progress": t.PROGRESS,
    "backfill_errors": t.ERRORS,
    "replication_lag": t.REPLICATION_LAG,
    "lock_wait": t.LOCK_WAIT,
    "drift_rate": t.DRIFT_RATIO,
    "rows_missing": t.MISSING,
    "rows_extra": t.EXTRA,
    "rows_mismatched": t.MISMATCHED,
    "tenants_unlisted": t.UNLISTED,
}


def declared_alerts(context: EmitContext, view: t.TelemetryView) -> tuple[t.AlertSpec, ...]:
    """The alerts that the file asks for, in the order of their kinds."""
    return tuple(_alerts(context, view))


def own_metrics(policy: Policy) -> tuple[t.OwnMetric, ...]:
    """The user's metrics in their order, each with the lowest value above which a condition of an alert is met."""
    said = [
        *policy.aborts,
        *policy.returns,
        *(negated(slo) for slo in policy.slos),
        *(a.condition for a in policy.alerts),
    ]
    limits = [c for condition in said for c in comparisons(condition) if c.operator in (">", ">=")]
    return tuple(
        t.OwnMetric(
            metric.name,
            metric.promql,
            metric.unit,
            min((float(c.value) for c in limits if c.metric.name == metric.name), default=None),
        )
        for metric in policy.metrics
        if metric.promql is not None
    )


def _alerts(context: EmitContext, view: t.TelemetryView) -> Iterator[t.AlertSpec]:
    policy = context.planned.module.policy
    for number, slo in enumerate(policy.slos, 1):
        summary = f"The objective is missed: {spoken(slo)}"
        action = "Move nobody further. If it does not come back, take those moved last one stage back."
        yield _spec(view, _numbered("slo", number), negated(slo), "page", summary, action)
    for number, condition in enumerate(policy.aborts, 1):
        back = "dualwrite" if view.routed else "off"
        action = f"Take those who were moved last back to {back}, as Moving the flag says, then look for the cause."
        if view.entities and not view.routed:
            action = "Go back out of cutover, as the section on rollback says, then look for the cause."
        yield _spec(
            view, _numbered("abort", number), condition, "page", f"Stop the rollout: {spoken(condition)}", action
        )
    for number, condition in enumerate(policy.returns, 1):
        action = "Go back one phase, as in the section on rollback, and reconcile."
        if any(c.metric.name in _OF_STREAMS for c in comparisons(condition)):
            action += (
                " What waits comes over first: readers who go back before miss it, and writes stay on the new side."
            )
        yield _spec(view, _numbered("roll_back", number), condition, "page", f"Roll back: {spoken(condition)}", action)
    yield from (_own(view, alert) for alert in policy.alerts)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _own(view: t.TelemetryView, alert: Alert) -> t.AlertSpec:
    summary = (alert.summary or spoken(alert.condition)).rstrip(".")
    severity: t.Severity = next(s for s in t.SEVERITIES if s == alert.severity)
    found = _spec(
        view, alert.name, alert.condition, severity, summary, f"It fires when {spoken(alert.condition)}.", plain=True
    )
    return found if alert.runbook is None else t.elsewhere(found, alert.runbook)


def _spec(
    view: t.TelemetryView,
    name: str,
    condition: Condition,
    severity: t.Severity,
    summary: str,
    action: str,
    *,
    plain: bool = False,
) -> t.AlertSpec:
    """`plain`: as the file says it, also while a backfill is under way."""
    inner, seconds = promql.lasting(condition)
    expr = promql.holds(inner, view.migration)
    if not plain and view.backfills and any(c.metric.name in _OF_ROWS for c in comparisons(inner)):
        expr = f"({expr}) unless on () (max({t.REMAINING.of(view.migration)}) > 0)"
    return t.AlertSpec(
        id=name,
        title=name.replace("_", " ").capitalize(),
        expr=expr,
        for_seconds=seconds,
        severity=severity,
        summary=summary,
        what_to_do=action,
        phase="cutover" if not plain else "any",
        runbook=view.section(name),
        cases=tuple(_cases(view, inner, seconds)),
    )


def _cases(view: t.TelemetryView, condition: Condition, seconds: int) -> Iterator[t.AlertCase]:
    """One sample that fires and one that does not, where the condition is about one gauge."""
    if not isinstance(condition, Comparison) or condition.metric.promql is not None:
        return
    gauge, value = _GAUGES.get(condition.metric.name), float(condition.value)
    if gauge is None:
        return
    of = view.backfills if "backfill" in gauge.labels else view.entities
    if not of:
        return
    labels = (("migration", view.migration), (gauge.labels[1], of[0]))
    strict, beyond = condition.operator in ("<", ">", "!="), -1 if condition.operator[0] == "<" else 1
    inside, outside = (value + beyond, value) if strict else (value, value - beyond)
    length = seconds // 60 + 30
    for name, number, fires in ((f"{condition.operator} holds", inside, ()), ("does not hold", outside, None)):
        series = t.Series(gauge.name, labels, f"{number:.12g}x{length}")
        yield t.AlertCase(name, (series,), seconds + 900, fires)
