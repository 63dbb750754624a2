"""A switch that is killed at any instant, or has a rival, ends on one side; at no moment do both let writers pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.errors import JobError
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.jobs import Side, other
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.sides import Sides
from migdsl.runtime.stream.status import status
from migdsl.runtime.stream.switch import Switch, SwitchRefusedError
from tests.runtime.stream.conftest import databases
from tests.runtime.stream.world import World, backfill, make, moved, stream

SIDES: tuple[Side, Side] = ("old", "new")
USED: set[str] = set()


def wait_until(happened: Callable[[], object]) -> None:
    while not happened():
        time.sleep(0.01)


class Killed(BaseException):
    """What a kill looks like from inside: nothing that comes after it runs."""


def kill_at(step: str):
    def at(said: str) -> None:
        if said == step:
            raise Killed

    return at


@pytest.fixture(scope="module")
def world(pg: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tenant for each test, and what was there before carried over."""
    with databases(pg) as (old, new):
        made = make(old, new, tmp_path_factory.mktemp("switch"), 8, 80)
        assert jobs(backfill(moved()), ["--url", old]) == 0
        carried(made)
        yield made


@pytest.fixture
def tenant(world: World) -> str:
    """One that no test has had."""
    fresh = next(tenant for tenant in world.tenants if tenant not in USED)
    USED.add(fresh)
    return fresh


def carried(world: World) -> None:
    assert main(stream(moved()), ["--old-url", world.old, "--new-url", world.new, "once"]) == 0


def writable(world: World, tenant: str) -> list[str]:
    """The sides that let the tenant's writers pass."""
    found = []
    for side, total in (("old", "total_cents"), ("new", "total")):
        try:
            world.run(side, f"UPDATE orders SET {total} = {total} + 100 WHERE tenant_id = %s", tenant)
            found.append(side)
        except (errors.SerializationFailure, errors.ObjectNotInPrerequisiteState):
            pass
    return found


def test_a_killed_switch_is_finished_or_turned_back(world: World, pair: Pair, tenant: str):
    for start in SIDES:
        to, total = other(start), "total_cents" if start == "old" else "total"
        for step, let_pass, answer in (("moving", 0, start), ("drained", 0, to), ("opened", 1, start)):
            world.run(start, f"UPDATE orders SET {total} = 4 WHERE tenant_id = %s", tenant)
            with pytest.raises(Killed):
                Switch(pair, tenant, to, kill_at(step)).run()
            assert len(writable(world, tenant)) == let_pass
            assert status(pair).tenants[tenant] == "switching"
            Switch(pair, tenant, answer).run()
            assert writable(world, tenant) == [answer]
            carried(world)
            assert world.difference() == (set(), set())
            Switch(pair, tenant, start).run()
            assert world.sides()[tenant] == (start, start)
        Switch(pair, tenant, to).run()


def test_a_writer_at_work_is_waited_for_and_its_write_comes_along(world: World, pair: Pair, tenant: str):
    with psycopg.connect(world.old) as writer:
        writer.execute("UPDATE orders SET total_cents = 4242 WHERE tenant_id = %s", (tenant,))
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(Switch(pair, tenant, "new").run()))
        thread.start()
        # The switch waits for the lock that the writer shares.
        queued = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: not thread.is_alive() or world.all("old", queued))
        assert thread.is_alive()
        assert world.sides()[tenant] == ("old", "old")
        writer.commit()
        thread.join()
    assert done
    assert world.all("new", "SELECT DISTINCT total FROM orders WHERE tenant_id = %s", tenant)[0][0] * 100 == 4242


def test_a_snapshot_from_before_the_switch_cannot_write_after_it(world: World, pair: Pair, tenant: str):
    with psycopg.connect(world.old) as writer:
        writer.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        writer.execute("SELECT 1 FROM tenants")
        Switch(pair, tenant, "new").run()
        with pytest.raises(errors.SerializationFailure):
            writer.execute("UPDATE orders SET total_cents = 1 WHERE tenant_id = %s", (tenant,))


def test_a_rival_that_turned_back_is_not_overtaken(world: World, pair: Pair, tenant: str):
    def rival(step: str) -> None:
        if step == "drained":
            Switch(pair, tenant, "old").run()
            assert world.sides()[tenant] == ("old", "old")

    with pytest.raises(SwitchRefusedError, match="another switch"):
        Switch(pair, tenant, "new", rival).run()
    assert writable(world, tenant) == ["old"]


def test_two_databases_that_contradict_each_other_are_left_alone(world: World, pair: Pair, tenant: str):
    world.run("new", "INSERT INTO migdsl.side VALUES ('extraction', 'Order', %s, 'new')", tenant)
    for to in ("old", "new"):
        with pytest.raises(SwitchRefusedError, match="contradict each other"):
            Switch(pair, tenant, to).run()


def test_a_row_that_fails_in_the_pause_turns_the_switch_back(world: World, pair: Pair, tenant: str):
    def spoil(step: str) -> None:
        if step == "moving":
            with psycopg.connect(world.old, autocommit=True) as connection:
                connection.execute("SELECT set_config('migdsl.applier', 'extraction/Order', false)")
                connection.execute("UPDATE orders SET note = repeat('x', 99) WHERE tenant_id = %s", (tenant,))
                connection.execute(
                    f"INSERT INTO {moved().outbox('old')} (lane, key_1, tenant) SELECT 0, id, tenant_id FROM orders"
                    " WHERE tenant_id = %s",
                    (tenant,),
                )

    with pytest.raises(SwitchRefusedError, match="stays on the old side"):
        Switch(pair, tenant, "new", spoil).run()
    assert world.sides()[tenant] == ("old", "old")


def test_sides_are_moved_by_their_own_attempt_alone(world: World, pair: Pair, tenant: str):
    sides = Sides(pair.stream)
    pair.old.perform(lambda tx: sides.claim(tx, tenant, "a"))
    pair.old.perform(lambda tx: sides.claim(tx, tenant, "b"))
    assert not pair.old.perform(lambda tx: sides.move(tx, tenant, "a", "old", "moving"))
    assert pair.old.perform(lambda tx: sides.move(tx, tenant, "b", "old", "moving"))
    assert issubclass(SwitchRefusedError, JobError)
