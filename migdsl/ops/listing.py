"""Whose rows there are becomes what revisions and jobs of a table can ask from their own database."""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops import names
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Gate
from migdsl.semantics.model import CheckedModule, Table


def elsewhere(module: CheckedModule, table: Table) -> str | None:
    """The database that has the list, where it isn't the table's own."""
    found = module.listed_in(table)
    return found.name if found is not None else None


def of_revision(context: Context) -> str | None:
    """The statement that lists the tenants for a way back: those of the rows themselves. A list may leave out by then who was
    on it when the rows were there, and a revision has one connection. None where the table has no tenants."""
    walk = Walk(context.table)
    if walk.tenant is None:
        return None
    return f"SELECT DISTINCT {walk.tenant}\n  FROM {walk.source()}\n ORDER BY 1"


def reached(context: Context, what: str, wanted: str = "") -> tuple[Gate, ...]:
    """The gate of a way back, behind its batches: no row that needs `what` was left out, since it belongs to nobody.

    `wanted` is the condition under which a row needs it; nothing where all do.
    """
    walk, table = Walk(context.table), names.table(context.table)
    if walk.tenant is None:
        return ()
    conditions = "\n   AND ".join([walk.nobodys(), *([wanted] if wanted else [])])
    said = literal(f"rows of {table} that belong to no tenant, and so lack {what}: ")
    way_out = literal(" (give them one, and take the same way back again)")
    unmet = f"""SELECT {said} || count(*) || {way_out}
  FROM {table} AS {walk.row}
 WHERE {conditions}
HAVING count(*) > 0"""
    return (Gate(f"reached_{context.table.entity}", f"each row of {context.table.entity} was reached", unmet),)
