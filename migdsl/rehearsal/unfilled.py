"""A table that is to be filled, and a tenant, become the rows that still have to be; one of them is held against the job."""

from __future__ import annotations

from migdsl.dialect.names import literal, quote
from migdsl.ops import names
from migdsl.ops.batches import Walk
from migdsl.ops.model import TablePlan
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.writing import over
from migdsl.semantics.model import Table

Key = tuple[str, ...]


def wanting(troupe: Troupe, plan: TablePlan, tenant: str) -> list[tuple[Key, Key]]:
    """Rows of a tenant that aren't filled: the key along which they are walked, and that of the row which is written."""
    table = plan.origin.table if plan.origin is not None else plan.table
    if table.tenant is None:
        return []
    walked = _walked(troupe, plan, table)
    written = [f"t.{quote(name)}" for name in plan.table.key]
    conditions = [f"t.{quote(table.tenant)}::text = {literal(tenant)}"]
    if plan.origin is None:
        conditions.append(f"({' OR '.join(fill.wanted for fill in plan.fills)})")
    else:
        values = dict(plan.origin.values)
        written = [over(values[name], "t") for name in plan.table.key]
        met = " AND ".join(f"n.{quote(k)} = {w}" for k, w in zip(plan.table.key, written, strict=True))
        conditions.append(f"NOT EXISTS (SELECT FROM {names.table(plan.table)} AS n WHERE {met})")
        conditions += [over(plan.origin.where, "t")] if plan.origin.where is not None else []
    columns = ", ".join(f"{each}::text" for each in (*(f"t.{quote(n)}" for n in walked), *written))
    query = f"SELECT {columns} FROM {names.table(table)} AS t WHERE {' AND '.join(conditions)} ORDER BY {columns} DESC"
    found = [tuple(map(str, row)) for row in troupe.desk.execute(query.encode()).fetchall()]
    return [(row[: len(walked)], row[len(walked) :]) for row in found]


def _walked(troupe: Troupe, plan: TablePlan, table: Table) -> tuple[str, ...]:
    said = troupe.module.policy.pace(plan.table.entity)
    return Walk(table, order=said.order if said is not None else None).key


def hold(connection: Connection, plan: TablePlan, written: Key) -> None:
    """In an open transaction: nobody else writes this row, or of a new table inserts it."""
    if plan.origin is None:
        where = " AND ".join(f"{quote(n)}::text = {literal(v)}" for n, v in zip(plan.table.key, written, strict=True))
        connection.execute(f"SELECT FROM {names.table(plan.table)} WHERE {where} FOR UPDATE".encode())
        return
    values = {name: over(expression, "t") for name, expression in plan.origin.values}
    met = " AND ".join(f"({values[n]})::text = {literal(v)}" for n, v in zip(plan.table.key, written, strict=True))
    listed = ", ".join(map(quote, values))
    select = f"SELECT {', '.join(values.values())} FROM {names.table(plan.origin.table)} AS t WHERE {met}"
    connection.execute(f"INSERT INTO {names.table(plan.table)} ({listed}) {select}".encode())
