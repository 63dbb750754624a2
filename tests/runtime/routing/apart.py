"""The same traffic where the two sides are two databases: nothing commits together, and connections die.

Writers of one row take turns by a lock of their own. Second writes are refused, answers of first writes are lost after
the commit, and a saboteur ends backends at random; each leaves a record from which both sides are made equal again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from migdsl.runtime.routing import AsyncRouter, LedgerRecorder, Pace, Router, Shadow, advisory_lock, repair
from migdsl.runtime.routing.mask import key_text, lock_name
from migdsl.runtime.routing.repair import Repair
from migdsl.runtime.routing.stages import Policy, other
from tests.runtime.conftest import ledger_statements
from tests.runtime.routing.traffic import FLAG, KEYS, TABLES, TENANTS, Process, Row, Traffic, World, select, upsert

PACE = Pace(ttl=0.05, settle=0.3)
VICTIM = "side of a worker"
TURN = b"SELECT pg_advisory_lock(hashtextextended(%s, 77))"
END_TURN = b"SELECT pg_advisory_unlock_all()"
KILL = b"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = %s AND datname = current_database() ORDER BY random() LIMIT 1"""


def turn_of(row: Row) -> str:
    return lock_name(FLAG, row[0], key_text(row[1]))


@dataclass
class Apart(World):
    """`url` has the old side and the ledger, `far` the new side. `lost`: how often a first write's answer is lost."""

    far: str = ""
    lost: float = 0.0
    failed: int = 0

    @property
    def urls(self) -> Mapping[str, str]:
        return {"old": self.url, "new": self.far}

    def prepare(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in ledger_statements():
                connection.execute(statement.encode())
        for side, url in self.urls.items():
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    f"CREATE TABLE {TABLES[side]} (tenant text, id bigint, n bigint, PRIMARY KEY (tenant, id))".encode()
                )
                for tenant in TENANTS if side == "old" else ():
                    for key in KEYS:
                        connection.execute(upsert(side), (tenant, key, 0))

    def loses(self, side: str, policy: Policy) -> bool:
        return side == policy.writes[0] and self.random.random() < self.lost


def lost() -> psycopg.OperationalError:
    return psycopg.OperationalError("the connection is lost")


class Lines:
    """One worker's connections, opened anew where they were lost."""

    def __init__(self, world: Apart) -> None:
        self.world = world
        self.open: dict[str, psycopg.Connection[Any]] = {}

    def to(self, side: str) -> psycopg.Connection[Any]:
        if side not in self.open or self.open[side].closed:
            self.open[side] = psycopg.connect(self.world.urls[side], autocommit=True, application_name=VICTIM)
        return self.open[side]

    def reading(self, side: str, row: Row) -> Callable[[], int | None]:
        def run() -> int | None:
            found = self.to(side).execute(select(side), row).fetchone()
            return None if found is None else int(found[0])

        return run

    def writing(self, side: str, row: Row, n: int, policy: Policy) -> Callable[[], None]:
        def run() -> None:
            connection = self.to(side)
            if self.world.fails(side, policy):
                connection.execute("SELECT 1 / 0")
            connection.execute(upsert(side), (*row, n))
            if self.world.loses(side, policy):
                connection.close()
                raise lost()

        return run

    def close(self) -> None:
        for connection in self.open.values():
            connection.close()


class ApartThreads(Process):
    """Two writers and a reader, in threads."""

    world: Apart

    def begin(self) -> None:
        recorder = self.recorder or LedgerRecorder(lambda: psycopg.connect(self.world.url))
        self.router = Router(self.flags, recorder, shadow=Shadow(sample=0), pace=PACE)
        self.users = self.router.migration(FLAG)
        self.start(self.writer, self.writer, self.reader)

    def writer(self, number: int) -> None:
        lines = Lines(self.world)
        with psycopg.connect(self.world.url, autocommit=True) as turns:
            while not self.world.stop.is_set():
                row = self.world.row()
                turns.execute(TURN, (turn_of(row),))
                try:
                    self.world.journal.wrote(row, self.add(lines, row))
                except psycopg.OperationalError:
                    self.world.failed += 1
                turns.execute(END_TURN)
                self.laps[number] += 1
        lines.close()

    def add(self, lines: Lines, row: Row) -> int:
        tenant, key = row
        with self.users.at(tenant) as at:
            n = (at.read(old=lines.reading("old", row), new=lines.reading("new", row), key=key) or 0) + 1
            old, new = (lines.writing(side, row, n, at.policy) for side in TABLES)
            at.write(old=old, new=new, key=key)
        return n

    def reader(self, number: int) -> None:
        lines = Lines(self.world)
        while not self.world.stop.is_set():
            tenant, key = row = self.world.row()
            floor = self.world.journal.last(row)
            try:
                with self.users.at(tenant) as at:
                    n = at.read(old=lines.reading("old", row), new=lines.reading("new", row), key=key)
                self.world.journal.read(row, n, floor, at.stage)
            except psycopg.OperationalError:
                self.world.failed += 1
            self.laps[number] += 1
        lines.close()

    def end(self) -> None:
        self.join()
        self.router.close()


