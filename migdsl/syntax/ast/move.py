"""Rows that go to another table, and how both stay equal meanwhile, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Sql, Text
from migdsl.syntax.ast.change import Back
from migdsl.syntax.ast.entity import Check, Column, Index, Reference, Unique
from migdsl.values import Value


class Copied(Value):
    """`note = remark`: the column `source`, unchanged."""

    column: Name
    source: Name
    span: Span


class Moved(Value):
    r"""`total numeric(12,2) = \`total_cents / 100.0\``; without SQL a column that only new code fills."""

    column: Column
    sql: Sql | None
    span: Span


class Omit(Value):
    """`omit a because "…"`: a column that stays behind; with `target` (`omit a -> Other because "…"`) its foreign key."""

    column: Name
    target: Name | None
    because: Text
    span: Span


class Move(Value):
    """`move NAME to DATABASE.TABLE { … }`; `standing` are constraints and indexes of the target's own."""

    entity: Name
    table: tuple[Name, ...]
    columns: tuple[Copied | Moved, ...]
    backs: tuple[Back, ...]
    omits: tuple[Omit, ...]
    standing: tuple[Unique | Index | Check | Reference, ...]
    after: Number | None
    allows: tuple[Allow, ...]
    span: Span


class Sync(Value):
    """`sync NAME { by … lag at most … conflict … }`."""

    entity: Name
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span
