"""Conditions, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Number, Word
from migdsl.values import Value


class Comparison(Value):
    """`drift_rate < 0.1%`."""

    metric: Word
    operator: str
    number: Number
    span: Span


class Held(Value):
    """A condition that has held for a time: `… for 24h`."""

    condition: Condition
    time: Number
    span: Span


class Joined(Value):
    """Conditions with `and` (or, where `either`, with `or`) between them."""

    either: bool
    parts: tuple[Condition, ...]
    span: Span


Condition = Comparison | Held | Joined
