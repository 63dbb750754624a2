"""A switch that is killed at any instant, or has a rival, ends on one side; at no moment do both let writers pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.errors import JobError
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.apply import Way
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.jobs import Side, other
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.sides import Sides, State
from migdsl.runtime.stream.status import status
from migdsl.runtime.stream.switch import Switch, SwitchRefusedError
from tests.runtime.stream.conftest import databases, opened
from tests.runtime.stream.proxy import Network, network
from tests.runtime.stream.world import World, backfill, make, moved, stream

SIDES: tuple[Side, Side] = ("old", "new")
USED: set[str] = set()


def wait_until(happened: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
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
        made = make(old, new, tmp_path_factory.mktemp("switch"), 24, 240)
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


@pytest.fixture
def others(world: World) -> Iterator[Pair]:
    """Connections of another process."""
    with opened(world, moved()) as made:
        yield made


def test_a_rival_that_turned_back_is_not_overtaken(world: World, pair: Pair, others: Pair, tenant: str):
    def rival(step: str) -> None:
        if step == "drained":
            Switch(others, tenant, "old").run()
            assert world.sides()[tenant] == ("old", "old")

    with pytest.raises(SwitchRefusedError, match="another switch"):
        Switch(pair, tenant, "new", rival).run()
    assert writable(world, tenant) == ["old"]


def claims(pair: Pair, side: Side, tenant: str, attempt: str) -> None:
    pair.at(side).perform(lambda tx: Sides(pair.stream).claim(tx, tenant, attempt))


def moves(pair: Pair, side: Side, tenant: str, attempt: str, before: State, after: State) -> bool:
    return pair.at(side).perform(lambda tx: Sides(pair.stream).move(tx, tenant, attempt, before, after))


def test_who_has_lost_the_first_claim_when_it_has_the_second_goes_no_further(
    world: World, pair: Pair, tenant: str, monkeypatch: pytest.MonkeyPatch
):
    claim, order = Switch._claim, []

    def claimed(switch: Switch, sides: Sides, side: Side, attempt: str) -> State:
        stood = claim(switch, sides, side, attempt)
        order.append(side)
        if len(order) == 2:
            claims(pair, "old", tenant, "rival")
        return stood

    monkeypatch.setattr(Switch, "_claim", claimed)
    steps: list[str] = []
    with pytest.raises(SwitchRefusedError, match="another switch"):
        Switch(pair, tenant, "new", steps.append).run()
    assert order == ["old", "new"]
    assert "moving" not in steps
    assert moves(pair, "old", tenant, "rival", "old", "old")


def test_what_a_rival_moved_is_not_taken_for_ones_own(
    world: World, pair: Pair, tenant: str, monkeypatch: pytest.MonkeyPatch
):
    def carry(_switch: Switch, leaving: Side) -> None:
        claims(pair, leaving, tenant, "rival")
        assert moves(pair, leaving, tenant, "rival", "old", "moving")

    def turn_back(step: str) -> None:
        if step == "drained":
            assert moves(pair, "old", tenant, "rival", "moving", "old")

    monkeypatch.setattr(Switch, "_carry_most", carry)
    with pytest.raises(SwitchRefusedError, match="another switch"):
        Switch(pair, tenant, "new", turn_back).run()
    assert world.sides()[tenant] == ("moving", "old")
    turn_back("drained")
    assert writable(world, tenant) == ["old"]


def test_a_switch_that_may_not_open_turns_back(world: World, pair: Pair, others: Pair, tenant: str):
    def rival(step: str) -> None:
        if step == "drained":
            claims(others, "new", tenant, "rival")

    with pytest.raises(SwitchRefusedError, match="another switch"):
        Switch(pair, tenant, "new", rival).run()
    assert writable(world, tenant) == ["old"]


def lose_next(monkeypatch: pytest.MonkeyPatch, database: Database, *, made: bool) -> None:
    """The next COMMIT there seems to fail; `made` says whether it was committed all the same."""
    execute: Any = psycopg.RawCursor.execute

    def lost(cursor: psycopg.RawCursor, query: object, *rest: object) -> object:
        if not str(query).endswith("COMMIT'") or cursor.connection is not database._connection:
            return execute(cursor, query, *rest)
        monkeypatch.setattr(psycopg.RawCursor, "execute", execute)
        if made:
            execute(cursor, query)
        raise psycopg.OperationalError("lost")

    monkeypatch.setattr(psycopg.RawCursor, "execute", lost)


@pytest.mark.parametrize("made", [True, False])
def test_an_opening_whose_answer_is_lost_is_turned_back_only_if_it_was_not_made(
    world: World, pair: Pair, tenant: str, monkeypatch: pytest.MonkeyPatch, made: bool
):
    def at(step: str) -> None:
        if step == "drained":
            lose_next(monkeypatch, pair.new, made=made)

    with pytest.raises(SwitchRefusedError, match="between the sides" if made else "stays on the old side"):
        Switch(pair, tenant, "new", at).run()
    monkeypatch.undo()
    assert writable(world, tenant) == ["new" if made else "old"]
    Switch(pair, tenant, "new").run()
    assert world.sides()[tenant] == ("new", "new")


@pytest.mark.parametrize("made", [True, False])
def test_a_closing_whose_answer_is_lost_is_made_for_certain(
    world: World, pair: Pair, tenant: str, monkeypatch: pytest.MonkeyPatch, made: bool
):
    world.run("old", "UPDATE orders SET total_cents = 4321 WHERE tenant_id = %s", tenant)
    prepare = Way.prepare

    def late(way: Way, there: Transaction) -> None:
        monkeypatch.setattr(Way, "prepare", prepare)
        lose_next(monkeypatch, pair.old, made=made)

    monkeypatch.setattr(Way, "prepare", late)
    assert Switch(pair, tenant, "new").run().events == 10
    monkeypatch.undo()
    assert writable(world, tenant) == ["new"]
    assert world.all("new", "SELECT DISTINCT (total * 100)::int FROM orders WHERE tenant_id = %s", tenant) == [(14321,)]


def test_a_tenant_that_could_not_be_turned_back_is_said_to_be_between_the_sides(
    world: World, pair: Pair, tenant: str, monkeypatch: pytest.MonkeyPatch
):
    pair.stream = replace(pair.stream, retry=replace(pair.stream.retry, attempts=0))
    pair.old.retry = pair.stream.retry

    def at(step: str) -> None:
        if step == "drained":
            lose_next(monkeypatch, pair.old, made=False)
            raise SwitchRefusedError("stays on the old side")

    with pytest.raises(SwitchRefusedError, match=r"between the sides.*`switch` is run again"):
        Switch(pair, tenant, "new", at).run()
    monkeypatch.undo()
    assert writable(world, tenant) == []
    Switch(pair, tenant, "old").run()
    assert writable(world, tenant) == ["old"]


def terminate(world: World, pair: Pair) -> None:
    """Whoever has a connection to the new side has none any more, and nobody is let in until that is undone."""
    here = pair.new.conninfo
    (name,) = world.all("new", "SELECT current_database()")[0]
    with psycopg.connect(here, dbname="postgres", autocommit=True) as connection:
        connection.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def let_in(world: World) -> None:
    name = conninfo_to_dict(world.new)["dbname"]
    with psycopg.connect(world.new, dbname="postgres", autocommit=True) as connection:
        connection.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(str(name))))


def test_a_target_that_restarts_in_the_pause_is_waited_for(world: World, pair: Pair, tenant: str):
    world.run("old", "UPDATE orders SET total_cents = 900 WHERE tenant_id = %s", tenant)
    steps: list[str] = []

    def at(step: str) -> None:
        steps.append(step)
        if steps == ["moving"]:
            terminate(world, pair)
            threading.Timer(0.2, let_in, (world,)).start()

    Switch(pair, tenant, "new", at).run()
    assert steps == ["moving", "moving", "drained", "opened"]
    assert world.all("new", "SELECT DISTINCT total::int FROM orders WHERE tenant_id = %s", tenant) == [(9,)]
    assert world.sides()[tenant] == ("new", "new")


def test_a_target_that_is_gone_is_given_up_in_time(world: World, pair: Pair, tenant: str):
    pair.stream = replace(pair.stream, pause_s=0.5)
    with pytest.raises(SwitchRefusedError, match=r"stays on the old side: its writers had waited for 0.5 s"):
        Switch(pair, tenant, "new", lambda step: terminate(world, pair) if step == "moving" else None).run()
    let_in(world)
    assert world.sides()[tenant] == ("old", "old")
    assert writable(world, tenant) == ["old"]


@contextmanager
def behind(world: World, side: Side) -> Iterator[tuple[Pair, Network]]:
    """Connections to both sides, to one of them through a network; a pause of half a second is the most."""
    with TemporaryDirectory(prefix="mig") as folder, network(getattr(world, side), Path(folder)) as between:
        urls = Urls(**{"old": world.old, "new": world.new, side: between.url})
        short = replace(stream(moved()), pause_s=0.5)
        made = Pair.of(short, urls, "test", Halt(Signals()), lambda _error, _seconds: None)
        made.open()
        try:
            yield made, between
        finally:
            made.close()


@pytest.mark.parametrize(("side", "step"), [("new", "moving"), ("new", "drained"), ("new", "asked"), ("old", "moving")])
def test_a_network_that_falls_silent_is_given_up_in_time(
    world: World, tenant: str, monkeypatch: pytest.MonkeyPatch, side: Side, step: str
):
    """Where the silent one alone could tell what stands, that is said; else the tenant goes on where it was."""
    world.run("old", "UPDATE orders SET total_cents = 900 WHERE tenant_id = %s", tenant)
    monkeypatch.setattr("migdsl.runtime.stream.pause._HOME_S", 0.0)
    known, move = (side, step) in (("new", "moving"), ("new", "drained")), Sides.move
    with behind(world, side) as (pair, between):

        def moved_then(sides: Sides, tx: Transaction, *about: Any) -> bool:
            done = move(sides, tx, *about)
            if step == "asked" and about[-1] == "new":
                between.silent.set()
            return done

        def at(said: str) -> None:
            if said == step:
                between.silent.set()

        monkeypatch.setattr(Sides, "move", moved_then)
        with pytest.raises(
            SwitchRefusedError, match="stays on the old side: its writers had" if known else "is between"
        ):
            Switch(pair, tenant, "new", at).run()
    monkeypatch.undo()
    assert writable(world, tenant) == (["old"] if known else [])
    with opened(world, moved()) as again:
        Switch(again, tenant, "new").run()
    assert writable(world, tenant) == ["new"]
    assert world.all("new", "SELECT DISTINCT total::int FROM orders WHERE tenant_id = %s", tenant) == [
        (110 if known else 109,)
    ]


def test_an_applier_that_is_late_brings_nothing_older_than_what_the_opened_side_wrote(
    world: World, pair: Pair, others: Pair, tenant: str
):
    """Its statement, which still sees the old side named, waits for the row while the other side is opened."""
    row = world.one("old", "SELECT min(id) FROM orders WHERE tenant_id = %s", tenant)
    outbox = moved().outbox("old")
    steps: list[str] = []
    others.new.limits = replace(others.new.limits, lock_ms=30_000)
    carried(world)
    world.run("old", "UPDATE orders SET total_cents = 100 WHERE id = %s", row)
    lane = world.one("old", f"SELECT lane FROM {outbox} WHERE key_1 = %s", row)
    late = threading.Thread(target=lambda: others.way(0, "old").apply(lane, 1_000))
    switching = threading.Thread(target=lambda: Switch(pair, tenant, "new", steps.append).run())
    with psycopg.connect(world.new) as holder:
        holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (row,))
        late.start()
        wait_until(lambda: blocked(world))
        world.run("old", f"DELETE FROM {outbox} WHERE key_1 = %s", row)
        switching.start()
        wait_until(lambda: blocked(world) > 1 or "opened" in steps)
        if "opened" in steps:
            holder.execute("UPDATE orders SET total = 2 WHERE id = %s", (row,))
        else:
            # For as long as it waits for the applier, nobody waits for it.
            world.run("old", "UPDATE orders SET note = 'meanwhile' WHERE tenant_id = %s", tenant)
        holder.commit()
    late.join()
    switching.join()
    if world.one("new", "SELECT total FROM orders WHERE id = %s", row) != 2:
        assert steps == ["moving", "drained", "opened"]
        world.run("new", "UPDATE orders SET total = 2 WHERE id = %s", row)
    carried(world)
    assert world.difference() == (set(), set())


def blocked(world: World) -> int:
    """How many wait for another's row."""
    return world.one(
        "new", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )


def test_lanes_that_stay_taken_hold_nobody_up(world: World, pair: Pair, tenant: str):
    pair.stream = replace(pair.stream, pause_s=0.2, retry=replace(pair.stream.retry, attempts=1))
    steps: list[str] = []
    with psycopg.connect(world.new) as applier:
        applier.execute("SELECT FROM migdsl.lane FOR UPDATE")
        with pytest.raises(SwitchRefusedError, match="stays on the old side: the new side's database said LockNot"):
            Switch(pair, tenant, "new", steps.append).run()
    assert steps == []
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
