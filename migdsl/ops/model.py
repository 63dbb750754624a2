"""What a migration is lowered to: steps in phases, the parts of revisions, triggers, fills, comparisons. All immutable."""

from __future__ import annotations

from enum import Enum

from migdsl.dialect.types import SqlType
from migdsl.ops.stream_model import Moved
from migdsl.semantics.model import Python, Source, Table
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import sides
from migdsl.semantics.shapes import IndexShape
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
    """A condition that must hold before anything else happens: `unmet` is SQL that returns text where it does not, or NULL.

    `needs` are tables, as SQL, that go with what it guards: where one is gone a run is repeated that has asked already.
    `gone` is a condition that says the same of columns: where it holds nothing is asked; empty where none go.
    """

    name: str
    title: str
    unmet: str
    needs: tuple[str, ...] = ()
    gone: str = ""


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


class Made(Value):
    """What a step gives a name to: a `column` or a `constraint` of the table `relation` (SQL), or a `relation`, an index.

    Of a relation `relation` is the whole name, as SQL.
    """

    kind: str
    relation: str
    name: str

    @property
    def place(self) -> tuple[str, str, str]:
        """All of it, in order."""
        return self.kind, self.relation, self.name


class Step(Value):
    """One thing that happens in a phase.

    `rank` orders the parts of a phase's revision; parts of one rank and kind become one lock group. `down` undoes `up`.
    `makes`: what it gives names to, apart from the indexes that its parts build. `database`: where it happens, of a step
    of no table.
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
    makes: tuple[Made, ...] = ()
    database: str | None = None

    @property
    def place(self) -> str | None:
        """The database in which it happens; None: in none."""
        return self.database or (self.table.database if self.table is not None else None)


class Fill(Value):
    """A column that the backfill computes. `source` is SQL over the row `t`; `wanted` tells the rows that still need it.

    `python`: the function that computes it, of `type`, where SQL can't; then `source` only says which.
    """

    column: str
    source: str
    wanted: str
    python: Python | None = None
    type: SqlType | None = None


class Comparison(Value):
    """A new column and its way from and back, as SQL over the row `t`.

    `drifted_old`: differs while the old is the truth. `drifted_new`: differs once the new is. `lossy`: the old side can't give
    the value back, from(back(x)) ≠ x; None where nothing leads back.
    `left` and `right` are what the hashes cover: what should be there, and what is. `swapped`: the two change names at
    once, for everybody, so that no code ever sees both. `mended_old` and `mended_new` are the columns that are written to
    make a row right while the old is the truth, and once the new is, each with its value. `restored`: of a table that moves,
    `from` over what the row of the new table gives back.
    """

    column: str
    pii: bool
    left: str
    right: str
    drifted_old: str
    drifted_new: str
    lossy: str | None
    swapped: bool = False
    mended_old: tuple[tuple[str, str], ...] = ()
    mended_new: tuple[tuple[str, str], ...] = ()
    restored: str | None = None

    @property
    def carried_back(self) -> bool:
        """Whether a `back` of the file keeps old columns filled from this one."""
        return self.lossy is not None and not self.swapped


class Violation(Value):
    """A constraint to come: `rows` is SQL over the row `t` that is true where it would be broken; else `duplicates`
    are columns that must be unique together, or `index` is a unique one.

    `whole`: the function that `rows` calls with all of `t`, a row of the table.
    """

    title: str
    rows: str | None
    duplicates: tuple[str, ...]
    whole: str | None = None
    index: IndexShape | None = None

    @property
    def counted(self) -> bool:
        """Whether rows have to be counted that are alike."""
        return bool(self.duplicates) or self.index is not None


class TablePlan(Value):
    """All that happens to one table.

    `leaves`: it goes away as a whole, so that only the counter of writes can be read. `origin`: where the rows of a new
    table come from; then comparisons speak of its rows as `t` and of those that they come from as `s`. `move`: that table's
    rows go there, and what is written there goes back, until the old one is dropped. `moved`: what its stream carries, where
    it goes to another database.
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

    @property
    def unfollowed(self) -> tuple[str, ...]:
        """The columns that no trigger fills for old code: those that Python computes, and those that were there already."""
        if self.origin is not None:
            return ()
        return tuple(f.column for f in self.fills if f.python is not None or self.table.column(f.column) is not None)

    @property
    def written(self) -> str:
        """What old code writes, as people call it."""
        if self.move is not None:
            return sides(self.move.table, self.move.target)[0]
        entity = self.table.entity
        return entity if self.origin is None else f"what {entity} takes from {self.origin.table.entity}"

    @property
    def home(self) -> str:
        """The database whose ledger its jobs write: of a table that moves to another one it is the one that is left."""
        return self.move.table.database if self.moved is not None and self.move is not None else self.table.database

    @property
    def two_sided(self) -> bool:
        """Whether there are two sides of its rows to compare. Else none is walked: it would be compared with itself."""
        return bool(self.comparisons) or self.origin is not None

    leaves: bool = False
    origin: Source | None = None
    move: Move | None = None
    moved: Moved | None = None


class Lowered(Value):
    """A whole migration's operations: per table, and the gates of the late phases.

    `beside` are steps that no database takes part in (of an API, a replacement): they have no way up or down.
    `points`: what raises the risk that is no table's, each with its weight. `databases` are those that change, in order.
    """

    migration: str
    tables: tuple[TablePlan, ...]
    steps: tuple[Step, ...]
    beside: tuple[Step, ...] = ()
    points: tuple[tuple[int, str], ...] = ()
    databases: tuple[str, ...] = ()

    def phase(self, name: str, database: str | None = None) -> tuple[Step, ...]:
        """The steps of a phase, or those in one database, in the order in which they run: a database after the other."""
        found = (s for s in self.steps if s.phase == name and database in (None, s.place))
        return tuple(sorted(found, key=lambda s: (self._turn(s.place), s.rank)))

    def of(self, database: str) -> Lowered:
        """What happens in one database."""
        tables = tuple(t for t in self.tables if t.home == database)
        steps = tuple(s for s in self.steps if s.place == database)
        return Lowered(self.migration, tables, steps, self.beside, self.points, (database,))

    def _turn(self, place: str | None) -> int:
        return self.databases.index(place) if place in self.databases else 0
