"""Conditions become PromQL that yields one sample, without labels, while the condition holds of any of its series."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.emit import replaced
from migdsl.emit import telemetry as t
from migdsl.semantics.policy import Comparison, Condition, Held, Metric

_BACKFILL, _ENTITY = "by (migration, backfill)", "by (migration, entity)"
_EXPORTED: dict[str, Callable[[str], str]] = {
    "backfill_progress": lambda m: f"max {_BACKFILL} ({t.PROGRESS.of(m)})",
    "backfill_errors": lambda m: f"max {_BACKFILL} ({t.ERRORS.of(m)})",
    "backfill_rate": lambda m: f"sum {_BACKFILL} (rate({t.ROWS.of(m)}[5m]))",
    "drift_rate": lambda m: f"max {_ENTITY} ({t.DRIFT_RATIO.of(m)})",
    "rows_missing": lambda m: f"max {_ENTITY} ({t.MISSING.of(m)})",
    "rows_extra": lambda m: f"max {_ENTITY} ({t.EXTRA.of(m)})",
    "rows_mismatched": lambda m: f"max {_ENTITY} ({t.MISMATCHED.of(m)})",
    "tenants_unlisted": lambda m: f"max {_ENTITY} ({t.UNLISTED.of(m)})",
    "replication_lag": lambda m: f"max {_BACKFILL} ({t.REPLICATION_LAG.of(m)})",
    "lock_wait": lambda m: f"max {_BACKFILL} ({t.LOCK_WAIT.of(m)})",
    "sync_lag": lambda m: f"max {_ENTITY} ({t.SYNC_LAG.of(m)})",
    "sync_waiting": lambda m: f"max {_ENTITY} ({t.SYNC_WAITING.of(m)})",
    "dead_letters": lambda m: f"max {_ENTITY} ({t.SYNC_LETTERS.of(m)})",
    "shadow_mismatch_rate": t.shadow_mismatch_rate,
    "cutover_errors": t.cutover_errors,
    "replace_errors": lambda m: replaced.errors(m, "new"),
    "deprecated_requests": lambda m: f"sum by (migration) (rate({t.DEPRECATED.of(m)}[5m]))",
}
# The series that is furthest into the condition decides.
_FURTHEST = {">": "max", ">=": "max", "<": "min", "<=": "min"}


def series(metric: Metric, migration: str) -> str:
    """A metric's series."""
    return f"({metric.promql})" if metric.promql is not None else f"({_EXPORTED[metric.name](migration)})"


def holds(condition: Condition, migration: str) -> str:
    """A sample while the condition holds, and nothing while it doesn't."""
    if isinstance(condition, Comparison):
        return (
            _compared(condition, migration, "")
            if condition.operator in _FURTHEST
            else f"{_equal(condition, migration)} == 1"
        )
    if isinstance(condition, Held):
        truth, window = _truth(condition.condition, migration), f"[{condition.seconds:g}s:1m]"
        return f"(min_over_time(({truth}){window}) == 1 and count_over_time(({truth}){window}) >= 2)"
    word = " or " if condition.either else " and "
    return word.join(f"({holds(part, migration)})" for part in condition.parts)


def _compared(condition: Comparison, migration: str, modifier: str) -> str:
    aggregate = _FURTHEST[condition.operator]
    return f"{aggregate}{series(condition.metric, migration)} {condition.operator} {modifier}{condition.value}"


def _equal(condition: Comparison, migration: str) -> str:
    operator = "==" if condition.operator == "=" else "!="
    return f"max({series(condition.metric, migration)} {operator} bool {condition.value})"


def _truth(condition: Condition, migration: str) -> str:
    """1 or 0 at each instant at which its metrics were measured."""
    if isinstance(condition, Comparison):
        if condition.operator in _FURTHEST:
            return _compared(condition, migration, "bool ")
        return _equal(condition, migration)
    if isinstance(condition, Held):
        truth, window = _truth(condition.condition, migration), f"[{condition.seconds:g}s:1m]"
        return f"(min_over_time(({truth}){window}) == bool 1) * (count_over_time(({truth}){window}) >= bool 2)"
    parts = [_truth(part, migration) for part in condition.parts]
    if condition.either:
        return f"({' + '.join(f'(({part}) or vector(0))' for part in parts)}) > bool 0"
    return " * ".join(f"({part})" for part in parts)


def lasting(condition: Condition) -> tuple[Condition, int]:
    """A condition as an alerting rule has it: what must hold, and for how many seconds, 0 where it says nothing."""
    if isinstance(condition, Held):
        inner, seconds = lasting(condition.condition)
        return inner, seconds + int(condition.seconds)
    return condition, 0
