"""A checked module: every name resolved, every type known, every SQL parsed; nothing in it can be wrong any more.

Values are compared by identity and have no `repr`, which keeps the import fast.
"""

from __future__ import annotations

from migdsl.dialect.sql import Expression, Statement
from migdsl.dialect.types import SqlType
from migdsl.semantics.api_model import Api
from migdsl.semantics.documents import Integration, Ticket
from migdsl.semantics.move_model import Move
from migdsl.semantics.policy import NOTHING, Policy
from migdsl.semantics.replacement import Replacement, Service
from migdsl.semantics.rollout_model import Rollout as Rollout
from migdsl.semantics.rollout_model import StageLine as StageLine
from migdsl.semantics.rollout_model import Switch as Switch
from migdsl.semantics.rollout_model import SwitchLine as SwitchLine
from migdsl.semantics.table_model import Back as Back
from migdsl.semantics.table_model import Column as Column
from migdsl.semantics.table_model import Constraint as Constraint
from migdsl.semantics.table_model import Table as Table
from migdsl.source import Span
from migdsl.values import Value

STAGES = ("off", "dualwrite", "shadow", "live", "rampdown", "complete")
PHASES = ("prepare", "expand", "backfill", "validate", "cutover", "enforce", "contract")


class Allowed(Value):
    """A rule that the file lifts, and why; in one operation (`within`), or everywhere."""

    code: str
    reason: str
    span: Span
    within: Span | None = None


class Header(Value):
    """What the migration is called and what people say of it. `downtime_seconds` is None where any is allowed."""

    name: str
    span: Span
    ticket: str | None
    title: str | None
    kind: str | None
    downtime: str
    downtime_seconds: float | None
    window: str | None
    owner: str | None
    assumptions: tuple[str, ...]
    risks: tuple[str, ...]
    through: str | None
    allows: tuple[Allowed, ...]
    title_span: Span | None = None
    ticket_span: Span | None = None
    ticket_file: str | None = None


class Database(Value):
    """A system that owns data. `url_env` names the environment variable that holds its URL."""

    name: str
    version: int
    url_env: str
    schema: str
    versions_path: str | None
    after: str | None
    span: Span
    service: str | None = None


class Tenants(Value):
    """The tenant boundary; `listing` gives one column with the tenants. Both are None where there are no tenants.

    `database` has the list, where the file says which.
    """

    key: str | None
    type: SqlType | None
    listing: Statement | None
    none_because: str | None
    span: Span | None
    database: str | None = None
    list_span: Span | None = None


class UniqueSet(Value):
    """Columns that shall be unique together."""

    columns: tuple[str, ...]
    name: str | None
    span: Span


class Python(Value):
    """A function of the user's own (`module:function`) that computes a column from `inputs`, columns before the migration."""

    function: str
    inputs: tuple[str, ...]
    span: Span


class AddColumn(Value):
    """A new column, how rows get its value, and how that goes back.

    `said`: what the file says, where that is a `rename`, a `split` or a `merge`. `like`: the column whose new name it is.
    `python`: what computes it, where SQL can't; then there is no `source`.
    """

    column: Column
    source: Expression | None
    backs: tuple[Back, ...]
    uniques: tuple[UniqueSet, ...]
    complies: str | None
    span: Span
    said: str | None = None
    like: str | None = None
    python: Python | None = None

    @property
    def filled(self) -> bool:
        """Whether rows from before get a value in batches."""
        return self.source is not None or self.python is not None


class DropColumn(Value):
    """A column that goes away; `back` is its own way home, apart from those of added columns."""

    column: Column
    soak_seconds: int
    back: Back | None
    irreversible: str | None
    span: Span
    said: str | None = None
    after_span: Span | None = None


class RequireColumn(Value):
    """A nullable column that becomes NOT NULL."""

    column: Column
    source: Expression | None
    complies: str | None
    span: Span
    python: Python | None = None

    @property
    def filled(self) -> bool:
        """Whether NULLs from before get a value in batches."""
        return self.source is not None or self.python is not None


class OptionalColumn(Value):
    """A NOT NULL column that becomes nullable."""

    column: Column
    back: Back | None
    span: Span


class RetypeColumn(Value):
    """A column that gets the type of `to`. `source` reads the column of old type, `back` the one of new type.

    `in_place`: PostgreSQL changes the type without rewriting the table. `plain`: by a cast, since the file gives no `from`.
    `follows`: the column that this one references, where its own `retype` brings this one along.
    """

    column: Column
    to: Column
    source: Expression
    back: Expression | None
    soak_seconds: int
    irreversible: str | None
    in_place: bool
    span: Span
    plain: bool = True
    follows: str | None = None


class SetDefault(Value):
    """A column's default for rows to come; None takes it away."""

    column: Column
    default: str | None
    span: Span


class AddConstraint(Value):
    """A constraint, an index or a key to come. `replaces` is the one that goes away when this one stands."""

    constraint: Constraint
    complies: str | None
    replaces: Constraint | None
    span: Span


class DropConstraint(Value):
    """A constraint or an index that goes away. `after_span` is where the file says for how long it stays."""

    constraint: Constraint
    soak_seconds: int
    irreversible: str | None
    span: Span
    after_span: Span | None = None


