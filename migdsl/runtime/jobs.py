"""The frozen descriptions that generated jobs hand to the runtime: the SQL they run, and how carefully."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from migdsl.runtime.sql import bind_names

if TYPE_CHECKING:
    from migdsl.runtime.backfill.transform import Transform


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a batch should take, in milliseconds, which share of the time is work, and batch sizes in rows.

    `rows_per_second` is the most that a lane passes; None: as many as the share of the time allows.

    Measured on 500k rows under 500 tps: the length of a batch governs the tail of other clients' latency, the sleeping
    comes second.
    """

    target_ms: float = 10.0
    duty: float = 0.6
    first: int = 500
    floor: int = 10
    ceiling: int = 20_000
    growth: float = 1.2
    rows_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a transient failure in a row is tried again, and the first and longest pause in seconds."""

    attempts: int = 8
    first_s: float = 1.0
    longest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """PostgreSQL timeouts of one batch's transaction, in milliseconds; the lease of a lane, in seconds.

    The lease outlives the longest batch, so that a lane is taken over only from a worker that is gone.
    """

    statement_ms: int = 30_000
    lock_ms: int = 1_000
    idle_ms: int = 30_000
    lease_s: int = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rows may be set aside before the job stops: the lesser bound counts, None is no such bound.

    `share` is of the rows planned in all tenants: 0.001 is 0.1%.
    """

    rows: int | None = 100
    share: float | None = None

    def allows(self, rows: int, planned: int) -> bool:
        """Whether `rows` set aside of `planned` ones are within both bounds."""
        return (self.rows is None or rows <= self.rows) and (self.share is None or rows <= self.share * planned)


Engine = Literal["local", "procrastinate", "celery"]


