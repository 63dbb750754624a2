"""A backfill under everything at once: killed, frozen and crashed into, it ends with every row right and a true ledger.

The small form runs with the suite; `MIGDSL_CHAOS=full` has 500,000 rows of 200 tenants and 20 kills, in about five minutes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from migdsl.rehearsal.server import Server, start_server
from tests.chaos.job import Settings
from tests.chaos.world import World, wait_until, writing


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it; `gap_s` is the longest time between two blows."""

    rows: int
    tenants: int
    kills: int
    gap_s: float
    lock_s: float
    write_pause_s: float
    settings: Settings


SMALL = Size(8_000, 20, 4, 0.8, 3.0, 0.02, Settings(lease_s=2, rows_per_second=250, slice_rows=500))
FULL = Size(500_000, 200, 20, 8.0, 30.0, 0.002, Settings(lease_s=8, rows_per_second=700, batch=50, slice_rows=20_000))
SIZE = FULL if os.environ.get("MIGDSL_CHAOS") == "full" else SMALL
SEED = int(os.environ.get("MIGDSL_CHAOS_SEED", "7"))

Start = Callable[[World, Settings], "subprocess.Popen[bytes]"]


def local(world: World, settings: Settings) -> subprocess.Popen[bytes]:
    """A process with threads of its own."""
    return world.start(settings)


# How one of the processes that work on the backfill is started. It is killed, frozen and started anew at any time.
ENGINES: dict[str, Start] = {"local": local}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may be restarted: a crash of it loses nothing, a crash of the machine would."""
    settings = {"fsync": "off", "full_page_writes": "off", "max_connections": "60"}
    with start_server(tmp_path_factory.mktemp("pg"), settings=settings) as server:
        yield server


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def made(rows: int, tenants: int, poison: int) -> World:
        worlds.append(World.made(server, tmp_path, rows, tenants, poison))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


class Team:
    """Two processes; one that was killed is started again."""

    def __init__(self, world: World, start: Start, settings: Settings) -> None:
        self.world, self.start, self.settings = world, start, settings
        self.random = random.Random(SEED)
        self.pair = [start(world, settings), start(world, settings)]

    def at_work(self) -> bool:
        return self.world.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") > 0

    def passed(self) -> int:
        return self.world.one("SELECT coalesce(sum(rows_scanned), 0) FROM migdsl.slice")

    def goes_on(self) -> None:
        """Waits until batches commit (again)."""
        before = self.passed()
        wait_until(lambda: self.passed() > before, 120, f"nothing goes on\n{self.world.said()}")

    def wait_a_little(self, gap_s: float) -> None:
        time.sleep(self.random.uniform(0.05, gap_s))

    def kill(self) -> None:
        """Kills one of them, whatever it does just now."""
        n = self.random.randrange(2)
        # One that was begun while the server was away has ended, as it should: whatever watches it begins another.
        assert self.pair[n].poll() in (None, 3), f"it ended before it was killed\n{self.world.said()}"
        self.pair[n].kill()
        self.pair[n].wait()
        self.pair[n] = self.start(self.world, self.settings)

    def hurry(self) -> None:
        """The blows are over: both begin once more, without a bound to their pace."""
        self.settings = replace(self.settings, rows_per_second=1e6, batch=500)
        for n, process in enumerate(self.pair):
            process.kill()
            process.wait()
            self.pair[n] = self.start(self.world, self.settings)

    def freeze(self, leases: float = 1.5) -> None:
        """Stops both in turn for longer than a lease, so that each is taken for dead, and comes back."""
        for process in self.pair:
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.settings.lease_s * leases)
            process.send_signal(signal.SIGCONT)

    def lock(self, seconds: float) -> None:
        """Somebody locks rows that aren't filled yet, in many tenants."""
        with psycopg.connect(self.world.url) as holder:
            holder.execute(
                "SELECT FROM thing WHERE id IN (SELECT max(id) FROM thing WHERE target IS NULL GROUP BY tenant) FOR UPDATE"
            )
            time.sleep(seconds)

    def end(self, seconds: float) -> list[int]:
        """The exit codes."""
        until = time.monotonic() + seconds
        return [process.wait(timeout=max(1.0, until - time.monotonic())) for process in self.pair]


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_at_once(make: Callable[..., World], engine: str):
    world = make(SIZE.rows, SIZE.tenants, 3)
    with writing(world, SIZE.write_pause_s, SEED):
        team = Team(world, ENGINES[engine], SIZE.settings)
        wait_until(team.at_work, 60, world.said())
        for n in range(SIZE.kills):
            team.goes_on()
            team.wait_a_little(SIZE.gap_s)
            team.kill()
            if n == SIZE.kills // 4:
                team.goes_on()
                team.freeze()
            elif n == SIZE.kills // 2:
                team.goes_on()
                world.server.restart("immediate")
            elif n == SIZE.kills * 3 // 4:
                team.lock(SIZE.lock_s)
        assert world.one("SELECT count(*) FROM migdsl.slice WHERE state = 'succeeded'") < world.one(
            "SELECT count(*) FROM migdsl.slice"
        ), "it was over before the last blow: make it slower"
        team.hurry()
        assert team.end(600) == [1, 1], world.said()  # rows were set aside
    assert world.wrongs() == {}, world.said()
    assert world.one("SELECT count(*) FROM migdsl.quarantine") == 3
    # Both took part, and nobody but workers filled what was there before.
    assert world.one("SELECT count(DISTINCT backend) FROM journal") > SIZE.kills


