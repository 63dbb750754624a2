"""How careful a migration is to be, what is watched, demanded and promised, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Sql, Text, Word
from migdsl.syntax.ast.conditions import Condition
from migdsl.values import Value


class When(Value):
    """A condition and what it is for: `key` is slo, abort, exit, when or pause."""

    key: str
    condition: Condition
    span: Span


class ManualStep(Value):
    """`step "…" run "…"`: what people do, and the command that does it."""

    text: Text
    run: Text | None
    span: Span


class Rollback(Value):
    """When to go back, what is to be done then besides, and for how long that must stay possible."""

    whens: tuple[When, ...]
    steps: tuple[ManualStep, ...]
    keeps: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span


class Backfill(Value):
    """How rows are carried over. Settings: batch_time, batch_rows, throttle_share, throttle_rate, workers, errors,
    backfill_engine."""

    entity: Name
    column: Name | None
    settings: tuple[Setting, ...]
    pauses: tuple[When, ...]
    retries: tuple[Retry, ...]
    orders: tuple[Order, ...]
    usings: tuple[Using, ...]
    allows: tuple[Allow, ...]
    span: Span


class Order(Value):
    """`order by created_at desc`."""

    column: Name
    descending: bool
    span: Span


class Using(Value):
    """`using python "app.normalise:email" from email`."""

    function: Text
    inputs: tuple[Name, ...]
    span: Span


class Retry(Value):
    """`retry 5 backoff 1s..60s`."""

    attempts: Number
    first: Number | None
    longest: Number | None
    span: Span


class Top(Value):
    """`top 100 by` an expression."""

    count: Number
    by: Sql
    span: Span


class Sample(Value):
    """`sample 1% and top 100 by …`."""

    shares: tuple[Number, ...]
    tops: tuple[Top, ...]
    span: Span


class Invariant(Value):
    """What must be true of the data, and the statement that returns what breaks it."""

    text: Text
    sql: Sql
    span: Span


class Validate(Value):
    """How an entity is proven right. Settings: counts, checksum."""

    entity: Name
    settings: tuple[Setting, ...]
    samples: tuple[Sample, ...]
    invariants: tuple[Invariant, ...]
    allows: tuple[Allow, ...]
    span: Span


class Metric(Value):
    """A metric of the user's own: PromQL and its unit."""

    name: Name
    promql: Sql
    unit: Word
    span: Span


class Alert(Value):
    """An alert of the user's own. Settings: severity, summary, alert_runbook."""

    name: Name
    whens: tuple[When, ...]
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span


class Gate(Value):
    """A condition that must hold before enforce and contract."""

    name: Name
    condition: Condition
    span: Span


class Proof(Value):
    """What proves a criterion: `kind` is invariant, metric, gate or manual."""

    kind: str
    text: Text | None
    name: Name | None
    condition: Condition | None
    span: Span


class Accept(Value):
    """A criterion and what proves it."""

    criterion: Text
    proofs: tuple[Proof, ...]
    span: Span


class Affects(Value):
    """`affects checkout, "the billing export"`."""

    names: tuple[Name, ...]
    span: Span


class Impact(Value):
    """What only people know of the impact. Settings: breaking, stakeholders, impact_downtime, impact_risk."""

    affects: tuple[Affects, ...]
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span


class OutputPath(Value):
    """`plan "…"`."""

    kind: Word
    pattern: Text
    span: Span


class Output(Value):
    """Where files go."""

    paths: tuple[OutputPath, ...]
    span: Span
