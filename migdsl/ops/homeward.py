"""The way home of a move within one database becomes INSERTs: what rows of the new table give, where the old one hasn't got it.

Contract's way back runs them in batches, a reconciliation for the row of one key.
"""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.ops import names
from migdsl.ops.batches import Walk
from migdsl.ops.both_ways import Ways
from migdsl.ops.context import Context
from migdsl.ops.drop_column import REFILL
from migdsl.ops.model import Cost, Refill, Step
from migdsl.ops.ranges import Keyed
from migdsl.semantics.phrases import sides as called


def refill(context: Context, sides: Ways) -> Step:
    """Rows come home to the old table that contract's way back has made again."""
    source, target = sides.move.table, sides.of.table
    title = "On the way back: bring the rows of {1} home to {0}, in batches".format(*called(source, target))
    walk = Walk(target)
    listing = context.tenants.listing.text if walk.tenant and context.tenants and context.tenants.listing else None
    batch = inserted(sides, walk, walk.after(), walk.upto())
    part = Refill("{} from {}".format(*called(source, target)), listing, walk.upper(), walk.bound(), batch, target.key)
    return Step("contract", "refill", title, target, cost=Cost.BATCHES, rank=REFILL, down=(part,))


def of_one(sides: Ways) -> str:
    """Brings the row of the target with one key home."""
    return inserted(sides, Walk(sides.of.table), *Keyed(tuple(f"t.{quote(c)}" for c in sides.of.table.key)).equal())


def inserted(sides: Ways, walk: Walk, *conditions: str) -> str:
    """Inserts into the source what the rows of the target give that meet the conditions, where it isn't there yet."""
    source = sides.move.table
    homes = sides.homes()
    columns = [*(theirs for _, theirs in sides.of.identity()), *(c.name for c, _ in homes)]
    given = [
        *(_own(sides, ours, theirs) for ours, theirs in sides.of.identity()),
        *(sides.home_written(column, expression, "t") for column, expression in homes),
    ]
    key = ", ".join(map(quote, source.key))
    leading = sides.of.leading()
    alike = dict.fromkeys([*sides.of.key_pairs(), *([leading] if leading is not None else [])])
    matched = " AND ".join(f"s.{quote(theirs)} = t.{quote(ours)}" for ours, theirs in alike)
    confined = f" AND s.{quote(source.tenant)} = :tenant_id" if source.scope == "tenant" and source.tenant else ""
    overriding = " OVERRIDING SYSTEM VALUE" if any(c.identity for c in source.columns) else ""
    missing = f"NOT EXISTS (SELECT FROM {names.table(source)} AS s WHERE {matched}{confined})"
    return f"""INSERT INTO {names.table(source)} ({", ".join(map(quote, columns))}){overriding}
SELECT {", ".join(given)}
  FROM {walk.source()}
 {walk.confined(*conditions, missing)}
   {walk.shared(owner=sides.of.one_owner())}
    ON CONFLICT ({key}) DO NOTHING"""


def _own(sides: Ways, ours: str, theirs: str) -> str:
    """A column of the key; the tenant's is written as what the statement is confined to."""
    if theirs == sides.move.table.tenant and sides.move.table.scope == "tenant":
        return sides.of.confined_to(ours)
    return f"t.{quote(ours)}"
