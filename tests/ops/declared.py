"""Entities as a file declares them become the tables of a real database, with rows in them."""

from __future__ import annotations

from migdsl.dialect.names import qualified, quote
from migdsl.rehearsal import baseline
from migdsl.semantics import check
from migdsl.semantics.model import Column, Table
from migdsl.source import SourceFile
from migdsl.syntax.parser import parse
from migdsl.values import replace
from tests.ops.support import T1, T2

ROWS = 12


def ddl(text: str, *, rows: int = ROWS) -> str:
    """The DDL of every entity of a file, and `rows` rows in each: half of each tenant's, NULLs where they may be."""
    module, _ = check(parse(SourceFile("m.mig", text)))
    tables = tuple(table for table in module.tables if table.name != "tenants")
    statements = list(baseline.ddl(replace(module, tables=tables, changes=(), tenants=None)))
    statements += [_rows(table, rows) for table in tables if rows]
    return ";\n".join(statements)


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
