"""The old side's writes come from a replication slot: the same keys, the same fence, and nothing comes back as an echo."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from migdsl.ops import stream_slot
from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.errors import DatabaseFailedError, StoppedError
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream import cli
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.pgoutput import Decoder
from migdsl.runtime.stream.relay import Relay
from migdsl.runtime.stream.slot import Place, Tap, unseen
from migdsl.runtime.stream.switch import Switch
from tests.runtime.stream.conftest import opened, slotted
from tests.runtime.stream.world import World, backfill, moved, stream

OF = moved(captured=True)


@pytest.fixture
def world(logical: Server, tmp_path: Path) -> Iterator[World]:
    with slotted(logical, tmp_path, OF) as made:
        yield made


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


def test_a_huge_transaction_is_read_page_by_page(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    begin(world)
    pages: list[int] = []
    read = Decoder.read

    def counted(decoder: Decoder, messages: Iterable[bytes]) -> None:
        page = list(messages)
        pages.append(len(page))
        read(decoder, page)
        assert len(decoder.written) <= 100

    monkeypatch.setattr("migdsl.runtime.stream.slot._PAGE", 100)
    monkeypatch.setattr(Decoder, "read", counted)
    world.run(
        "old",
        "INSERT INTO orders (tenant_id, total_cents) SELECT tenant_id, g FROM orders, generate_series(1, 20) AS g",
    )
    assert pair.tap is not None
    assert pair.tap.catch_up() == 800
    assert max(pages) == 100
    assert sum(pages) > 800
    assert world.waiting("old") == 800
    # What appliers bring comes with a message before it, page by page.
    monkeypatch.setattr("migdsl.runtime.stream.slot._PAGE", 2)
    with psycopg.connect(world.old) as applier:
        applier.execute("SELECT set_config('migdsl.applier', 'extraction/Order', true)")
        applier.execute("SELECT pg_logical_emit_message(true, 'migdsl.applier', 'extraction/Order')")
        applier.execute("UPDATE orders SET status = 2 WHERE id < 10")
    assert pair.tap.catch_up() == 0


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
        world.run("old", stream_slot.checked(OF, stream_slot.COLUMN_LISTS))
    # Where whole rows are published, as before that version, each identity will do, and the old row is read over.
    world.run("old", stream_slot.unpublish((OF,)))
    for sql in stream_slot.publish((OF,), stream_slot.COLUMN_LISTS - 1):
        world.run("old", sql)
    with opened(world, OF) as pair:
        world.run("old", "UPDATE orders SET status = 2 WHERE id = 1")
        assert pair.tap is not None
        assert pair.tap.catch_up() == 1
    world.run("old", "ALTER TABLE orders REPLICA IDENTITY NOTHING")
    for version, why in ((stream_slot.COLUMN_LISTS, "not its key"), (stream_slot.COLUMN_LISTS - 1, "is missing")):
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match=why):
            world.run("old", stream_slot.checked(OF, version))


def test_rows_that_are_born_while_a_backfill_waits_for_its_slot_are_not_lost(
    world: World, capsys: pytest.CaptureFixture[str]
):
    """Typed in the wrong order: who plans before the slot is there misses what comes until it is."""
    codes: list[int] = []
    early = threading.Thread(target=lambda: codes.append(jobs(backfill(OF), ["--url", world.old])), daemon=True)
    early.start()
    said = ""
    while "there is no slot" not in said:
        assert early.is_alive()
        time.sleep(0.01)
        said += capsys.readouterr().err
    assert jobs(backfill(OF), ["--url", world.old, "--status"]) == 0
    assert "a run waits before it plans: there is no slot" in capsys.readouterr().out
    newcomer = "00000000-0000-0000-0000-0000000000aa"
    world.run("old", "INSERT INTO tenants VALUES (%s)", newcomer)
    world.run("old", "INSERT INTO orders (tenant_id, total_cents) SELECT id, 5 FROM tenants")
    run(world, "slot", "--create")
    early.join(60)
    assert codes == [0]
    run(world, "once")
    assert world.difference() == (set(), set())


def test_without_a_slot_nobody_goes_back(world: World, pair: Pair):
    """What would be written on the old side is told of by nothing else."""
    begin(world)
    tenant = world.tenants[0]
    Switch(pair, tenant, "new").run()
    world.run("old", "SELECT pg_drop_replication_slot(%s)", stream_slot.slot_name(OF))
    with pytest.raises(DatabaseFailedError, match="there is no slot"):
        Switch(pair, tenant, "old").run()
    assert world.sides()[tenant] == ("new", "new")


def test_a_stop_in_a_switch_turns_back(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    begin(world)
    tenant, halt = world.tenants[0], pair.old.stop
    assert isinstance(halt, Halt)

    def stop(step: str) -> None:
        halt.ended = step == "moving"

    # A write that comes between the first look at the WAL and the fence is in the WAL alone.
    world.run("old", "UPDATE orders SET total_cents = 77 WHERE tenant_id = %s", tenant)
    with monkeypatch.context() as patched:
        patched.setattr(Switch, "_carry_most", lambda _self, _leaving: None)
        with pytest.raises(StoppedError):
            Switch(pair, tenant, "new", at=stop).run()
    assert world.sides()[tenant] == ("old", "old")
    halt.ended = False
    assert Switch(pair, tenant, "new").run().events > 0
    assert world.difference() == (set(), set())


def test_a_stop_while_another_reads_the_slot(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    run(world, "slot", "--create")

    def busy(_tap: Tap, _upto: Place | None, **_how: bool) -> tuple[int, bool]:
        raise errors.ObjectInUse

    monkeypatch.setattr(Tap, "_pump", busy)
    halt = Halt(Signals())
    relay = Relay(stream(OF), Urls(world.old, world.new), "test", halt, lambda *_args, **_fields: None)
    timer = threading.Timer(1.0, lambda: setattr(halt, "ended", True))
    timer.start()
    relay.run(1)
    assert relay.errors == []
    assert pair.tap is not None
    assert isinstance(pair.old.stop, Halt)
    pair.old.stop.ended = True
    with pytest.raises(StoppedError):
        pair.tap.pump()


@contextmanager
def without_standby(world: World) -> Iterator[psycopg.Connection]:
    """A connection whose commits wait for a standby that isn't there, until the block ends; nobody else's do."""
    world.run("old", f"ALTER DATABASE {world.one('old', 'SELECT current_database()')} SET synchronous_commit = local")
    with psycopg.connect(world.old) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.commit()
        try:
            world.run("old", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            world.run("old", "SELECT pg_reload_conf()")
            yield connection
        finally:
            world.run("old", "ALTER SYSTEM RESET synchronous_standby_names")
            world.run("old", "SELECT pg_reload_conf()")


def commit(connection: psycopg.Connection, world: World, cents: int) -> threading.Thread | None:
    """Writes, and waits in COMMIT; None where that went through."""
    connection.execute("UPDATE orders SET total_cents = %s WHERE id = 1", (cents,))
    committing = threading.Thread(target=connection.commit, daemon=True)
    committing.start()
    waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %s"
    while committing.is_alive():
        if world.one("old", waits, connection.info.backend_pid):
            return committing
        time.sleep(0.02)
    return None


def test_who_hurries_leaves_to_others_what_they_do_anyway(world: World, pair: Pair):
    begin(world)
    tap, stands = pair.tap, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s"
    assert tap is not None
    world.run("old", "UPDATE orders SET total_cents = 8 WHERE id <= 3")
    with psycopg.connect(world.old) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 9))", (stream_slot.slot_name(OF),))
        # The one who has it does the same, and would only be waited for.
        assert tap.pump() == (0, True)
        assert world.waiting("old") == 0
    before = world.one("old", stands, stream_slot.slot_name(OF))
    assert tap.catch_up(hurried=True) == 3
    assert world.one("old", stands, stream_slot.slot_name(OF)) == before
    # They come once more, and that is all.
    assert tap.catch_up() == 3
    assert tap.catch_up() == 0
    run(world, "once")
    assert world.difference() == (set(), set())


def test_a_commit_that_nobody_sees_yet_is_waited_for(world: World):
    begin(world)
    with without_standby(world) as connection, opened(world, OF) as pair:
        # The server takes its new setting when it likes.
        cents, committing = 4321, None
        while committing is None:
            cents += 1
            committing = commit(connection, world, cents)
        assert pair.tap is not None
        with pytest.raises(errors.LockNotAvailable):
            pair.tap.pump()
        assert world.waiting("old") == 0
        assert world.one("old", "SELECT total_cents FROM orders WHERE id = 1") != cents
        late = threading.Thread(target=run, args=(world, "once"))
        late.start()
        time.sleep(0.3)
        assert late.is_alive()
    committing.join(20)
    late.join(20)
    assert world.difference() == (set(), set())
    assert world.one("new", "SELECT total FROM orders WHERE id = 1") * 100 == cents


def test_what_is_committed_and_not_on_the_disk_yet_is_caught_up_with(world: World):
    begin(world)
    world.run("old", f"ALTER DATABASE {conninfo_to_dict(world.old)['dbname']} SET synchronous_commit = off")
    with opened(world, OF) as pair, psycopg.connect(world.old, autocommit=True) as writer:
        assert pair.tap is not None
        pair.tap.catch_up()
        for cents in range(11, 31):  # now and then the server is quicker
            writer.execute("UPDATE orders SET total_cents = %s WHERE id = 1", (cents,))
            assert pair.tap.catch_up() == 1


@pytest.mark.parametrize("hurried", [False, True])
def test_more_transactions_than_are_read_at_once(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch, hurried: bool
):
    begin(world)
    assert pair.tap is not None
    pair.tap.catch_up()
    monkeypatch.setattr("migdsl.runtime.stream.slot._MOST", 4)
    for number in range(1, 9):
        world.run("old", "UPDATE orders SET total_cents = total_cents + 1 WHERE id = %s", number)
    assert pair.tap.catch_up(hurried=hurried) == 8


def test_who_catches_up_waits_for_another_who_reads(world: World, pair: Pair):
    begin(world)
    assert pair.tap is not None
    pair.tap.catch_up()
    found: list[int] = []
    late = threading.Thread(target=lambda tap: found.append(tap.catch_up()), args=(pair.tap,), daemon=True)
    with psycopg.connect(world.old) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 9))", (stream_slot.slot_name(OF),))
        world.run("old", "UPDATE orders SET total_cents = 8 WHERE id <= 3")
        late.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while world.one("old", waits) == 0:
            assert late.is_alive()
            time.sleep(0.02)
        assert found == []
    late.join(20)
    assert found == [3]


@pytest.mark.parametrize(
    ("snapshot", "xids", "found"),
    [
        ("100:105:100,103", {99, 100, 102, 103, 104}, {100, 103}),
        ("100:105:", {104, 105, 106}, {105, 106}),
        # Of an epoch, of the one before it, and on either side of where it begins.
        ("8589934692:8589934697:8589934692", {99, 100, 104, 105}, {100, 105}),
        ("4294967290:4294967306:4294967290,4294967300", {4294967289, 4294967290, 3, 4, 10}, {4294967290, 4, 10}),
        ("4294967290:4294967295:4294967290", {4294967290, 4294967294, 3}, {4294967290, 3}),
    ],
)
def test_transactions_that_a_snapshot_does_not_see(snapshot: str, xids: set[int], found: set[int]):
    assert unseen(snapshot, xids) == found


def test_a_slot_whose_maker_was_killed_is_recorded(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    tap = pair.tap
    assert tap is not None

    def killed(_tap: Tap, _value: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Tap, "_tell", killed)
        with pytest.raises(KeyboardInterrupt):
            tap.create()
    told = "SELECT count(*) FROM migdsl.event WHERE kind = 'slot' AND value = 'created'"
    assert world.one("old", told) == 0
    assert [(tap.create(), world.one("old", told)) for _ in range(2)] == [(False, 1), (False, 1)]
    world.run("old", "SELECT pg_drop_replication_slot(%s)", tap.slot.name)
    with pytest.raises(DatabaseFailedError, match="is gone"):
        tap.create()


def test_a_run_by_the_clock_reads_a_page_for_as_long_as_it_takes(world: World, monkeypatch: pytest.MonkeyPatch):
    """A huge transaction is decoded whole or not at all: a run that gave up in the midst would begin again each minute."""
    begin(world)
    world.run("old", "UPDATE orders SET total_cents = 32")
    met, read = [], Tap._pump

    def late(tap: Tap, upto: Place | None, *, hurried: bool) -> tuple[int, bool]:
        assert (tap.database.until, tap.database.stop.requested) == (float("inf"), False)
        met.append(tap)
        time.sleep(0.2)
        return read(tap, upto, hurried=hurried)

    monkeypatch.setattr(Tap, "_pump", late)
    monkeypatch.setattr(cli, "_CLOCK_S", 6.1)
    run(world, "once", "--by-clock")
    assert met
    assert world.difference() == (set(), set())
