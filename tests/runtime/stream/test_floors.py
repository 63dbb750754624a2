"""Where forgotten keys can't be cleared away, looks begin further on, and no key is passed over."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from migdsl.runtime.database import Transaction
from migdsl.runtime.stream.applier import Applier
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.waiting import Look, Queue
from tests.runtime.stream.conftest import Job, running, until
from tests.runtime.stream.world import World, moved


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes longer than it may."""
    monkeypatch.setattr("migdsl.runtime.stream.floors._SLOW_S", -1.0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where each look at the old side's outbox began."""
    found: list[int] = []
    look = Queue.look

    def noted(queue: Queue, tx: Transaction, after: int = 0) -> Look:
        if queue.side == "old":
            found.append(after)
        return look(queue, tx, after)

    monkeypatch.setattr(Queue, "look", noted)
    return found


def swept(applier: Applier, times: int = 4) -> int:
    return sum(applier.sweep()[0] for _ in range(times))


def test_looks_begin_where_nothing_waits_any_more(world: World, pair: Pair, looks: list[int]):
    applier, floor = Applier(pair), pair.floors.of(pair.queues[0])
    with psycopg.connect(world.old) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM orders")
        for note in ("a", "b", "c"):
            world.run("old", "UPDATE orders SET note = %s", note)
            assert swept(applier) == 60
            assert world.difference() == (set(), set())
        assert (looks[0], floor.slow) == (0, True)
        assert looks[-1] == floor.number > 120
        # What counts begins there, too, and sees what is above.
        world.run("old", "UPDATE orders SET note = 'd'")
        assert [each.events for each in pair.waiting()] == [60, 0]
        assert pair.waiting()[0].waited_s > 0
        assert swept(applier) == 60
        assert [(each.events, each.waited_s) for each in pair.waiting()] == [(0, 0.0), (0, 0.0)]


def test_a_number_that_was_drawn_and_not_committed_is_not_passed_over(world: World, pair: Pair):
    applier, floor = Applier(pair), pair.floors.of(pair.queues[0])
    world.run("old", "UPDATE orders SET note = 'first'")
    assert swept(applier) == 60
    risen = floor.number
    with psycopg.connect(world.old) as before, psycopg.connect(world.old) as late:
        # It has the lower transaction and the higher number, and ends first: what a snapshot calls its end is its own.
        before.execute("UPDATE tenants SET id = id")
        late.execute("UPDATE orders SET note = 'late' WHERE id = 1")
        before.execute("UPDATE orders SET note = 'soon' WHERE id = 2")
        before.commit()
        assert swept(applier, 8) == 1
        world.run("old", "UPDATE orders SET note = 'other' WHERE id > 2")
        assert swept(applier, 8) == 58
        late.commit()
    assert floor.number < world.one("old", f"SELECT id FROM {moved().outbox('old')}")
    assert swept(applier) == 1
    assert world.difference() == (set(), set())
    world.run("old", "UPDATE orders SET note = 'last'")
    assert swept(applier) == 60
    assert floor.number > risen + 60


def test_whatever_is_below_is_found_by_the_next_look_from_the_beginning(world: World, pair: Pair):
    applier, floor = Applier(pair), pair.floors.of(pair.queues[0])
    world.run("old", "UPDATE orders SET note = 'below' WHERE id = 1")
    floor.number, floor._until = 10**9, time.monotonic() + 1e6
    assert swept(applier) == 0
    floor._until = 1e-9
    assert swept(applier) == 1
    assert world.one("new", "SELECT note FROM orders WHERE id = 1") == "below"


def test_where_looks_are_quick_again_they_begin_at_the_beginning(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, looks: list[int]
):
    applier, floor = Applier(pair), pair.floors.of(pair.queues[0])
    world.run("old", "UPDATE orders SET note = 'x'")
    assert swept(applier) == 60
    assert floor.slow
    monkeypatch.setattr("migdsl.runtime.stream.floors._SLOW_S", 1e6)
    floor._until = 1e-9
    swept(applier)
    assert (floor.slow, looks[-1], pair.floors.after(pair.queues[0])) == (False, 0, 0)


def test_a_drain_while_somebody_keeps_a_snapshot(world: World, job: Job, tmp_path: Path):
    with psycopg.connect(world.old) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM orders")
        job("enqueue")
        for note in ("a", "b"):
            world.run("old", "UPDATE orders SET note = %s WHERE id < 40", note)
            assert "nothing waits" in job("drain")
            assert world.difference() == (set(), set())


def test_who_keeps_the_snapshot_is_named(world: World):
    with psycopg.connect(world.old, application_name="nightly dump") as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM orders")
        with running(world, moved()) as (_relay, said):
            until("it is told", lambda: [line for line in said if "nightly dump" in str(line.get("oldest_snapshot"))])
