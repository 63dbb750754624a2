"""How it is rolled out, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Text, Word
from migdsl.syntax.ast.policy import ManualStep, When
from migdsl.values import Value


class Ramp(Value):
    """`ramp canary, 10%, 100% every 24h`: a step is a percentage, or None for the canary."""

    steps: tuple[Number | None, ...]
    every: Number | None
    by_request: bool
    span: Span


class Canary(Value):
    """The tenants that go first."""

    tenants: tuple[Text, ...]
    span: Span


class Cutover(Value):
    """Who goes first, in which steps, and when to stop. Settings: reads, writes."""

    canaries: tuple[Canary, ...]
    ramps: tuple[Ramp, ...]
    allows: tuple[Allow, ...]
    span: Span
    settings: tuple[Setting, ...] = ()
    aborts: tuple[When, ...] = ()


class Scope(Value):
    """Whom a flag's line is for: `kind` is all, canary, percent or tenants."""

    kind: str
    percent: Number | None
    tenants: tuple[Text, ...]
    span: Span


class Stage(Value):
    """`stage shadow for canary`."""

    stage: Word
    scope: Scope
    span: Span


class Flag(Value):
    """The staged flag: where the rollout stands now."""

    name: Name
    entity: Name | None
    stages: tuple[Stage, ...]
    allows: tuple[Allow, ...]
    span: Span


class BooleanFlag(Value):
    """A flag that is on for some."""

    name: Name
    scopes: tuple[Scope, ...]
    span: Span


class After(Value):
    """`after "9c41d7e" in orders`: a revision of other people, and the database that it is of."""

    revision: Text
    database: Name | None
    span: Span


class Phase(Value):
    """More of a phase: revisions of other people that it follows, steps, exit conditions. `place`: it is the user's own,
    behind that phase."""

    phase: Word
    afters: tuple[After, ...]
    span: Span
    place: Word | None = None
    steps: tuple[ManualStep, ...] = ()
    exits: tuple[When, ...] = ()
    allows: tuple[Allow, ...] = ()
