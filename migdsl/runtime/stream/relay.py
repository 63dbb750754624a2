"""Turns a stream into running appliers, a thread and a pair of connections each, watched by one that tells how far they are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from migdsl.runtime.database import Transaction, misplaced
from migdsl.runtime.errors import DatabaseFailedError, StoppedError, safe_text
from migdsl.runtime.ledger import record_event
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream.applier import Applier, Held
from migdsl.runtime.stream.apply import Applied, Way
from migdsl.runtime.stream.cutter import Cutter
from migdsl.runtime.stream.floors import Floors, reader
from migdsl.runtime.stream.jobs import Stream
from migdsl.runtime.stream.pair import OverError, Pair, Urls
from migdsl.runtime.stream.waiting import Waiting, lag_of

# How long a worker that found nothing sleeps: short at first, since work comes in bursts.
_SHORTEST_S: Final = 0.02
_LONGEST_S: Final = 0.25
_LOOK_S: Final = 2.0
# What a job says first waits so long for its first look at the slot: what it missed while it was away is no lag of its own.
_FIRST_S: Final = 10.0
# What conditions look at: a reading a minute.
_READING_S: Final = 60.0
# A database that restarts is waited for, for as long as it takes.
_LOUDEST: Final = 8
# What a run that a clock starts has at least for what the slot brought.
_SWEEP_S: Final = 5.0

Log = Callable[..., None]
T = TypeVar("T")


@dataclass(slots=True)
class Meters:
    """What this process has done, from any thread: events and rows by direction and table, dead letters, seconds of work.

    `waiting` is what it saw last, and `looked` when, as a Unix time.
    """

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    batches: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    looked: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, waiting: tuple[Waiting, ...]) -> None:
        """What waits just now."""
        self.looked, self.waiting = time.time(), waiting

    def batch(self, way: Way, done: Applied, seconds: float) -> None:
        """One batch."""
        name = (way.move.entity, way.name)
        with self._lock:
            self.events[name] += done.events
            self.changed[name] += done.changed
            self.batches[name] += 1
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def letter(self, way: Way) -> None:
        """One event that became a dead letter."""
        with self._lock:
            self.letters[(way.move.entity, way.name)] += 1


@dataclass(slots=True)
class Relay:
    """The appliers of one process."""

    stream: Stream
    urls: Urls
    run_id: str
    halt: Halt
    log: Log
    meters: Meters = field(default_factory=Meters)
    errors: list[BaseException] = field(default_factory=list)
    held: Held = field(default_factory=Held)
    floors: Floors = field(default_factory=Floors)
    _tapped_once: threading.Event = field(default_factory=threading.Event)

    def run(self, workers: int) -> None:
        """Works until a stop is asked for. Raises what ended a worker that nothing helps, and OverError."""
        first = self.pair()
        try:
            first.open()
        finally:
            first.close()
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"migdsl-{number}", daemon=True)
            for number, work in enumerate([*self._once_each(), *[self._work] * workers])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
        if self.errors:
            raise self.meant(self.errors[0])

    def meant(self, error: BaseException) -> BaseException:
        """The error, or what it means that something isn't there any more."""
        if not isinstance(error, DatabaseFailedError) and not (isinstance(error, psycopg.Error) and misplaced(error)):
            return error
        pair = self.pair()
        try:
            pair.open()
        except OverError as over:
            return over
        except DatabaseFailedError as found:
            return error if isinstance(error, DatabaseFailedError) else found
        finally:
            pair.close()
        return error

    def _once_each(self) -> list[Callable[[], None]]:
        return [self._watch] if self.stream.slot is None else [self._watch, self._tap]

    def once(self, enough: Callable[[Pair], bool]) -> int:
        """Applies until nothing waits or it is `enough`, in this thread; how many events. Raises psycopg.Error, StoppedError.

        `enough` is asked once more at the end.
        """
        pair = self.pair()
        pair.open()
        try:
            events = self._work_off(pair, enough)
            self._patiently(pair, lambda: enough(pair))
        finally:
            pair.close()
        return events

    def by_clock(self, enough: Callable[[Pair], bool], last_s: float) -> int:
        """`once`, and what `run` sees to beside: dead letters that are due, and readings in both ledgers.

        What waits for a database is cut off when the halt's time is up, and a server that is silent half of `last_s` later: it
        takes no longer than that in all, but for what is read from a slot. Raises as `once`.
        """
        pair = self.pair()
        for database in (pair.old, pair.new):
            database.conninfo = make_conninfo(database.conninfo, connect_timeout=str(max(2, int(last_s))))
        with Cutter((pair.old, pair.new)) as cutter:
            cutter.arm(self.halt.until - time.monotonic() + last_s / 2)
            try:
                pair.open()
                self.meters.saw(self._patiently(pair, pair.waiting))
                self._revive(pair)
                self._tapped(pair, cutter)
                with suppress(StoppedError):  # what the next question meets as well
                    self._sweep_off(pair, enough)
                self.meters.saw(self._patiently(pair, pair.waiting))
                self._patiently(pair, lambda: self._reading(pair))
                self._patiently(pair, lambda: enough(pair))
            finally:
                pair.close()
        return sum(self.meters.events.values())

    def _tapped(self, pair: Pair, cutter: Cutter) -> None:
        """What the slot has, for as long as a page takes: one huge transaction is decoded whole or not at all, and each run that
        is cut off would begin with it again. Another run that comes meanwhile leaves the slot to this one."""
        if pair.tap is None:
            return
        until, self.halt.until = self.halt.until, float("inf")
        left = cutter.until - until
        cutter.disarm()
        done = False
        try:
            with suppress(psycopg.OperationalError):  # the next question meets it as well
                while not done:
                    _, done = pair.tap.pump()
                    done = done or time.monotonic() >= until
        finally:
            # However long that took, what has come is told of and begun with.
            self.halt.until = max(until, time.monotonic() + _SWEEP_S)
            cutter.arm(self.halt.until - time.monotonic() + left)

    def _work_off(self, pair: Pair, enough: Callable[[Pair], bool]) -> int:
        if pair.tap is not None:
            self._patiently(pair, pair.tap.catch_up)
        return self._sweep_off(pair, enough)

    def _sweep_off(self, pair: Pair, enough: Callable[[Pair], bool]) -> int:
        applier, events = self._applier(pair), 0
        while not self.halt.requested:
            done, idle = self._swept(pair, applier)
            events += done
            if idle or self._patiently(pair, lambda: enough(pair)):
                break
            if not done:
                # Others have the lanes.
                self.halt.sleep(_SHORTEST_S)
        return events

    def pair(self) -> Pair:
        """Connections of their own for one thread."""
        made = Pair.of(self.stream, self.urls, self.run_id, self.halt, self._retried)
        made.floors = self.floors
        return made

    def _retried(self, error: psycopg.Error, seconds: float) -> None:
        self.log("retry", level="warning", error=safe_text(error), pause_s=round(seconds, 2))

    def _applier(self, pair: Pair) -> Applier:
        return Applier(pair, self.meters.batch, self._letter, self.held)

    def _letter(self, way: Way, done: Applied) -> None:
        self.meters.letter(way)
        fault = done.fault
        said = f"{fault.error_class}: {fault.template}" if fault is not None else ""
        self.log("dead_letter", level="warning", entity=way.move.entity, direction=way.name, error=said)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.errors.append(error)
            self.halt.ended = True

    def _work(self) -> None:
        pair, pause = self.pair(), _SHORTEST_S
        applier = self._applier(pair)
        try:
            while not self.halt.requested:
                done, _ = self._swept(pair, applier)
                pause = _SHORTEST_S if done else min(_LONGEST_S, pause * 2)
                if not done:
                    self.halt.sleep(pause)
        finally:
            pair.close()

    def _tap(self) -> None:
        """What the slot sees goes into the outbox."""
        pair, pause = self.pair(), _SHORTEST_S
        assert pair.tap is not None
        try:
            while not self.halt.requested:
                found, done, took = self._patiently(pair, partial(_timed, pair.tap.pump))
                pause = _SHORTEST_S if found else min(_LONGEST_S, pause * 2)
                if done:
                    self._tapped_once.set()
                    self.halt.sleep(max(pause, self._rest(took)))
        finally:
            pair.close()

    def _rest(self, took: float) -> float:
        """How long after a look the slot is left alone. While any transaction of the server stays open that writes, each look
        decodes all WAL since that one's first: half the time goes to it at most, and the bound of the lag is kept in sight.
        """
        return min(took, self.stream.lag_s / 4)

    def _swept(self, pair: Pair, applier: Applier) -> tuple[int, bool]:
        """One sweep, tried until both databases are there."""
        return self._patiently(pair, applier.sweep)

    def _watch(self) -> None:
        """Looks how far all is, now and then, and puts dead letters that another row may have cured back."""
        pair, told, late = self.pair(), -_READING_S, False
        try:
            self._await_tap()
            while not self.halt.requested:
                self.meters.saw(self._patiently(pair, pair.waiting))
                self._revive(pair)
                # Gates go by the newest reading: what has changed for them is told at once.
                before, late = late, lag_of(self.meters.waiting) > self.stream.lag_s
                if late != before or time.monotonic() - told >= _READING_S:
                    told = time.monotonic()
                    self._patiently(pair, lambda: self._reading(pair))
                    self._patiently(pair, lambda: self._slow(pair))
                self.halt.sleep(_LOOK_S)
        finally:
            pair.close()

    def _await_tap(self) -> None:
        until = time.monotonic() + _FIRST_S
        while self.stream.slot is not None and not self._tapped_once.is_set() and time.monotonic() < until:
            if self.halt.requested:
                break
            self.halt.sleep(_SHORTEST_S)

    def _revive(self, pair: Pair) -> None:
        for queue, waiting in zip(pair.queues, self.meters.waiting, strict=True):
            if waiting.letters:
                self._patiently(pair, partial(pair.at(queue.side).perform, partial(queue.revive, due=True)))

    def _reading(self, pair: Pair) -> None:
        """What gates and conditions look at, in both ledgers."""
        found = self.meters.waiting
        for move in self.stream.moves:
            own = [each for each in found if each.entity == move.entity]
            lag, letters = lag_of(own), sum(each.letters for each in own)

            def write(tx: Transaction, entity: str = move.entity, lag: float = lag, letters: int = letters) -> None:
                record_event(tx, self.stream.migration, "reading", f"sync_lag:{entity}", f"{lag:.3f}")
                record_event(tx, self.stream.migration, "reading", f"dead_letters:{entity}", str(letters))

            pair.old.perform(write)
            pair.new.perform(write)
        self.log("progress", lag_s=round(lag_of(found), 1), waiting=sum(each.events for each in found))

    def _slow(self, pair: Pair) -> None:
        """Why looks at an outbox are: what is forgotten can't be cleared away while somebody keeps an old snapshot."""
        for queue in pair.queues:
            if self.floors.of(queue).slow:
                why = pair.at(queue.side).perform(reader)
                self.log("slow_looks", level="warning", entity=queue.move.entity, side=queue.side, oldest_snapshot=why)

    def _patiently(self, pair: Pair, work: Callable[[], T]) -> T:
        """The result of `work`, tried again for as long as the databases are to be waited for."""
        attempt = 0
        while True:
            try:
                return work()
            except psycopg.Error as error:
                attempt = min(attempt + 1, _LOUDEST)
                if not pair.recover(error, attempt):
                    raise


def _timed(pump: Callable[[], tuple[int, bool]]) -> tuple[int, bool, float]:
    """What a look at the slot gave, and how many seconds it took."""
    began = time.monotonic()
    found, done = pump()
    return found, done, time.monotonic() - began
