"""What a database's catalogue says of its tables, as frozen values: the same shapes for what a file declares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A column's type: `text` as format_type writes it without a search path. `kind` is that of the element in pg_type
    (b base, e enum, d domain, c composite, r range, m multirange, p pseudo); `labels` are an enum's."""

    text: str
    schema: str
    name: str
    kind: str = "b"
    array: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `default` and `generated` are SQL; `identity` is `always` or `by default`; `virtual` where a generated one
    is computed when read; `notes` is what else there is to say of it."""

    name: str
    type: TypeRef
    nullable: bool
    default: str | None = None
    identity: str | None = None
    generated: str | None = None
    virtual: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a unique constraint; `notes` as of a column."""

    name: str | None
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint; `expression` is SQL."""

    name: str | None
    expression: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key to a table's columns; `on_delete` is in lower case, None for no action."""

    name: str | None
    columns: tuple[str, ...]
    schema: str
    table: str
    targets: tuple[str, ...]
    on_delete: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an index: a column's name, or an expression as SQL.

    `operators` is its operator class, with its schema or without, empty where it is its type's default.
    """

    column: str | None
    expression: str | None
    descending: bool = False
    nulls_first: bool = False
    operators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint stands on; `definition` is the whole of it as SQL where it has parts that
    the language has no words for."""

    name: str | None
    parts: tuple[Part, ...]
    method: str = "btree"
    unique: bool = False
    include: tuple[str, ...] = ()
    where: str | None = None
    definition: str | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint: parts of an index, each with its operator; `definition` as of an index."""

    name: str | None
    method: str
    parts: tuple[tuple[Part, str], ...]
    where: str | None = None
    definition: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger: its events in words, its function, and the columns that the function's text assigns in NEW."""

    name: str
    events: str
    function: str
    assigns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `kind` is r (table) or p (partitioned); `rows` an estimate, None where there is none; `readers` the views
    that read it; `notes` what the language has no words for, a line each."""

    schema: str
    name: str
    kind: str
    rows: int | None
    columns: tuple[Column, ...]
    key: Key | None
    uniques: tuple[Key, ...] = ()
    checks: tuple[Check, ...] = ()
    references: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    readers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """A database: its tables in the order of their names, and what is not a table (views, types), in words."""

    database: str
    version: int
    tables: tuple[Table, ...]
    others: tuple[str, ...] = ()