class ExtendEnum(Value):
    """A label more of an enum type, `side` (`BEFORE`, `AFTER`) of `neighbour`, or at the end. `type` is SQL."""

    type: str
    label: str
    side: str | None
    neighbour: str | None
    span: Span


class RenameTable(Value):
    """The table's new name, in the same schema; the old one lives on as a view until the soak is over."""

    to: str
    soak_seconds: int
    span: Span


class Comment(Value):
    """What is said of a table, or of one of its columns."""

    column: str | None
    text: str
    span: Span


class ReplicaIdentity(Value):
    """What logical replication tells rows apart by: `FULL`, `DEFAULT`, `NOTHING`, or an index (`index`)."""

    kind: str
    index: str | None
    span: Span


class RawSql(Value):
    """Statements of the user's own; `lock` is the strongest that they say they need, as SQL."""

    why: str
    ups: tuple[Statement, ...]
    backs: tuple[Statement, ...]
    phase: str
    lock: str
    irreversible: str | None
    span: Span


class Source(Value):
    """Where rows of a new table come from: per column an expression over the row of `table`, and which rows.

    `places`: where each column is given its value.
    """

    table: Table
    values: tuple[tuple[str, Expression], ...]
    where: Expression | None
    span: Span
    places: tuple[tuple[str, Span], ...] = ()

    def place(self, column: str) -> Span:
        """Where a column is given its value; the whole where it is not."""
        return next((span for name, span in self.places if name == column), self.span)


class CreateTable(Value):
    """A new table, and where its first rows come from; `move` where it takes the place of the one that they come from."""

    table: Table
    sources: tuple[Source, ...]
    span: Span
    move: Move | None = None


class DropTable(Value):
    """A table that goes away."""

    table: Table
    soak_seconds: int
    irreversible: str | None
    span: Span


ColumnOperation = AddColumn | DropColumn | RequireColumn | OptionalColumn | RetypeColumn | SetDefault
Operation = (
    ColumnOperation
    | AddConstraint
    | DropConstraint
    | ExtendEnum
    | RenameTable
    | Comment
    | ReplicaIdentity
    | RawSql
    | CreateTable
    | DropTable
)


class Change(Value):
    """All operations on one table."""

    table: Table
    operations: tuple[Operation, ...]
    span: Span


class Follows(Value):
    """A phase whose revision follows one of other people; `database` is None where only one can be meant."""

    phase: str
    revision: str
    database: str | None
    span: Span


class CheckedModule(Value):
    """All of a compiled unit. `header` is None in a file that only declares (and can be checked, not compiled)."""

    path: str
    header: Header | None
    databases: tuple[Database, ...]
    tenants: Tenants | None
    tables: tuple[Table, ...]
    changes: tuple[Change, ...]
    rollout: Rollout
    stages: tuple[StageLine, ...]
    switches: tuple[Switch, ...]
    allows: tuple[Allowed, ...]
    phase_after: tuple[Follows, ...]
    policy: Policy = NOTHING
    apis: tuple[Api, ...] = ()
    services: tuple[Service, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    ticket: Ticket | None = None
    integration: Integration | None = None

    def database(self, name: str) -> Database:
        """The database of that name, which is known to be there."""
        return next(d for d in self.databases if d.name == name)

    @property
    def migrated(self) -> tuple[str, ...]:
        """The databases in which something changes, in the order of their declarations, but for tables that go from one to
        another: the one that is left comes first."""
        found = {change.table.database for change in self.changes if change.operations}
        found |= {move.table.database for move in self.moves if move.across}  # what moves is left behind there
        named = tuple(dict.fromkeys(d.name for d in self.databases if d.name in found))
        ways = {(move.table.database, move.target.database) for move in self.moves if move.across}
        return _left_first(named, ways) if ways else named

    def listed_in(self, table: Table) -> Database | None:
        """The database that has the list of tenants, where it isn't the table's own."""
        name = self.tenants.database if self.tenants is not None else None
        return self.database(name) if name is not None and name != table.database else None

    @property
    def created(self) -> tuple[CreateTable, ...]:
        """The tables that this migration makes."""
        return tuple(o for change in self.changes for o in change.operations if isinstance(o, CreateTable))

    @property
    def moves(self) -> tuple[Move, ...]:
        """The tables whose rows go to another one."""
        return tuple(o.move for o in self.created if o.move is not None)

    def crossed(self, constraint: Constraint) -> bool:
        """Whether it is a foreign key to a table that goes to another database, and so goes before its rows are written there."""
        target = constraint.target
        return target is not None and any(m.across and m.table.entity == target.entity for m in self.moves)

    @property
    def dropped(self) -> tuple[DropTable, ...]:
        """The tables that this migration takes away."""
        return tuple(o for change in self.changes for o in change.operations if isinstance(o, DropTable))

    @property
    def every(self) -> tuple[Table, ...]:
        """The tables that are there before, and those that come."""
        return (*self.tables, *(o.table for o in self.created))


def _left_first(names: tuple[str, ...], ways: set[tuple[str, str]]) -> tuple[str, ...]:
    """The same names, each behind those from which something comes there; in a circle, which is refused, as they stand."""
    left, found = list(names), []
    while left:
        free = [name for name in left if not any(to == name and of in left for of, to in ways)]
        found.append((free or left)[0])
        left.remove(found[-1])
    return tuple(found)
