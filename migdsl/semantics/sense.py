"""A checked condition becomes what is known of it before anything is measured: that it never holds, or always does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.semantics.policy import Comparison, Condition, Held, Joined, Metric, negated, spoken
from migdsl.values import Value

_INFINITE = float("inf")


class Bounds(Value):
    """The values between `low` and `high` that a metric may have; an `open` end is none of them, nor is any of `but`."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False
    but: frozenset[float] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether there is no such value."""
        if self.low == self.high:
            return self.open_low or self.open_high or self.low in self.but
        return self.low > self.high

    def within(self, found: Comparison) -> Bounds:
        """Those of them for which the comparison holds."""
        value, operator = float(found.value), found.operator
        low = (self.low, self.open_low)
        high = (self.high, self.open_high)
        if operator in (">", ">=", "="):
            low = max(low, (value, operator == ">"))
        if operator in ("<", "<=", "="):
            end = (value, operator == "<")
            high = end if value < self.high or (value == self.high and end[1]) else high
        but = self.but | {value} if operator == "!=" else self.but
        return Bounds(low[0], high[0], low[1], high[1], but)


def never(condition: Condition) -> bool:
    """Whether no reading makes it true."""
    if isinstance(condition, Held):
        return never(condition.condition)
    if isinstance(condition, Joined) and condition.either:
        return all(never(part) for part in condition.parts)
    parts = tuple(at_once(condition))
    return contradiction(parts) is not None or any(isinstance(p, Joined) and never(p) for p in parts)


def always(condition: Condition) -> bool:
    """Whether every reading makes it true."""
    return never(negated(condition))


def contradiction(parts: Iterable[Condition]) -> tuple[Comparison, ...] | None:
    """The comparisons of one metric that can't all be true at a moment, the fewest of them; None: they can."""
    said: dict[str, list[Comparison]] = {}
    for part in parts:
        if isinstance(part, Comparison):
            said.setdefault(part.metric.name, []).append(part)
    for found in said.values():
        bounds = _possible(found[0].metric)
        for number, each in enumerate(found):
            bounds = bounds.within(each)
            if bounds.empty:
                return _fewest(tuple(found[: number + 1]))
    return None


def reason(metric: Metric, *, above: bool) -> str:
    """Why a metric can't be `above` what is asked for, or below it, as one says it."""
    return f"`{metric.name}` is never {'above 100%' if above else 'below 0'}"


def shown(parts: Iterable[Comparison]) -> str:
    """Comparisons that must hold together, as one writes them."""
    return " and ".join(spoken(part) for part in parts)


def at_once(condition: Condition) -> Iterator[Condition]:
    """What must all be true at the moment when the condition is: a time that it has held for ends in that moment."""
    if isinstance(condition, Held):
        yield from at_once(condition.condition)
    elif isinstance(condition, Joined) and not condition.either:
        for part in condition.parts:
            yield from at_once(part)
    else:
        yield condition


def _fewest(found: tuple[Comparison, ...]) -> tuple[Comparison, ...]:
    """One that says it alone, or the last one with an earlier one."""
    possible, last = _possible(found[0].metric), found[-1]
    if possible.within(last).empty:
        return (last,)
    pairs = ((each, last) for each in found[:-1] if possible.within(each).within(last).empty)
    return next(pairs, found)


def _possible(metric: Metric) -> Bounds:
    """Of a metric of the file's own nobody knows."""
    if metric.promql is not None:
        return Bounds(-_INFINITE, _INFINITE)
    return Bounds(0, 1 if metric.unit == "ratio" else _INFINITE)
