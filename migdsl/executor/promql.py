"""A condition that must hold becomes PromQL that yields one sample while it does, of each of its series.

An alert fires for any series; a gate opens only where none stands in the way, and where all has been measured.
"""

from __future__ import annotations

from migdsl.emit.promql import series
from migdsl.semantics.policy import Comparison, Condition, Held

# The series that is least of all in the condition decides.
_LEAST = {">": "min", ">=": "min", "<": "max", "<=": "max"}
_EQUAL = {"=": "==", "!=": "!="}
_MEASURED = 0.9  # of the minutes of a window
_STEP_S = 60


def proves(condition: Condition, migration: str) -> str:
    """A sample without labels while the condition holds, and nothing while it doesn't, or isn't known."""
    if isinstance(condition, Comparison):
        if condition.operator in _LEAST:
            return _compared(condition, migration, "")
        return f"{_equal(condition, migration)} == 1"
    if isinstance(condition, Held):
        return f"{_held(condition, migration)} == 1"
    word = " or " if condition.either else " and "
    return word.join(f"({proves(part, migration)})" for part in condition.parts)


def _compared(condition: Comparison, migration: str, modifier: str) -> str:
    aggregate = _LEAST[condition.operator]
    return f"{aggregate}{series(condition.metric, migration)} {condition.operator} {modifier}{condition.value}"


def _equal(condition: Comparison, migration: str) -> str:
    return f"min({series(condition.metric, migration)} {_EQUAL[condition.operator]} bool {condition.value})"


def _held(condition: Held, migration: str) -> str:
    """1 where it held at each minute of the window, and most of them were measured; 0 where it didn't."""
    truth, window = _truth(condition.condition, migration), f"[{condition.seconds:g}s:1m]"
    least = max(2, int(condition.seconds / _STEP_S * _MEASURED))
    return f"(min_over_time(({truth}){window}) == bool 1) * (count_over_time(({truth}){window}) >= bool {least})"


def _truth(condition: Condition, migration: str) -> str:
    """1 or 0 at each instant at which its metrics were measured."""
    if isinstance(condition, Comparison):
        return (
            _compared(condition, migration, "bool ") if condition.operator in _LEAST else _equal(condition, migration)
        )
    if isinstance(condition, Held):
        return _held(condition, migration)
    parts = [_truth(part, migration) for part in condition.parts]
    if condition.either:
        return f"({' + '.join(f'(({part}) or vector(0))' for part in parts)}) > bool 0"
    return " * ".join(f"({part})" for part in parts)
