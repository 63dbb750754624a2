"""Turns what a write has just told into applied events, in threads of their own: a bounded queue, and a bounded time."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import psycopg
from psycopg.conninfo import make_conninfo

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import ONE_ZONE, Database
from migdsl.runtime.errors import Remedy, remedy, safe_text
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.apply import Event, Way
from migdsl.runtime.stream.faults import of_the_rows
from migdsl.runtime.stream.jobs import Side, Stream
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.telemetry.options import application_name

Outcome = Literal["carried", "nothing", "part", "late", "failed", "paused", "full", "closed"]
# What a write may tell of and have carried over at once; the rest of a big one is the sync job's.
_MOST: Final = 500
# So many in a row that were too late: the other side is as good as gone.
_LATE: Final = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a write on `side` may have left in the outboxes: keys of `tenant` with numbers above `after`, one a table."""

    side: Side
    tenant: str
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """How it went. `nothing`: the write told of nothing, or the sync job was faster; `part`: it told of too much. Of all
    others but `carried` the keys wait in the outbox; `error` is a class and an SQLSTATE, never a value."""

    outcome: Outcome
    events: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Job:
    told: Told
    until: float
    answer: Future[Carried]


@dataclass(slots=True)
class Carriers:
    """Workers that are started with the first write, and again in a forked child; each has a connection to both sides.

    `urls` None: the environment's, as the stream names them (else UsageError). `timeout_s` is how long a write waits for its
    second half, `pause_s` how long nobody tries once the other side can't be reached, `waiting` how many writes may queue.
    """

    stream: Stream
    urls: Urls | None = None
    workers: int = 2
    waiting: int = 100
    timeout_s: float = 1.0
    pause_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _databases: Urls = field(init=False)
    _jobs: queue.Queue[_Job | None] = field(init=False)
    _threads: list[threading.Thread] = field(init=False, default_factory=list)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _owner: int = field(init=False, default=0)
    _closed: bool = field(init=False, default=False)
    _paused_until: float = field(init=False, default=float("-inf"))
    _late: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._databases = self.urls or Urls.of(self.stream, None, None)
        self._jobs = queue.Queue(self.waiting)

    def submit(self, told: Told) -> Future[Carried]:
        """Asks for what was told to be carried over. Never waits and never raises; whoever loses patience calls `late`."""
        now, answer = self.clock(), Future[Carried]()
        if self._closed or now < self._paused_until:
            answer.set_result(Carried("closed" if self._closed else "paused"))
            return answer
        try:
            self._start()
        except RuntimeError as error:  # no thread to be had: what was written is in the outbox
            self._rest()
            answer.set_result(Carried("failed", error=_said(error)))
            return answer
        try:
            self._jobs.put_nowait(_Job(told, now + self.timeout_s, answer))
        except queue.Full:
            answer.set_result(Carried("full"))
        return answer

    def late(self, answer: Future[Carried]) -> Carried:
        """What becomes of one that took too long: if it has been begun, it may still be done."""
        if not answer.cancel() and answer.done():
            return answer.result()
        self._late += 1
        if self._late >= _LATE:
            self._rest()
        return Carried("late")

    def close(self) -> None:
        """Ends the workers, after what was asked for."""
        self._closed = True
        if self._owner == os.getpid():
            for _ in self._threads:
                # Workers that wait for a silent database leave the queue as it is, and end with the process.
                with suppress(queue.Full):
                    self._jobs.put(None, timeout=self.timeout_s + 1)
            for thread in self._threads:
                thread.join(self.timeout_s + 1)

    def _start(self) -> None:
        if self._owner == os.getpid():
            return
        with self._lock:
            if self._owner == os.getpid():
                return
            # A fork takes no thread with it, and may have left the queue's locks held.
            self._jobs = queue.Queue(self.waiting)
            self._threads, self._owner = [], os.getpid()
            try:
                for number in range(self.workers):
                    self._threads.append(self._started(number))
            except RuntimeError:
                if not self._threads:  # one is enough to begin with
                    self._owner = 0
                    raise

    def _started(self, number: int) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(self._jobs,), name=f"migdsl-carrier-{number}", daemon=True)
        thread.start()
        return thread

    def _rest(self) -> None:
        self._paused_until, self._late = self.clock() + self.pause_s, 0

    def _work(self, jobs: queue.Queue[_Job | None]) -> None:
        pair: Pair | None = None
        while (job := jobs.get()) is not None:
            if not job.answer.set_running_or_notify_cancel():
                continue
            try:
                pair = pair or self._pair()
                found = self._tried(pair, job)
            except Exception as error:  # noqa: BLE001 (the keys wait in the outbox)
                found = Carried("failed", error=_said(error))
            job.answer.set_result(found)
        if pair is not None:
            pair.close()

    def _tried(self, pair: Pair, job: _Job) -> Carried:
        """A connection that lay idle may have been ended long ago, so that the first loss of one says nothing."""
        for last in (False, True):
            if self.clock() >= job.until:
                break
            self._hurry(pair, job.until)
            try:
                done = carry_over(pair, job.told)
            except psycopg.Error as error:
                if remedy(error) is Remedy.RECONNECT:
                    pair.close()
                    if not last:
                        continue
                    self._rest()
                raise
            self._late = 0
            return done
        return Carried("late")

    def _hurry(self, pair: Pair, until: float) -> None:
        """No statement outlasts the patience of who waits by much."""
        left = max(20, int((until - self.clock()) * 1000))
        for database in (pair.old, pair.new):
            database.limits = replace(database.limits, statement_ms=left, lock_ms=left)

    def _pair(self) -> Pair:
        return Pair(self.stream, self._database(self._databases.old), self._database(self._databases.new))

    def _database(self, url: str) -> Database:
        name = application_name(self.stream.migration, f"{self.stream.stream} second writes", str(os.getpid()))
        # libpq waits two seconds at least; a peer that is silent is given up by the kernel.
        silent = str(int(max(2.0, self.timeout_s) * 1000))
        conninfo = make_conninfo(conninfo_of(url, name), connect_timeout="2", tcp_user_timeout=silent)
        return Database(conninfo, Limits(idle_ms=5_000), Retry(attempts=0), Halt(Signals()), settings=ONE_ZONE)


