"""An application writes one side and carries its rows over itself; what it can't, waits in the outbox, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migdsl.ops.stream_enter import rights
from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.routing import AsyncRouter, LogRecorder, RoutingError
from migdsl.runtime.routing import meters as m
from migdsl.runtime.stream import letting
from migdsl.runtime.stream.apply import Way
from migdsl.runtime.stream.carriers import Carriers
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.dual_async import AsyncDualWrites
from migdsl.runtime.stream.jobs import Side
from migdsl.runtime.stream.pair import Urls
from migdsl.runtime.stream.switch import Switch
from tests.runtime.routing.support import Clock
from tests.runtime.routing.support import Switch as Flag
from tests.runtime.stream import traffic
from tests.runtime.stream.both import Application, Pool, application, dual, module
from tests.runtime.stream.conftest import databases, opened
from tests.runtime.stream.test_switch import Killed, kill_at
from tests.runtime.stream.world import World, backfill, make, moved, stream

USED: set[str] = set()


@pytest.fixture(scope="module")
def world(pg: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tenant for each test, with rows that are on both sides."""
    with databases(pg) as (old, new):
        made = make(old, new, tmp_path_factory.mktemp("dual"), 24, 72)
        traffic.journals(made)
        assert jobs(backfill(moved()), ["--url", old]) == 0
        once(made)
        yield made


@pytest.fixture
def tenant(world: World) -> str:
    """One that no test has had."""
    fresh = next(tenant for tenant in world.tenants if tenant not in USED)
    USED.add(fresh)
    return fresh


def once(world: World, *words: str) -> None:
    assert main(stream(moved()), ["--old-url", world.old, "--new-url", world.new, "once", *words]) == 0


def switched(world: World, tenant: str, to: Side) -> None:
    with opened(world, moved()) as pair:
        Switch(pair, tenant, to).run()


def rows(world: World, side: str, tenant: str) -> dict[int | None, int]:
    """Key → version."""
    total = {"old": "total_cents", "new": "(total * 100)::bigint"}[side]
    return dict(world.all(side, f"SELECT id, {total} FROM orders WHERE tenant_id = %s", tenant))


def waiting(world: World, side: Side, tenant: str) -> int:
    return world.one(side, f"SELECT count(*) FROM {moved().outbox(side)} WHERE tenant = %s", tenant)


@contextmanager
def unreachable(world: World, side: str) -> Iterator[None]:
    """A database that lets nobody in, and has thrown out who was in."""
    url = getattr(world, side)
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        of = sql.Identifier(str(name))
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(of))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(of))


def test_what_is_written_is_on_both_sides_when_it_returns(world: World, tenant: str):
    with application(world) as app:
        for side in ("old", "new"):
            first = app.write("insert", tenant, version=100, note="a")
            assert first is not None
            app.write("update", tenant, id=first, version=200, note="b")
            assert rows(world, "old", tenant) == rows(world, "new", tenant)
            assert rows(world, "old", tenant)[first] == 200
            app.write("delete", tenant, id=first)
            assert first not in rows(world, "old", tenant) | rows(world, "new", tenant)
            assert waiting(world, "old", tenant) == waiting(world, "new", tenant) == 0
            # No application is told of the switch: the fence tells it.
            if side == "old":
                switched(world, tenant, "new")
        assert app.seconds("carried") == 6
        text = app.router.metrics()
    assert (
        'migdsl_router_second_writes_total{migration="extraction",direction="new_to_old",outcome="carried"} 3' in text
    )
    assert 'migdsl_router_second_write_duration_seconds_count{migration="extraction"} 6' in text
    assert 'migdsl_router_writes_total{migration="extraction",stage="dualwrite",side="new",order="second"} 3' in text


def test_a_row_that_changes_its_tenant_is_carried_with_both(world: World):
    with application(world) as app:
        one, other = [t for t in world.tenants if t not in USED][:2]
        USED.update((one, other))
        key = app.write("insert", one, version=100, note="a")
        app.write("move", one, id=key, other=other, version=200, note="b")
        assert key not in rows(world, "new", one)
        assert rows(world, "new", other)[key] == 200


def test_the_stage_says_whether_there_is_a_second_write(world: World, tenant: str):
    with application(world, stage="off") as app:
        app.write("insert", tenant, version=100, note="a")
        assert waiting(world, "old", tenant) == 1
        assert app.seconds("carried") == 0
    once(world)
    switched(world, tenant, "new")
    with application(world, stage="complete") as app:
        # Until contract has gone through, both sides are there and are kept equal.
        key = app.write("insert", tenant, version=100, note="a")
        assert key in rows(world, "new", tenant)
        assert rows(world, "old", tenant) == rows(world, "new", tenant)