class AsyncLines:
    """The same for a task."""

    def __init__(self, world: Apart) -> None:
        self.world = world
        self.open: dict[str, psycopg.AsyncConnection[Any]] = {}

    async def to(self, side: str) -> psycopg.AsyncConnection[Any]:
        if side not in self.open or self.open[side].closed:
            url = self.world.urls[side]
            self.open[side] = await psycopg.AsyncConnection.connect(url, autocommit=True, application_name=VICTIM)
        return self.open[side]

    def reading(self, side: str, row: Row) -> Callable[[], Any]:
        async def run() -> int | None:
            found = await (await (await self.to(side)).execute(select(side), row)).fetchone()
            return None if found is None else int(found[0])

        return run

    def writing(self, side: str, row: Row, n: int, policy: Policy) -> Callable[[], Any]:
        async def run() -> None:
            connection = await self.to(side)
            if self.world.fails(side, policy):
                await connection.execute("SELECT 1 / 0")
            await connection.execute(upsert(side), (*row, n))
            if self.world.loses(side, policy):
                await connection.close()
                raise lost()

        return run

    async def close(self) -> None:
        for connection in self.open.values():
            await connection.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection


class ApartLoop(Process):
    """The same in one event loop."""

    world: Apart

    def begin(self) -> None:
        self.start(self.loop)
        self.laps += [0, 0]

    def loop(self, _number: int) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        recorder = LedgerRecorder(connect_async=lambda: connected(self.world.url))
        async with AsyncRouter(self.flags, recorder, shadow=Shadow(sample=0), pace=PACE) as router:
            self.router, self.users = router, router.migration(FLAG)
            await asyncio.gather(self.writer(0), self.writer(1), self.reader(2))

    async def writer(self, number: int) -> None:
        lines = AsyncLines(self.world)
        async with await psycopg.AsyncConnection.connect(self.world.url, autocommit=True) as turns:
            while not self.world.stop.is_set():
                row = self.world.row()
                await turns.execute(TURN, (turn_of(row),))
                try:
                    self.world.journal.wrote(row, await self.add(lines, row))
                except psycopg.OperationalError:
                    self.world.failed += 1
                await turns.execute(END_TURN)
                self.laps[number] += 1
        await lines.close()

    async def add(self, lines: AsyncLines, row: Row) -> int:
        tenant, key = row
        async with self.users.at(tenant) as at:
            n = (await at.read(old=lines.reading("old", row), new=lines.reading("new", row), key=key) or 0) + 1
            old, new = (lines.writing(side, row, n, at.policy) for side in TABLES)
            await at.write(old=old, new=new, key=key)
        return n

    async def reader(self, number: int) -> None:
        lines = AsyncLines(self.world)
        while not self.world.stop.is_set():
            tenant, key = row = self.world.row()
            floor = self.world.journal.last(row)
            try:
                async with self.users.at(tenant) as at:
                    n = await at.read(old=lines.reading("old", row), new=lines.reading("new", row), key=key)
                self.world.journal.read(row, n, floor, at.stage)
            except psycopg.OperationalError:
                self.world.failed += 1
            self.laps[number] += 1
        await lines.close()

    def end(self) -> None:
        self.join()


@dataclass
class Storm(Traffic):
    """Traffic whose failures are those of two databases. `kills` counts the backends that were ended."""

    world: Apart
    kills: int = 0
    whom: Random = field(default_factory=lambda: Random(3))

    def fault(self, share: float = 0.3) -> None:
        self.world.faults, self.world.lost = share, share / 3
        with self.sabotage():
            self.laps(6)
        self.world.faults = self.world.lost = 0.0
        self.laps(2)
        self.mend()

    def mend(self) -> None:
        """Works all repairs off; then the sides are equal, row by row, whoever writes meanwhile."""
        with psycopg.connect(self.world.url, autocommit=True) as near, psycopg.connect(self.world.far) as far:
            self.second_failures += repair(near, FLAG, self.copier(far))
            for row in ((tenant, key) for tenant in TENANTS for key in KEYS):
                with near.transaction(), far.transaction():
                    advisory_lock(near, turn_of(row))
                    found = near.execute(select("old"), row).fetchone(), far.execute(select("new"), row).fetchone()
                    if found[0] != found[1]:
                        self.world.journal.wrong.append(f"{row}: {found} after the repair")

    def copier(self, far: psycopg.Connection[Any]) -> Callable[[Any, Repair], None]:
        def copy(near: Any, each: Repair) -> None:
            advisory_lock(near, each.lock)
            lines, row = {"old": near, "new": far}, (each.tenant, int(each.key[0]))
            source = other(each.side)
            with far.transaction():
                found = lines[source].execute(select(source), row).fetchone()
                assert found is not None
                lines[each.side].execute(upsert(each.side), (*row, found[0]))

        return copy

    def backfill(self) -> None:
        with psycopg.connect(self.world.url, autocommit=True) as near, psycopg.connect(self.world.far) as far:
            copy = self.copier(far)
            for row in ((tenant, key) for tenant in TENANTS for key in KEYS):
                with near.transaction():
                    copy(near, Repair(0, row[0], "new", (str(row[1]),), "", turn_of(row)))

    @contextmanager
    def sabotage(self) -> Iterator[None]:
        calm = threading.Event()

        def run() -> None:
            lines = [psycopg.connect(url, autocommit=True) for url in self.world.urls.values()]
            while not calm.wait(0.05):
                self.kills += len(self.whom.choice(lines).execute(KILL, (VICTIM,)).fetchall())
            for line in lines:
                line.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            calm.set()
            thread.join(60)
