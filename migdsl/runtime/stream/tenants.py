"""Turns the list of tenants and what both sides know of them into those that can be switched."""

from __future__ import annotations

from typing import Final

from migdsl.runtime.backfill.transform import array
from migdsl.runtime.errors import UsageError
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.sides import Sides, together

_ENQUEUED: Final = statement("""
SELECT DISTINCT tenant FROM migdsl.slice WHERE migration = :migration AND backfill = ANY(:backfills::text[])""")


def switchable(pair: Pair) -> tuple[str, ...]:
    """Every tenant that is listed, and who isn't any more but was on its way: its rows of before have been enqueued, or it
    is between the sides or on the new one.

    Who isn't listed and was never begun with is gone, or is nobody's: contract asks whether it has left rows. Raises as
    tenants_of, and psycopg.Error.
    """
    listed, look = pair.tenants(), Sides(pair.stream).standing
    old, new = pair.old.perform(look), pair.new.perform(look)
    unlisted = sorted({*old.rows, *new.rows}.difference(listed))
    begun = _enqueued(pair) if unlisted else None
    standing = {tenant: together(old.of(tenant), new.of(tenant)) for tenant in unlisted}
    return (*listed, *(t for t in unlisted if begun is None or t in begun or standing[t] != "old"))


def chosen(pair: Pair, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """Those asked for, None: all. Raises as `switchable`, and UsageError for one that nobody knows."""
    found = switchable(pair)
    if asked is None:
        return found
    unknown = [tenant for tenant in asked if tenant not in found]
    if unknown:
        raise UsageError(f"neither the list of tenants nor a side knows {', '.join(map(repr, unknown))}")
    return tuple(tenant for tenant in found if tenant in asked)


def _enqueued(pair: Pair) -> frozenset[str | None] | None:
    """Whom the backfills have planned; None where nothing was to be enqueued."""
    names = [move.backfill for move in pair.stream.moves if move.backfill is not None]
    if not names:
        return None
    own = {"migration": pair.stream.migration, "backfills": array(names)}
    return frozenset(row[0] for row in pair.old.perform(lambda tx: tx.rows(_ENQUEUED, own)))