def test_a_full_error_budget_stops_both(make: Callable[..., World]):
    world = make(4_000, 10, 40)
    settings = Settings(budget=12, slice_rows=500, rows_per_second=2_000)
    team = Team(world, local, settings)
    assert team.end(120) == [1, 1]
    assert world.one("SELECT count(*) FROM migdsl.quarantine") == 12
    assert world.one("SELECT count(*) FROM migdsl.slice WHERE state = 'running'") == 0
    assert world.one("SELECT count(*) FROM migdsl.slice WHERE error LIKE 'error budget%'") > 0
    assert "errors at most" in world.said()
    assert world.one("SELECT count(*) FROM thing WHERE target IS NULL") > 28
    with world.connect() as connection:
        connection.execute("UPDATE thing SET source = id WHERE source LIKE 'poison%'")
    assert Team(world, local, replace(settings, rows_per_second=50_000)).end(120) == [0, 0]
    assert world.wrongs() == {}, world.said()


# A batch is at work nearly all the time, so that it is in one that a worker is frozen.
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF current_setting('application_name') LIKE 'migdsl %' THEN PERFORM pg_sleep(0.1); END IF; RETURN NULL; END$$;
CREATE TRIGGER slow AFTER UPDATE ON thing FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


def test_without_the_fence_it_goes_wrong(make: Callable[..., World]):
    wrong = {"batches of a tenant at the same time", "slices that passed more rows than there were"}
    settings = Settings(lease_s=1, control="fence", workers=1, slice_rows=10_000, rows_per_second=1e6)
    said = ""
    for _ in range(4):  # a worker may be frozen between two batches, which harms nothing
        world = make(600, 1, 0)
        with world.connect() as connection:
            connection.execute(SLOW)
        team = Team(world, local, settings)
        wait_until(team.at_work, 60, world.said())
        team.goes_on()
        # The other one first waits for rows of the batch that is frozen; only then is the slice seen to be its own.
        team.freeze(4)
        team.end(120)
        if wrong & world.wrongs().keys():
            return
        said += world.said()
    raise AssertionError(said)


def test_with_the_checkpoint_outside_the_transaction_it_goes_wrong(make: Callable[..., World]):
    world = make(2_000, 2, 0)
    settings = Settings(control="checkpoint", workers=1, slice_rows=10_000, rows_per_second=2_000)
    team = Team(world, local, settings)
    for _ in range(4):
        team.goes_on()
        team.kill()
    team.end(120)
    assert "tenants whose ledger counts other rows than were written" in world.wrongs(), world.said()
