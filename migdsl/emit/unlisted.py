"""A table becomes the count of its rows that belong to no listed tenant: from tenant to tenant where an index leads there."""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops import names as objects
from migdsl.ops.batches import Walk
from migdsl.ops.model import TablePlan
from migdsl.semantics.model import CheckedModule, Table


def unlisted(module: CheckedModule, plan: TablePlan) -> str:
    """Rows that nobody carries over are lost with what they come from."""
    if plan.moved is not None and plan.origin is not None:
        return _of(module, plan.origin.table)  # those of the other database stay there
    own = _of(module, plan.table)
    return own if plan.origin is None else f"SELECT ({own})\n     + ({_of(module, plan.origin.table)})"


def _of(module: CheckedModule, table: Table) -> str:
    walk, listed = Walk(table), _listed(module, table)
    if table.via is not None:
        # Rows that lead to nobody are among them.
        parents = ", ".join(parent for parent, _ in walk.way())
        met = " AND ".join(condition for _, condition in walk.way())
        return f"""SELECT count(*)
  FROM {objects.table(table)} AS t
 WHERE NOT EXISTS (SELECT FROM {parents}, {listed} WHERE {met} AND listed.tenant = {walk.tenant})"""
    every = f"""SELECT count(*)
  FROM {walk.source()}
 WHERE NOT EXISTS (SELECT FROM {listed} WHERE listed.tenant = {walk.tenant})"""
    return every if walk.tenant is None else _by_index(table, walk, listed, every)


def _listed(module: CheckedModule, table: Table) -> str:
    declared = module.tenants
    assert declared is not None
    assert declared.listing is not None
    if module.listed_in(table) is not None and declared.type is not None:
        # What was read in another database is given as a list.
        elements = f"SELECT given.tenant::{declared.type.sql} FROM jsonb_array_elements_text(:listed::jsonb)"
        return f"({elements} AS given (tenant)) AS listed (tenant)"
    return f"""(
{declared.listing.text.strip().rstrip(";")}
) AS listed (tenant)"""


def _by_index(table: Table, walk: Walk, listed: str, every: str) -> str:
    """One snapshot for as long as the whole table takes to read would hold vacuum up; by an index a tenant costs one look.

    Which index there is only the database knows: ours goes in contract, a declared one may be gone. Without one each look
    would read the whole table. A partial one, or one that sorts otherwise, is none.
    """
    rows, tenant = walk.source(), walk.tenant
    column = literal(table.tenant or "")
    return f"""SELECT CASE WHEN EXISTS (
SELECT FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
  JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod
 WHERE i.indrelid = {literal(objects.table(table))}::pg_catalog.regclass AND a.attname = {column}
   AND i.indisvalid AND i.indpred IS NULL AND i.indoption[0] IN (0, 3)
   AND m.amname = 'btree' AND o.opcdefault AND i.indcollation[0] = a.attcollation
) THEN (
-- An index begins with the tenant: from each tenant to the next one, and only rows of those that aren't listed.
WITH RECURSIVE migdsl_found (tenant) AS (
  (SELECT {tenant} FROM {rows} ORDER BY {tenant} LIMIT 1)
  UNION ALL
  SELECT (SELECT {tenant} FROM {rows} WHERE {tenant} > migdsl_found.tenant ORDER BY {tenant} LIMIT 1)
    FROM migdsl_found WHERE migdsl_found.tenant IS NOT NULL
)
SELECT coalesce(sum((SELECT count(*) FROM {rows} WHERE {tenant} = migdsl_found.tenant)), 0)
  FROM migdsl_found
 WHERE migdsl_found.tenant IS NOT NULL
   AND NOT EXISTS (SELECT FROM {listed} WHERE listed.tenant = migdsl_found.tenant)
) + (SELECT count(*) FROM {rows} WHERE {tenant} IS NULL)
ELSE (
{every}
) END"""
