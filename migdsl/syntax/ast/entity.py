"""A table as it is before the migration, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Setting, Sql, Text, Type, Word
from migdsl.values import Value


class Literal(Value):
    """A default: a string, a number or a word as SQL would spell it (`text`), or SQL."""

    text: str
    sql: Sql | None
    span: Span


class Target(Value):
    """What a reference points at: an entity's columns (none named: its key) and the action on delete."""

    entity: Name
    columns: tuple[Name, ...]
    on_delete: str | None
    span: Span


class Mark(Value):
    """A word behind a column's type: `key`, `pii`, `default …`, `-> Other.id`."""

    kind: str
    literal: Literal | None
    sql: Sql | None
    target: Target | None
    always: bool
    span: Span


class Column(Value):
    """A column; NOT NULL unless `nullable`, of which `null` is the `?`."""

    name: Name
    type: Type
    nullable: bool
    marks: tuple[Mark, ...]
    span: Span
    null: Span | None = None


class Key(Value):
    """`key (a, b)`."""

    columns: tuple[Name, ...]
    span: Span


class Unique(Value):
    """`unique (a, b) as name`; `per_tenant` is `unique per tenant` on an added column."""

    columns: tuple[Name, ...]
    name: Name | None
    per_tenant: bool
    span: Span


class IndexPart(Value):
    """A column of an index, or an expression over columns (`function` applied to `column`, or SQL).

    `operators` is its operator class, with its schema where that is said; `nulls` says which end they are at.
    """

    column: Name | None
    function: Name | None
    sql: Sql | None
    span: Span
    descending: bool = False
    nulls: Word | None = None
    operators: tuple[Name, ...] = ()


class Index(Value):
    """An index; a `unique` over more than columns is one too."""

    parts: tuple[IndexPart, ...]
    name: Name | None
    method: Word | None
    include: tuple[Name, ...]
    where: Sql | None
    span: Span
    unique: bool = False


class Check(Value):
    """A check constraint."""

    sql: Sql
    name: Name | None
    span: Span


class Reference(Value):
    """A foreign key."""

    columns: tuple[Name, ...]
    target: Target
    name: Name | None
    span: Span


class ExcludePart(Value):
    """What is compared with which operator: `room with "="`."""

    column: Name | None
    sql: Sql | None
    operator: Text
    span: Span


class Exclude(Value):
    """An exclusion constraint."""

    method: Word
    parts: tuple[ExcludePart, ...]
    where: Sql | None
    name: Name | None
    span: Span


class Legacy(Value):
    """A column whose behaviour nobody is sure of."""

    column: Name
    note: Text
    span: Span


class TenantVia(Value):
    """`tenant via order_id -> Order`."""

    column: Name
    entity: Name
    span: Span


EntityItem = Column | Key | Unique | Index | Check | Reference | Exclude | Legacy | TenantVia | Setting | Allow


class Entity(Value):
    """A table as it is before the migration. `table` is `database.table` or `database.schema.table`."""

    name: Name
    table: tuple[Name, ...]
    items: tuple[EntityItem, ...]
    span: Span