def test_the_functions_of_the_other_side_are_not_called(world: World, tenant: str):
    called: list[str] = []
    with application(world, stage="live") as app:
        app.orders.write(tenant, old=lambda _c: called.append("old"), new=lambda _c: called.append("new"))
        # The flag is ahead of the switch: the fence has sent the write to where the tenant is.
        assert called == ["old"]
        assert app.seconds("nothing") == 1
        assert app.orders.read(tenant, old=lambda _c: 1, new=lambda _c: 2) == 2


def test_a_write_that_fails_is_undone_and_raised(world: World, tenant: str):
    def refuse(connection: psycopg.Connection) -> None:
        connection.execute("INSERT INTO orders (tenant_id, total_cents) VALUES (%s, 7)", (tenant,))
        raise LookupError

    before = rows(world, "old", tenant)
    with application(world) as app:
        with pytest.raises(LookupError):
            app.orders.write(tenant, old=refuse, new=refuse)
        assert app.router.meters.value(m.FAILURES, "extraction", "dualwrite", "old", "write") == 1
    assert rows(world, "old", tenant) == before


def test_an_update_that_meets_no_row_on_the_wrong_side_is_not_lost(world: World, tenant: str):
    with application(world) as stale, application(world, stage="off") as fresh:
        stale.write("insert", tenant, version=100, note="a")
        switched(world, tenant, "new")
        # This row isn't on the old side yet, where the first process believes the tenant to be.
        key = fresh.write("insert", tenant, version=200, note="b")
        assert key not in rows(world, "old", tenant)
        assert stale.write("update", tenant, id=key, version=300, note="c") == key
        assert rows(world, "new", tenant)[key] == rows(world, "old", tenant)[key] == 300
    once(world)


PROGRAM = """
import os, sys
from migdsl.runtime.stream.carriers import Carriers
from tests.runtime.stream.both import application
from tests.runtime.stream.world import World

world, tenant = World(sys.argv[1], sys.argv[2], (), None), sys.argv[3]
Carriers.submit = lambda self, told: os._exit(9)
with application(world) as app:
    app.write("insert", tenant, version=12345, note="killed")
"""


def test_a_kill_between_the_two_commits_loses_nothing(world: World, tenant: str):
    root = Path(__file__).resolve().parents[3]
    argv = [sys.executable, "-c", PROGRAM, world.old, world.new, tenant]
    assert subprocess.run(argv, cwd=root, check=False).returncode == 9
    assert 12345 in rows(world, "old", tenant).values()
    assert 12345 not in rows(world, "new", tenant).values()
    once(world)
    assert 12345 in rows(world, "new", tenant).values()


def test_a_kill_before_the_keys_are_forgotten_changes_nothing(
    world: World, tenant: str, monkeypatch: pytest.MonkeyPatch
):
    with application(world) as app:
        with monkeypatch.context() as patch:
            patch.setattr(Way, "forget", lambda *_: (_ for _ in ()).throw(RuntimeError("gone")))
            key = app.write("insert", tenant, version=100, note="a")
            assert app.seconds("failed") == 1
        assert rows(world, "new", tenant)[key] == 100
        seen = world.all("new", "SELECT xmin::text FROM orders WHERE id = %s", key)
        assert waiting(world, "old", tenant) == 1
        once(world)
        assert world.all("new", "SELECT xmin::text FROM orders WHERE id = %s", key) == seen
        assert waiting(world, "old", tenant) == 0


def test_a_side_that_is_down_fails_no_write(world: World, tenant: str, caplog: pytest.LogCaptureFixture):
    clock = Clock()
    caplog.set_level(logging.WARNING, "migdsl.routing")
    with application(world, clock=clock, pause_s=30.0) as app:
        app.write("insert", tenant, version=100, note="before")
        with unreachable(world, "new"):
            key = app.write("insert", tenant, version=200, note="secret")
            app.write("update", tenant, id=key, version=300, note="secret")
            assert (app.seconds("failed"), app.seconds("paused")) == (1, 1)
            assert app.router.meters.value(m.FAILURES, "extraction", "dualwrite", "new", "second_write") == 2
        clock.now += 31.0
        app.write("insert", tenant, version=400, note="after")
        assert app.seconds("carried") == 2
    assert waiting(world, "old", tenant) == 2
    said = caplog.text
    assert "event=second_write_waits" in said
    assert tenant in said
    assert "secret" not in said
    # As a clock starts it: `apply` and gates hear of it then.
    heard = "SELECT count(*) FROM migdsl.event WHERE kind = 'reading' AND subject = 'sync_lag:Order'"
    before = world.one("old", heard), world.one("new", heard)
    once(world, "--by-clock")
    assert (world.one("old", heard), world.one("new", heard)) == (before[0] + 1, before[1] + 1)
    assert rows(world, "old", tenant) == rows(world, "new", tenant)
    assert rows(world, "new", tenant)[key] == 300


