"""Keys go through the outbox: what is written on a side is on the other, and nothing comes back."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from migdsl.runtime.backfill.quarantine import Fault
from migdsl.runtime.database import Transaction
from migdsl.runtime.errors import DatabaseFailedError
from migdsl.runtime.sql import Statement
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream import sequences
from migdsl.runtime.stream.jobs import Sequence
from migdsl.runtime.stream.pair import Pair
from tests.runtime.stream.conftest import Job, opened
from tests.runtime.stream.world import World, moved

NOWHERE = "00000000-0000-0000-0000-00000000dead"


def test_every_kind_of_write_gets_across(world: World, job: Job):
    job("enqueue")
    job("once")
    for statement in (
        "INSERT INTO orders (tenant_id, total_cents) SELECT tenant_id, 999 FROM orders LIMIT 1",
        "UPDATE orders SET total_cents = total_cents + 1, note = NULL",
        "DELETE FROM orders WHERE id % 2 = 0",
        "UPDATE orders SET id = id + 1000 WHERE id < 20",
        "UPDATE orders SET tenant_id = (SELECT max(id::text)::uuid FROM tenants)",
        "TRUNCATE orders",
    ):
        assert world.run("old", statement) != 0
        job("once")
        assert world.difference() == (set(), set())
        assert world.waiting("new") == 0


def test_a_row_that_is_applied_again_is_not_written_again(world: World, job: Job):
    job("enqueue")
    assert (world.waiting("old"), world.one("new", "SELECT count(*) FROM orders")) == (60, 0)
    assert "60 events applied" in job("once")
    assert world.difference() == (set(), set())
    assert (world.waiting("old"), world.waiting("new")) == (0, 0)
    before = world.all("new", "SELECT id, xmin::text FROM orders ORDER BY id")
    job("enqueue", "--again")
    assert world.waiting("old") == 60
    job("once")
    assert world.all("new", "SELECT id, xmin::text FROM orders ORDER BY id") == before


def test_a_side_refuses_writers_of_tenants_that_are_on_the_other(world: World, job: Job):
    job("enqueue")
    job("once")
    here, there = world.tenants[:2]
    job("switch", "--tenant", there, "--to", "new")
    refused = [
        ("old", "UPDATE orders SET total_cents = 1 WHERE tenant_id = %s", (there,)),
        ("old", "UPDATE orders SET tenant_id = %s WHERE tenant_id = %s", (there, here)),
        ("old", "DELETE FROM orders WHERE tenant_id = %s", (there,)),
        ("old", "TRUNCATE orders", ()),
        ("new", "INSERT INTO orders (tenant_id, total) VALUES (%s, 1)", (here,)),
        ("new", "INSERT INTO orders (tenant_id, total) VALUES (%s, 1)", (NOWHERE,)),
    ]
    for side, statement, values in refused:
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is not written in this database"):
            world.run(side, statement, *values)
    assert world.run("old", "UPDATE orders SET total_cents = 1 WHERE tenant_id = %s", here) == 20
    assert world.run("new", "UPDATE orders SET total = 1 WHERE tenant_id = %s", there) == 20
    found = json.loads(job("status", "--json"))
    assert found["tenants"] == dict(zip(world.tenants, ["old", "new", "old"], strict=True))
    assert [(each["from"], each["events"]) for each in found["waiting"]] == [("old", 20), ("new", 20)]
    assert found["waiting"][0]["lag_seconds"] > 0
    assert "2 tenants old" in job("status")
    # Columns that the other side doesn't know are left alone.
    refs = world.all("old", "SELECT id, legacy_ref FROM orders ORDER BY id")
    job("once")
    assert world.difference() == (set(), set())
    assert world.all("old", "SELECT id, legacy_ref FROM orders ORDER BY id") == refs


def test_an_enqueueing_that_comes_late_overwrites_nothing(world: World, job: Job):
    job("enqueue")
    job("once")
    tenant = world.tenants[0]
    # What a worker that slept through the switch would still bring: the key of a row that has changed on the new side.
    job("switch", "--tenant", tenant, "--to", "new")
    world.run("new", "UPDATE orders SET total = 77 WHERE tenant_id = %s", tenant)
    with psycopg.connect(world.old, autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO {moved().outbox('old')} (lane, key_1, tenant) SELECT 1, id, tenant_id FROM orders WHERE tenant_id = %s",
            (tenant,),
        )
    job("once")
    assert world.all("new", "SELECT DISTINCT total::int FROM orders WHERE tenant_id = %s", tenant) == [(77,)]
    assert world.difference() == (set(), set())
    job("enqueue", "--again", "--tenant", tenant)
    assert world.waiting("old") == 0


def test_a_row_that_cannot_be_applied_is_set_aside_and_blocks_the_switch(world: World, job: Job):
    job("enqueue")
    bad = "a note of more than twenty characters, and private"
    tenant = world.one("old", "SELECT tenant_id::text FROM orders WHERE id = 7")
    world.run("old", "UPDATE orders SET note = %s WHERE id IN (7, 8)", bad)
    said = job("once", code=1)
    assert "59 events applied" not in said
    assert world.one("new", "SELECT count(*) FROM orders") == 58
    shown = job("dead-letters", code=1)
    assert "Order (7)" in shown
    assert "StringDataRightTruncation 22001" in shown
    assert bad not in shown + said
    assert bad not in str(world.all("old", "SELECT * FROM migdsl.dead_letter"))
    assert "rows of Order can't be applied" in job("switch", "--tenant", tenant, "--to", "new", code=1)
    assert world.sides()[tenant] == ("old", "old")
    world.run("old", "UPDATE orders SET note = 'short' WHERE id = 7")
    job("once", code=1)
    assert "Order (7)" not in job("dead-letters", code=1)
    # One that is mended over there is tried again on demand.
    world.run("new", "ALTER TABLE orders ALTER COLUMN note TYPE varchar(60)")
    assert "1 tried again" in job("dead-letters", "--retry")
    job("once")
    assert "no dead letters" in job("dead-letters")
    assert world.difference() == (set(), set())


def test_the_first_switch_sets_the_sequences_apart_and_waits_for_what_was_there_before(world: World, job: Job):
    tenant = world.tenants[0]
    assert "haven't all been enqueued" in job("switch", "--tenant", tenant, "--to", "new", code=1)
    job("enqueue")
    job("once")
    job("switch", "--tenant", tenant, "--to", "new")
    most = world.one("old", "SELECT seqmax FROM pg_sequence WHERE seqrelid = 'orders_id_seq'::regclass")
    least = world.one("new", "INSERT INTO orders (tenant_id, total) VALUES (%s, 1) RETURNING id", tenant)
    assert least == most + 1 > 10**12
    assert "apart" in job("sequences")
    assert "has given out keys" in job("sequences", "--release", code=2)


def test_a_sequence_that_is_in_use_is_tried_for_so_short_that_nobody_waits_behind_it(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    """A batch has drawn a number and goes on. Whoever wants one queues behind a try, for a tenth of a second."""
    patience: list[str] = []
    slept: list[float] = []
    cut, before = sequences._cut, pair.old.limits

    def tried(tx: Transaction, each: Sequence, given: int) -> int:
        patience.append(str(tx.rows(Statement("SELECT current_setting('lock_timeout')", ()))[0][0]))
        return cut(tx, each, given)

    monkeypatch.setattr(sequences, "_cut", tried)
    with psycopg.connect(world.old) as batch:
        batch.execute("SELECT nextval('orders_id_seq')")

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 12:
                batch.commit()

        monkeypatch.setattr(Halt, "sleep", lambda _halt, seconds: sleep(seconds))
        assert len(sequences.apart(pair)) == 1
    assert patience == ["100ms"] * 13
    assert max(slept[:2]) < max(slept[6:]) <= 2
    assert pair.old.limits == before


def test_a_sequence_that_is_never_free_is_said(world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sequences, "_RETRY", replace(sequences._RETRY, attempts=1))
    with psycopg.connect(world.old) as batch:
        batch.execute("SELECT nextval('orders_id_seq')")
        with pytest.raises(
            DatabaseFailedError, match=r"a transaction that lasts has drawn a number.*then run this again"
        ):
            sequences.apart(pair)


def test_who_sets_the_sequences_apart_late_moves_nothing_that_has_begun(
    world: World, pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    """Another process has done it between our look and our turn, and the new side gives out keys by now."""
    begun: list[int] = []
    cut = sequences._cut

    def late(tx: Transaction, each: Sequence, given: int) -> int:
        if not begun:
            begun.append(0)
            with opened(world, moved()) as rival:
                assert sequences.apart(rival) == (each.new,)
            begun[0] = world.one("new", "SELECT nextval(pg_get_serial_sequence('orders', 'id'))")
        return cut(tx, each, given)

    monkeypatch.setattr(sequences, "_cut", late)
    assert len(sequences.apart(pair)) == 1
    assert world.one("new", "SELECT nextval(pg_get_serial_sequence('orders', 'id'))") == begun[0] + 1
    most = world.one("old", "SELECT seqmax FROM pg_sequence WHERE seqrelid = 'orders_id_seq'::regclass")
    assert most + 1 == begun[0]


def test_a_letter_that_is_younger_than_what_was_applied_stays(world: World, pair: Pair, job: Job):
    """Its row was written anew, and refused, between our commit and our forgetting."""
    job("enqueue")
    way = pair.ways[0]
    taken = way._taken({"lane": "0", "events": "5"}, way._take)
    way.bury(taken[0], Fault("CheckViolation 23514", "violates a check"))
    way.forget(taken)
    assert world.one("old", "SELECT count(*) FROM migdsl.dead_letter") == 1


def test_a_table_that_is_rewritten_meanwhile_does_not_look_empty(world: World, pair: Pair, job: Job):
    job("enqueue")
    job("once")
    before = world.one("new", "SELECT count(*) FROM orders")
    job("enqueue", "--again")
    way, done = pair.ways[0], threading.Event()

    def apply() -> None:
        for lane in range(way.move.lanes):
            way.origin.retrying(partial(way.apply, lane, 1_000))
        done.set()

    with psycopg.connect(world.old) as owner:
        owner.execute("ALTER TABLE orders ALTER COLUMN total_cents TYPE numeric")
        thread = threading.Thread(target=apply)
        thread.start()
        while not world.all("old", "SELECT FROM pg_locks WHERE NOT granted") and not done.is_set():
            time.sleep(0.01)
        assert not done.is_set()
        owner.commit()
        thread.join()
    assert done.is_set()
    assert world.one("new", "SELECT count(*) FROM orders") == before
    assert world.difference() == (set(), set())


def looked(said: str) -> float:
    """When the job last saw what waits, as its metrics say."""
    labels = 'migration="extraction",entity="Order",direction="old_to_new"'
    return float(said.partition(f"migdsl_sync_last_look_timestamp_seconds{{{labels}}} ")[2].split()[0])


def test_a_job_that_a_clock_starts_says_its_metrics_at_its_end(world: World, job: Job, tmp_path: Path):
    metrics, began = tmp_path / "sync.prom", time.time()
    job("enqueue")
    asked = ("--metrics", str(metrics), "--metrics-port", "0")
    job(*asked, "once", "--by-clock")
    said = metrics.read_text(encoding="utf-8")
    assert looked(said) > began
    assert 'migdsl_sync_events_waiting{migration="extraction",entity="Order",direction="old_to_new"} 0' in said
    # It waits for no scrape: the next one comes in a minute.
    assert time.time() - began < 30
    # One that reaches no database leaves what the last one saw: that this is long ago is what the alert goes by.
    job(*asked, "--new-url", "host=/nowhere dbname=nothing", "once", "--by-clock", code=3)
    assert metrics.read_text(encoding="utf-8") == said


def test_a_job_that_has_lost_a_database_no_longer_says_that_it_has_looked(world: World, job: Job, tmp_path: Path):
    metrics = tmp_path / "sync.prom"
    relay = world.start("--metrics", str(metrics), "run")
    try:
        while not metrics.exists() or "last_look" not in metrics.read_text(encoding="utf-8"):
            assert relay.poll() is None
            time.sleep(0.02)
        # Whoever waits for a lock looks at nothing either.
        with psycopg.connect(world.new) as blocker:
            blocker.execute("LOCK TABLE migdsl.dead_letter")
            time.sleep(6)
            stood = looked(metrics.read_text(encoding="utf-8"))
            assert stood < time.time() - 3
        while looked(metrics.read_text(encoding="utf-8")) <= stood:
            assert relay.poll() is None
            time.sleep(0.05)
    finally:
        relay.terminate()
        relay.wait()


def test_the_relay_runs_until_it_is_told_to_stop_and_says_how_far_it_is(world: World, job: Job, tmp_path: Path):
    began = time.time()
    job("enqueue")
    metrics = tmp_path / "sync.prom"
    relay = world.start("--metrics", str(metrics), "run")
    try:
        while world.waiting("old") or not metrics.exists() or "new_to_old" not in metrics.read_text(encoding="utf-8"):
            assert relay.poll() is None
            time.sleep(0.02)
    finally:
        relay.terminate()
        code = relay.wait()
    assert code == 0
    assert world.difference() == (set(), set())
    labels = 'migration="extraction",entity="Order",direction="old_to_new"'
    said = metrics.read_text(encoding="utf-8")
    assert int(said.partition(f"migdsl_sync_events_total{{{labels}}} ")[2].split()[0]) >= 60
    assert f"migdsl_sync_dead_letters{{{labels}}} 0" in said
    assert looked(said) > began
    lag = "SELECT count(*) FROM migdsl.event WHERE kind = 'reading' AND subject = 'sync_lag:Order'"
    assert world.one("old", lag) == world.one("new", lag) > 0


def test_drain_waits_for_what_was_there_and_not_for_who_writes_on(world: World, job: Job):
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        with psycopg.connect(world.old, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("UPDATE orders SET note = left(random()::text, 6) WHERE id <= 20")
                written.set()

    first = world.run("old", "UPDATE orders SET note = 'first' WHERE id = 50")
    assert first == 1
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    written.wait()
    try:
        assert "nothing waits" in job("drain")
        assert world.one("new", "SELECT note FROM orders WHERE id = 50") == "first"
    finally:
        stop.set()
        writer.join()
