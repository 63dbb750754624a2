"""Writes each tenant where it is written, and carries the write over to the other database before it returns; for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from migdsl.runtime.routing.mask import Key
from migdsl.runtime.routing.router_async import AsyncMigration
from migdsl.runtime.routing.stages import Policy
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream import letting
from migdsl.runtime.stream.carriers import Carried, Carriers, Told
from migdsl.runtime.stream.dual import SIDES, idle
from migdsl.runtime.stream.jobs import Dual, Side
from migdsl.runtime.stream.letting import Believed, Search

T = TypeVar("T")
AsyncLease = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass(slots=True)
class AsyncDualWrites:
    """As `DualWrites`, for one event loop: `old` and `new` lease an AsyncConnection, the functions are coroutines."""

    dual: Dual
    routes: AsyncMigration
    old: AsyncLease
    new: AsyncLease
    carriers: Carriers
    patience_s: float = 10.0
    _enter: dict[Side, Statement] = field(init=False)
    _believed: Believed = field(init=False, default_factory=Believed)

    def __post_init__(self) -> None:
        self._enter = {side: statement(self.dual.enter(side)) for side in SIDES}

    async def write(
        self, tenant: object, *, old: Callable[[Any], Awaitable[T]], new: Callable[[Any], Awaitable[T]]
    ) -> T:
        """As `DualWrites.write`."""
        run: dict[Side, Callable[[Any], Awaitable[T]]] = {"old": old, "new": new}
        async with self.routes.at(tenant) as at:
            result, told = await self._first(at.tenant, at.policy, run)
            if told is not None:
                await self._second(at.policy, told)
            return result

    async def read(
        self,
        tenant: object,
        *,
        old: Callable[[Any], Awaitable[T]],
        new: Callable[[Any], Awaitable[T]],
        key: Key | None = None,
    ) -> T:
        """As `DualWrites.read`."""
        async with self.routes.at(tenant) as at:
            return await at.read(old=partial(_leased, self.old, old), new=partial(_leased, self.new, new), key=key)

    async def close(self) -> None:
        """Ends the second writes, after those that were asked for."""
        await asyncio.to_thread(self.carriers.close)

    async def __aenter__(self) -> AsyncDualWrites:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def _first(
        self, tenant: str, policy: Policy, run: dict[Side, Callable[[Any], Awaitable[T]]]
    ) -> tuple[T, Told | None]:
        core = self.routes.core
        search = self._believed.search(tenant, policy, core.clock, self.patience_s)
        while True:
            try:
                result, told = await self._tried(search, tenant, run[search.side])
            except Exception as error:
                wait = search.again(error)
                if wait is None:
                    core.failed(policy, search.side, "write")
                    raise
                await asyncio.sleep(wait)
                continue
            core.wrote(policy, search.side, "first")
            self._believed.keep(tenant, search)
            return result, told if policy.stage != "off" else None

    async def _tried(self, search: Search, tenant: str, run: Callable[[Any], Awaitable[T]]) -> tuple[T, Told | None]:
        async with (self.old if search.side == "old" else self.new)() as connection:
            idle(connection)
            async with connection.transaction():
                told = None if search.plain else await self._let_in(connection, search.side, tenant)
                return await run(connection), told

    async def _let_in(self, connection: Any, side: Side, tenant: str) -> Told:
        sql = self._enter[side]
        try:
            async with psycopg.AsyncRawCursor(connection, row_factory=tuple_row) as cursor:
                await cursor.execute(sql.text.encode(), sql.bind({"tenant": tenant}))
                row = await cursor.fetchone()
        except psycopg.Error as error:
            raise letting.refusal(error, tenant) from error
        assert row is not None
        return letting.told(side, tuple(None if value is None else str(value) for value in row))

    async def _second(self, policy: Policy, told: Told) -> None:
        clock = self.routes.core.clock
        began = clock()
        answer = self.carriers.submit(told)
        try:
            done: Carried = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(answer)), self.carriers.timeout_s)
        except TimeoutError:
            done = self.carriers.late(answer)
        letting.note(self.routes.core, policy, told, done, clock() - began)


async def _leased(lease: AsyncLease, run: Callable[[Any], Awaitable[T]]) -> T:
    async with lease() as connection:
        return await run(connection)