def parameter_names(base: str, key: tuple[str, ...]) -> tuple[str, ...]:
    """The parameters that carry a key: `after` for one column, `after_1`, `after_2` … for several."""
    return (base,) if len(key) == 1 else tuple(f"{base}_{n}" for n in range(1, len(key) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillJob:
    """One backfill: its SQL, in which `:tenant_id` is the tenant at hand.

    `tenants` lists every tenant in its first column; None means that the table has no tenants, and no statement names
    one. Keys are bound as `:after` and `:upto`, of several columns as `:after_1`, `:after_2` …; `:after` is NULL before
    the first batch. `upper` and `next_bound` return the key's columns in their order; `next_bound` skips `:skip` rows
    after `:after`. `batch` writes the rows of `(after, upto]` that aren't filled yet; `count` counts all rows of that
    range; `remaining` counts what is left of the tenant. `hold`, asked between batches, returns why the job must wait, or
    NULL. `workers` lanes (tenants) are worked side by side, a connection and a thread each: those of `canary` first, in
    that order. A tenant of more than `slice_rows` rows is cut into several slices. `tenants_env` names the variable with the
    URL of the database that `tenants` is asked in, None where it is the job's own. `trigger`: whether a trigger fills what
    code writes meanwhile; where none does, rows that are written while the job runs may be left empty. `enqueues`: its batches
    put keys into an outbox, and what `remaining` counts are rows that can't be carried over. Raises ValueError when
    a statement's parameters aren't these, and so when one isn't confined to the tenant.
    """

    migration: str
    backfill: str
    table: str
    database_env: str
    key: tuple[str, ...]
    tenants: str | None
    upper: str
    next_bound: str
    batch: str
    count: str
    remaining: str
    hold: str | None = None
    pace: Pace = field(default_factory=Pace)
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    canary: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    slice_rows: int = 500_000
    transform: Transform | None = None
    engine: Engine = "local"
    tenants_env: str | None = None
    trigger: bool = True
    enqueues: bool = False

    def __post_init__(self) -> None:
        after, upto = parameter_names("after", self.key), parameter_names("upto", self.key)
        span = {*after, *upto}
        _check(self.tenants, "tenants", set())
        _check(self.upper, "upper", self._tenant())
        _check(self.next_bound, "next_bound", {*span, "skip", *self._tenant()})
        _check(self.batch, "batch", {*span, *self._tenant()})
        _check(self.count, "count", {*span, *self._tenant()})
        _check(self.remaining, "remaining", self._tenant())
        _check(self.hold, "hold", set())

    def _tenant(self) -> set[str]:
        return set() if self.tenants is None else {"tenant_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison between two tables: statements over its rows with keys in `(after, upto]`.

    A bound that is NULL is none. `digest` returns one row, `rows` and `hash`, the sum of the rows' hashes. `next_bound`
    returns the key `:skip` rows behind `:after`. `rows` returns a row's key, a hash of the key, and one hash a column,
    named after it; or two, with a blank between, of which one that is the same is enough: the value's, and that of what
    leads back to it. Both sides name keys, columns and hashes alike.
    """

    digest: str
    next_bound: str
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileJob:
    """One entity's reconciliation: its SQL, in which `:tenant_id` is the tenant at hand.

    Where both sides are columns of one table, `compare_old` (while the old is the tenant's truth) and `compare_new`
    (afterwards) look at the rows with keys in `(after, upto]`, where a bound that is NULL is none, and return one row:
    `rows`, `hash_left`, `hash_right`, `mismatched`, `lossy`. `differing_old` and `differing_new` return at most `:limit`
    rows of that range: the key's columns, then one boolean a column, named after it, that is true where the row differs;
    never a value. `next_bound` returns the key `:skip` rows behind `:after`. Between two tables, `left` gives what should
    be there and `right` what is; afterwards `left_new` and `right_new` do, where something leads back, and else they are
    counted alone. With neither, there is nothing to compare.

    `violated` counts the tenant's rows that break a constraint to come; `violating` returns at most `:limit` of them as
    above. `unlisted` and `old_writes` return one number each. `tenants_env` is as in a backfill; then `unlisted` is given
    the tenants as `:listed`, a JSON array of text. `invariants` are texts, each with a statement that counts what
    breaks it in the tenant's rows. `repair_old` and `repair_new` make the row with the key `:key` (of several columns
    `:key_1` …) right if it differs, `insert_missing` and `delete_extra` likewise, and afterwards `insert_old` and
    `delete_old`. Columns of the key that are `private` are shown as keyed hashes. `hold`, asked now and then, returns why
    the job must wait, or NULL. `settle_s` are the seconds after which a row that differs is looked at again before it
    counts; for up to `patience_s` it is looked at again and again, since what is on its way may take that long. Raises
    ValueError when a statement's parameters aren't these.
    """

    migration: str
    entity: str
    table: str
    database_env: str
    key: tuple[str, ...]
    tenants: str | None
    next_bound: str | None = None
    compare_old: str | None = None
    compare_new: str | None = None
    differing_old: str | None = None
    differing_new: str | None = None
    left: Side | None = None
    right: Side | None = None
    left_new: Side | None = None
    right_new: Side | None = None
    violated: str | None = None
    violating: str | None = None
    unlisted: str | None = None
    old_writes: str | None = None
    invariants: tuple[tuple[str, str], ...] = ()
    repair_old: str | None = None
    repair_new: str | None = None
    insert_missing: str | None = None
    delete_extra: str | None = None
    insert_old: str | None = None
    delete_old: str | None = None
    private: tuple[str, ...] = ()
    hold: str | None = None
    settle_s: float = 0.5
    patience_s: float = 0.0
    # A look locks nothing, so that it may take longer than a batch; its snapshot holds vacuum up for as long as it lasts.
    pace: Pace = field(
        default_factory=lambda: Pace(target_ms=250.0, duty=0.5, first=10_000, floor=1_000, ceiling=50_000)
    )
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=lambda: Limits(statement_ms=0))
    tenants_env: str | None = None
    # Between two databases: the one of `right` and `left_new`, and the stream whose switch says which side is right.
    other_env: str | None = None
    stream: str | None = None
    # The collations of the key's texts on either side: its name as SQL, and for people; a row a column.
    sorted_old: str | None = None
    sorted_new: str | None = None

    def __post_init__(self) -> None:
        tenant = set() if self.tenants is None else {"tenant_id"}
        span = {*parameter_names("after", self.key), *parameter_names("upto", self.key)}
        self._check_comparison(tenant, span)
        _check(self.violated, "violated", tenant)
        _check(self.violating, "violating", {*tenant, "limit"})
        for name in ("repair_old", "repair_new", "insert_missing", "delete_extra", "insert_old", "delete_old"):
            _check(getattr(self, name), name, {*tenant, *parameter_names("key", self.key)})
        for text, question in self.invariants:
            # One that speaks of shared tables alone has no use for the tenant.
            _check(question, f"the invariant {text!r}", tenant & set(bind_names(question)[1]))
        for name in ("tenants", "old_writes", "hold", "sorted_old", "sorted_new"):
            _check(getattr(self, name), name, set())
        _check(self.unlisted, "unlisted", set() if self.tenants_env is None else {"listed"})

    def _check_comparison(self, tenant: set[str], span: set[str]) -> None:
        of_one = (self.next_bound, self.compare_old, self.compare_new, self.differing_old, self.differing_new)
        if (self.left is None) != (self.right is None) or len({sql is None for sql in of_one}) > 1:
            raise ValueError("a comparison needs all its statements: those of one table, or both sides")
        if self.left is not None and self.compare_old is not None:
            raise ValueError("a comparison is of one table or of two, not of both")
        _check(self.next_bound, "next_bound", {*span, "skip", *tenant})
        for name in ("compare_old", "compare_new"):
            _check(getattr(self, name), name, {*span, *tenant})
        for name in ("differing_old", "differing_new"):
            _check(getattr(self, name), name, {*span, "limit", *tenant})
        if (self.left_new is None) != (self.right_new is None) or (self.left_new is not None and self.left is None):
            raise ValueError("what leads back needs both sides, and those of the way there")
        sides = {"left": self.left, "right": self.right, "left_new": self.left_new, "right_new": self.right_new}
        for name, side in sides.items():
            if side is not None:
                _check(side.digest, f"{name}.digest", {*span, *tenant})
                _check(side.next_bound, f"{name}.next_bound", {*span, "skip", *tenant})
                _check(side.rows, f"{name}.rows", {*span, *tenant})


def _check(sql: str | None, name: str, expected: set[str]) -> None:
    if sql is None:
        return
    found = set(bind_names(sql)[1])
    if found != expected:
        wanted = ", ".join(f":{parameter}" for parameter in sorted(expected)) or "no parameters"
        raise ValueError(f"{name} must use {wanted}, and uses {', '.join(sorted(found)) or 'none'}")
