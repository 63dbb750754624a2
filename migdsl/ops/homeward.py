"""The way home of a move within one database becomes INSERTs: what rows of the new table give, where the old one hasn't got it.

Contract's way back runs them in batches, a reconciliation for the row of one key.
"""

from __future__ import annotations

from migdsl.dialect.names import literal, quote
from migdsl.ops import listing, names
from migdsl.ops.batches import Walk
from migdsl.ops.both_ways import Ways
from migdsl.ops.context import Context
from migdsl.ops.model import Cost, Gate, Refill, Step
from migdsl.ops.ranges import Keyed
from migdsl.ops.returning import REFILL
from migdsl.semantics.phrases import sides as called


def refill(context: Context, sides: Ways) -> Step:
    """Rows come home to the old table that contract's way back has made again."""
    source, target = sides.move.table, sides.of.table
    title = "On the way back: bring the rows of {1} home to {0}, in batches".format(*called(source, target))
    walk = Walk(target)
    batch = inserted(sides, walk, walk.after(), walk.upto())
    of = "{} from {}".format(*called(source, target))
    part = Refill(of, listing.of_revision(context), walk.upper(), walk.bound(), batch, target.key)
    down = part, _all_home(sides, walk)
    return Step("contract", "refill", title, target, cost=Cost.BATCHES, rank=REFILL, down=down)


def _all_home(sides: Ways, walk: Walk) -> Gate:
    """What the batches may have left out, rows of nobody or such as another row's key stands in the way of: the way back of
    expand drops the new table with all that is in it alone."""
    source, target = names.table(sides.move.table), names.table(sides.of.table)
    key = sides.of.key_pairs()
    met = [f"s.{quote(b)} = t.{quote(a)}" for a, b in key]
    # Whose a row is may be NULL on both sides.
    met += [f"s.{quote(b)} IS NOT DISTINCT FROM t.{quote(a)}" for a, b in sides.own() if (a, b) not in key]
    count = "count(*)"
    if walk.tenant is not None and sides.of.table.via is None:
        count += f" || ', of tenants: ' || count(DISTINCT {walk.tenant})"
    told = literal(f"rows of {target} that have not come home to {source}: ")
    way_out = literal(
        f" (a row of nobody needs a tenant first, and a row of {source} with the key of another's makes room for it; then take "
        "the same way back again)"
    )
    unmet = f"""SELECT {told} || {count} || {way_out}
  FROM {target} AS t
 WHERE NOT EXISTS (SELECT FROM {source} AS s WHERE {" AND ".join(met)})
HAVING count(*) > 0"""
    return Gate(f"home_{sides.move.table.entity}", f"each row of {target} is in {source} too", unmet)


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
