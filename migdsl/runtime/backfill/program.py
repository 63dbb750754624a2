"""Turns a job's statements into calls with text keys, each in the transaction that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migdsl.runtime.backfill.transform import Filler
from migdsl.runtime.database import Asked, Row, Transaction
from migdsl.runtime.errors import DatabaseFailedError
from migdsl.runtime.jobs import BackfillJob, parameter_names
from migdsl.runtime.ledger import Key, Position
from migdsl.runtime.sql import Statement, statement


@dataclass(frozen=True, slots=True)
class Program:
    """A job's statements in `$n` form, run with text keys.

    `steady`: a trigger fills what is born while the job runs, so that a batch has nothing to do with those rows.
    """

    key: tuple[str, ...]
    upper: Statement
    next_bound: Statement
    batch: Statement
    count: Statement
    remaining: Statement
    hold: Statement | None = None
    filler: Filler | None = None
    steady: bool = False

    @classmethod
    def of(cls, job: BackfillJob) -> Program:
        names = ("upper", "next_bound", "batch", "count", "remaining")
        hold = statement(job.hold) if job.hold is not None else None
        filler = Filler(job.transform, statement(job.batch)) if job.transform is not None else None
        steady = job.trigger and not job.enqueues and filler is None
        statements = {name: statement(getattr(job, name)) for name in names}
        return cls(job.key, **statements, hold=hold, filler=filler, steady=steady)

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

    def knows(self, position: Position, size: int) -> bool:
        """Whether all that is left is one batch, by what was counted when it was planned."""
        return self.steady and position.fresh and position.few(size)

    def reach(self, tenant: str, position: Position, size: int) -> Asked:
        """What is asked first of a batch of `size` rows: how many there are, where that may be fewer, else where it ends."""
        assert position.upper is not None
        span = self._span(tenant, position.watermark, position.upper)
        return (self.count, span) if position.few(size) else (self.next_bound, {**span, "skip": str(size - 1)})

    def reached(
        self, tx: Transaction, tenant: str, position: Position, size: int, answer: list[Row]
    ) -> tuple[Key | None, int]:
        """The key `size` rows behind the watermark, or None where there are fewer; and how many rows the batch has.

        `answer` is that to `reach`.
        """
        after, upper = position.watermark, position.upper
        assert upper is not None
        if position.few(size):
            # Most tenants are one batch: to count its rows is all that has to be read before it.
            if (left := int(answer[0][0] or 0)) < size:
                return None, left
            bound = self.bound(tx, tenant, after, upper, size)
        else:
            bound = _first_key(answer)
        return bound, self.rows_in(tx, tenant, after, upper) if bound is None else size

    def sizes(self, tx: Transaction, tenants: Sequence[str]) -> dict[str, tuple[Key | None, int]]:
        """Each tenant's greatest key just now (None without rows), and how many rows there are up to it."""
        answers = tx.together(*((self.upper, {"tenant_id": tenant}) for tenant in tenants))
        last = {tenant: _first_key(rows) for tenant, rows in zip(tenants, answers, strict=True)}
        spans = {tenant: self._span(tenant, None, key) for tenant, key in last.items() if key is not None}
        counts = tx.together(*((self.count, span) for span in spans.values())) if spans else []
        rows = {tenant: int(found[0][0] or 0) for tenant, found in zip(spans, counts, strict=True)}
        return {tenant: (key, rows.get(tenant, 0)) for tenant, key in last.items()}

    def rows_left(self, tx: Transaction, tenants: Sequence[str]) -> dict[str, int]:
        """How many of each tenant's rows aren't filled."""
        answers = tx.together(*((self.remaining, {"tenant_id": tenant}) for tenant in tenants))
        return {tenant: int(rows[0][0] or 0) for tenant, rows in zip(tenants, answers, strict=True)}

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
