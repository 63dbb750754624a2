"""Entities as a file declares them become the tables of a real database, with rows in them."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal, qualified, quote
from migdsl.ops import constraints, create_table, names
from migdsl.ops.context import Context
from migdsl.semantics import check
from migdsl.semantics.model import Change, CheckedModule, Column, Table
from migdsl.source import SourceFile
from migdsl.syntax import ast
from migdsl.syntax.parser import parse
from tests.ops.support import T1, T2

ROWS = 12


def ddl(text: str, *, rows: int = ROWS) -> str:
    """The DDL of every entity of a file, and `rows` rows in each: half of each tenant's, NULLs where they may be."""
    parsed = parse(SourceFile("m.mig", text))
    module, _ = check(parsed)
    tables = [table for table in module.tables if table.name != "tenants"]
    statements = [*_schemas(tables), *_enums(parsed.module, module)]
    for table in tables:
        statements += _table(module, table)
    for table in tables:
        statements += _references(module, table)
    statements += [_rows(table, rows) for table in tables if rows]
    return ";\n".join(statements)


def _schemas(tables: list[Table]) -> Iterator[str]:
    for schema in sorted({table.schema for table in tables} - {"public"}):
        yield f"CREATE SCHEMA {quote(schema)}"


def _enums(parsed: ast.Module, module: CheckedModule) -> Iterator[str]:
    seen = set()
    for entity in (d for d in parsed.declarations if isinstance(d, ast.Entity)):
        for column in (item for item in entity.items if isinstance(item, ast.Column)):
            if column.type.labels is not None and column.type.name not in seen:
                seen.add(column.type.name)
                labels = ", ".join(literal(label.value) for label in column.type.labels)
                yield f"CREATE TYPE {quote(column.type.name)} AS ENUM ({labels})"


def _table(module: CheckedModule, table: Table) -> Iterator[str]:
    context = Context("x", Change(table, (), table.span), module, (), ())
    own = [c for c in table.constraints if c.kind not in ("generated", "reference")]
    yield create_table.definition(context, table.columns, [c for c in own if c.kind != "index"])
    yield from (create_table.index(context, c) for c in own if c.kind == "index")


def _references(module: CheckedModule, table: Table) -> Iterator[str]:
    context = Context("x", Change(table, (), table.span), module, (), ())
    for found in table.constraints:
        if found.kind == "reference":
            name = quote(names.constraint(table, found))
            yield f"ALTER TABLE {names.table(table)} ADD CONSTRAINT {name} {constraints.definition(context, found)}"


def _rows(table: Table, count: int) -> str:
    columns = [c for c in table.columns if c.generated is None and c.identity is None]
    values = ", ".join(_value(table, column) for column in columns)
    listed = ", ".join(quote(c.name) for c in columns)
    return (
        f"INSERT INTO {qualified(table.schema, table.name)} ({listed})\n"
        f"SELECT {values} FROM generate_series(1, {count}) AS n"
    )


def _value(table: Table, column: Column) -> str:
    if column.tenant:
        return f"CASE WHEN n % 2 = 0 THEN '{T1}'::uuid ELSE '{T2}' END"
    value = _VALUES.get(column.type.base, f"NULL::{column.type.sql}")
    refers = any(c.kind == "reference" and c.columns == (column.name,) for c in table.constraints)
    if column.type.base not in _VALUES and not column.nullable and column.default:
        return column.default
    if column.nullable and not refers:
        return f"CASE WHEN n % 3 > 0 THEN {value} END"
    return value


_VALUES = {
    "text": "'v' || n",
    "character varying": "'v' || n",
    "smallint": "n",
    "integer": "n",
    "bigint": "n",
    "numeric": "n + 0.25",
    "real": "n + 0.5",
    "boolean": "n % 2 = 0",
    "uuid": "md5(n::text)::uuid",
    "date": "date '2020-01-01' + n",
    "timestamp with time zone": "timestamptz '2020-01-01' + n * interval '1 hour'",
    "timestamp": "timestamp '2020-01-01' + n * interval '1 hour'",
    "jsonb": "jsonb_build_object('n', n)",
    "bytea": "convert_to('v' || n, 'UTF8')",
}