def carry_over(pair: Pair, told: Told) -> Carried:
    """Carries a write's events over, table by table; what fails is tried again while anything else gets across.

    A row may need another one of the same write: a parent comes before its child, and goes after it. Raises psycopg.Error
    for what isn't the rows' fault.
    """
    ways = [way for way in pair.ways if way.side == told.side]
    left = [(way, way.told(told.tenant, after, _MOST)) for way, after in zip(ways, told.after, strict=True)]
    most = max((len(events) for _, events in left), default=0)
    found = _count(left)
    while left := [(way, events) for way, events in left if events]:
        before = _count(left)
        left, error = _round(left)
        if _count(left) == before:
            return Carried("failed", found - before, error)
    if not found:
        return Carried("nothing")
    return Carried("part" if most >= _MOST else "carried", found)


def _round(left: Sequence[tuple[Way, list[Event]]]) -> tuple[list[tuple[Way, list[Event]]], str]:
    """One try of each table; what it left, and why."""
    failed, error = [], ""
    for way, events in left:
        rest, why = _settled(way, events)
        failed.append((way, rest))
        error = why or error
    return failed, error


def _settled(way: Way, events: list[Event]) -> tuple[list[Event], str]:
    """All at once, or else each by itself: a row that can't be applied may be another writer's."""
    try:
        way.apply_these(events)
    except psycopg.Error as error:
        if not of_the_rows(error):
            raise
        if len(events) == 1:
            return events, safe_text(error)
    else:
        return [], ""
    left, why = [], ""
    for event in events:
        rest, said = _settled(way, [event])
        left += rest
        why = said or why
    return left, why


def _count(left: Sequence[tuple[Way, list[Event]]]) -> int:
    return sum(len(events) for _, events in left)


def _said(error: Exception) -> str:
    return safe_text(error) if isinstance(error, psycopg.Error) else type(error).__name__
