"""What ends a sync job, and what doesn't: rows that are refused, rights that lack, busy sides, tenants that are gone."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migdsl.ops import stream_sql, turned
from migdsl.ops.stream_model import Moved
from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream.applier import Applier
from migdsl.runtime.stream.apply import Way
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.cutter import Cutter
from migdsl.runtime.stream.switch import Switch
from migdsl.values import replace as changed
from tests.runtime.stream.conftest import databases, opened
from tests.runtime.stream.proxy import network
from tests.runtime.stream.world import World, backfill, make, moved, stream

Capture = pytest.CaptureFixture[str]
REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.note LIKE 'no %' THEN
    RAISE EXCEPTION 'the secret of %', NEW.note USING ERRCODE = substr(NEW.note, 4);
  END IF;
  RETURN NEW;
END$$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()"""


@pytest.fixture
def fresh(pg: Server, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world of two tenants with ten orders each, of which nothing has been carried over."""
    with databases(pg) as (old, new):
        yield lambda of=None: make(old, new, tmp_path, 2, 20, of)


def run(world: World, *words: str, code: int = 0) -> None:
    assert main(stream(moved()), ["--old-url", world.old, "--new-url", world.new, *words]) == code


def begun(world: World) -> World:
    assert jobs(backfill(moved()), ["--url", world.old]) == 0
    run(world, "once")
    return world


def test_what_the_other_side_refuses_is_set_aside_by_key_whatever_its_sqlstate(
    fresh: Callable[..., World], capsys: Capture
):
    world = begun(fresh())
    world.run("new", REFUSING)
    states = ["55000", "42501", "P0001", "0A000", "23514", "72000"]
    for key, state in enumerate(states, 1):
        world.run("old", "UPDATE orders SET note = %s WHERE id = %s", f"no {state}", key)
    world.run("old", "UPDATE orders SET note = 'yes' WHERE id > 10")
    run(world, "once", code=1)
    letters = world.all("old", "SELECT error_class FROM migdsl.dead_letter ORDER BY row_key ->> 0")
    assert [letter.split()[-1] for (letter,) in letters] == states
    assert world.one("new", "SELECT count(*) FROM orders WHERE note = 'yes'") == 10
    assert "secret" not in "".join(capsys.readouterr()) + str(world.all("old", "SELECT * FROM migdsl.dead_letter"))
    # A backfill that enqueues has filled nothing, and no trigger is missing.
    assert jobs(backfill(moved()), ["--url", world.old]) == 1
    said = capsys.readouterr().out
    assert "6 rows can't be carried over" in said
    assert "dead-letters --retry" in said
    assert "unfilled" not in said
    assert "trigger" not in said


def test_a_right_that_lacks_ends_the_job_at_once_and_says_where(fresh: Callable[..., World], capsys: Capture):
    world = fresh()
    role = f"mig_{os.getpid()}_{world.new.partition('new_')[2][:8]}"
    world.run("new", f"CREATE ROLE {role} LOGIN")
    try:
        world.run("new", f"GRANT USAGE ON SCHEMA migdsl TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA migdsl TO {role}")
        assert jobs(backfill(moved()), ["--url", world.old]) == 0
        limited = make_conninfo(world.new, user=role)
        assert main(stream(moved()), ["--old-url", world.old, "--new-url", limited, "once"]) == 3
        said = capsys.readouterr().err
        assert (
            "the new side's database refused: InsufficientPrivilege 42501: permission denied for table orders" in said
        )
        assert "grant it to the role" in said
        assert world.one("old", "SELECT count(*) FROM migdsl.dead_letter") == 0
        assert world.waiting("old") == 20
    finally:
        world.run("new", f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_once_ends_on_a_side_that_is_always_written(fresh: Callable[..., World], capsys: Capture):
    world, stop, codes = fresh(), threading.Event(), []
    assert jobs(backfill(moved()), ["--url", world.old]) == 0

    def write() -> None:
        with psycopg.connect(world.old, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("UPDATE orders SET total_cents = total_cents + 1 WHERE id <= 5")

    argv = ["--old-url", world.old, "--new-url", world.new, "once"]
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for more in ([], ["--by-clock"]):
        once = threading.Thread(
            target=lambda words=more: codes.append(main(stream(moved()), [*argv, *words])), daemon=True
        )
        once.start()
        once.join(45)
    stop.set()
    writer.join()
    assert codes == [0, 0]
    assert world.one("new", "SELECT count(*) FROM orders") == 20


@pytest.mark.parametrize("lost", ["gone", "silent"])
def test_what_a_clock_starts_ends_though_a_database_is_lost_in_the_midst(
    fresh: Callable[..., World], monkeypatch: pytest.MonkeyPatch, capsys: Capture, lost: str
):
    world, codes = begun(fresh()), []
    world.run("old", "UPDATE orders SET total_cents = 3")
    monkeypatch.setattr("migdsl.runtime.stream.cli._LAST_S", 2.0)
    sweep, met = Applier.sweep, threading.Event()
    cutters: list[Cutter] = []

    class Noted(Cutter):
        def __enter__(self) -> Cutter:
            cutters.append(self)
            return self

    monkeypatch.setattr("migdsl.runtime.stream.relay.Cutter", Noted)
    with TemporaryDirectory(prefix="mig") as folder, network(world.new, Path(folder)) as between:

        def swept(applier: Applier) -> tuple[int, bool]:
            if not met.is_set():
                met.set()
                # The time is nearly up, however long it took to come here.
                halt = applier.pair.new.stop
                assert isinstance(halt, Halt)
                halt.until = time.monotonic() + 0.2
                cutters[0].arm(0.4)
                if lost == "silent":
                    between.silent.set()
                else:
                    between.close()
            return sweep(applier)

        monkeypatch.setattr(Applier, "sweep", swept)
        argv = ["--old-url", world.old, "--new-url", between.url, "once", "--by-clock"]
        once = threading.Thread(target=lambda: codes.append(main(stream(moved()), argv)), daemon=True)
        once.start()
        once.join(60)
    assert met.is_set()
    assert codes == [3]
    assert "the next run goes on" in capsys.readouterr().err
    monkeypatch.undo()
    run(world, "once", "--by-clock")
    assert world.difference() == (set(), set())


def test_who_reads_no_further_tells_the_other_server_nothing(
    fresh: Callable[..., World], monkeypatch: pytest.MonkeyPatch
):
    """What ends a COPY goes into the log of the server that it goes to."""
    world, told = fresh(), []
    ended = psycopg._copy.copy_end  # type: ignore[attr-defined]

    def heard(connection: Any, error: bytes | None) -> object:
        told.append(error)
        return ended(connection, error)

    monkeypatch.setattr("psycopg._copy.copy_end", heard)
    world.run("old", "UPDATE orders SET note = 'my secret' WHERE id = 3")
    with opened(world, moved()) as pair:
        way: Way = pair.ways[0]
        columns = "t.id, t.tenant_id, t.note, CAST(CASE t.id WHEN 3 THEN t.note ELSE '1' END AS numeric), t.note"
        way.carry = replace(way.carry, read=f"SELECT {columns} FROM orders AS t ORDER BY t.id")
        lane = world.one("old", f"SELECT lane FROM {moved().outbox('old')}")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            way.apply(lane, 10)
    assert told
    assert "secret" not in str(told)


def contracted(world: World) -> None:
    of = moved()
    for side in ("new", "old"):
        for sql in (*stream_sql.drop_triggers(of, side), *stream_sql.drop_objects(of, side), stream_sql.drop_fence(of)):
            world.run(side, sql)


def test_after_contract_the_migration_is_over_and_nothing_is_to_be_upgraded(
    fresh: Callable[..., World], capsys: Capture
):
    world, codes = begun(fresh()), []
    run(world, "switch", "--all", "--to", "new")
    argv = ["--old-url", world.old, "--new-url", world.new]
    running = threading.Thread(target=lambda: codes.append(main(stream(moved()), [*argv, "run"])), daemon=True)
    running.start()
    reading = "SELECT count(*) FROM migdsl.event WHERE kind = 'reading'"
    while not world.one("new", reading):
        assert running.is_alive()
    contracted(world)
    running.join(60)
    assert codes == [0]
    for words, code in ((("run",), 0), (("once", "--by-clock"), 0), (("switch", "--all", "--to", "old"), 3)):
        run(world, *words, code=code)
        said = capsys.readouterr().err
        assert "the migration is over" in said
        assert "upgrade" not in said
    # Where nothing was ever expanded, there is something to be upgraded.
    for side in ("old", "new"):
        world.run(side, "DELETE FROM migdsl.side")
    run(world, "run", code=3)
    assert "expand" in capsys.readouterr().err


def test_tenants_that_are_gone_hold_nobody_up(fresh: Callable[..., World]):
    world = begun(fresh())
    here, there = world.tenants
    gone = "00000000-0000-0000-0000-00000000dead"
    row = world.one("old", "INSERT INTO orders (tenant_id, total_cents) VALUES (%s, 1) RETURNING id", gone)
    # So are rows that are nobody's.
    world.run("old", "ALTER TABLE orders ALTER tenant_id DROP NOT NULL")
    world.run("old", "INSERT INTO orders (total_cents) VALUES (1)")
    gates = [
        turned.gate((moved(),), "SELECT id FROM tenants", 0, "old").unmet,
        turned.gate((moved(),), None, 0, "new").unmet,
    ]
    last = [
        turned.last(moved(), "SELECT id FROM tenants", "old", "all goes"),
        turned.last(moved(), None, "new", "all goes"),
    ]

    def unmet() -> list[str | None]:
        found = [world.one(side, sql) for side, sql in zip(("old", "new"), gates, strict=True)]
        # What is asked last, when all is locked, is the same.
        for side, sql, why in zip(("old", "new"), last, found, strict=True):
            if why is None:
                world.run(side, sql)
            else:
                with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=re.escape(f"{why}; all goes")):
                    world.run(side, sql)
        return found

    run(world, "switch", "--tenant", here, "--to", "new")
    # The new side's database has no list, and nobody there is behind; whoever comes would be.
    come = "tenants that come would write Order on the old side: run the sync job's `switch --all --to new`"
    assert unmet() == ["tenants that do not write Order on the new side: 1", come]
    # One that isn't listed any more goes on with the others, since it was begun with.
    world.run("old", "DELETE FROM tenants WHERE id = %s", there)
    assert "still have rows" in (unmet()[0] or "")
    run(world, "switch", "--all", "--to", "new")
    assert world.sides()[there] == ("new", "new")
    # One that nobody ever listed isn't: its rows of before have never been enqueued. It is gone with its last row.
    assert world.sides()[gone] == ("old", "old")
    run(world, "switch", "--tenant", gone, "--to", "new", code=2)
    assert (unmet()[0] or "").endswith("or delete the rows): 2")
    world.run("old", "DELETE FROM orders WHERE id = %s", row)
    assert (unmet()[0] or "").endswith("or delete the rows): 1")
    world.run("old", "DELETE FROM orders WHERE tenant_id IS NULL")
    assert unmet() == [None, None]
    with opened(world, moved()) as pair, pytest.raises(Exception, match="haven't all been enqueued"):
        Switch(pair, gone, "new").run()
    assert world.all("new", "SELECT since::text FROM migdsl.side WHERE tenant = %s", gone) == [("-infinity",)]


def test_only_where_statements_see_the_tenant_themselves_it_is_not_asked_before(
    fresh: Callable[..., World], monkeypatch: pytest.MonkeyPatch
):
    """A row's own column tells whose it is; by way of another row, or of none, nothing may."""
    world = fresh()
    world.run("old", "UPDATE orders SET status = 1")
    monkeypatch.setattr("migdsl.runtime.stream.apply._WRITTEN_THERE", statement("SELECT 1 / (:state = '')::int"))
    with opened(world, moved()) as pair:
        look = pair.queues[0].look
        first, *_ = pair.old.perform(look).firsts
        done = pair.way(0, "old").apply(first, 10)
        assert done is not None
        assert done.events
        pair.stream = stream(nobodys())
        second, *_ = pair.old.perform(look).firsts
        with pytest.raises(psycopg.errors.DivisionByZero):
            pair.way(0, "old").apply(second, 10)


def nobodys() -> Moved:
    """The move, of rows that are nobody's."""
    of = moved()
    places = (
        changed(place, tenant="", tenant_type="text", confined="", tenant_column="") for place in (of.old, of.new)
    )
    old, new = places
    return changed(of, old=old, new=new)


def test_without_tenants_too_what_comes_late_overwrites_nothing(fresh: Callable[..., World]):
    of = nobodys()
    world = fresh(of)
    made = replace(stream(of), tenants=None, moves=tuple(replace(m, backfill=None) for m in stream(of).moves))
    with opened(world, of) as pair:
        pair.stream = made
        Switch(pair, "", "new").run()
        world.run("new", "INSERT INTO orders (id, tenant_id, total) VALUES (7, %s, 70)", world.tenants[0])
        # A key that a killed switch has left behind.
        world.run("old", f"INSERT INTO {of.outbox('old')} (lane, key_1, tenant) VALUES (1, 7, '')")
        done = pair.way(0, "old").apply(1, 10)
    assert done is not None
    assert (done.events, done.changed) == (1, 0)
    assert world.waiting("old") == 0
    assert world.one("new", "SELECT total::int FROM orders WHERE id = 7") == 70
