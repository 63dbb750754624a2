"""Turns a tenant's rows into the slices that a ledger plans: key ranges of at most so many rows."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.runtime.backfill.program import Program
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.ledger import Key, Part


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts tenants into slices of `rows` rows, one statement a slice.

    Each statement begins where the one before ended, in the index of the key: together they read each entry once, as the
    count of the tenant's rows would, and none of them reads more than a slice. The last key is fixed first: rows that are
    born later are the trigger's.
    """

    program: Program
    rows: int

    def cut(self, database: Database, tenant: str) -> tuple[Part, ...]:
        """The tenant's slices in the key's order; one without keys where the tenant has no rows."""
        upper = database.perform(lambda tx: self.program.last_key(tx, tenant), patient=True, snapshot=True)
        if upper is None:
            return (Part(None, None, 0),)
        parts: list[Part] = []
        lower: Key | None = None
        while lower != upper:
            part = self._next(database, tenant, lower, upper)
            if part.rows == 0 and parts:
                # Rows at the end were deleted meanwhile: the slice before takes what may come there.
                parts[-1] = Part(parts[-1].lower, upper, parts[-1].rows)
            else:
                parts.append(part)
            lower = part.upper
        return tuple(parts)

    def _next(self, database: Database, tenant: str, lower: Key | None, upper: Key) -> Part:
        def work(tx: Transaction) -> Part:
            bound = self.program.bound(tx, tenant, lower, upper, self.rows)
            if bound is not None:
                return Part(lower, bound, self.rows)
            return Part(lower, upper, self.program.rows_in(tx, tenant, lower, upper))

        return database.perform(work, patient=True, snapshot=True)
