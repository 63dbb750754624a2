"""What a flag is made of: who goes first and in which steps, its lines, switches beside it."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.values import Value


class Rollout(Value):
    """Who goes first and in which steps: percentages, None for the canary; a pause in seconds after each."""

    canary: tuple[str, ...]
    steps: tuple[float | None, ...]
    every_seconds: int
    by_request: bool
    steps_span: Span | None = None


class StageLine(Value):
    """One line of the flag: `scope` is all, canary, percent or tenants."""

    scope: str
    stage: str
    percent: str | None
    tenants: tuple[str, ...]
    span: Span | None = None


class SwitchLine(Value):
    """One line of a boolean flag."""

    scope: str
    percent: str | None
    tenants: tuple[str, ...]


class Switch(Value):
    """A boolean flag."""

    name: str
    lines: tuple[SwitchLine, ...]
