"""Tenants that are yet to come are of one side, whatever is killed while they are turned over; who is there stays where it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from migdsl.ops import stream_sql
from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.jobs import Retry
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.jobs import Side, other
from migdsl.runtime.stream.newcomers import Newcomers
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.pause import SwitchRefusedError
from migdsl.runtime.stream.sides import Sides, State
from migdsl.runtime.stream.switch import Switch
from tests.runtime.stream.conftest import databases, opened
from tests.runtime.stream.world import World, backfill, make, moved, stream

SIDES: tuple[Side, Side] = ("old", "new")
_INSERT = {
    "old": "INSERT INTO orders (tenant_id, total_cents) VALUES (%s, 1)",
    "new": "INSERT INTO orders (tenant_id, state, total) VALUES (%s, 'open', 1)",
}


class Killed(BaseException):
    """What a kill looks like from inside: nothing that comes after it runs."""


@pytest.fixture(scope="module")
def world(pg: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with databases(pg) as (old, new):
        made = make(old, new, tmp_path_factory.mktemp("newcomers"), 2, 8)
        assert jobs(backfill(moved()), ["--url", old]) == 0
        yield made


def let_in(world: World, tenant: str, *asked: Side) -> list[str]:
    """The sides that let a tenant write; of those `asked`, or of both."""
    found: list[str] = []
    for side in asked or SIDES:
        try:
            world.run(side, _INSERT[side], tenant)
            found.append(side)
        except (errors.SerializationFailure, errors.ObjectNotInPrerequisiteState):
            pass
    return found


def fresh() -> str:
    return str(uuid.uuid4())


def killed_after(steps: int, pair: Pair, to: Side) -> bool:
    """Whether it was."""
    move, done = Newcomers._move, list[str]()

    def counted(self: Newcomers, side: Side, before: State, after: State) -> State:
        if len(done) == steps:
            raise Killed
        done.append(side)
        return move(self, side, before, after)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Newcomers, "_move", counted)
        try:
            Newcomers(pair).turn(to)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("start", ["old", "new"])
@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("finished", [True, False])
def test_killed_anywhere_it_is_finished_or_turned_back(world: World, start: Side, steps: int, finished: bool):
    with opened(world, moved()) as pair:
        Newcomers(pair).turn(start)
        to = other(start)
        # Known on one side alone: that is where it is written, and stays.
        before = fresh()
        assert let_in(world, before) == [start]
        assert killed_after(steps, pair, to)
        during = fresh()
        was = let_in(world, during)
        assert was == ([start], [], [to])[steps]
        assert let_in(world, before) == [start]
        end = to if finished else start
        Newcomers(pair).turn(end)
        assert Newcomers(pair).stand() == end
        assert let_in(world, fresh()) == [end]
        assert let_in(world, before) == [start]
        assert let_in(world, during) == (was or [end])
        assert not Newcomers(pair).turn(end)


def test_a_newcomer_that_is_being_written_is_waited_for(world: World):
    tenant = fresh()
    with opened(world, moved()) as pair:
        Newcomers(pair).turn("old")
        pair.old.limits = replace(pair.old.limits, lock_ms=20)
        pair.old.retry = Retry(attempts=2, first_s=0.01, longest_s=0.01)
        with psycopg.connect(world.old) as writer:
            writer.execute(_INSERT["old"], (tenant,))
            with pytest.raises(SwitchRefusedError, match="has just come to the old side is written"):
                Newcomers(pair).turn("new")
        Newcomers(pair).turn("new")
        assert let_in(world, tenant) == ["old"]
        Newcomers(pair).turn("old")


def test_contract_and_its_way_back_leave_them_where_they_are(pg: Server, tmp_path: Path):
    """The old side contracts first, and a tenant may come when one is done or both are; its rows are on the new side alone."""
    with databases(pg) as (old, new):
        world, of = make(old, new, tmp_path, 2, 8), moved()
        assert jobs(backfill(of), ["--url", old]) == 0
        argv = ["--old-url", old, "--new-url", new]
        for tenant in world.tenants:
            # The last one takes newcomers along.
            assert main(stream(of), [*argv, "switch", "--tenant", tenant, "--to", "new"]) == 0
        contracted(world, "old")
        assert let_in(world, fresh(), "new") == ["new"]
        contracted(world, "new")
        came = fresh()
        assert let_in(world, came, "new") == ["new"]
        for side in ("new", "old"):
            for sql in (*stream_sql.objects(of, side), *stream_sql.triggers(of, side)):
                world.run(side, sql)
        assert [let_in(world, each) for each in (came, fresh())] == [["new"], ["new"]]
        refused = stream_sql.gate(of, "old", "it is about to be taken away")
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            world.run("old", refused)
        # All the way back: whoever comes now is the old side's.
        world.run("old", "INSERT INTO tenants VALUES (%s)", came)
        assert main(stream(of), [*argv, "switch", "--all", "--to", "old"]) == 0
        assert [let_in(world, each) for each in (came, fresh())] == [["old"], ["old"]]
        for side in SIDES:
            world.run(side, refused)
        for side in SIDES:
            for sql in (
                *stream_sql.drop_triggers(of, side),
                *stream_sql.drop_objects(of, side),
                *stream_sql.drop_stream(of),
            ):
                world.run(side, sql)
            assert world.all(side, "SELECT FROM migdsl.side") == []


def contracted(world: World, side: Side) -> None:
    of = moved()
    for sql in (*stream_sql.drop_triggers(of, side), *stream_sql.drop_objects(of, side), stream_sql.drop_fence(of)):
        world.run(side, sql)


def test_who_was_there_before_has_a_row_before_newcomers_go(world: World):
    """Rows of before that no trigger has seen: their tenant is the old side's, until it is switched."""
    with opened(world, moved()) as pair:
        Newcomers(pair).turn("old")
        for side in ("old", "new"):
            world.run(side, "DELETE FROM migdsl.side WHERE tenant = %s", world.tenants[0])
        Newcomers(pair).turn("new")
        assert world.sides()[world.tenants[0]] == ("old", "old")
        Newcomers(pair).turn("old")


def test_a_tenant_that_nobody_knows_is_not_switched_while_newcomers_are(world: World):
    tenant = fresh()
    with opened(world, moved()) as pair:
        Newcomers(pair).turn("new")
        assert killed_after(1, pair, "old")
        with pytest.raises(SwitchRefusedError, match="tenants to come are being turned over"):
            Switch(pair, tenant, "old").run()
        assert not pair.new.perform(lambda tx: Sides(pair.stream).knows(tx, tenant))
        Newcomers(pair).turn("old")


def test_the_fences_know_the_row_by_the_same_name():
    assert Sides(stream(moved())).newcomers().stream.stream == moved().others
