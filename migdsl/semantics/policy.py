"""What a file says beside its operations, checked: conditions, alerts, gates, proofs, promises, paths."""

from __future__ import annotations

from migdsl.dialect.sql import Statement
from migdsl.source import Span
from migdsl.values import Value


class Metric(Value):
    """Something that is measured. `unit` is ratio, count, seconds, bytes or per_second; `promql` is the user's own, or None
    for a built-in one."""

    name: str
    unit: str
    promql: str | None


class Comparison(Value):
    """`drift_rate < 0.1%`: `value` is a decimal in the metric's base unit (0.001, seconds, bytes)."""

    metric: Metric
    operator: str
    value: str
    written: str


class Held(Value):
    """A condition that has held for `seconds`, written as `time`."""

    condition: Condition
    seconds: float
    time: str


class Joined(Value):
    """Conditions of which all must hold, or (`either`) at least one."""

    either: bool
    parts: tuple[Condition, ...]


Condition = Comparison | Held | Joined

_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}


def spoken(condition: Condition) -> str:
    """A condition as one writes it."""
    if isinstance(condition, Comparison):
        return f"{condition.metric.name} {condition.operator} {condition.written}"
    if isinstance(condition, Held):
        return f"{_inner(condition.condition)} for {condition.time}"
    return (" or " if condition.either else " and ").join(_inner(part) for part in condition.parts)


def _inner(part: Condition) -> str:
    return f"({spoken(part)})" if isinstance(part, Joined) else spoken(part)


def negated(condition: Condition) -> Condition:
    """What holds as soon as the condition does not: a time that it should have held is over at once."""
    if isinstance(condition, Comparison):
        return Comparison(condition.metric, _NEGATED[condition.operator], condition.value, condition.written)
    if isinstance(condition, Held):
        return negated(condition.condition)
    return Joined(not condition.either, tuple(negated(part) for part in condition.parts))


def comparisons(condition: Condition) -> tuple[Comparison, ...]:
    """All comparisons in a condition."""
    if isinstance(condition, Comparison):
        return (condition,)
    parts = (condition.condition,) if isinstance(condition, Held) else condition.parts
    return tuple(c for part in parts for c in comparisons(part))


class Alert(Value):
    """An alert of the user's own. `severity` is page, ticket or info."""

    name: str
    condition: Condition
    severity: str
    summary: str | None
    runbook: str | None


class Gate(Value):
    """A condition that must hold before enforce and contract; `phase` is set where it ends that phase."""

    name: str
    condition: Condition
    phase: str | None = None


class ManualStep(Value):
    """What people do, and the command that does it."""

    text: str
    run: str | None


class Sample(Value):
    """What a person wants to be looked at: a share (in percent) of the rows, and the topmost by expressions."""

    share: str | None
    tops: tuple[tuple[int, str], ...]


class Invariant(Value):
    """What must be true of an entity's data; `statement` returns what breaks it, for one tenant."""

    entity: str
    text: str
    statement: Statement
    span: Span


class Validation(Value):
    """How an entity is proven right beyond what is always done."""

    entity: str
    sample: Sample | None
    invariants: tuple[Invariant, ...]


class Budget(Value):
    """How many rows may be set aside: a number of them, or a `share` from 0 to 1 of all."""

    rows: int | None
    share: float | None


class Order(Value):
    """The column that rows are walked by, before their key."""

    column: str
    descending: bool
    span: Span


class Pace(Value):
    """How rows are carried over; None is the runtime's default. Times in milliseconds, `duty` from 0 to 1."""

    entity: str
    rows: int | None
    target_ms: float | None
    duty: float | None
    rows_per_second: int | None
    pause: Condition | None
    attempts: int | None
    first_s: float | None
    longest_s: float | None
    span: Span
    workers: int | None = None
    budget: Budget | None = None
    order: Order | None = None
    engine: str | None = None


class PhaseNote(Value):
    """More of a phase; `place` is the phase before it where it is the user's own."""

    name: str
    place: str | None
    steps: tuple[ManualStep, ...]
    exits: tuple[Condition, ...]


class Proof(Value):
    """What proves a criterion: `kind` is invariant, metric, gate or manual; `text` says which."""

    kind: str
    text: str
    span: Span


class Accepted(Value):
    """A criterion and its proofs."""

    criterion: str
    proofs: tuple[Proof, ...]
    span: Span


class Impact(Value):
    """What only people know of the impact."""

    affects: tuple[str, ...]
    breaking: tuple[str, ...]
    stakeholders: tuple[str, ...]
    downtime_seconds: float
    risk: str | None
    risk_span: Span | None


class Due(Value):
    """A date by which a phase is to be over, and how many days after the start that is."""

    phase: str
    date: str
    days: int | None
    span: Span


class Policy(Value):
    """All of that, with what holds where the file says nothing."""

    metrics: tuple[Metric, ...] = ()
    slos: tuple[Condition, ...] = ()
    aborts: tuple[Condition, ...] = ()
    returns: tuple[Condition, ...] = ()
    return_steps: tuple[ManualStep, ...] = ()
    keep_seconds: int | None = None
    alerts: tuple[Alert, ...] = ()
    gates: tuple[Gate, ...] = ()
    validations: tuple[Validation, ...] = ()
    paces: tuple[Pace, ...] = ()
    notes: tuple[PhaseNote, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    impact: Impact | None = None
    paths: tuple[tuple[str, str], ...] = ()
    prd: str | None = None
    start: str | None = None
    dues: tuple[Due, ...] = ()
    one_way: Span | None = None

    def validation(self, entity: str) -> Validation | None:
        """What is said of an entity's validation."""
        return next((v for v in self.validations if v.entity == entity), None)

    def invariants(self, entity: str) -> tuple[Invariant, ...]:
        """The invariants of an entity."""
        found = self.validation(entity)
        return found.invariants if found else ()

    def pace(self, entity: str) -> Pace | None:
        """What is said of an entity's backfill."""
        return next((p for p in self.paces if p.entity == entity), None)


NOTHING = Policy()
