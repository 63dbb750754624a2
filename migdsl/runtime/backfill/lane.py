"""Turns a tenant's pending slices into batches, each of which moves its watermark in its own transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial

import psycopg

from migdsl.runtime.backfill.holds import HOLD_S, Health
from migdsl.runtime.backfill.pace import BatchSize, Search, pause_after
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.backfill.quarantine import BudgetSpentError, Entry, Fault, Quarantine, fault_of
from migdsl.runtime.database import Database, Row, Transaction
from migdsl.runtime.errors import FenceLostError, Remedy, RowsRefusedError, StoppedError, error_class, remedy
from migdsl.runtime.jobs import BackfillJob, Pace
from migdsl.runtime.ledger import SPENT, Claim, Key, Lane, Ledger, Position


class LaneEnd(Enum):
    """Why a lane was left: nothing is pending, another worker holds it, a slice failed, it is paused, a stop was asked
    for, or the time is up and there is more to do. NEXT isn't the end: a slice is done, and others may be pending."""

    DONE = "done"
    NEXT = "next"
    HELD = "held"
    FAILED = "failed"
    PAUSED = "paused"
    STOPPED = "stopped"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch did: rows in its range, rows it wrote, whether it was the slice's last, why a row was set aside,
    whether the whole lane is known to be done, and how far its slice is now, where that is known."""

    scanned: int
    changed: int
    last: bool
    aside: Fault | None = None
    lane_done: bool = False
    position: Position | None = None

    @property
    def end(self) -> LaneEnd | None:
        """What it ended; None where the slice goes on."""
        if not self.last:
            return None
        return LaneEnd.DONE if self.lane_done else LaneEnd.NEXT


@dataclass(frozen=True, slots=True)
class Ahead:
    """A batch of at most `size` rows from a position on; `answer` is that to `Program.reach`, where it was asked already."""

    position: Position
    size: int
    answer: list[Row] | None = None


def run_batch(
    tx: Transaction,
    ledger: Ledger,
    program: Program,
    claim: Claim,
    size: int,
    lease_s: int,
    alone: Callable[[Transaction, Entry, Fault], None] | None = None,
) -> Batch:
    """One batch of at most `size` rows, and its watermark, in the caller's transaction.

    With `alone`, a batch of one row that can't be filled is handed to it, and the watermark moves past the row. Raises
    FenceLostError, before it touches a row, when the slice is no longer ours.
    """
    seen = claim.position
    sure = seen is None or seen.done or program.knows(seen, size)
    also = () if seen is None or sure else (program.reach(claim.tenant, seen, size),)
    position, answers = ledger.hold(tx, claim, *also)
    if position is None:
        raise FenceLostError
    answer = answers[0] if answers and position == seen else None
    return _batch(tx, ledger, program, claim, Ahead(position, size, answer), lease_s, alone)


def first_batch(tx: Transaction, ledger: Ledger, program: Program, claim: Claim, size: int, lease_s: int) -> Batch:
    """As `run_batch`, in the transaction that has claimed the slice: nobody else can have touched it."""
    assert claim.position is not None
    return _batch(tx, ledger, program, claim, Ahead(claim.position, size), lease_s)


def _batch(
    tx: Transaction,
    ledger: Ledger,
    program: Program,
    claim: Claim,
    ahead: Ahead,
    lease_s: int,
    alone: Callable[[Transaction, Entry, Fault], None] | None = None,
) -> Batch:
    empty = ahead.position.done
    batch = Batch(0, 0, True) if empty else _fill_next(tx, ledger, program, claim, ahead, lease_s, alone)
    if not batch.last:
        return batch
    ledger.succeed(tx, claim)
    return replace(batch, lane_done=ahead.position.only)


def _fill_next(
    tx: Transaction,
    ledger: Ledger,
    program: Program,
    claim: Claim,
    ahead: Ahead,
    lease_s: int,
    alone: Callable[[Transaction, Entry, Fault], None] | None,
) -> Batch:
    position = ahead.position
    after, upper, fault, changed = position.watermark, position.upper, None, 0
    assert upper is not None
    # One row alone is known by its key.
    known = alone is None and program.knows(position, ahead.size)
    bound, scanned = (None, position.left) if known else _reached(tx, program, claim.tenant, ahead)
    upto = upper if bound is None else bound
    if alone is None or bound is None:
        changed = program.fill(tx, claim.tenant, after, upto)
    else:
        try:
            with tx.savepoint():
                changed = program.fill(tx, claim.tenant, after, upto)
        except (psycopg.Error, RowsRefusedError) as error:
            if not _of_the_data(error):
                raise
            fault = fault_of(error)
            alone(tx, Entry(upto, after), fault)
    if known and changed != scanned:
        # Some were filled or deleted since they were planned, or others were born.
        scanned = program.rows_in(tx, claim.tenant, after, upto)
    ledger.advance(tx, claim, upto, scanned, changed, lease_s)
    now = replace(position, watermark=upto, left=position.left - scanned)
    return Batch(scanned, changed, upto == upper, fault, position=now)


def _reached(tx: Transaction, program: Program, tenant: str, ahead: Ahead) -> tuple[Key | None, int]:
    answer = ahead.answer
    if answer is None:
        answer = tx.rows(*program.reach(tenant, ahead.position, ahead.size))
    return program.reached(tx, tenant, ahead.position, ahead.size, answer)


def _of_the_data(error: psycopg.Error | RowsRefusedError) -> bool:
    return isinstance(error, RowsRefusedError) or remedy(error) is Remedy.HALVE


@dataclass(slots=True)
class Worker:
    """One connection that works lanes off.

    `on_batch` hears of each committed batch (tenant, batch, seconds, size in rows), `on_failure` of each failed slice
    and `on_aside` of each row set aside (tenant, class of the error), `on_hold` of each second of waiting. `on_lane` is
    entered for as long as a tenant's slice is this worker's. Other tenants than those of `canary` aren't touched until
    these are done.
    """

    database: Database
    ledger: Ledger
    job: BackfillJob
    pace: Pace
    name: str
    on_batch: Callable[[str, Batch, float, int], None]
    on_failure: Callable[[str, str], None]
    on_hold: Callable[[str], None] = lambda _reason: None
    on_aside: Callable[[str, str], None] = lambda _tenant, _reason: None
    canary: tuple[str, ...] = ()
    health: Health | None = None
    on_lane: Callable[[str], AbstractContextManager[object]] = nullcontext
    program: Program = field(init=False)
    size: BatchSize = field(init=False)
    quarantine: Quarantine = field(init=False)

    def __post_init__(self) -> None:
        self.program = Program.of(self.job)
        self.size = BatchSize(self.pace.first)
        self.quarantine = Quarantine(self.job.migration, self.job.backfill)
        self.health = self.health or Health(self.program)

    def run_lane(self, tenant: str, budget_s: float | None = None) -> LaneEnd:
        """Works a tenant's slices off one after another, unless somebody else holds the tenant.

        After `budget_s` seconds it gives the tenant back as soon as the batch at hand is done. Raises psycopg.Error when
        nothing helps.
        """
        until = None if budget_s is None else time.monotonic() + budget_s
        if tenant not in self.canary and self._canaries_are_open():
            return LaneEnd.HELD
        while not self.database.stop.requested:
            with self.on_lane(tenant):
                end = self._next_slice(tenant, until)
            if end is not LaneEnd.NEXT:
                return end
        return LaneEnd.STOPPED

    def _next_slice(self, tenant: str, until: float | None) -> LaneEnd:
        claim, batch = self._begin(tenant)
        if claim is None:
            return self._why_unclaimed(tenant)
        if batch is not None and batch.end is not None:
            return batch.end
        return self._run_slice(claim, until, begun=batch is not None)

    def _canaries_are_open(self) -> bool:
        if not self.canary:
            return False
        return bool(self.database.perform(lambda tx: self.ledger.lanes(tx, self.canary)))

    def _begin(self, tenant: str) -> tuple[Claim | None, Batch | None]:
        """The tenant's next slice with its first batch, in one transaction: most tenants are no more than that.

        The slice alone where something is in the way: it is then seen to be ours while that is waited for or looked into.
        """
        assert self.health is not None
        batch = None
        try:
            if self.health.reason(self.database) is not None:
                return self._claim(tenant), None
            started, size = time.monotonic(), self.size.rows
            with self.database.transaction(unhurried=True, brief=True) as tx:
                claim = self._claim_in(tx, tenant)
                if claim is not None and not claim.aside:
                    batch = first_batch(tx, self.ledger, self.program, claim, size, self.job.limits.lease_s)
        except (psycopg.Error, RowsRefusedError) as error:
            self._shrink_after(error)
            return self._claim(tenant), None
        if claim is None or batch is None:
            return claim, None
        self._note(claim, batch, time.monotonic() - started, size, searching=False)
        return replace(claim, position=batch.position), batch

    def _claim(self, tenant: str) -> Claim | None:
        """The tenant's next slice."""

        def work() -> Claim | None:
            with self.database.transaction(unhurried=True, brief=True) as tx:
                return self._claim_in(tx, tenant)

        return self.database.retrying(work)

    def _claim_in(self, tx: Transaction, tenant: str) -> Claim | None:
        return self.ledger.claim(tx, tenant, self.name, self.database.announced_pid, self.job.limits.lease_s)

    def _why_unclaimed(self, tenant: str) -> LaneEnd:
        def work(tx: Transaction) -> tuple[bool, tuple[Lane, ...]]:
            return self.ledger.is_spent(tx), self.ledger.lanes(tx, (tenant,))

        spent, lanes = self.database.perform(work)
        if spent:
            return LaneEnd.FAILED
        if not lanes:
            return LaneEnd.DONE
        (lane,) = lanes
        if lane.open:
            return LaneEnd.HELD
        return LaneEnd.PAUSED if lane.paused else LaneEnd.FAILED

    def _run_slice(self, claim: Claim, until: float | None, *, begun: bool) -> LaneEnd:
        """Works a slice off; `begun`: the first of this turn's batches is done."""
        try:
            if claim.aside:
                self._mend(claim)
            end = self._run_batches(claim, until, begun=begun)
        except FenceLostError:
            end = self._why_unclaimed(claim.tenant)
            # The lane is open or done, and whoever took it over sees to it.
            return LaneEnd.HELD if end is LaneEnd.DONE else end
        except StoppedError:
            end = LaneEnd.STOPPED
        except BudgetSpentError as error:
            self._settle(partial(self.ledger.spend, why=error.reason))
            self.on_failure(claim.tenant, SPENT)
            return LaneEnd.FAILED
        except RowsRefusedError as error:
            return self._fail(claim, error.error_class)
        except psycopg.Error as error:
            if remedy(error) is Remedy.STOP:
                self._settle(lambda tx: self.ledger.release(tx, claim))
            if remedy(error) in (Remedy.STOP, Remedy.RECONNECT):
                raise
            return self._fail(claim, error_class(error))
        if end not in (LaneEnd.DONE, LaneEnd.NEXT):
            self._settle(lambda tx: self.ledger.release(tx, claim))
        return end

    def _run_batches(self, claim: Claim, until: float | None, *, begun: bool) -> LaneEnd:
        search = Search()
        if self.database.perform(self.ledger.is_spent):  # by somebody who couldn't see this claim yet
            raise BudgetSpentError("of another slice")
        while not self.database.stop.requested:
            if begun and until is not None and time.monotonic() >= until:
                return LaneEnd.MORE
            if not self._wait(claim, until):
                return LaneEnd.MORE
            batch, begun = self._run_batch(claim, search), True
            if batch.end is not None:
                return batch.end
            claim = replace(claim, position=batch.position)
        return LaneEnd.STOPPED

    def _run_batch(self, claim: Claim, search: Search) -> Batch:
        """One batch, tried until it commits, then the pause that it costs."""
        attempt = 0
        while True:
            started, size = time.monotonic(), search.size(self.size.rows)
            try:
                batch = self._try_batch(claim, size, alone=search.alone)
                break
            except (psycopg.Error, RowsRefusedError) as error:
                if isinstance(error, RowsRefusedError) or remedy(error) is Remedy.HALVE:
                    if search.alone:
                        raise  # not of this row: it would have been set aside
                    search.failed(size)
                    continue
                attempt += 1
                self._shrink_after(error)
                if attempt > self.job.retry.attempts or not self.database.recover(error, attempt):
                    raise
        self._note(claim, batch, time.monotonic() - started, size, searching=search.suspects > 0)
        search.passed(batch.scanned, batch.aside is not None)
        return batch

    def _shrink_after(self, error: psycopg.Error | RowsRefusedError) -> None:
        if isinstance(error, psycopg.Error) and remedy(error) is Remedy.SHRINK:
            self.size = self.size.cut(self.pace)

    def _try_batch(self, claim: Claim, size: int, *, alone: bool) -> Batch:
        aside = partial(self._set_aside, claim.tenant) if alone else None
        # Rows and watermark are kept or lost together, and so is the claim: its fence is never given again.
        with self.database.transaction(unhurried=True, brief=True) as tx:
            return run_batch(tx, self.ledger, self.program, claim, size, self.job.limits.lease_s, aside)

    def _set_aside(self, tenant: str, tx: Transaction, entry: Entry, fault: Fault) -> None:
        self.quarantine.admit(tx, tenant, entry, fault, self.job.budget)

    def _note(self, claim: Claim, batch: Batch, seconds: float, size: int, *, searching: bool) -> None:
        if batch.aside is not None:
            self.on_aside(claim.tenant, batch.aside.error_class)
        self.on_batch(claim.tenant, batch, seconds, size)
        if not searching:
            self.size = self.size.after(self.pace, batch.scanned, seconds)
        self.database.stop.sleep(pause_after(self.pace, seconds, batch.scanned))

    def _mend(self, claim: Claim) -> None:
        """Tries rows that were set aside once more, each in its own transaction; those filled are let go."""
        for entry in self.database.perform(partial(self.quarantine.entries, tenant=claim.tenant)):
            if self.database.stop.requested:
                return
            self.database.perform(partial(self._mend_one, claim, entry))

    def _mend_one(self, claim: Claim, entry: Entry, tx: Transaction) -> None:
        if self.ledger.hold(tx, claim)[0] is None:
            raise FenceLostError
        try:
            with tx.savepoint():
                changed = self.program.fill(tx, claim.tenant, entry.after, entry.key)
        except (psycopg.Error, RowsRefusedError) as error:
            if not _of_the_data(error):
                raise
            return
        self.quarantine.discharge(tx, claim.tenant, entry.key)
        self.ledger.mended(tx, claim, changed, self.job.limits.lease_s)

    def _wait(self, claim: Claim, until: float | None) -> bool:
        """Returns once there is no reason to wait or a stop was asked for; False when the lane's time is up before.

        The lease is kept meanwhile, so that nobody else begins what has to wait.
        """
        assert self.health is not None
        while not self.database.stop.requested and (reason := self.health.reason(self.database)) is not None:
            if until is not None and time.monotonic() >= until:
                return False
            self.on_hold(reason)
            keep = partial(self.ledger.keep, claim=claim, why=reason, lease_s=self.job.limits.lease_s)
            if not self.database.perform(keep):
                raise FenceLostError
            self.database.stop.sleep(HOLD_S)
        return True

    def _fail(self, claim: Claim, reason: str) -> LaneEnd:
        self._settle(lambda tx: self.ledger.fail(tx, claim, reason))
        self.on_failure(claim.tenant, reason)
        return LaneEnd.FAILED

    def _settle(self, write: Callable[[Transaction], None]) -> None:
        with suppress(StoppedError):  # the lease ends by itself
            self.database.perform(write)