def test_a_side_that_is_silent_holds_a_write_for_the_timeout_and_no_longer(world: World, tenant: str):
    with application(world, timeout_s=0.2, workers=1, pause_s=600.0) as app:
        with psycopg.connect(world.new) as holder:
            holder.execute("SELECT FROM migdsl.lane FOR UPDATE")
            for number in range(5):
                app.write("insert", tenant, version=number, note="a")
        outcomes = {each: app.seconds(each) for each in ("late", "failed", "paused", "carried")}
        assert outcomes["carried"] == 0
        assert outcomes["late"] + outcomes["failed"] + outcomes["paused"] == 5
    once(world)
    assert rows(world, "old", tenant) == rows(world, "new", tenant)


def test_who_is_too_late_too_often_lets_the_others_pass(world: World, monkeypatch: pytest.MonkeyPatch):
    carriers = Carriers(dual().stream, Urls(world.old, world.new), workers=1, waiting=4, timeout_s=0.01)
    hold = threading.Event()
    monkeypatch.setattr(Carriers, "_pair", lambda _self: hold.wait())
    told = letting.told("old", ("t", "0"))
    try:
        answers = [carriers.submit(told) for _ in range(3)]
        assert [carriers.late(each).outcome for each in answers] == ["late"] * 3
        assert carriers.submit(told).result().outcome == "paused"
    finally:
        hold.set()
        carriers.close()
    assert carriers.submit(told).result().outcome == "closed"


def test_a_full_queue_is_not_waited_for(world: World):
    carriers = Carriers(dual().stream, Urls(world.old, world.new), workers=0, waiting=1)
    told = letting.told("old", ("t", "0"))
    assert not carriers.submit(told).done()
    assert carriers.submit(told).result().outcome == "full"


def test_a_row_that_the_other_side_refuses_waits_and_blocks_nobody(
    world: World, tenant: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "migdsl.routing")
    long = "far too long for the new side"

    def two(connection: psycopg.Connection) -> None:
        for note in (long, "short"):
            connection.execute("INSERT INTO orders (tenant_id, total_cents, note) VALUES (%s, 7, %s)", (tenant, note))

    with application(world) as app:
        app.orders.write(tenant, old=two, new=two)
        assert app.seconds("failed") == 1
    found = world.all("new", "SELECT note FROM orders WHERE tenant_id = %s AND total = 0.07", tenant)
    assert found == [("short",)]
    assert waiting(world, "old", tenant) == 1
    assert "StringDataRightTruncation 22001" in caplog.text
    assert long not in caplog.text
    world.run("old", "DELETE FROM orders WHERE note = %s", long)
    once(world)


