"""Turns a tenant's pending slices into batches, each of which moves its watermark in its own transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import psycopg

from migdsl.runtime.database import Database, Row, Transaction
from migdsl.runtime.errors import DatabaseFailedError, FenceLostError, Remedy, StoppedError, error_class, remedy
from migdsl.runtime.jobs import BackfillJob, Pace, parameter_names
from migdsl.runtime.ledger import Claim, Key, Ledger, Position
from migdsl.runtime.pace import BatchSize, pause_after
from migdsl.runtime.sql import Statement, statement

# How often to ask whether to wait, and for how long to wait then, in seconds.
_HOLD_S: Final = 1.0


class LaneEnd(Enum):
    """Why a lane was left: nothing is pending, another worker holds it, a slice failed, or a stop was asked for."""

    DONE = "done"
    HELD = "held"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch did: rows in its range, rows it wrote, and whether it was the slice's last."""

    scanned: int
    changed: int
    last: bool


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

    @classmethod
    def of(cls, job: BackfillJob) -> Program:
        names = ("upper", "next_bound", "batch", "count", "remaining")
        hold = statement(job.hold) if job.hold is not None else None
        return cls(job.key, **{name: statement(getattr(job, name)) for name in names}, hold=hold)

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
        """Runs the batch; how many rows it wrote."""
        return tx.run(self.batch, self._span(tenant, after, upto))

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


def run_batch(tx: Transaction, ledger: Ledger, program: Program, claim: Claim, size: int, lease_s: int) -> Batch:
    """One batch of at most `size` rows, and its watermark, in the caller's transaction.

    Raises FenceLostError, before it touches a row, when the slice is no longer ours.
    """
    position = ledger.hold(tx, claim)
    if position is None:
        raise FenceLostError
    upper = position.upper
    batch = (
        Batch(0, 0, True)
        if upper is None or position.watermark == upper
        else _fill_next(tx, ledger, program, claim, position, upper, size, lease_s)
    )
    if batch.last:
        ledger.succeed(tx, claim)
    return batch


def _fill_next(
    tx: Transaction,
    ledger: Ledger,
    program: Program,
    claim: Claim,
    position: Position,
    upper: Key,
    size: int,
    lease_s: int,
) -> Batch:
    after = position.watermark
    bound = program.bound(tx, claim.tenant, after, upper, size)
    upto = upper if bound is None else bound
    scanned = program.rows_in(tx, claim.tenant, after, upto) if bound is None else size
    changed = program.fill(tx, claim.tenant, after, upto)
    ledger.advance(tx, claim, upto, scanned, changed, lease_s)
    return Batch(scanned, changed, upto == upper)


@dataclass(slots=True)
class Worker:
    """One connection that works lanes off.

    `on_batch` hears of each committed batch (tenant, batch, seconds, size in rows), `on_failure` of each failed slice
    (tenant, class of the error).
    """

    database: Database
    ledger: Ledger
    job: BackfillJob
    pace: Pace
    name: str
    on_batch: Callable[[str, Batch, float, int], None]
    on_failure: Callable[[str, str], None]
    on_hold: Callable[[str], None] = lambda _reason: None
    program: Program = field(init=False)
    size: BatchSize = field(init=False)
    _asked: float = 0.0

    def __post_init__(self) -> None:
        self.program = Program.of(self.job)
        self.size = BatchSize(self.pace.first)

    def run_lane(self, tenant: str) -> LaneEnd:
        """Works a tenant's slices off one after another, unless somebody else holds the tenant.

        Raises psycopg.Error when nothing helps.
        """
        claimed = False
        while not self.database.stop.requested:
            self._wait()
            claim = self._claim(tenant)
            if claim is None:
                return LaneEnd.DONE if claimed else LaneEnd.HELD
            claimed = True
            end = self._run_slice(claim)
            if end is not LaneEnd.DONE:
                return end
        return LaneEnd.STOPPED

    def _claim(self, tenant: str) -> Claim | None:
        database = self.database

        def work() -> Claim | None:
            backend = database.backend_pid
            with database.transaction() as tx:
                return self.ledger.claim(tx, tenant, self.name, backend, self.job.limits.lease_s)

        return database.retrying(work)

    def _run_slice(self, claim: Claim) -> LaneEnd:
        try:
            while not self.database.stop.requested:
                if self._run_batch(claim):
                    return LaneEnd.DONE
                if self._held() is not None:
                    # Whoever waits holds no lease: the slice goes on from its watermark, here or with another worker.
                    self._settle(lambda tx: self.ledger.release(tx, claim))
                    return LaneEnd.DONE
        except FenceLostError:
            return LaneEnd.HELD
        except StoppedError:
            pass
        except psycopg.Error as error:
            if remedy(error) is Remedy.STOP:
                self._settle(lambda tx: self.ledger.release(tx, claim))
            if remedy(error) in (Remedy.STOP, Remedy.RECONNECT):
                raise
            return self._fail(claim, error)
        self._settle(lambda tx: self.ledger.release(tx, claim))
        return LaneEnd.STOPPED

    def _run_batch(self, claim: Claim) -> bool:
        """One batch, tried until it commits, then the pause that it costs. True when the slice is done."""
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                with self.database.transaction() as tx:
                    batch = run_batch(tx, self.ledger, self.program, claim, self.size.rows, self.job.limits.lease_s)
                break
            except psycopg.Error as error:
                attempt += 1
                if remedy(error) is Remedy.SHRINK:
                    self.size = self.size.cut(self.pace)
                if attempt > self.job.retry.attempts or not self.database.recover(error, attempt):
                    raise
        seconds = time.monotonic() - started
        self.on_batch(claim.tenant, batch, seconds, self.size.rows)
        self.size = self.size.after(self.pace, batch.scanned, seconds)
        self.database.stop.sleep(pause_after(self.pace, seconds, batch.scanned))
        return batch.last

    def _wait(self) -> None:
        """Returns once there is no reason to wait any more, or a stop was asked for."""
        while not self.database.stop.requested:
            reason = self._held(always=True)
            if reason is None:
                return
            self.on_hold(reason)
            self.database.stop.sleep(_HOLD_S)

    def _held(self, *, always: bool = False) -> str | None:
        """Why to wait; asked once in a while, since the question costs more than a small batch."""
        if self.program.hold is None or (not always and time.monotonic() - self._asked < _HOLD_S):
            return None
        self._asked = time.monotonic()
        return self.database.perform(self.program.reason_to_wait, snapshot=True)

    def _fail(self, claim: Claim, error: psycopg.Error) -> LaneEnd:
        reason = error_class(error)
        self._settle(lambda tx: self.ledger.fail(tx, claim, reason))
        self.on_failure(claim.tenant, reason)
        return LaneEnd.FAILED

    def _settle(self, write: Callable[[Transaction], None]) -> None:
        try:
            self.database.perform(write)
        except StoppedError:
            return  # the lease ends by itself


def _first_key(rows: list[Row]) -> Key | None:
    if not rows:
        return None
    key = tuple(value for value in rows[0] if value is not None)
    if len(key) != len(rows[0]):
        raise DatabaseFailedError(
            "a column of the key is NULL in some row: such a row has no place in the order of batches"
        )
    return key
