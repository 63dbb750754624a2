"""What a migration is lowered to: steps in phases, the parts of revisions, triggers, fills, comparisons. All immutable."""

from __future__ import annotations

from enum import Enum

from migdsl.semantics.model import Source, Table
from migdsl.values import Value


class Lock(Enum):
    """PostgreSQL's table locks that steps take, weakest first; the value is how PostgreSQL spells it."""

    NONE = ""
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def strength(self) -> int:
        """Its rank: a stronger lock has a larger one."""
        return list(Lock).index(self)


class Cost(Enum):
    """How long a step takes: the same for any table, one scan of it, a rewrite of it, or many small transactions."""

    INSTANT = "instant"
    SCAN = "scan"
    REWRITE = "rewrite"
    BATCHES = "batches"


class Group(Value):
    """Statements that are one transaction. `tables` (as SQL, with the lock each needs) are locked before anything else."""

    tables: tuple[tuple[str, Lock], ...]
    statements: tuple[str, ...]


class BuildIndex(Value):
    """An index built CONCURRENTLY; what an earlier try left INVALID goes first.

    `when` is a question: where it is not answered, what the index is for has been done already.
    """

    schema: str
    name: str
    create: str
    drop: str
    when: str | None = None


class Alone(Value):
    """A statement that must be its own transaction and may take long (VALIDATE, DROP INDEX CONCURRENTLY).

    Where it fails, `undo` is run: a CHECK that can't be validated would go on binding writes. `when` as with an index.
    """

    statement: str
    undo: Group | None = None
    when: str | None = None


class Gate(Value):
    """A condition that must hold before anything else happens: `unmet` is SQL that returns text where it does not, or NULL."""

    name: str
    title: str
    unmet: str


class Refill(Value):
    """A column computed again, tenant by tenant, in batches: `tenants` lists them (None: no tenants)."""

    title: str
    tenants: str | None
    upper: str
    bound: str
    batch: str
    key: tuple[str, ...]


class Replay(Value):
    """What was dropped and remembered, made again: rows of the ledger's snapshot called `subject`, in their order.

    `tables` are locked for what is instant; an index is built, and a constraint proven, while reads and writes go on.
    """

    migration: str
    subject: str
    tables: tuple[tuple[str, Lock], ...]


Part = Group | BuildIndex | Alone | Gate | Refill | Replay


class Step(Value):
    """One thing that happens in a phase.

    `rank` orders the parts of a phase's revision; parts of one rank and kind become one lock group. `down` undoes `up`.
    """

    phase: str
    operation: str
    title: str
    table: Table | None
    lock: Lock = Lock.NONE
    cost: Cost = Cost.INSTANT
    reversible: bool = True
    rank: int = 0
    up: tuple[Part, ...] = ()
    down: tuple[Part, ...] = ()
    precondition: str | None = None


class Fill(Value):
    """A column that the backfill computes. `source` is SQL over the row `t`; `wanted` tells the rows that still need it."""

    column: str
    source: str
    wanted: str


class Comparison(Value):
    """A new column and its way from and back, as SQL over the row `t`.

    `drifted_old`: differs while the old is the truth. `drifted_new`: differs once the new is. `lossy`: from(back(x)) ≠ x.
    `left` and `right` are what the hashes cover: what should be there, and what is. `swapped`: the two change names at
    once, for everybody, so that no code ever sees both.
    """

    column: str
    pii: bool
    left: str
    right: str
    drifted_old: str
    drifted_new: str
    lossy: str | None
    swapped: bool = False


class Violation(Value):
    """A constraint to come: `rows` is SQL over the row `t` that is true where it would be broken; else `duplicates`
    are columns that must be unique together."""

    title: str
    rows: str | None
    duplicates: tuple[str, ...]


class TablePlan(Value):
    """All that happens to one table.

    `leaves`: it goes away as a whole, so that only the counter of writes can be read. `origin`: where the rows of a new
    table come from; then comparisons speak of its rows as `t` and of those that they come from as `s`.
    """

    table: Table
    steps: tuple[Step, ...]
    fills: tuple[Fill, ...]
    comparisons: tuple[Comparison, ...]
    violations: tuple[Violation, ...]
    counter: str | None
    soak_seconds: int | None
    irreversible: tuple[str, ...]

    @property
    def switched(self) -> tuple[Comparison, ...]:
        """What code moves from and to; what is swapped under it is none of its business."""
        return tuple(c for c in self.comparisons if not c.swapped)

    @property
    def swapped(self) -> tuple[str, ...]:
        """The columns that get their new type in one swap."""
        return tuple(f"{self.table.entity}.{c.column}" for c in self.comparisons if c.swapped)

    leaves: bool = False
    origin: Source | None = None


class Lowered(Value):
    """A whole migration's operations: per table, and the gates of the late phases."""

    migration: str
    tables: tuple[TablePlan, ...]
    steps: tuple[Step, ...]

    def phase(self, name: str) -> tuple[Step, ...]:
        """The steps of a phase in the order in which they run."""
        return tuple(sorted((s for s in self.steps if s.phase == name), key=lambda s: s.rank))
