"""What shall become of tables, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Sql, Text
from migdsl.syntax.ast.entity import Column, Unique
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


Operation = Add | Drop | Require | Optional


class Change(Value):
    """What shall become of an entity's table."""

    entity: Name
    operations: tuple[Operation, ...]
    allows: tuple[Allow, ...]
    span: Span
