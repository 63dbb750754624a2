"""A table's indexes become the answer whether batches can walk along one of them, or need one of their own."""

from __future__ import annotations

from itertools import takewhile

from migdsl.ops import dependents
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.semantics.model import Constraint, Table
from migdsl.semantics.policy import Order

_UP, _DOWN = 0, 3  # as a part says its order, with NULLs where PostgreSQL puts them


def wanted(context: Context, order: Order | None = None) -> tuple[str, ...]:
    """What an index must begin with, so that a batch reads only its own rows: the tenant, the order if one is said, the key."""
    table = context.table
    tenant = [table.tenant] if table.scope == "tenant" and table.tenant else []
    return tuple(dict.fromkeys([*tenant, *Walk(table, order=order).key]))


def walkable(context: Context, order: Order | None = None) -> bool:
    """Whether there is such an index. It can be read from either end."""
    table, columns = context.table, wanted(context, order)
    gone = {c.span for c in dependents.dropped(context)}  # the way back walks before it is there again
    kept = [c for c in table.constraints if c.kind in ("index", "unique") and c.span not in gone]
    own = [table.key, *(_along(c) for c in kept)]
    return any(found[: len(columns)] == columns for found in own)


def led(table: Table) -> bool:
    """Whether an index of a table begins with its tenant, so that what is asked of one tenant reads its rows alone."""
    kept = (c for c in table.constraints if c.kind in ("index", "unique"))
    return any(found[:1] == (table.tenant,) for found in (table.key, *map(_along, kept)))


def _along(of: Constraint) -> tuple[str, ...]:
    """The columns by which it can be read in their own order, or in the opposite one."""
    if of.index is None:
        return of.columns
    if of.index.method not in (None, "btree"):
        return ()
    parts = of.index.parts[: len(of.columns)]
    plain = takewhile(lambda p: p.bits == parts[0].bits and p.bits in (_UP, _DOWN) and not p.operators, parts)
    return of.columns[: len(tuple(plain))]
