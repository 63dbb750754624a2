"""The frozen descriptions that generated jobs hand to the runtime: the SQL they run, and how carefully."""

from __future__ import annotations

from dataclasses import dataclass, field

from migdsl.runtime.sql import bind_names


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a batch should take, in milliseconds, which share of the time is work, and batch sizes in rows.

    `rows_per_second` is the most that a lane passes; None: as many as the share of the time allows.

    Measured on 500k rows under 500 tps: the length of a batch governs the tail of other clients' latency, the sleeping
    comes second.
    """

    target_ms: float = 20.0
    duty: float = 0.5
    first: int = 500
    floor: int = 10
    ceiling: int = 20_000
    growth: float = 1.2
    rows_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a transient failure in a row is tried again, and the first and longest pause in seconds."""

    attempts: int = 5
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
    NULL. Raises ValueError when a statement's parameters aren't these, and so when one isn't confined to the tenant.
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
class ReconcileJob:
    """One entity's reconciliation: its SQL, in which `:tenant_id` is the tenant at hand.

    `compare_old` (while the old is the tenant's truth) and `compare_new` (afterwards) return one row with the columns
    `rows`, `hash_left`, `hash_right`, `mismatched`, `violations`, `lossy` and, between two tables, `missing`, `extra`.
    `differing_old`, `differing_new` and `violating` return at most `:limit` rows: the key's columns, then one boolean a
    column or rule, named after it, that is true where the row differs or breaks it; never a value. `unlisted` and
    `old_writes` return one number each. `invariants` are texts, each with a statement that counts what breaks it in the
    tenant's rows. Raises ValueError when a statement's parameters aren't these.
    """

    migration: str
    entity: str
    table: str
    database_env: str
    key: tuple[str, ...]
    tenants: str | None
    compare_old: str
    compare_new: str
    differing_old: str
    differing_new: str
    violating: str | None = None
    unlisted: str | None = None
    old_writes: str | None = None
    invariants: tuple[tuple[str, str], ...] = ()
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=lambda: Limits(statement_ms=0))

    def __post_init__(self) -> None:
        tenant = set() if self.tenants is None else {"tenant_id"}
        _check(self.compare_old, "compare_old", tenant)
        _check(self.compare_new, "compare_new", tenant)
        _check(self.differing_old, "differing_old", {*tenant, "limit"})
        _check(self.differing_new, "differing_new", {*tenant, "limit"})
        _check(self.violating, "violating", {*tenant, "limit"})
        for text, question in self.invariants:
            # One that speaks of shared tables alone has no use for the tenant.
            _check(question, f"the invariant {text!r}", tenant & set(bind_names(question)[1]))
        for sql, name in ((self.tenants, "tenants"), (self.unlisted, "unlisted"), (self.old_writes, "old_writes")):
            _check(sql, name, set())


def _check(sql: str | None, name: str, expected: set[str]) -> None:
    if sql is None:
        return
    found = set(bind_names(sql)[1])
    if found != expected:
        wanted = ", ".join(f":{parameter}" for parameter in sorted(expected)) or "no parameters"
        raise ValueError(f"{name} must use {wanted}, and uses {', '.join(sorted(found)) or 'none'}")
