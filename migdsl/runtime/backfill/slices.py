"""Turns tenants' rows into the slices that a ledger plans: key ranges of at most so many rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from types import MappingProxyType
from typing import Final, TypeVar

import psycopg

from migdsl.runtime.backfill.program import Program
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.ledger import Key, Part
from migdsl.runtime.sql import Statement

T = TypeVar("T")

# How long a transaction for several tenants should take, and how many tenants it has at most; how many rows, where they are
# known: the first big tenants behind many small ones would make one snapshot of all of them.
_AIM_S: Final = 0.5
_MOST: Final = 128
_ROWS: Final = 100_000
_UNKNOWN: Final[Mapping[str, int]] = MappingProxyType({})
# A tenant whose rows are counted for longer is looked at by itself, slice by slice.
_HURRY: Final = Statement("SET LOCAL statement_timeout = 1000", ())


def in_handfuls(
    tenants: Sequence[str], work: Callable[[Sequence[str]], T], rows: Mapping[str, int] = _UNKNOWN
) -> Iterator[T]:
    """What `work` gives of a few tenants at a time: of as many as take about half a second, so that a snapshot is short.

    `rows`: how many each has, as far as that is known.
    """
    at, size = 0, 4
    while at < len(tenants):
        began, these = time.monotonic(), _handful(tenants[at : at + size], rows)
        yield work(these)
        at += len(these)
        size = min(_MOST, size * 2) if time.monotonic() - began < _AIM_S else max(1, size // 2)


def _handful(tenants: Sequence[str], rows: Mapping[str, int]) -> Sequence[str]:
    """The first of them: at least one, and no more than have so many rows together."""
    upto = accumulate(rows.get(tenant, 0) for tenant in tenants)
    return tenants[: max(1, sum(total <= _ROWS for total in upto))]


@dataclass(slots=True)
class Cutter:
    """Cuts tenants into slices of `rows` rows.

    Small tenants are counted several at a time. One that is bigger is cut, one statement a slice: each begins where the one
    before ended, in the index of the key, so that together they read each entry once, and none of them reads more than a
    slice. The last key is fixed first: rows that are born later are the trigger's.
    """

    program: Program
    rows: int
    _slow: bool = field(default=False)

    def cut(self, database: Database, tenants: Sequence[str]) -> dict[str, tuple[Part, ...]]:
        """Each tenant's slices in the key's order; one without keys where the tenant has no rows."""
        counted = {} if self._slow else self._counted(database, tenants)
        return {tenant: counted.get(tenant) or self._cut(database, tenant) for tenant in tenants}

    def _counted(self, database: Database, tenants: Sequence[str]) -> dict[str, tuple[Part, ...]]:
        """The tenants that are one slice; none where that can't be told at once."""
        try:
            with database.transaction(snapshot=True, brief=True) as tx:
                tx.later(_HURRY)
                counted = self.program.sizes(tx, tenants)
        except psycopg.Error:
            # Each by itself is tried as often as it may.
            self._slow = True
            return {}
        return {tenant: (Part(None, last, rows),) for tenant, (last, rows) in counted.items() if rows <= self.rows}

    def _cut(self, database: Database, tenant: str) -> tuple[Part, ...]:
        upper = database.perform(lambda tx: self.program.last_key(tx, tenant), patient=True, snapshot=True)
        if upper is None:
            return (Part(None, None, 0),)
        parts: list[Part] = []
        lower: Key | None = None
        while lower != upper:
            part = database.perform(partial(self._next, tenant, lower, upper), patient=True, snapshot=True)
            if part.rows == 0 and parts:
                # Rows at the end were deleted meanwhile: the slice before takes what may come there.
                parts[-1] = Part(parts[-1].lower, upper, parts[-1].rows)
            else:
                parts.append(part)
            lower = part.upper
        return tuple(parts)

    def _next(self, tenant: str, lower: Key | None, upper: Key, tx: Transaction) -> Part:
        bound = self.program.bound(tx, tenant, lower, upper, self.rows)
        if bound is not None:
            return Part(lower, bound, self.rows)
        return Part(lower, upper, self.program.rows_in(tx, tenant, lower, upper))
