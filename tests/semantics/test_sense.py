"""What is known of a condition before anything is measured, against a try with every value that matters."""

from __future__ import annotations

import operator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.semantics.policy import Comparison, Condition, Held, Joined, Metric, comparisons
from migdsl.semantics.sense import always, contradiction, never

DRIFT, ROWS = Metric("drift_rate", "ratio", None), Metric("rows_missing", "count", None)
GROWTH = Metric("growth", "count", "up")
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
# Between any two numbers of a condition, on them, and beyond: as far as each metric goes.
VALUES = {
    "drift_rate": [n / 8 for n in range(9)],
    "rows_missing": [n / 2 for n in range(12)],
    "growth": [n / 2 for n in range(-12, 12)],
}
NUMBERS = {"drift_rate": ["0", "0.25", "0.5", "1"], "rows_missing": ["0", "1", "3"], "growth": ["0", "2", "4"]}


def said(metric: Metric, sign: str, value: str) -> Comparison:
    return Comparison(metric, sign, value, value)


def holds(condition: Condition, at: dict[str, float]) -> bool:
    """At one moment that stays as it is."""
    if isinstance(condition, Comparison):
        return OPERATORS[condition.operator](at[condition.metric.name], float(condition.value))
    if isinstance(condition, Held):
        return holds(condition.condition, at)
    return (any if condition.either else all)(holds(part, at) for part in condition.parts)


def tried(condition: Condition) -> list[bool]:
    names = sorted({c.metric.name for c in comparisons(condition)})
    return [holds(condition, dict(zip(names, at, strict=True))) for at in product(*(VALUES[n] for n in names))]


COMPARISONS = st.sampled_from([DRIFT, ROWS, GROWTH]).flatmap(
    lambda metric: st.builds(
        said, st.just(metric), st.sampled_from(sorted(OPERATORS)), st.sampled_from(NUMBERS[metric.name])
    )
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Held, inner, st.just(60.0), st.just("1m")),
        st.builds(Joined, st.booleans(), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)


@given(CONDITIONS)
def test_what_never_or_always_holds_does_so_for_every_value(condition: Condition) -> None:
    found = tried(condition)
    assert not (never(condition) and any(found))
    assert not (always(condition) and not all(found))


@given(st.lists(COMPARISONS, min_size=1, max_size=4))
def test_nothing_of_what_must_hold_together_is_missed(parts: list[Comparison]) -> None:
    together = Joined(False, tuple(parts))
    assert never(together) == (not any(tried(together)))
    assert always(Joined(True, tuple(parts))) == all(tried(Joined(True, tuple(parts))))


@pytest.mark.parametrize(
    ("parts", "fewest"),
    [
        ([said(DRIFT, "<", "0.5"), said(ROWS, "=", "0"), said(DRIFT, ">", "0.5")], [0, 2]),
        ([said(DRIFT, "<", "0.5"), said(DRIFT, "<", "0")], [1]),
        ([said(DRIFT, ">=", "0.5"), said(DRIFT, "<=", "0.5"), said(DRIFT, "!=", "0.5")], [0, 1, 2]),
        ([said(GROWTH, "<", "0"), said(GROWTH, "<", "2")], None),
    ],
)
def test_the_fewest_that_contradict_each_other_are_named(parts: list[Comparison], fewest: list[int] | None) -> None:
    found = contradiction(parts)
    assert (None if found is None else [parts.index(each) for each in found]) == fewest
