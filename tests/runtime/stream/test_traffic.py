"""A tenant's writes are switched there, back and there again under live writers, while the relay is killed at random.

The short form runs with the suite; `MIGDSL_STREAM=full` has more tenants, rows, writers and kills, in about two minutes.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as enqueue
from migdsl.runtime.jobs import Limits
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.jobs import Side
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.switch import Switch, SwitchRefusedError
from tests.runtime.stream import traffic
from tests.runtime.stream.conftest import databases
from tests.runtime.stream.world import World, backfill, make, moved, stream


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it; `between` are the writes between two switches, `blows` how often the relay is killed then."""

    tenants: int
    rows: int
    writers: int
    between: int
    relays: int
    pause: float = 0.0


FULL = os.environ.get("MIGDSL_STREAM") == "full"
SIZE = Size(6, 20_000, 4, 250, 2, 0.005) if FULL else Size(2, 300, 2, 40, 1)


ORDER: tuple[Side, ...] = ("new", "old", "new")


@pytest.fixture
def busy(pg: Server, tmp_path: Path) -> Iterator[World]:
    with databases(pg) as (old, new):
        made = make(old, new, tmp_path, SIZE.tenants, SIZE.rows)
        traffic.journals(made)
        yield made


def pair_of(world: World) -> Pair:
    described = replace(stream(moved()), limits=Limits(lock_ms=500))
    made = Pair.of(described, Urls(world.old, world.new), "test", Halt(Signals()), lambda _error, _seconds: None)
    made.open()
    return made


def switched(pair: Pair, tenant: str, to: Side) -> float:
    """The pause in milliseconds. A switch that is refused because there is too much to do is tried again."""
    while True:
        try:
            done = Switch(pair, tenant, to).run()
        except SwitchRefusedError as error:
            # There is too much to do, and the tenant stays where it was; whatever else it says is a failure.
            if not any(said in str(error) for said in ("all the time", "too far behind", "waited for")):
                raise
            continue
        assert done.pause_ms is not None
        return done.pause_ms


def test_nothing_is_lost_whatever_is_killed(busy: World, capsys: pytest.CaptureFixture[str]):
    chance, pauses, kills = random.Random(7), [], 0
    relays: list[subprocess.Popen[bytes]] = [busy.start("run", "--workers", "2") for _ in range(SIZE.relays)]
    pair = pair_of(busy)
    began = time.monotonic()
    try:
        with traffic.writing(busy, SIZE.writers, SIZE.pause) as crew:
            # The rows of before come through the same outbox, beside the traffic.
            assert enqueue(backfill(moved()), ["--url", busy.old]) == 0
            for to in ORDER:
                for tenant in busy.tenants:
                    traffic.wait_for_writes(crew, SIZE.between)
                    victim = chance.randrange(SIZE.relays)
                    relays[victim].send_signal(signal.SIGKILL)
                    relays[victim].wait()
                    kills += 1
                    relays[victim] = busy.start("run", "--workers", "2")
                    pauses.append(switched(pair, tenant, to))
            traffic.wait_for_writes(crew, SIZE.between)
    finally:
        for each in relays:
            each.kill()
            each.wait()
        pair.close()
    seconds = time.monotonic() - began
    busy.job("once")
    events = sum(row[0] for side in ("old", "new") for row in busy.all(side, "SELECT events FROM migdsl.lane"))
    with capsys.disabled():
        if FULL:
            cuts = statistics.quantiles(pauses, n=100)
            print(
                f"\n{sum(c.written for c in crew):,} writes, {sum(c.refused for c in crew)} refused, {kills} kills, "
                f"{seconds:.0f} s; "
                f"{events / seconds:.0f} events/s; pause p50 {statistics.median(pauses):.0f} ms, p99 {cuts[98]:.0f} ms, "
                f"slowest write {max(c.slowest for c in crew) * 1000:.0f} ms"
            )
    assert busy.sides() == dict.fromkeys(busy.tenants, ("new", "new"))
    assert busy.difference() == (set(), set())
    assert traffic.found(busy, "new") == traffic.expected(crew)
    assert traffic.found(busy, "old") == traffic.expected(crew)
    assert traffic.out_of_order(busy, "old") == []
    assert traffic.out_of_order(busy, "new") == []
    assert all(each.refused for each in crew)
