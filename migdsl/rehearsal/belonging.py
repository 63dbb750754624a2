"""A table becomes SQL that tells whose a row of it is, by its own column or by way of other tables."""

from __future__ import annotations

from migdsl.dialect.names import qualified
from migdsl.ops.batches import Walk
from migdsl.semantics.model import Table


def whose(table: Table, row: str) -> str | None:
    """The tenant of the row called `row`, as an operand; None where rows are nobody's."""
    walk = Walk(table, row, f"{row}_")
    if table.via is None:
        return walk.tenant
    (first, met), *others = walk.way()
    joined = "".join(f" JOIN {parent} ON {condition}" for parent, condition in others)
    return f"(SELECT {walk.tenant} FROM {first}{joined} WHERE {met})"


def owners(table: Table) -> list[str]:
    """The tables that have to be asked."""
    return [qualified(hop.schema, hop.name) for hop in (table.via.hops if table.via is not None else ())]
