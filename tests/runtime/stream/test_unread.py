"""What nobody has read from the slot yet is behind as well: in numbers, in words, and in what gates go by."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus

from migdsl.ops import stream_slot
from migdsl.rehearsal.server import Server
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.meters import samples
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.relay import Relay
from migdsl.runtime.stream.slot import Tap
from tests.runtime.stream.conftest import opened, running, slotted, until
from tests.runtime.stream.test_slot import OF, begin, run
from tests.runtime.stream.world import World, stream

SLOT = stream_slot.slot_name(OF)
_LONG_AGO = "UPDATE migdsl.switch SET at = at - interval '100 seconds' WHERE stream = 'Order/slot'"
_READINGS = "SELECT value::float FROM migdsl.event WHERE kind = 'reading' AND subject = 'sync_lag:Order' ORDER BY id"


@pytest.fixture
def world(logical: Server, tmp_path: Path) -> Iterator[World]:
    with slotted(logical, tmp_path, OF) as made:
        yield made


@pytest.fixture
def pair(world: World) -> Iterator[Pair]:
    with opened(world, OF) as made:
        yield made


@contextmanager
def reader(world: World) -> Iterator[int]:
    """Somebody who reads the slot, as a replica or another tool would; the number of its process."""
    options = f"(proto_version '1', publication_names '\"{stream_slot.publication_name(OF)}\"')"
    asked = f"START_REPLICATION SLOT {SLOT} LOGICAL 0/0 {options}".encode()
    own = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    with ExitStack() as stack:
        connected = partial(psycopg.connect, replication="database", application_name="curious", autocommit=True)

        def reads() -> bool:
            # The job itself may have the slot just then.
            walsender = stack.enter_context(closing(connected(world.old)))
            pids.append(walsender.info.backend_pid)
            return walsender.pgconn.exec_(asked).status == ExecStatus.COPY_BOTH

        pids: list[int] = []
        until("somebody reads the slot", reads)
        yield pids[-1]
    until("it has let go", lambda: world.one("old", own, SLOT) != pids[-1])


def test_what_is_only_in_the_wal_is_behind(world: World, pair: Pair, capsys: pytest.CaptureFixture[str]):
    begin(world)
    assert [each.lag_s for each in pair.waiting()] == [0.0, 0.0]
    world.run("old", _LONG_AGO)
    world.run("old", "UPDATE orders SET status = 2 WHERE id = 1")
    forth, back = pair.waiting()
    assert (forth.events, forth.waited_s, back.lag_s) == (0, 0.0, 0.0)
    assert forth.lag_s > 100
    # A drain looks at what is in the outboxes, and brings the rest there first.
    capsys.readouterr()
    run(world, "status")
    assert "was last read from the WAL 10" in capsys.readouterr().out
    run(world, "status", "--json")
    assert json.loads(capsys.readouterr().out)["waiting"][0]["lag_seconds"] > 100
    run(world, "slot")
    assert "last read to its end 10" in capsys.readouterr().out
    # Who hurries lets go of nothing, and somebody has to come after it.
    assert pair.tap is not None
    pair.tap.catch_up(hurried=True)
    assert pair.waiting()[0].unread_s > 100
    run(world, "drain")
    assert [each.lag_s for each in pair.waiting()] == [0.0, 0.0]
    assert world.difference() == (set(), set())


def test_nothing_is_behind_where_nothing_was_written(world: World, pair: Pair):
    begin(world)
    assert pair.tap is not None
    world.run("old", _LONG_AGO)
    assert pair.tap.unread().seconds > 100
    # All has been read, and long ago; the server itself may write a little now and then.
    advance = "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())"
    until("nothing is behind", lambda: (world.run("old", advance, SLOT), pair.tap and not pair.tap.unread().seconds)[1])
    pair.tap.catch_up()
    written = world.one("old", "SELECT at FROM migdsl.switch WHERE stream = 'Order/slot'")
    # A second hasn't passed: no row is written for the next look.
    pair.tap.pump()
    assert world.one("old", "SELECT at FROM migdsl.switch WHERE stream = 'Order/slot'") == written


def test_who_else_reads_the_slot_is_told_of_and_named(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("migdsl.runtime.stream.slot._TOLD_S", 0.1)
    begin(world)
    with running(world, OF) as (relay, said):
        until("it has looked", lambda: relay.meters.waiting)
        with reader(world) as pid:
            world.run("old", "UPDATE orders SET status = 2 WHERE id = 1")
            until("the log says so", lambda: [line for line in said if "ObjectInUse" in str(line.get("error"))])
            until("a reading says so", lambda: relay.meters.waiting[0].unread_s > 3)
            lags = [each.value for each in samples(relay) if each.spec.name == "migdsl_sync_lag_seconds"]
            assert max(lags) > 3
            capsys.readouterr()
            run(world, "slot")
            assert f"read by process {pid} (curious)" in capsys.readouterr().out
        until("it is carried over", lambda: world.difference() == (set(), set()))
        until("nothing is behind", lambda: relay.meters.waiting[0].lag_s == 0)


def test_gates_hear_at_once_of_what_has_changed_for_them(world: World):
    begin(world)
    with running(world, OF):
        until("a reading", lambda: world.all("old", _READINGS))
        with reader(world):
            world.run("old", _LONG_AGO)
            world.run("old", "UPDATE orders SET status = 2 WHERE id = 1")
            until("it is late", lambda: world.all("old", _READINGS)[-1][0] > 100)
        until("it has come", lambda: world.all("old", _READINGS)[-1][0] < 30)


def test_what_was_missed_while_no_job_ran_is_looked_at_before_it_is_told(world: World):
    begin(world)
    world.run("old", _LONG_AGO)
    world.run("old", "UPDATE orders SET status = 2 WHERE id = 1")
    with running(world, OF):
        until("a reading", lambda: world.all("old", _READINGS))
    assert max(value for (value,) in world.all("old", _READINGS)) < 30


def test_a_slow_look_is_not_made_again_at_once(world: World, monkeypatch: pytest.MonkeyPatch):
    begin(world)
    pauses: list[float] = []
    sleep = Halt.sleep

    def noted(halt: Halt, seconds: float) -> None:
        pauses.append(seconds)
        sleep(halt, min(seconds, 0.3))

    def slow(_tap: Tap, *_args: object, **_how: object) -> tuple[int, bool]:
        time.sleep(0.6)
        return 0, True

    monkeypatch.setattr(Tap, "pump", slow)
    monkeypatch.setattr(Halt, "sleep", noted)
    with running(world, OF) as (relay, _said):
        # Nobody else rests so long, but who looks how far all is, for longer.
        until("two looks", lambda: len([each for each in pauses if 0.6 <= each < 2]) > 1)
    assert relay._rest(1e6) == relay.stream.lag_s / 4


def test_the_wal_that_the_slot_keeps_is_a_metric(world: World, pair: Pair):
    begin(world)
    relay = Relay(stream(OF), Urls(world.old, world.new), "test", Halt(Signals()), lambda *_args, **_fields: None)

    def kept() -> list[float]:
        relay.meters.saw(pair.waiting())
        return [each.value for each in samples(relay) if each.spec.name == "migdsl_sync_wal_kept_bytes"]

    assert pair.tap is not None
    with psycopg.connect(world.old) as open_:
        open_.execute("UPDATE tenants SET id = id")
        pair.tap.catch_up()
        world.run("old", "CREATE TABLE filler AS SELECT repeat('x', 1000) AS pad FROM generate_series(1, 20000)")
        pair.tap.catch_up()
        # One way alone has a slot.
        (found,) = kept()
        assert found > 10_000_000
