"""Turns one tenant's lane into a stretch of work and what the queue has to do next; the ledger decides, always."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

import psycopg

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill.crew import in_turn
from migdsl.runtime.backfill.holds import Health
from migdsl.runtime.backfill.lane import LaneEnd, Worker
from migdsl.runtime.backfill.run import Backfill
from migdsl.runtime.database import Database, Transaction, speak
from migdsl.runtime.engines.settings import Settings
from migdsl.runtime.errors import JobError, Remedy, StoppedError, remedy, safe_text
from migdsl.runtime.jobs import BackfillJob
from migdsl.runtime.ledger import Lane, Ledger, Totals
from migdsl.runtime.telemetry.options import application_name

T = TypeVar("T")

_SLICE_S: Final = 0.05


class Next(Enum):
    """What becomes of a lane's message: it ends, or comes again at once, a little later, or when a pause may be over."""

    END = "end"
    AGAIN = "again"
    LATER = "later"
    PARKED = "parked"


_AFTER: Final = {
    LaneEnd.DONE: Next.END,
    LaneEnd.FAILED: Next.END,  # the next submit makes failed slices pending
    LaneEnd.MORE: Next.AGAIN,
    LaneEnd.STOPPED: Next.AGAIN,
    LaneEnd.HELD: Next.LATER,
    LaneEnd.PAUSED: Next.PARKED,
}


@dataclass(slots=True)
class Cord:
    """Asks for a stop when it is pulled, or when `also` says so."""

    also: Callable[[], bool] = lambda: False
    pulled: bool = False

    @property
    def requested(self) -> bool:
        return self.pulled or self.also()

    def sleep(self, seconds: float) -> None:
        """Sleeps, and returns within a twentieth of a second of a request."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))


@dataclass(slots=True)
class Bench:
    """One process's side of a backfill that an engine schedules: workers for its lanes, and what the ledger says.

    `stop` says whether the process is to end. Thread-safe: each lane and each question has a connection of its own, kept
    for the next one.
    """

    backfill: Backfill
    settings: Settings
    stop: Callable[[], bool] = lambda: False
    health: Health = field(init=False)
    _free: list[tuple[Worker, Cord]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self.health = Health(self.backfill.program)

    @property
    def job(self) -> BackfillJob:
        return self.backfill.job

    @property
    def workers(self) -> int:
        """How many lanes a worker process works side by side."""
        return self.backfill.options.workers or self.job.workers

    def work(self, tenant: str, stop: Callable[[], bool] = lambda: False) -> Next:
        """Works a lane for the settings' `lane` seconds at most. Raises JobError for what no other try would mend."""
        try:
            with self._seat(lambda: self.stop() or stop()) as worker:
                return _AFTER[worker.run_lane(tenant, self.settings.lane)]
        except StoppedError:
            return Next.AGAIN
        except psycopg.Error as error:
            if remedy(error) is Remedy.RECONNECT:
                return Next.LATER
            failure: JobError = speak(error)
        except JobError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - an engine would log it with all its values
            failure = JobError(f"a lane ended with {type(error).__name__}", 1)
        raise failure

    def perform(self, question: Callable[[Transaction, Ledger], T]) -> T:
        """The answer of `question` in one transaction, tried again after transient errors. Raises psycopg.Error."""
        with self._seat(self.stop) as worker:
            return worker.database.perform(lambda tx: question(tx, worker.ledger))

    def due(self, tx: Transaction, ledger: Ledger) -> tuple[str, ...]:
        """Tenants whose lanes belong in the queue now, in order; those of the canary alone until they are through."""
        return tuple(lane.tenant for lane in self.open_lanes(tx, ledger))

    def open_lanes(self, tx: Transaction, ledger: Ledger) -> tuple[Lane, ...]:
        """The lanes of the tenants that are due."""
        return in_turn(self._lanes(tx, ledger), self._canary())

    def released(self, tx: Transaction, ledger: Ledger, tenant: str) -> tuple[str, ...]:
        """Tenants that waited for this one: all the others, once the last lane of the canary is through."""
        if tenant not in self._canary():
            return ()
        return tuple(other for other in self.due(tx, ledger) if other not in self.job.canary)

    def finished(self, tx: Transaction, ledger: Ledger) -> bool:
        """Whether lanes were planned, and none will have anything to do any more; a pause is waited for."""
        if not ledger.planned(tx):
            return False
        lanes = self._lanes(tx, ledger)
        return not in_turn(lanes, self._canary()) and not any(lane.paused for lane in lanes)

    def totals(self, tx: Transaction, ledger: Ledger) -> Totals:
        """How far the ledger is."""
        return ledger.totals(tx, self.backfill.options.tenants)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        with self._lock:
            free, self._free = self._free, []
        for worker, _ in free:
            worker.database.close()

    def _lanes(self, tx: Transaction, ledger: Ledger) -> tuple[Lane, ...]:
        return () if ledger.is_spent(tx) else ledger.lanes(tx, self.backfill.options.tenants)

    def _canary(self) -> tuple[str, ...]:
        # Who names tenants means these.
        return self.job.canary if self.backfill.options.tenants is None else ()

    @contextmanager
    def _seat(self, stop: Callable[[], bool]) -> Iterator[Worker]:
        """A worker with a connection of its own, which stops when `stop` says so; kept for the next unless it fails."""
        if self._process != os.getpid():
            # Forked: the connections are the parent's, and so may the lock be.
            self._process, self._free, self._lock = os.getpid(), [], threading.Lock()
        with self._lock:
            worker, cord = self._free.pop() if self._free else self._furnish()
        cord.also = stop
        try:
            yield worker
        except BaseException:
            worker.database.close()
            raise
        with self._lock:
            self._free.append((worker, cord))

    def _furnish(self) -> tuple[Worker, Cord]:
        job, options, observer, cord = self.job, self.backfill.options, self.backfill.observer, Cord()
        database = Database(
            conninfo_of(options.url, application_name(job.migration, job.backfill, options.telemetry.run)),
            job.limits,
            job.retry,
            cord,
            lambda error, seconds: observer.retry(safe_text(error), seconds),
        )
        return self.backfill.worker(database, health=self.health), cord
