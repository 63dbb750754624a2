"""What a table's move to another database is made of: both tables, and what each side's columns are in terms of the other's."""

from __future__ import annotations

from typing import Final, Literal

from migdsl.dialect.names import derived, literal, qualified, quote
from migdsl.dialect.types import SqlType
from migdsl.values import Value

Side = Literal["old", "new"]
LEDGER: Final = "migdsl"
# Stands for the row in `Place.tenant`; no operator of PostgreSQL's takes a name and a dot.
ROW: Final = "@row"
# Explicit casts to these cut what is too long; the assignment to the column must refuse it instead.
_WIDE: Final = {"character": "text", "bit": "bit varying"}
_INCOMPARABLE: Final = frozenset("json xml point line lseg box path polygon circle geometry geography".split())


class Column(Value):
    """A column that is written on one side. `value` is SQL over the row `t` of the other side's table.

    `own`: the type is one that the database has made (an enum, a domain), and so has no meaning on the other side.
    `inputs`: the columns that `value` reads; None where nobody has told.
    """

    name: str
    type: SqlType
    value: str
    own: bool = False
    inputs: tuple[str, ...] | None = None

    @property
    def wire(self) -> str:
        """The type that a value has on its way: without length, which the column asks of it, and known on both sides."""
        if self.own or not self.type.known:
            return "text"
        base = _WIDE.get(self.type.base, self.type.base)
        return f"{base}[]" if self.type.array else base

    @property
    def comparable(self) -> bool:
        """Whether `IS DISTINCT FROM` takes it as it is."""
        return self.type.base not in _INCOMPARABLE


class Place(Value):
    """One side's table: `columns` are those that are written there, the key among them.

    `tenant` is SQL over the row `@row` that gives its tenant; '' means that the table has none. `tenant_type` is that of
    `:tenant_id`. `reads` and `confined` are what the enqueueing reads: a FROM item with the row `t`, and the condition that
    confines it to `:tenant_id`. `looked_up`: the tenant stands in another table's row, which may be gone already;
    `tenant_column` is the table's own, '' where it has none.
    """

    schema: str
    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    tenant: str = "@row.tenant_id"
    tenant_type: str = "uuid"
    reads: str = ""
    confined: str = "t.tenant_id = :tenant_id"
    looked_up: bool = False
    tenant_column: str = "tenant_id"

    @property
    def table(self) -> str:
        """The table as SQL."""
        return qualified(self.schema, self.name)

    def tenant_of(self, row: str) -> str:
        """A row's tenant as a text; NULL only where it is looked up and its owner is gone."""
        if not self.tenant:
            return "''"
        text = f"CAST({self.tenant.replace(ROW, row)} AS text)"
        return text if self.looked_up else f"coalesce({text}, '')"

    def keyed(self, row: str) -> tuple[str, ...]:
        """The key's columns of a row."""
        return tuple(f"{row}.{quote(name)}" for name in self.key)


class Follower(Value):
    """A table whose rows have their tenant by way of another one of the stream, nearest or not.

    `old` and `new` are what its rows `t` that belong to the other table's row `@row` are selected from, on either side.
    """

    moved: Moved
    old: str
    new: str


class Moved(Value):
    """One table of a stream: all tables of a stream are switched together, tenant by tenant.

    `key_types` are those of the key, in its order, the same on both sides; `lanes` may not change while the triggers stand.
    `captured`: inserts and updates of the old side are read from the WAL, and its trigger tells of the rest alone.
    `followers`: the stream's tables whose rows belong to a tenant by way of this one's.
    `cascaded`: a foreign key takes its rows along where those of a table of the stream are deleted.
    """

    migration: str
    stream: str
    entity: str
    key_types: tuple[SqlType, ...]
    old: Place
    new: Place
    lanes: int = 8
    captured: bool = False
    followers: tuple[Follower, ...] = ()
    cascaded: bool = False

    def at(self, side: Side) -> Place:
        """The table on a side."""
        return self.old if side == "old" else self.new

    def named(self, side: Side, suffix: str) -> str:
        """An object of the table's own in the ledger's schema, as SQL."""
        return qualified(LEDGER, self.bare(side, suffix))

    def bare(self, side: Side, suffix: str) -> str:
        """The same without schema and quotes."""
        place = self.at(side)
        owner = (place.name,) if place.schema == "public" else (place.schema, place.name)
        return derived(self.migration, *owner, suffix=suffix)

    def outbox(self, side: Side) -> str:
        """The table of keys to be carried over from a side."""
        return self.named(side, "outbox")

    @property
    def fence(self) -> str:
        """The function that lets a tenant's writers pass, as SQL; the same name on both sides."""
        return qualified(LEDGER, derived(self.migration, self.stream, suffix="fence"))

    @property
    def marker(self) -> str:
        """What the setting `migdsl.applier` says in an applier's transaction."""
        return f"{self.migration}/{self.stream}"

    @property
    def scope(self) -> str:
        """The condition on `side` that picks the stream."""
        return f"side.migration = {literal(self.migration)} AND side.stream = {literal(self.stream)}"

    @property
    def newcomers(self) -> str:
        """The condition on `others` that picks the row of `side` for who has none: a stream of its own, with one tenant, ''."""
        return f"others.migration = {literal(self.migration)} AND others.stream = {literal(self.others)} AND others.tenant = ''"

    @property
    def others(self) -> str:
        """The name under which that row stands; as the runtime has it, too."""
        return f"{self.stream}/newcomers"

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The key's columns in the outbox."""
        return tuple(f"key_{number}" for number in range(1, len(self.key_types) + 1))

    def lane(self, values: tuple[str, ...]) -> str:
        """The lane of a key: equal keys hash alike, however they are spelt."""
        return f"((hash_record_extended(ROW({', '.join(values)}), 0) & 9223372036854775807) % {self.lanes:d})::integer"


def other(side: Side) -> Side:
    """The side across."""
    return "new" if side == "old" else "old"
