"""Turns open lanes into work for the threads of one process: a connection each, a tenant at a time, none left behind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.backfill.lane import LaneEnd, Worker
from migdsl.runtime.database import Database
from migdsl.runtime.errors import StoppedError
from migdsl.runtime.ledger import Lane, Ledger
from migdsl.runtime.stop import Halt

# How long to wait when every open lane is in somebody's hands.
_WAIT_S: Final = 0.5
# How long a lane is worked on while others wait: a tenant of a hundred million rows doesn't keep the small ones waiting.
TURN_S: Final = 30.0


def in_turn(lanes: Sequence[Lane], canary: Sequence[str]) -> tuple[Lane, ...]:
    """The lanes that may be worked on, in order: canaries in theirs, then the others, most rows left first.

    While a canary isn't done (or cancelled), there are no others: not when it failed, and not while it is paused.
    """
    first = [lane for tenant in canary for lane in lanes if lane.tenant == tenant]
    return tuple(lane for lane in first or lanes if lane.open)


@dataclass(slots=True)
class Lanes:
    """The lanes of one process, each with at most one of its threads at a time.

    A lane whose time is up comes again after all others that were open have had theirs.
    """

    ledger: Ledger
    tenants: tuple[str, ...] | None
    canary: tuple[str, ...]
    paused_before: frozenset[str]
    on_wait: Callable[[int, str], None]
    _queue: deque[str] = field(default_factory=deque)
    _mine: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _told: bool = False

    def take(self, database: Database) -> str | None:
        """A lane to work on; None when there is none just now."""
        with self._lock:
            if not self._queue:
                self._queue.extend(self._free(self._look(database)))
            tenant = self._queue.popleft() if self._queue else None
            if tenant is not None:
                self._mine.add(tenant)
                self._told = False
            return tenant

    def give_back(self, tenant: str) -> None:
        with self._lock:
            self._mine.discard(tenant)

    def all_done(self, database: Database) -> bool:
        """Whether there will be nothing to do any more; a lane that was paused meanwhile is waited for."""
        with self._lock:
            lanes = self._look(database)
            if self._mine or self._queue:
                return False
            ready = in_turn(lanes, self.canary)
            paused = [lane.tenant for lane in lanes if lane.paused and lane.tenant not in self.paused_before]
            if (ready or paused) and not self._told:
                self._told = True
                self.on_wait(len(ready) or len(paused), "held by others" if ready else "paused")
            return not ready and not paused

    def _look(self, database: Database) -> tuple[Lane, ...]:
        def spent_or_lanes() -> tuple[Lane, ...]:
            with database.transaction() as tx:
                return () if self.ledger.is_spent(tx) else self.ledger.lanes(tx, self.tenants)

        return database.retrying(spent_or_lanes)

    def _free(self, lanes: Sequence[Lane]) -> list[str]:
        return [lane.tenant for lane in in_turn(lanes, self.canary) if not lane.busy and lane.tenant not in self._mine]


@dataclass(slots=True)
class Crew:
    """The workers of one process. What ends one of them ends all, after the batch at hand.

    `on_enter` and `on_leave` hear of the tenant that the calling thread works on.
    """

    workers: Sequence[Worker]
    lanes: Lanes
    halt: Halt
    on_enter: Callable[[str], None] = lambda _tenant: None
    on_leave: Callable[[str], None] = lambda _tenant: None
    errors: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        """Works until nothing is left or a stop was asked for. Raises what ended the first worker that failed."""
        if len(self.workers) == 1:
            self._work(self.workers[0])
            return
        threads = [
            threading.Thread(target=self._guarded, args=(worker,), name=worker.name, daemon=True)
            for worker in self.workers
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._interrupt(threads)
            raise
        if self.errors:
            raise self.errors[0]

    def _interrupt(self, threads: Sequence[threading.Thread]) -> None:
        self.halt.ended = True
        for worker in self.workers:
            worker.database.cancel()
        for thread in threads:
            thread.join(timeout=5)

    def _guarded(self, worker: Worker) -> None:
        try:
            self._work(worker)
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.errors.append(error)
            self.halt.ended = True
        finally:
            worker.database.close()

    def _work(self, worker: Worker) -> None:
        while not self.halt.requested:
            tenant = self.lanes.take(worker.database)
            if tenant is None:
                if self.lanes.all_done(worker.database):
                    return
                self.halt.sleep(_WAIT_S)
                continue
            self.on_enter(tenant)
            try:
                end = worker.run_lane(tenant, TURN_S)
            finally:
                self.on_leave(tenant)
                self.lanes.give_back(tenant)
            if end is LaneEnd.HELD:
                self.halt.sleep(_WAIT_S / 5)
