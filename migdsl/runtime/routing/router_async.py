"""Turns a tenant's stage into reads and writes of the right side, in the right order, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from operator import eq
from typing import Any, ParamSpec, TypeVar

from migdsl.runtime.routing import decorators, pins, sql
from migdsl.runtime.routing.compare import Equal, Pair, Shadow
from migdsl.runtime.routing.core import Clock, Core
from migdsl.runtime.routing.errors import named, settled
from migdsl.runtime.routing.fallback import Fallback
from migdsl.runtime.routing.flags import AsyncFlags
from migdsl.runtime.routing.mask import Key, Mask, key_text, lock_name
from migdsl.runtime.routing.meters import Meters, text
from migdsl.runtime.routing.repair import AsyncRecorder, Failure, LogRecorder
from migdsl.runtime.routing.stages import Policy, Side, Stage
from migdsl.runtime.routing.standing import Pace
from migdsl.runtime.routing.tasks import ShadowTasks

T = TypeVar("T")
P = ParamSpec("P")
AsyncLock = Callable[[Any, str], Awaitable[None]]


class AsyncRouter:
    """As `Router`, for one event loop; `flags` and `recorder` are asked through their async methods."""

    def __init__(
        self,
        flags: AsyncFlags,
        recorder: AsyncRecorder,
        *,
        shadow: Shadow | None = None,
        pace: Pace | None = None,
        secret: bytes | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.flags = flags
        self.recorder = recorder
        self.meters = Meters()
        self.shadow = ShadowTasks(shadow or Shadow(), clock)
        self._pace = pace or Pace()
        self._mask = Mask(secret)
        self._clock = clock
        self._migrations: list[AsyncMigration] = []

    def migration(
        self,
        name: str,
        *,
        flag: str | None = None,
        default: Fallback | str | None = None,
        lock: AsyncLock | None = None,
        equal: Equal = eq,
        columns: Collection[str] = (),
    ) -> AsyncMigration:
        """As `Router.migration`; `lock` is `advisory_lock_async`."""
        fallback = Fallback.only(default) if isinstance(default, str) else default
        told = frozenset(columns)
        core = Core(name, flag or name, fallback, self.meters, self._mask, self._pace, columns=told, clock=self._clock)
        made = AsyncMigration(self, core, lock, equal)
        self._migrations.append(made)
        return made

    def request(self) -> AbstractContextManager[pins.Pins]:
        """Around a whole request: every tenant's stage stays what it was when the request first asked for it."""
        return pins.request()

    def metrics(self) -> str:
        """All metrics as Prometheus text."""
        census = [sample for each in self._migrations for sample in each.core.census()]
        return text([*self.meters.samples(), *census])

    async def close(self) -> None:
        """Ends the comparisons."""
        await self.shadow.close()

    async def __aenter__(self) -> AsyncRouter:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


@dataclass(frozen=True, slots=True, eq=False)
class AsyncMigration:
    """One migration of a router."""

    router: AsyncRouter
    core: Core
    lock: AsyncLock | None
    equal: Equal

    @asynccontextmanager
    async def at(self, tenant: object, *, on: Any = None) -> AsyncIterator[AsyncAt]:
        """As `Migration.at`."""
        with pins.request():
            yield AsyncAt(self, str(tenant), await self.policy(str(tenant)), on)

    async def policy(self, tenant: str) -> Policy:
        """What stands for a tenant: as pinned, else as known for the ttl, else as the flag says."""
        held = pins.pinned(id(self), tenant)
        if held is not None:
            return held
        found = self.core.fresh(tenant) or await self._ask(tenant)
        return pins.pin(id(self), tenant, found)

    def stages(self) -> dict[str, Stage]:
        """The tenants that this process knows, with their stage."""
        return self.core.standings.stages()

    def reads(
        self, *, new: Callable[P, Coroutine[Any, Any, T]], **where: str
    ) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
        """Decorator of the function that reads the old side; `where` names its arguments (`tenant`, `key`, `on`)."""
        return decorators.routed(self.at, "read", new, **where)

    def writes(
        self, *, new: Callable[P, Coroutine[Any, Any, T]], **where: str
    ) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
        """Decorator of the function that writes the old side; its `key` has to be named."""
        return decorators.routed(self.at, "write", new, **where)

    async def _ask(self, tenant: str) -> Policy:
        asked = self.core.clock()
        try:
            variant = await self.router.flags.variant_async(self.core.flag, tenant)
        except Exception as error:  # noqa: BLE001 (a provider may raise anything, and a request goes on without it)
            return self.core.unanswered(tenant, asked, f"{named(error)}")
        return self.core.answered(tenant, variant, asked)


