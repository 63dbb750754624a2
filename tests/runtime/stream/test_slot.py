"""The old side's writes come from a replication slot: the same keys, the same fence, and nothing comes back as an echo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from migdsl.ops import stream_slot
from migdsl.rehearsal.server import Server, start_server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.switch import Switch
from tests.runtime.stream.conftest import databases, opened
from tests.runtime.stream.world import World, backfill, make, moved, stream

OF = moved(captured=True)
_SETTINGS = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "50"}


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_server(tmp_path_factory.mktemp("logical"), settings=_SETTINGS) as server:
        yield server


@pytest.fixture
def world(logical: Server, tmp_path: Path) -> Iterator[World]:
    with databases(logical) as (old, new):
        made = make(old, new, tmp_path, 2, 40, OF)
        for sql in stream_slot.publish((OF,)):
            made.run("old", sql)
        yield made
        made.run(
            "old",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
        )


@pytest.fixture
def pair(world: World) -> Iterator[Pair]:
    with opened(world, OF) as made:
        yield made


def run(world: World, *args: str, code: int = 0) -> None:
    assert main(stream(OF), ["--old-url", world.old, "--new-url", world.new, *args]) == code


def begin(world: World) -> None:
    run(world, "slot", "--create")
    assert jobs(backfill(OF), ["--url", world.old]) == 0
    run(world, "once")


def test_there_and_back_without_an_echo(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    begin(world)
    assert world.difference() == (set(), set())
    here, there = world.tenants
    for sql in (
        "INSERT INTO orders (tenant_id, total_cents) SELECT tenant_id, 99 FROM orders LIMIT 3",
        "UPDATE orders SET status = 1, note = 'changed'",
        "UPDATE orders SET id = id + 5000 WHERE id % 7 = 0",
        "DELETE FROM orders WHERE id % 5 = 0",
    ):
        world.run("old", sql)
        run(world, "once")
        assert world.difference() == (set(), set())
    # What changes its tenant is told by the trigger, which knows both.
    world.run("old", "UPDATE orders SET tenant_id = %s WHERE id < 10", there)
    assert world.one("old", f"SELECT count(*) FROM {OF.outbox('old')} WHERE tenant_was = %s", here) > 0
    run(world, "once")
    # A write that nothing has looked at comes along with the switch.
    world.run("old", "UPDATE orders SET total_cents = 31 WHERE tenant_id = %s", here)
    assert world.waiting("old") == 0
    assert Switch(pair, here, "new").run().events > 0
    assert world.difference() == (set(), set())
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        world.run("old", "UPDATE orders SET total_cents = 1 WHERE tenant_id = %s", here)
    # What comes back is left out by the slot.
    world.run("new", "UPDATE orders SET total = 7 WHERE tenant_id = %s", here)
    run(world, "once")
    assert world.difference() == (set(), set())
    assert pair.tap is not None
    assert (pair.tap.catch_up(), world.waiting("old")) == (0, 0)
    Switch(pair, here, "old").run()
    # A kill before the slot lets go brings keys twice.
    world.run("old", "UPDATE orders SET total_cents = 5 WHERE tenant_id = %s", here)
    with monkeypatch.context() as patched:
        patched.setattr("migdsl.runtime.stream.slot._ADVANCE", statement("SELECT :slot::text, :upto::text, 1 / 0"))
        with pytest.raises(psycopg.Error):
            pair.tap.pump()
    keys = world.waiting("old")
    assert keys == pair.tap.catch_up() > 0
    assert world.waiting("old") == 2 * keys
    run(world, "once")
    assert world.difference() == (set(), set())


def test_a_slot_that_is_lost_is_told(world: World):
    assert jobs(backfill(OF), ["--url", world.old, "--dry-run"]) == 0
    run(world, "once", code=3)
    begin(world)
    world.run("old", "SELECT pg_drop_replication_slot(%s)", stream_slot.slot_name(OF))
    run(world, "slot", "--create", code=3)
    run(world, "slot", "--drop")
    run(world, "slot", "--create")
    # A table whose updates would fail isn't published.
    world.run("old", "ALTER TABLE orders REPLICA IDENTITY FULL")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="REPLICA IDENTITY FULL"):
        world.run("old", stream_slot.checked(OF))
    world.run("old", "ALTER TABLE orders REPLICA IDENTITY NOTHING")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="not its key"):
        world.run("old", stream_slot.checked(OF))
