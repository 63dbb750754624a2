"""Compares reads in threads of its own: a bounded queue that nobody waits for."""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Any, Final

from migdsl.runtime.routing.compare import Budget, Pair, Shadow, chosen
from migdsl.runtime.routing.core import Clock
from migdsl.runtime.routing.stages import Side

_SIDES: Final[tuple[Side, Side]] = ("old", "new")


class ShadowThreads:
    """Workers that are started with the first read, and again in a forked child."""

    def __init__(self, shadow: Shadow, clock: Clock) -> None:
        self._shadow = shadow
        self._clock = clock
        self._random = Random()  # noqa: S311 (who is in the sample is no secret)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._owner = 0
        self._begin()

    def submit(self, pair: Pair) -> None:
        """Leaves a read to be compared. Never waits and never raises."""
        if not chosen(self._shadow.sample, self._random):
            return
        if self._closed.is_set():
            pair.drop("closed")
            return
        if pair.leased and self._shadow.lease is None:
            pair.drop("lease")
            return
        self._start()
        try:
            self._waiting.put_nowait(pair)
        except queue.Full:
            pair.drop("full")

    def drain(self, timeout: float = 10.0) -> bool:
        """Waits until all that was submitted is compared or dropped; whether it was within `timeout` seconds."""
        until = time.monotonic() + timeout
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)
        return not self._waiting.unfinished_tasks

    def close(self) -> None:
        """Ends the workers; what still waits is dropped."""
        self._closed.set()
        if self._owner == os.getpid():
            for worker in self._workers:
                worker.join(self._shadow.timeout + self._shadow.recheck)
        while True:
            try:
                self._waiting.get_nowait().drop("closed")
            except queue.Empty:
                return
            self._waiting.task_done()

    def _begin(self) -> None:
        self._waiting: queue.Queue[Pair] = queue.Queue(self._shadow.queue)
        self._budget = Budget(self._shadow.budget, self._clock)
        self._workers: list[threading.Thread] = []

    def _start(self) -> None:
        if self._owner == os.getpid():
            return
        with self._lock:
            if self._owner == os.getpid():
                return
            # A fork takes no thread with it, and may have left the queue's locks held.
            self._begin()
            for number in range(self._shadow.workers):
                worker = threading.Thread(target=self._work, name=f"migdsl-shadow-{number}", daemon=True)
                self._workers.append(worker)
                worker.start()
            self._owner = os.getpid()

    def _work(self) -> None:
        waiting = self._waiting
        while not self._closed.is_set():
            try:
                pair = waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                self._compare(pair)
            except Exception:  # noqa: BLE001 (whatever a read of the user's raises: the request is long answered)
                pair.drop("error")
            finally:
                waiting.task_done()

    def _compare(self, pair: Pair) -> None:
        began = self._clock()
        if began - pair.born > self._shadow.max_age:
            pair.drop("late")
            return
        if not self._budget.open():
            pair.drop("budget")
            return
        rested = 0.0
        try:
            differing: dict[Side, object] | None = None
            if not pair.agrees(self._read(pair, (pair.unasked,))[pair.unasked]):
                rested = self._rest()
                values = self._read(pair, _SIDES)
                differing = None if pair.same(values) else values
        finally:
            spent = self._clock() - began - rested
            self._budget.spend(spent)
        if spent > self._shadow.timeout:
            pair.drop("timeout")
        else:
            pair.close(differing)

    def _rest(self) -> float:
        began = self._clock()
        self._closed.wait(self._shadow.recheck)
        return self._clock() - began

    def _read(self, pair: Pair, sides: tuple[Side, ...]) -> dict[Side, object]:
        lease: AbstractContextManager[Any] = nullcontext()
        if pair.leased and self._shadow.lease is not None:
            lease = self._shadow.lease()
        with lease as connection:
            return {s: pair.reads[s](connection) if pair.leased else pair.reads[s]() for s in sides}
