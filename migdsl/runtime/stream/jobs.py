"""The frozen description that a generated sync job hands to the runtime: both databases, and the SQL of both directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from migdsl.runtime.jobs import Limits, Pace, Retry
from migdsl.runtime.sql import bind_names

Side = Literal["old", "new"]


def called(tenant: str) -> str:
    """A tenant as messages say it; where there are none ('') all rows go together."""
    return f"tenant {tenant!r}" if tenant else "the table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """One direction's statements, over the keys that the outbox named.

    Where the rows come from: `outbox` is the table of keys, `take` returns at most `:events` of `:lane`, oldest first: lane,
    id, tenant, former tenant, and the key; `read` returns the rows of the keys in the settings `migdsl.key_1` …, as they are
    now. Where they go: `stage` makes the temporary table that `copy` fills, `gone` deletes the rows of the keys `:key_1` …
    (arrays) that aren't staged, `upsert` puts the staged rows in place and touches none that is right.
    """

    outbox: str
    take: str
    read: str
    stage: str
    copy: str
    gone: str
    upsert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A sequence of the old side and the one that takes its place, as `schema.name`; `most` is the key's largest value.

    With `columns` (of the old and of the new side) `old` and `new` are tables, and the sequences those of these columns.
    """

    old: str
    new: str
    most: int = 9_223_372_036_854_775_807
    columns: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What of a table of the old side comes from a replication slot: schema and name, its key's columns and its tenant's as
    they are published ('' without), and the statement that puts keys into the outbox, given as arrays `:key_1` …,
    `:tenants` and `:ats`."""

    table: tuple[str, str]
    key: tuple[str, ...]
    tenant: str
    enqueue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The replication slot and the publication of the old side that a stream's keys come from."""

    name: str
    publication: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One table that moves. `forward` carries from the old side to the new one, `back` the other way.

    `backfill` is the job's name that enqueues the rows from before: a tenant is switched only after it. Raises ValueError
    when a statement's parameters aren't those of `Carry`.
    """

    entity: str
    old_table: str
    new_table: str
    key: tuple[str, ...]
    forward: Carry
    back: Carry
    lanes: int = 8
    backfill: str | None = None
    sequences: tuple[Sequence, ...] = ()
    capture: Capture | None = None

    def __post_init__(self) -> None:
        keys = {f"key_{number}" for number in range(1, len(self.key) + 1)}
        _check(self.capture.enqueue if self.capture else None, "capture.enqueue", {*keys, "tenants", "ats"})
        for name, carry in (("forward", self.forward), ("back", self.back)):
            _check(carry.take, f"{name}.take", {"lane", "events"})
            _check(carry.gone, f"{name}.gone", keys)
            for each in ("read", "stage", "copy", "upsert"):
                _check(getattr(carry, each), f"{name}.{each}", set())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The tables that are switched together, tenant by tenant.

    `tenants` lists every tenant in its first column, in the database of the side `tenants_in`; None: there are none, and
    all is switched at once. `lag_s` is how far behind the appliers may be before a switch is refused; `pause_s` is how long
    a tenant's writers may be held up by one before it is given up. `slot`: the old side's writes are read from the WAL.
    """

    migration: str
    stream: str
    old_env: str
    new_env: str
    tenants: str | None
    moves: tuple[Move, ...]
    tenants_in: Side = "old"
    lag_s: float = 30.0
    pause_s: float = 5.0
    workers: int = 2
    # Nobody waits for a batch but the switch, which waits for the one at hand. Most of a small one is round trips: on a busy
    # machine batches that shrink below the floor would take as long, and carry nothing.
    pace: Pace = field(
        default_factory=lambda: Pace(target_ms=50.0, duty=1.0, first=500, floor=250, ceiling=5_000, growth=1.5)
    )
    retry: Retry = field(default_factory=lambda: Retry(attempts=8, first_s=0.05, longest_s=5.0))
    limits: Limits = field(default_factory=Limits)
    slot: Slot | None = None

    def __post_init__(self) -> None:
        if (self.slot is None) != all(move.capture is None for move in self.moves):
            raise ValueError("a slot is needed where a table is captured from it, and nowhere else")
        _check(self.tenants, "tenants", set())

    @property
    def marker(self) -> str:
        """What the setting `migdsl.applier` says in an applier's transaction."""
        return f"{self.migration}/{self.stream}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dual:
    """A stream whose application carries its own writes over, right after it has made them.

    `enter_old` and `enter_new` come first in each transaction that writes that side: they pass the fence of `:tenant` (without
    tenants there is no parameter) and give one row, of the tenant as the ledger spells it and, for each table, the number of
    the last key that anybody has told of so far. Raises ValueError where they use anything else.
    """

    stream: Stream
    enter_old: str
    enter_new: str

    def __post_init__(self) -> None:
        expected: set[str] = set() if self.stream.tenants is None else {"tenant"}
        _check(self.enter_old, "enter_old", expected)
        _check(self.enter_new, "enter_new", expected)

    def enter(self, side: Side) -> str:
        """A side's statement."""
        return self.enter_old if side == "old" else self.enter_new


def other(side: Side) -> Side:
    """The side across."""
    return "new" if side == "old" else "old"


def _check(sql: str | None, name: str, expected: set[str]) -> None:
    found = set(bind_names(sql)[1]) if sql is not None else expected
    if found != expected:
        wanted = ", ".join(f":{parameter}" for parameter in sorted(expected)) or "no parameters"
        raise ValueError(f"{name} must use {wanted}, and uses {', '.join(sorted(found)) or 'none'}")
