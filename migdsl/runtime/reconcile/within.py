"""Compares columns of one table: a statement sees both sides of a row at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.jobs import ReconcileJob
from migdsl.runtime.ledger import Key
from migdsl.runtime.reconcile.look import Finding, Found, Range, Segment, Suspect, key_of
from migdsl.runtime.reconcile.truth import Side
from migdsl.runtime.sql import Statement, statement

# What a look may fetch of the rows that differ: more than there are in any range.
_MOST: Final = "1000000"


@dataclass(frozen=True, slots=True)
class Within:
    """Looks at one table while `truth` is the side that is right."""

    database: Database
    key: tuple[str, ...]
    truth: Side
    next_bound: Statement
    compare: Statement
    differing: Statement

    @classmethod
    def of(cls, job: ReconcileJob, database: Database, truth: Side) -> Within:
        """Raises ValueError for a job between two tables."""
        if job.next_bound is None or job.compare_old is None or job.compare_new is None:
            raise ValueError("this job doesn't compare columns of one table")
        compare, differing = (
            (job.compare_old, job.differing_old) if truth == "old" else (job.compare_new, job.differing_new)
        )
        return cls(
            database, job.key, truth, statement(job.next_bound), statement(compare), statement(differing or "SELECT")
        )

    def look(self, tenant: str, after: Key | None, size: int) -> Segment:
        """The next `size` rows behind `after`, in one snapshot."""
        return self.database.perform(lambda tx: self._look(tx, tenant, after, size), patient=True, snapshot=True)

    def again(self, tenant: str, range_: Range) -> Found:
        """The rows of a range that differ now."""
        return self.database.perform(lambda tx: self._found(tx, tenant, range_), patient=True, snapshot=True)

    def unequal(self, tenant: str, range_: Range) -> bool:
        """Whether the hashes of a range differ now, though no row does."""
        segment = self.database.perform(lambda tx: self._seen(tx, tenant, range_), patient=True, snapshot=True)
        return any(not suspect.found for suspect in segment.suspects)

    def _look(self, tx: Transaction, tenant: str, after: Key | None, size: int) -> Segment:
        values = {"tenant_id": tenant, "skip": str(size - 1), **Range(after).values(self.key)}
        rows = tx.rows(self.next_bound, values)
        return self._seen(tx, tenant, Range(after, key_of(rows[0]) if rows else None))

    def _seen(self, tx: Transaction, tenant: str, range_: Range) -> Segment:
        row = tx.records(self.compare, {"tenant_id": tenant, **range_.values(self.key)})[0]
        numbers = {name: int(row.get(name) or 0) for name in ("rows", "hash_left", "hash_right", "lossy")}
        found = self._found(tx, tenant, range_) if int(row["mismatched"] or 0) else {}
        # From live on a lossy row may rightly differ from what the old gives, and so may the hashes.
        unexplained = self.truth == "old" and numbers["hash_left"] != numbers["hash_right"]
        suspects = (Suspect(range_, found),) if found or unexplained else ()
        return Segment(range_.upto, **numbers, suspects=suspects)

    def _found(self, tx: Transaction, tenant: str, range_: Range) -> Found:
        values = {"tenant_id": tenant, "limit": _MOST, **range_.values(self.key)}
        # A column of the key may be one of those that are compared, and there twice.
        names, rows = tx.named(self.differing, values)
        wide = len(self.key)
        found: dict[Key, Finding] = {}
        for row in rows:
            flags = zip(names[wide:], row[wide:], strict=True)
            # Only the fact that a column differs is taken over: a statement gone wrong can't carry a value into a report.
            found[key_of(row[:wide])] = Finding("mismatched", tuple(name for name, value in flags if value == "t"))
        return found
