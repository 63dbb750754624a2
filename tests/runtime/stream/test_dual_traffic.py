"""Live writers of several processes carry their rows over themselves while tenants are switched and second writes are cut off.

No relay runs. The short form runs with the suite; `MIGDSL_STREAM=full` has more tenants, rows, writers and cuts.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as enqueue
from migdsl.runtime.stream.cli import main
from tests.runtime.stream import test_traffic, traffic
from tests.runtime.stream.both import Application, application
from tests.runtime.stream.conftest import databases
from tests.runtime.stream.test_traffic import FULL, Size
from tests.runtime.stream.world import World, backfill, make, moved, stream

SIZE = Size(6, 5_000, 6, 250, 0) if FULL else Size(2, 100, 4, 25, 0)


@dataclass
class Routed(traffic.Writer):
    """A writer that goes through the application's module: it neither knows nor asks where its tenants are."""

    app: Application | None = None

    def _anywhere(self, _sides: dict[str, psycopg.Connection], what: str, _tenant: str, values: dict) -> int | None:
        assert self.app is not None
        try:
            row = self.app.write(what, **values)
        except errors.ObjectNotInPrerequisiteState:
            self.refused += 1
            assert what == "move"
            return None
        # A row that was acknowledged is there, wherever its tenant is: else it has been lost.
        assert row is not None, f"{what} of {values['id']} met no row"
        return row


_CUT = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%second writes%' ORDER BY random() LIMIT 1) AS one"""


@contextmanager
def cutting(world: World, chance: random.Random, every: float = 0.25) -> Iterator[list[int]]:
    """Ends connections of second writes now and then, between their statements and between their two commits; how many."""
    stop, cuts = threading.Event(), [0]

    def work() -> None:
        with (
            psycopg.connect(world.old, autocommit=True) as old,
            psycopg.connect(world.new, autocommit=True) as new,
        ):
            while not stop.wait(chance.random() * every):
                cuts[0] += len(chance.choice((old, new)).execute(_CUT).fetchall())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield cuts
    finally:
        stop.set()
        thread.join()


def test_nothing_is_lost_whatever_is_cut_off(pg: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    chance, began, pauses = random.Random(11), time.monotonic(), []
    with databases(pg) as (old, new):
        world = make(old, new, tmp_path, SIZE.tenants, SIZE.rows)
        traffic.journals(world)
        pair = test_traffic.pair_of(world)
        with application(world, pause_s=0.05) as one, application(world, pause_s=0.05) as two:
            crew = [Routed(world, n, pause=SIZE.pause, app=(one, two)[n % 2]) for n in range(1, SIZE.writers + 1)]
            with traffic.at_work(crew), cutting(world, chance) as cuts:
                assert enqueue(backfill(moved()), ["--url", old]) == 0
                for to in test_traffic.ORDER:
                    # As a job that a clock starts: what was cut off would be too old for a switch after a while.
                    assert main(stream(moved()), ["--old-url", old, "--new-url", new, "drain"]) == 0
                    for tenant in world.tenants:
                        traffic.wait_for_writes(crew, SIZE.between)
                        pauses.append(test_traffic.switched(pair, tenant, to))
                traffic.wait_for_writes(crew, SIZE.between)
            carried, left = (sum(app.seconds(o) for app in (one, two)) for o in ("carried", "failed"))
        pair.close()
        world.job("once")
        if FULL:
            with capsys.disabled():
                written, seconds = sum(c.written for c in crew), time.monotonic() - began
                print(
                    f"\n{written:,} writes, {carried:,} carried at once, {left:,} failed, {cuts[0]:,} cuts, {seconds:.0f} s"
                )
        assert world.sides() == dict.fromkeys(world.tenants, ("new", "new"))
        assert world.difference() == (set(), set())
        for side in ("old", "new"):
            assert traffic.found(world, side) == traffic.expected(crew)
            assert traffic.out_of_order(world, side) == []
        assert carried > 0
        assert cuts[0] > 0
