"""A table's indexes become the answer whether batches can walk along one of them, or need one of their own."""

from __future__ import annotations

from migdsl.ops import dependents
from migdsl.ops.context import Context


def wanted(context: Context) -> tuple[str, ...]:
    """What an index must begin with, so that a batch reads only its own rows: the tenant, then the key."""
    table = context.table
    tenant = [table.tenant] if table.scope == "tenant" and table.tenant else []
    return tuple(dict.fromkeys([*tenant, *table.key]))


def walkable(context: Context) -> bool:
    """Whether there is such an index."""
    table, columns = context.table, wanted(context)
    gone = {c.span for c in dependents.dropped(context)}  # the way back walks before it is there again
    kept = [c for c in table.constraints if c.kind in ("index", "unique") and c.span not in gone]
    own = [table.key, *(c.columns for c in kept)]
    return any(found[: len(columns)] == columns for found in own)
