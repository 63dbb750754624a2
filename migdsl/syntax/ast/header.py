"""The header, databases and tenants, as written."""

from __future__ import annotations

from migdsl.source import Span
from migdsl.syntax.ast.base import Allow, Name, Number, Setting, Sql, Text, Type
from migdsl.syntax.ast.policy import When
from migdsl.values import Value


class Use(Value):
    """`use "shared/schema.mig"`: another file's declarations hold here too."""

    path: Text
    span: Span


class Finished(Value):
    """`finished 2027-02-01`: the migration is done, and its file is history."""

    date: Number
    span: Span


class Migration(Value):
    """The header of a compiled unit."""

    name: Name
    settings: tuple[Setting, ...]
    allows: tuple[Allow, ...]
    span: Span
    slos: tuple[When, ...] = ()


class Database(Value):
    """A system that owns data."""

    name: Name
    settings: tuple[Setting, ...]
    schema: Name | None
    span: Span
    services: tuple[Name, ...] = ()


class TenantKey(Value):
    """`key tenant_id uuid`."""

    name: Name
    type: Type
    span: Span


class TenantList(Value):
    """The statement that lists the tenants, and the database that it is for."""

    database: Name | None
    sql: Sql
    span: Span


class Tenants(Value):
    """The tenant boundary, or the reason why there is none."""

    keys: tuple[TenantKey, ...]
    lists: tuple[TenantList, ...]
    none_because: Text | None
    span: Span
