"""Compares reads in tasks of its own: a bounded queue that nobody waits for."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from random import Random
from typing import Any, Final

from migdsl.runtime.routing.compare import Budget, Pair, Shadow, chosen
from migdsl.runtime.routing.core import Clock
from migdsl.runtime.routing.stages import Side

_SIDES: Final[tuple[Side, Side]] = ("old", "new")


class ShadowTasks:
    """Workers of one event loop, started with the first read."""

    def __init__(self, shadow: Shadow, clock: Clock) -> None:
        self._shadow = shadow
        self._clock = clock
        self._random = Random()  # noqa: S311 (who is in the sample is no secret)
        self._waiting: asyncio.Queue[Pair] = asyncio.Queue(shadow.queue)
        self._budget = Budget(shadow.budget, clock)
        self._workers: list[asyncio.Task[None]] = []
        self._closed = False

    def submit(self, pair: Pair) -> None:
        """Leaves a read to be compared. Never waits and never raises."""
        if not chosen(self._shadow.sample, self._random):
            return
        if self._closed:
            pair.drop("closed")
            return
        if pair.leased and self._shadow.lease_async is None:
            pair.drop("lease")
            return
        try:
            self._waiting.put_nowait(pair)
        except asyncio.QueueFull:
            pair.drop("full")
            return
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(self._shadow.workers)]

    async def drain(self, timeout: float = 10.0) -> bool:
        """Waits until all that was submitted is compared or dropped; whether it was within `timeout` seconds."""
        try:
            await asyncio.wait_for(self._waiting.join(), timeout)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Ends the workers; what still waits is dropped."""
        self._closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        while not self._waiting.empty():
            self._waiting.get_nowait().drop("closed")
            self._waiting.task_done()

    async def _work(self) -> None:
        while True:
            pair = await self._waiting.get()
            try:
                await self._compare(pair)
            except TimeoutError:
                pair.drop("timeout")
            except asyncio.CancelledError:
                pair.drop("closed")
                raise
            except Exception:  # noqa: BLE001 (whatever a read of the user's raises: the request is long answered)
                pair.drop("error")
            finally:
                self._waiting.task_done()

    async def _compare(self, pair: Pair) -> None:
        if self._clock() - pair.born > self._shadow.max_age:
            pair.drop("late")
            return
        if not self._budget.open():
            pair.drop("budget")
            return
        differing: dict[Side, object] | None = None
        if not pair.agrees((await self._read(pair, (pair.unasked,)))[pair.unasked]):
            await asyncio.sleep(self._shadow.recheck)
            values = await self._read(pair, _SIDES)
            differing = None if pair.same(values) else values
        pair.close(differing)

    async def _read(self, pair: Pair, sides: tuple[Side, ...]) -> dict[Side, object]:
        began = self._clock()
        try:
            return await asyncio.wait_for(self._values(pair, sides), self._shadow.timeout)
        finally:
            self._budget.spend(self._clock() - began)

    async def _values(self, pair: Pair, sides: tuple[Side, ...]) -> dict[Side, object]:
        lease: AbstractAsyncContextManager[Any] = nullcontext()
        if pair.leased and self._shadow.lease_async is not None:
            lease = self._shadow.lease_async()
        async with lease as connection:
            return {s: await (pair.reads[s](connection) if pair.leased else pair.reads[s]()) for s in sides}
