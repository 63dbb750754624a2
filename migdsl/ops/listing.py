"""Where the tenants are listed becomes what revisions and jobs of a table can ask from their own database."""

from __future__ import annotations

from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.semantics.model import CheckedModule, Table


def elsewhere(module: CheckedModule, table: Table) -> str | None:
    """The database that has the list, where it isn't the table's own."""
    found = module.listed_in(table)
    return found.name if found is not None else None


def of_revision(context: Context) -> str | None:
    """The statement that lists the tenants for a revision, which has one connection: those of the rows themselves where
    the list is in another database. None where the table has no tenants."""
    walk = Walk(context.table)
    if not walk.tenant or context.tenants is None or context.tenants.listing is None:
        return None
    if context.module.listed_in(context.table) is None:
        return context.tenants.listing.text
    return f"SELECT DISTINCT {walk.tenant}\n  FROM {walk.source()}\n ORDER BY 1"
