"""What shall become of tables, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Sql, Text, Type, Word
from migdsl.syntax.ast.entity import Check, Column, Entity, Exclude, Index, Key, Literal, Reference, Unique
from migdsl.values import Value


class Back(Value):
    """`back email = \\`contact_email\\``; `column` is None where the operation itself says which column."""

    column: Name | None
    sql: Sql
    span: Span


class Add(Value):
    """A new column and how it is filled."""

    column: Column
    source: Sql | None
    backs: tuple[Back, ...]
    uniques: tuple[Unique, ...]
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Drop(Value):
    """A column that goes away."""

    column: Name
    after: Number | None
    back: Back | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Require(Value):
    """A nullable column becomes NOT NULL; `source` fills the NULLs that are there."""

    column: Name
    source: Sql | None
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Optional(Value):
    """A NOT NULL column becomes nullable; `back` says what a NULL is when the column is NOT NULL again."""

    column: Name
    back: Back | None
    allows: tuple[Allow, ...]
    span: Span


class Rename(Value):
    """`rename a to b`: the fact goes to a column of another name."""

    column: Name
    to: Name
    after: Number | None
    allows: tuple[Allow, ...]
    span: Span


class Retype(Value):
    """`retype c bigint`: the column gets another type; `source` and `back` where a cast doesn't do."""

    column: Name
    type: Type
    source: Sql | None
    back: Back | None
    after: Number | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Computed(Value):
    r"""`first = \`split_part(name, ' ', 1)\``: what a column of a split is computed from."""

    column: Name
    sql: Sql
    span: Span


class Split(Value):
    """`split name into first text, last text`: one column becomes several."""

    column: Name
    into: tuple[Column, ...]
    values: tuple[Computed, ...]
    back: Back | None
    after: Number | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


class Merge(Value):
    """`merge first, last into name text`: several columns become one."""

    columns: tuple[Name, ...]
    into: Column
    source: Sql | None
    backs: tuple[Back, ...]
    after: Number | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


class SetDefault(Value):
    """`default c 5`; `literal` is None for `drop default c`."""

    column: Name
    literal: Literal | None
    allows: tuple[Allow, ...]
    span: Span


class Constrain(Value):
    """A constraint or an index to come: one that an entity could declare, and whether old code keeps it already."""

    item: Unique | Index | Check | Reference | Key | Exclude
    complies: Text | None
    allows: tuple[Allow, ...]
    span: Span


class DropNamed(Value):
    """`drop index n`, `drop constraint n`: `kind` is index or constraint."""

    kind: str
    name: Name
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span
    after: Number | None = None


class ExtendEnum(Value):
    """`enum mood add "ok" after "sad"`; `side` is after, before, or None for the end."""

    name: Name
    label: Text
    side: str | None
    neighbour: Text | None
    allows: tuple[Allow, ...]
    span: Span


class RenameTable(Value):
    """`rename table to t`."""

    to: Name
    after: Number | None
    allows: tuple[Allow, ...]
    span: Span


class Comment(Value):
    """`comment "…"` on the table, `comment c "…"` on a column."""

    column: Name | None
    text: Text
    span: Span


class ReplicaIdentity(Value):
    """`replica identity full`; `index` where it is an index."""

    kind: Word
    index: Name | None
    span: Span


class RawSql(Value):
    """`sql "why" { up … back … phase … lock … }`."""

    why: Text
    ups: tuple[Sql, ...]
    backs: tuple[Sql, ...]
    phase: Word | None
    lock: tuple[Word, ...]
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span


Operation = (
    Add
    | Drop
    | Require
    | Optional
    | Rename
    | Retype
    | Split
    | Merge
    | SetDefault
    | Constrain
    | DropNamed
    | ExtendEnum
    | RenameTable
    | Comment
    | ReplicaIdentity
    | RawSql
)


class Change(Value):
    """What shall become of an entity's table."""

    entity: Name
    operations: tuple[Operation, ...]
    allows: tuple[Allow, ...]
    span: Span


class Filled(Value):
    r"""`from User { id = id; line = \`address\` }`: the rows that a new table begins with."""

    entity: Name
    values: tuple[Computed, ...]
    where: Sql | None
    span: Span


class Create(Value):
    """A new table: what an entity says, and where its rows come from."""

    entity: Entity
    sources: tuple[Filled, ...]
    allows: tuple[Allow, ...]
    span: Span


class DropEntity(Value):
    """A table that goes away."""

    entity: Name
    after: Number | None
    irreversible: Text | None
    allows: tuple[Allow, ...]
    span: Span
