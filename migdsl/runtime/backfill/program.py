"""Turns a job's statements into calls with text keys, each in the transaction that it is given."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.runtime.backfill.transform import Filler
from migdsl.runtime.database import Row, Transaction
from migdsl.runtime.errors import DatabaseFailedError
from migdsl.runtime.jobs import BackfillJob, parameter_names
from migdsl.runtime.ledger import Key
from migdsl.runtime.sql import Statement, statement


@dataclass(frozen=True, slots=True)
class Program:
    """A job's statements in `$n` form, run with text keys."""

    key: tuple[str, ...]
    upper: Statement
    next_bound: Statement
    batch: Statement
    count: Statement
    remaining: Statement
    hold: Statement | None = None
    filler: Filler | None = None

    @classmethod
    def of(cls, job: BackfillJob) -> Program:
        names = ("upper", "next_bound", "batch", "count", "remaining")
        hold = statement(job.hold) if job.hold is not None else None
        filler = Filler(job.transform, statement(job.batch)) if job.transform is not None else None
        return cls(job.key, **{name: statement(getattr(job, name)) for name in names}, hold=hold, filler=filler)

    def prepare(self) -> None:
        """Imports the job's Python function, if it has one. Raises UsageError where that can't be done."""
        if self.filler is not None:
            self.filler.prepare()

    def last_key(self, tx: Transaction, tenant: str) -> Key | None:
        """The tenant's greatest key just now; None without rows."""
        return _first_key(tx.rows(self.upper, {"tenant_id": tenant}))

    def rows_in(self, tx: Transaction, tenant: str, after: Key | None, upto: Key) -> int:
        """How many rows lie in `(after, upto]`."""
        return int(tx.rows(self.count, self._span(tenant, after, upto))[0][0] or 0)

    def rows_left(self, tx: Transaction, tenant: str) -> int:
        """How many of the tenant's rows aren't filled."""
        return int(tx.rows(self.remaining, {"tenant_id": tenant})[0][0] or 0)

    def bound(self, tx: Transaction, tenant: str, after: Key | None, upto: Key, size: int) -> Key | None:
        """The key `size` rows after `after`; None when fewer than that are left up to `upto`."""
        return _first_key(tx.rows(self.next_bound, {**self._span(tenant, after, upto), "skip": str(size - 1)}))

    def fill(self, tx: Transaction, tenant: str, after: Key | None, upto: Key) -> int:
        """Runs the batch; how many rows it wrote. Raises RowsRefusedError where a Python function refuses rows."""
        span = self._span(tenant, after, upto)
        return tx.run(self.batch, span) if self.filler is None else self.filler.fill(tx, span)

    def reason_to_wait(self, tx: Transaction) -> str | None:
        """Why the job must wait, if it must."""
        rows = tx.rows(self.hold) if self.hold is not None else []
        return rows[0][0] if rows else None

    def _span(self, tenant: str, after: Key | None, upto: Key) -> dict[str, str | None]:
        lower: tuple[str | None, ...] = (None,) * len(self.key) if after is None else after
        return {
            "tenant_id": tenant,
            **dict(zip(parameter_names("after", self.key), lower, strict=True)),
            **dict(zip(parameter_names("upto", self.key), upto, strict=True)),
        }


def _first_key(rows: list[Row]) -> Key | None:
    if not rows:
        return None
    key = tuple(value for value in rows[0] if value is not None)
    if len(key) != len(rows[0]):
        raise DatabaseFailedError(
            "a column of the key is NULL in some row: such a row has no place in the order of batches"
        )
    return key