@dataclass(frozen=True, slots=True)
class AsyncAt:
    """A tenant's place in one request."""

    migration: AsyncMigration
    tenant: str
    policy: Policy
    on: Any

    @property
    def stage(self) -> Stage:
        """The stage that was pinned."""
        return self.policy.stage

    @property
    def writes(self) -> tuple[Side, ...]:
        """The sides to write, the authoritative first: for code that puts both into one statement."""
        return self.policy.writes

    def choose(self, *, old: T, new: T) -> T:
        """The value of the side that answers, where both are at hand already."""
        return old if self.policy.reads == "old" else new

    async def read(
        self, *, old: Callable[..., Awaitable[T]], new: Callable[..., Awaitable[T]], key: Key | None = None
    ) -> T:
        """As `At.read`."""
        core, side = self.migration.core, self.policy.reads
        sides = {"old": old, "new": new}
        try:
            value = await self._call(sides[side])
        except Exception:
            core.failed(self.policy, side, "read")
            raise
        core.read(self.policy, side)
        if self.policy.compares:
            leased, equal = self.on is not None, self.migration.equal
            pair = Pair(core, self.tenant, key, side, value, {"old": old, "new": new}, equal, leased, core.clock())
            self.migration.router.shadow.submit(pair)
        return value

    async def write(self, *, old: Callable[..., Awaitable[T]], new: Callable[..., Awaitable[T]], key: Key) -> T:
        """As `At.write`."""
        await self.lock(key)
        first, *seconds = self.policy.writes
        sides = {"old": old, "new": new}
        try:
            result = await self._call(sides[first])
        except BaseException as error:
            await self._first_failed(first, seconds, key, error)
            raise
        self.migration.core.wrote(self.policy, first, "first")
        for side in seconds:
            await self._second(side, sides[side], key)
        return result

    async def lock(self, key: Key) -> None:
        """As `At.lock`."""
        if self.migration.lock is not None:
            name = lock_name(self.migration.core.migration, self.tenant, key_text(key))
            await self.migration.lock(self.on, name)

    async def _first_failed(self, first: Side, seconds: list[Side], key: Key, error: BaseException) -> None:
        core = self.migration.core
        if isinstance(error, Exception):
            core.failed(self.policy, first, "write")
        # Without a transaction for both sides the write may be there although its answer is lost.
        if self.on is None and not settled(error):
            for side in seconds:
                await asyncio.shield(self._record(core.unsettled(self.tenant, self.policy, side, key, error)))

    async def _second(self, side: Side, run: Callable[..., Awaitable[object]], key: Key) -> None:
        try:
            async with sql.guard_async(self.on):
                await self._call(run)
        except BaseException as error:
            failure = self.migration.core.failure(self.tenant, self.policy, side, key, error)
            # Whoever cancels the request may cancel it again, which is no reason to forget the row.
            await asyncio.shield(self._record(failure))
            if not isinstance(error, Exception):
                raise
        else:
            self.migration.core.wrote(self.policy, side, "second")

    async def _record(self, failure: Failure) -> None:
        try:
            async with sql.guard_async(self.on):
                await self.migration.router.recorder.record_async(failure, self.on)
        except BaseException as error:
            self.migration.core.recorder_failed(error)
            LogRecorder().record(failure, None)
            self.migration.core.recorded("spilled")
            if not isinstance(error, Exception):
                raise
        else:
            self.migration.core.recorded("recorded")

    async def _call(self, run: Callable[..., Awaitable[T]]) -> T:
        return await (run() if self.on is None else run(self.on))
