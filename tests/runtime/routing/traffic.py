"""Writers and readers of several tenants go through routers of their own, as processes would; a journal tells what was lost.

Each write adds one to a row that two tables hold. The journal knows which numbers were acknowledged: a number twice, or
one that is missing, is a lost write; a read below what was acknowledged before it began is stale.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg import IsolationLevel

from migdsl.emit.flags import FlagView, StageLine, flag_file
from migdsl.runtime.routing import (
    AsyncRouter,
    LedgerRecorder,
    OpenFeature,
    Pace,
    Router,
    Shadow,
    advisory_lock,
    advisory_lock_async,
    open_repairs,
    repair,
)
from migdsl.runtime.routing.mask import key_text, lock_name
from migdsl.runtime.routing.repair import Recorder, Repair
from migdsl.runtime.routing.stages import Policy, Stage
from tests.runtime.conftest import ledger_statements

FLAG = "users_email"
TENANTS = tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))
KEYS = (1, 2, 3)
TABLES: Mapping[str, str] = {"old": "old_side", "new": "new_side"}
# MIGDSL_TRAFFIC=100 stays a hundred times longer in each stage.
LONG = int(os.environ.get("MIGDSL_TRAFFIC", "1"))
Row = tuple[str, int]
Connection = psycopg.Connection[Any]


def setup(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ledger_statements():
            connection.execute(statement.encode())
        for table in TABLES.values():
            connection.execute(
                f"CREATE TABLE {table} (tenant text, id bigint, n bigint, PRIMARY KEY (tenant, id))".encode()
            )
        for tenant in TENANTS:
            for key in KEYS:
                connection.execute("INSERT INTO old_side VALUES (%s, %s, 0)", (tenant, key))


def select(side: str) -> bytes:
    return f"SELECT n FROM {TABLES[side]} WHERE tenant = %s AND id = %s".encode()


def upsert(side: str) -> bytes:
    table = TABLES[side]
    return f"INSERT INTO {table} VALUES (%s, %s, %s) ON CONFLICT (tenant, id) DO UPDATE SET n = excluded.n".encode()


@dataclass
class Journal:
    """What was acknowledged, and what was found wrong."""

    acknowledged: dict[Row, list[int]] = field(default_factory=lambda: defaultdict(list))
    reads: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def last(self, row: Row) -> int:
        with self.lock:
            return max(self.acknowledged[row], default=0)

    def wrote(self, row: Row, n: int) -> None:
        with self.lock:
            if n in self.acknowledged[row]:
                self.wrong.append(f"{row}: {n} was acknowledged twice")
            self.acknowledged[row].append(n)

    def read(self, row: Row, n: int | None, floor: int, stage: str) -> None:
        with self.lock:
            self.reads += 1
            if n is None or n < floor:
                self.wrong.append(f"{row}: a read in {stage} gave {n}, {floor} was acknowledged before")


@dataclass
class World:
    """One flag file, one database, and how often second writes fail on purpose."""

    url: str
    path: Path
    journal: Journal = field(default_factory=Journal)
    faults: float = 0.0
    random: Random = field(default_factory=lambda: Random(7))
    stop: threading.Event = field(default_factory=threading.Event)
    leased: threading.local = field(default_factory=threading.local)
    connections: list[Connection] = field(default_factory=list)

    def flag(self, *lines: StageLine) -> None:
        text = flag_file(FlagView(FLAG, FLAG, lines), "f").text
        self.path.with_suffix(".new").write_text(text)
        self.path.with_suffix(".new").replace(self.path)

    def row(self) -> Row:
        return self.random.choice(TENANTS), self.random.choice(KEYS)

    def fails(self, side: str, policy: Policy) -> bool:
        return side in policy.writes[1:] and self.random.random() < self.faults

    @contextmanager
    def lease(self) -> Iterator[Connection]:
        """One snapshot for both sides, so that what differs does differ."""
        connection = getattr(self.leased, "connection", None)
        if connection is None:
            connection = self.leased.connection = psycopg.connect(self.url, autocommit=True)
            self.connections.append(connection)
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            yield connection


@dataclass
class Process(ABC):
    """Workers with a router of their own; `laps` counts what each has done."""

    world: World
    flags: OpenFeature
    locked: bool = True
    policies: Mapping[Stage, Policy] | None = None
    laps: list[int] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    recorder: Recorder | None = None
    router: Any = None
    users: Any = None

    def start(self, *work: Callable[[int], None]) -> None:
        if self.policies is not None:
            self.users.core.policies = self.policies
        for run in work:
            number = len(self.laps)
            self.laps.append(0)
            self.threads.append(threading.Thread(target=self._run, args=(run, number)))
            self.threads[-1].start()

    def _run(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            self.errors.append(error)
            raise

    @abstractmethod
    def begin(self) -> None:
        """Starts the workers."""

    @abstractmethod
    def end(self) -> None:
        """Waits for them, who have been told to stop."""

    def stages(self) -> set[tuple[str, str]]:
        return set(self.users.stages().items())

    def join(self) -> None:
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


class ThreadProcess(Process):
    """Two writers and a reader, in threads."""

    def begin(self) -> None:
        shadow = Shadow(lease=self.world.lease, sample=0.1, budget=1e9, recheck=0.0, timeout=60.0, max_age=60.0)
        self.router = Router(
            self.flags, self.recorder or LedgerRecorder(), shadow=shadow, pace=Pace(ttl=0.05, settle=0.3)
        )
        self.users = self.router.migration(FLAG, lock=advisory_lock if self.locked else None)
        self.start(self.writer, self.writer, self.reader)

    def writer(self, number: int) -> None:
        world = self.world
        with psycopg.connect(world.url, autocommit=True) as connection:
            while not world.stop.is_set():
                tenant, key = row = world.row()
                with connection.transaction(), self.users.at(tenant, on=connection) as at:
                    at.lock(key)
                    n = (at.read(old=self.reading("old", row), new=self.reading("new", row), key=key) or 0) + 1
                    old, new = (self.writing(side, row, n, at.policy) for side in TABLES)
                    at.write(old=old, new=new, key=key)
                world.journal.wrote(row, n)
                self.laps[number] += 1

    def reader(self, number: int) -> None:
        world = self.world
        with psycopg.connect(world.url, autocommit=True) as connection:
            while not world.stop.is_set():
                tenant, key = row = world.row()
                floor = world.journal.last(row)
                with self.users.at(tenant, on=connection) as at:
                    n = at.read(old=self.reading("old", row), new=self.reading("new", row), key=key)
                world.journal.read(row, n, floor, at.stage)
                self.laps[number] += 1

    def reading(self, side: str, row: Row) -> Callable[[Connection], int | None]:
        def run(connection: Connection) -> int | None:
            found = connection.execute(select(side), row).fetchone()
            return None if found is None else int(found[0])

        return run

    def writing(self, side: str, row: Row, n: int, policy: Policy) -> Callable[[Connection], None]:
        def run(connection: Connection) -> None:
            connection.execute(upsert(side), (*row, n))
            if self.world.fails(side, policy):
                connection.execute("SELECT 1 / 0")

        return run

    def end(self) -> None:
        self.join()
        self.router.close()


class LoopProcess(Process):
    """The same in one event loop."""

    def begin(self) -> None:
        self.start(self.loop)
        self.laps += [0, 0]

    def loop(self, _number: int) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        async with AsyncRouter(
            self.flags, LedgerRecorder(), shadow=Shadow(sample=0), pace=Pace(ttl=0.05, settle=0.3)
        ) as router:
            self.router, self.users = router, router.migration(FLAG, lock=advisory_lock_async)
            await asyncio.gather(self.writer(0), self.writer(1), self.reader(2))

    async def writer(self, number: int) -> None:
        world = self.world
        async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as connection:
            while not world.stop.is_set():
                tenant, key = row = world.row()
                async with connection.transaction(), self.users.at(tenant, on=connection) as at:
                    await at.lock(key)
                    found = await at.read(old=self.reading("old", row), new=self.reading("new", row), key=key)
                    old, new = (self.writing(side, row, (found or 0) + 1, at.policy) for side in TABLES)
                    await at.write(old=old, new=new, key=key)
                world.journal.wrote(row, (found or 0) + 1)
                self.laps[number] += 1

    async def reader(self, number: int) -> None:
        world = self.world
        async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as connection:
            while not world.stop.is_set():
                tenant, key = row = world.row()
                floor = world.journal.last(row)
                async with self.users.at(tenant, on=connection) as at:
                    n = await at.read(old=self.reading("old", row), new=self.reading("new", row), key=key)
                world.journal.read(row, n, floor, at.stage)
                self.laps[number] += 1

    def reading(self, side: str, row: Row) -> Callable[[Any], Any]:
        async def run(connection: Any) -> int | None:
            found = await (await connection.execute(select(side), row)).fetchone()
            return None if found is None else int(found[0])

        return run

    def writing(self, side: str, row: Row, n: int, policy: Policy) -> Callable[[Any], Any]:
        async def run(connection: Any) -> None:
            await connection.execute(upsert(side), (*row, n))
            if self.world.fails(side, policy):
                await connection.execute("SELECT 1 / 0")

        return run

    def end(self) -> None:
        self.join()


@dataclass
class Traffic:
    """A world with its processes."""

    world: World
    processes: list[Process]
    second_failures: int = 0

    def until(self, happened: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 60 * LONG
        while not happened():
            errors = [error for each in self.processes for error in each.errors]
            assert not errors, errors
            assert time.monotonic() < end, what
            time.sleep(0.01)

    def laps(self, more: int) -> None:
        """Every worker ends that many requests, so that none is left that began before."""
        for each in self.processes:
            wanted = [n + more * LONG for n in each.laps]
            self.until(lambda each=each, wanted=wanted: all(map(int.__ge__, each.laps, wanted)), "a worker stands still")  # type: ignore[misc]

    def stage(self, **stages: str) -> None:
        """`first` moves ahead of the others, as a canary does; then all requests of the stage before end."""
        rest = stages["rest"]
        first = stages.get("first", rest)
        self.world.flag(StageLine("tenants", first, tenants=TENANTS[:1]), StageLine("all", rest))
        wanted = {(TENANTS[0], first), *((tenant, rest) for tenant in TENANTS[1:])}
        for each in self.processes:
            self.until(lambda each=each: each.users is not None and each.stages() == wanted, f"not seen: {stages}")  # type: ignore[misc]
        self.laps(2)

    def fault(self, share: float = 0.3) -> None:
        """Second writes fail for a while; then they are repaired, all of them."""
        self.world.faults = share
        self.laps(6)
        self.world.faults = 0.0
        self.laps(2)
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            self.second_failures += repair(connection, FLAG, copy)
            assert open_repairs(connection, FLAG) == []

    def backfill(self) -> None:
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            for tenant in TENANTS:
                for key in KEYS:
                    with connection.transaction():
                        name = lock_name(FLAG, tenant, key_text(key))
                        copy(connection, Repair(0, tenant, "new", (str(key),), "", name))

    def end(self) -> None:
        self.world.stop.set()
        for each in self.processes:
            each.end()


def copy(connection: Connection, each: Repair) -> None:
    """Makes one side of a row what the other one is, under the lock of its writers."""
    key = int(each.key[0])
    advisory_lock(connection, each.lock)
    source = "old" if each.side == "new" else "new"
    found = connection.execute(select(source), (each.tenant, key)).fetchone()
    assert found is not None
    connection.execute(upsert(each.side), (each.tenant, key, found[0]))


@contextmanager
def traffic(world: World, *processes: Process, made: type[Any] = Traffic) -> Iterator[Any]:
    """Runs the processes; at the end they have stopped."""
    running = made(world, list(processes))
    for each in processes:
        each.begin()
    try:
        yield running
    finally:
        running.end()