def test_two_writers_of_one_row_keep_its_order(world: World, tenant: str):
    numbers, last = iter(range(1, 10_000)), [0]
    lock = threading.Lock()
    with application(world) as first, application(world) as second:
        key = first.write("insert", tenant, version=0, note="n")

        def bump(connection: psycopg.Connection) -> None:
            # The row lock gives the order, the number is taken while it is held.
            connection.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (key,))
            with lock:
                last[0] = next(numbers)
                number = last[0]
            connection.execute("UPDATE orders SET total_cents = %s WHERE id = %s", (number, key))

        def work(app: Application) -> None:
            for _ in range(25):
                app.orders.write(tenant, old=bump, new=bump)

        threads = [threading.Thread(target=work, args=(app,)) for app in (first, second) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.seconds("failed") + second.seconds("failed") == 0
    assert last[0] == 100
    assert rows(world, "old", tenant)[key] == rows(world, "new", tenant)[key] == 100
    assert [line for line in traffic.out_of_order(world, "new") if line[0] == key] == []
    assert waiting(world, "old", tenant) == 0


def test_a_write_during_a_switch_waits_for_it(world: World, tenant: str, monkeypatch: pytest.MonkeyPatch):
    refused, told = threading.Event(), letting.refusal

    def noted(error: psycopg.Error, whose: str) -> Exception:
        refused.set()
        return told(error, whose)

    monkeypatch.setattr(letting, "refusal", noted)
    with application(world) as app, opened(world, moved()) as pair:
        app.write("insert", tenant, version=1, note="a")
        done: list[int | None] = []
        thread = threading.Thread(target=lambda: done.append(app.write("insert", tenant, version=2, note="b")))

        def at(step: str) -> None:
            if step == "drained":
                thread.start()
                assert refused.wait(60)
                assert not done

        Switch(pair, tenant, "new", at).run()
        thread.join()
        assert done[0] in rows(world, "new", tenant)
        assert rows(world, "old", tenant) == rows(world, "new", tenant)


def test_a_killed_switch_that_opened_the_other_side_is_found(world: World, tenant: str):
    with application(world) as app, opened(world, moved()) as pair:
        app.write("insert", tenant, version=1, note="a")
        with pytest.raises(Killed):
            Switch(pair, tenant, "new", kill_at("opened")).run()
        key = app.write("insert", tenant, version=2, note="b")
        assert key in rows(world, "new", tenant)
        Switch(pair, tenant, "new").run()


def test_a_tenant_that_nobody_lets_in_is_told(world: World, tenant: str):
    with application(world) as app, opened(world, moved()) as pair:
        app.orders.patience_s = 0.05
        with pytest.raises(Killed):
            Switch(pair, tenant, "new", kill_at("moving")).run()
        with pytest.raises(letting.RefusedError, match="look at the sync job's `status`") as said:
            app.write("insert", tenant, version=1, note="a")
        assert said.value.sqlstate in ("40001", "55000")
        Switch(pair, tenant, "old").run()
        app.write("insert", tenant, version=1, note="a")


def test_before_expand_the_old_side_is_written_as_ever(pg: Server):
    with databases(pg) as (old, new):
        plain = World(old, new, (), Path())
        with psycopg.connect(old, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id bigserial, tenant_id uuid, total_cents bigint, note text)")
        tenant = "00000000-0000-4000-8000-000000000001"
        with application(plain, stage="off") as app:
            assert [app.write("insert", tenant, version=n, note="a") for n in (1, 2)] == [1, 2]
        with application(plain) as app, pytest.raises(letting.NoFenceError):
            app.write("insert", tenant, version=1, note="a")


def test_a_connection_that_is_in_a_transaction_is_refused(world: World, tenant: str):
    with application(world) as app, psycopg.connect(world.old) as busy:
        busy.execute("SELECT 1")

        @contextmanager
        def lease() -> Iterator[psycopg.Connection]:
            yield busy

        app.orders.old = lease
        with pytest.raises(RoutingError, match="transaction open already"):
            app.write("insert", tenant, version=1, note="a")


@pytest.fixture
def role(world: World) -> Iterator[str]:
    """One that may write the tables, and what else the module says."""
    name = f"app_{uuid.uuid4().hex}"
    world.run("old", f"CREATE ROLE {name} LOGIN")
    try:
        for side in ("old", "new"):
            own = (
                f"GRANT SELECT, INSERT ON orders, journal TO {name}",
                f"GRANT USAGE ON SEQUENCE orders_id_seq TO {name}",
            )
            for line in (*rights((moved(),), name), *own):
                world.run(side, line)
        yield name
    finally:
        for side in ("old", "new"):
            world.run(side, f"DROP OWNED BY {name}")
        world.run("old", f"DROP ROLE {name}")


def test_the_rights_that_the_module_names_are_enough(world: World, tenant: str, role: str):
    assert all(line in module() for line in rights((moved(),), "ROLE"))
    with application(world) as app:
        app.orders.old = Pool(make_conninfo(world.old, user=role)).connection
        key = app.write("insert", tenant, version=1, note="a")
        assert key in rows(world, "new", tenant)
        assert app.seconds("carried") == 1


def test_asyncio_does_the_same(world: World, tenant: str):
    async def go() -> None:
        def lease(url: str):
            @asynccontextmanager
            async def leased():
                connection = await psycopg.AsyncConnection.connect(url)
                try:
                    yield connection
                finally:
                    await connection.close()

            return leased

        def insert(total: str):
            async def run(connection: psycopg.AsyncConnection) -> int:
                found = await connection.execute(
                    f"INSERT INTO orders (tenant_id, {total}) VALUES (%s, 5) RETURNING id", (tenant,)
                )
                row = await found.fetchone()
                assert row is not None
                return row[0]

            return run

        made = dual()
        router = AsyncRouter(Flag("dualwrite"), LogRecorder())
        carriers = Carriers(made.stream, Urls(world.old, world.new), timeout_s=60.0)
        async with (
            router,
            AsyncDualWrites(
                made, router.migration("extraction"), lease(world.old), lease(world.new), carriers
            ) as orders,
        ):
            first, second = await asyncio.gather(
                *(orders.write(tenant, old=insert("total_cents"), new=insert("total")) for _ in range(2))
            )
            assert {first, second} <= set(rows(world, "new", tenant))
            await asyncio.to_thread(switched, world, tenant, "new")
            third = await orders.write(tenant, old=insert("total_cents"), new=insert("total"))
            assert rows(world, "old", tenant)[third] == 500
            assert router.meters.value(m.CARRIED, "extraction", "old_to_new", "carried") == 2

            async def count(connection: psycopg.AsyncConnection) -> int:
                row = await (await connection.execute("SELECT count(*) FROM orders")).fetchone()
                assert row is not None
                return row[0]

            assert await orders.read(tenant, old=count, new=count) == world.one("old", "SELECT count(*) FROM orders")

    asyncio.run(go())
