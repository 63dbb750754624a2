"""Entities as a checked file declares them become the DDL of the tables before the migration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from migdsl.dialect.names import derived, literal, qualified, quote
from migdsl.ops import constraints, create_table, names
from migdsl.ops.context import Context
from migdsl.semantics.model import Change, CheckedModule, Column, Table
from migdsl.values import replace

_NEXT = re.compile(r"""nextval\(\s*'([\w."]+)'""")


def ddl(module: CheckedModule) -> tuple[str, ...]:
    """One statement each: schemas, enums, tables with their indexes, foreign keys, and what `list` reads."""
    return (
        *_schemas(module),
        *_enums(module),
        *_sequences(module),
        *(each for table in module.tables for each in _table(module, table)),
        *_owned(module),
        *(each for table in module.tables for each in _references(module, table)),
        *_listed(module),
    )


def _schemas(module: CheckedModule) -> Iterator[str]:
    # A move makes the schema that it goes to.
    moved = {(move.target.schema, move.target.name) for move in module.moves}
    for schema in sorted({t.schema for t in module.every if (t.schema, t.name) not in moved} - {"public"}):
        yield f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"


def _enums(module: CheckedModule) -> Iterator[str]:
    seen: set[str] = set()
    for column in (c for table in module.tables for c in table.columns if c.type.labels):
        if column.type.base not in seen:
            seen.add(column.type.base)
            yield f"CREATE TYPE {column.type.base} AS ENUM ({', '.join(literal(label) for label in column.type.labels)})"


def _sequences(module: CheckedModule) -> Iterator[str]:
    """Those that defaults name."""
    yield from (f"CREATE SEQUENCE IF NOT EXISTS {name}" for name in _named(module))


def _owned(module: CheckedModule) -> Iterator[str]:
    """Each belongs to the first column that it numbers, as what is declared to be numbered must have one of its own."""
    for name, (table, column) in _named(module).items():
        # PostgreSQL wants both in one schema.
        if (name.rpartition(".")[0].strip('"') or "public") == table.schema:
            yield f"ALTER SEQUENCE {name} OWNED BY {names.table(table)}.{quote(column.name)}"


def _named(module: CheckedModule) -> dict[str, tuple[Table, Column]]:
    found: dict[str, tuple[Table, Column]] = {}
    for table, column in ((t, c) for t in module.tables for c in t.columns if c.default is not None):
        if (said := _NEXT.match(column.default or "")) is not None:
            found.setdefault(said[1], (table, column))
    return found


def _table(module: CheckedModule, table: Table) -> Iterator[str]:
    context = Context("x", Change(table, (), table.span), module, (), ())
    own = [c for c in table.constraints if c.kind not in ("generated", "reference")]
    # A new table's serial is an identity; one that is there is a default, and a sequence that belongs to the column.
    numbers = {
        c.name: qualified(table.schema, derived(table.name, c.name, suffix="seq"))
        for c in table.columns
        if c.type.serial
    }
    yield from (f"CREATE SEQUENCE {name} AS {table.type_of(column).sql}" for column, name in numbers.items())
    columns = tuple(
        replace(c, default=f"nextval({literal(n)})") if (n := numbers.get(c.name)) else c for c in table.columns
    )
    yield create_table.definition(context, columns, [c for c in own if c.kind != "index"])
    yield from (f"ALTER SEQUENCE {n} OWNED BY {names.table(table)}.{quote(column)}" for column, n in numbers.items())
    yield from (create_table.index(context, c) for c in own if c.kind == "index")


def _references(module: CheckedModule, table: Table) -> Iterator[str]:
    context = Context("x", Change(table, (), table.span), module, (), ())
    for found in (c for c in table.constraints if c.kind == "reference"):
        name = quote(names.constraint(table, found))
        yield f"ALTER TABLE {names.table(table)} ADD CONSTRAINT {name} {constraints.definition(context, found)}"


# ------------------------------------------------------------------------------------------- the list of tenants


def _listed(module: CheckedModule) -> Iterator[str]:
    """The table that `list` reads, where the file doesn't declare it."""
    place = listing(module)
    if place is None or declared(module, place) is not None or elsewhere(module):
        return
    assert module.tenants is not None
    assert module.tenants.type is not None
    (schema, name), column = place
    if schema != "public":
        yield f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"
    yield f"CREATE TABLE {qualified(schema, name)} ({quote(column)} {module.tenants.type.sql} PRIMARY KEY)"


def elsewhere(module: CheckedModule) -> bool:
    """Whether the list is in another database than these tables."""
    name = module.tenants.database if module.tenants is not None else None
    return name is not None and all(table.database != name for table in module.tables)


Listing = tuple[tuple[str, str], str]


def listing(module: CheckedModule) -> Listing | None:
    """The one table that `list` reads, and the column that holds the tenants; None where it isn't as plain as that."""
    tenants = module.tenants
    if tenants is None or tenants.listing is None:
        return None
    tables = [node for kind, node in _walk(tenants.listing.tree) if kind == "RangeVar"]
    columns = [node for kind, node in _walk(tenants.listing.tree) if kind == "ColumnRef"]
    if len(tables) != 1 or not columns:
        return None
    fields = [each.get("String", {}).get("sval", "") for each in columns[0].get("fields", ())]
    if not fields or not fields[-1]:
        return None
    return (tables[0].get("schemaname") or "public", tables[0]["relname"]), fields[-1]


def declared(module: CheckedModule, place: Listing) -> Table | None:
    """The entity that the list reads."""
    return next((t for t in module.tables if (t.schema, t.name) == place[0]), None)


def is_tenant(module: CheckedModule, table: Table, column: Column) -> bool:
    """Whether a column holds the tenants that `list` lists."""
    place = listing(module)
    return place is not None and place == ((table.schema, table.name), column.name)


def _walk(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a parse tree that has a kind."""
    if isinstance(tree, dict):
        for kind, node in tree.items():
            if isinstance(node, dict):
                yield kind, node
            yield from _walk(node)
    elif isinstance(tree, list | tuple):
        for each in tree:
            yield from _walk(each)
