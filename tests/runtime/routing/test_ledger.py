"""What the router does on connections of psycopg and sessions of SQLAlchemy, sync and async, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest

from migdsl.runtime.routing import (
    AsyncRouter,
    LedgerRecorder,
    Pace,
    Router,
    RoutingError,
    advisory_lock,
    advisory_lock_async,
    open_repairs,
    repair,
)
from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.repair import Failure
from migdsl.runtime.routing.sqlalchemy import at_session
from tests.runtime.conftest import ledger_statements
from tests.runtime.routing.support import Switch

sqlalchemy: Any = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
orm: Any = pytest.importorskip("sqlalchemy.orm", reason="SQLAlchemy is not installed")

PII = "ada@example.org"
INSERT = "INSERT INTO {} VALUES (1, 'ada@example.org')"
# A DETAIL of PostgreSQL quotes the value.
BROKEN = "INSERT INTO new_side VALUES (1, 'ada@example.org'), (1, 'ada@example.org')"


@pytest.fixture
def url(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in ledger_statements():
            connection.execute(statement.encode())
        connection.execute("CREATE TABLE old_side (id bigint PRIMARY KEY, v text)")
        connection.execute("CREATE TABLE new_side (id bigint PRIMARY KEY, v text)")
    return database


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as made:
        yield made


def migration(stage: str = "dualwrite", recorder: LedgerRecorder | None = None, **more: Any) -> Any:
    return Router(Switch(stage), recorder or LedgerRecorder(), pace=Pace(ttl=0)).migration("m", **more)


def rows(connection: psycopg.Connection[Any], table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert found is not None
    return found[0]


def write(at: Any, new: str = BROKEN) -> Any:
    run = (lambda s: s.execute(sqlalchemy.text(new))) if hasattr(at.on, "begin_nested") else (lambda c: c.execute(new))
    old = INSERT.format("old_side")
    run_old = (
        (lambda s: s.execute(sqlalchemy.text(old))) if hasattr(at.on, "begin_nested") else (lambda c: c.execute(old))
    )
    return at.write(old=run_old, new=run, key=1)


def recorded(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    return connection.execute("SELECT subject, value FROM migdsl.event WHERE kind = 'repair'").fetchall()


EXPECTED = [('["t", "new", "[\\"1\\"]"]', "dualwrite UniqueViolation 23505")]


def test_a_failed_second_write_commits_with_the_first_and_its_record(connection: psycopg.Connection[Any]):
    with connection.transaction(), migration().at("t", on=connection) as at:
        write(at)
        connection.execute("SELECT 1")  # the transaction lives on
    assert (rows(connection, "old_side"), rows(connection, "new_side")) == (1, 0)
    assert recorded(connection) == EXPECTED


def test_what_a_request_takes_back_is_not_recorded(connection: psycopg.Connection[Any]):
    with connection.transaction(force_rollback=True), migration().at("t", on=connection) as at:
        write(at)
        assert recorded(connection) == EXPECTED
    assert recorded(connection) == []
    assert rows(connection, "old_side") == 0


def test_the_authoritative_side_that_fails_fails_the_request(connection: psycopg.Connection[Any]):
    with (
        pytest.raises(psycopg.errors.UniqueViolation),
        connection.transaction(),
        migration("live").at("t", on=connection) as at,
    ):
        write(at)
    assert (rows(connection, "old_side"), recorded(connection)) == (0, [])


def test_a_record_that_is_refused_leaves_the_request_alone(
    connection: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
):
    connection.execute("DROP TABLE migdsl.event")
    users = migration()
    with connection.transaction(), users.at("t", on=connection) as at:
        write(at)
    assert rows(connection, "old_side") == 1
    assert 'event=recorder_failed migration=m error="UndefinedTable 42P01"' in caplog.text
    assert "event=repair_needed migration=m tenant=t" in caplog.text
    assert PII not in caplog.text


def test_two_databases_record_on_a_connection_of_their_own(url: str, connection: psycopg.Connection[Any]):
    @contextmanager
    def connect() -> Iterator[Any]:
        with psycopg.connect(url) as made:
            yield made

    def broken() -> None:
        connection.execute(BROKEN.encode())

    with migration(recorder=LedgerRecorder(connect)).at("t") as at:
        at.write(old=lambda: None, new=broken, key=1)
    assert recorded(connection) == EXPECTED
    failure = Failure("m", "t", "[]", "new", "live", "E")
    with pytest.raises(RoutingError, match="connect="):
        LedgerRecorder().record(failure, None)


def test_asyncio_does_the_same(url: str, connection: psycopg.Connection[Any]):
    async def run() -> None:
        users = AsyncRouter(Switch("dualwrite"), LedgerRecorder()).migration("m", lock=advisory_lock_async)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as own:
            with pytest.raises(RoutingError, match="no transaction is open"):
                async with users.at("t", on=own) as at:
                    await write(at)
            async with own.transaction(), users.at("t", on=own) as at:
                await write(at)

    asyncio.run(run())
    assert recorded(connection) == EXPECTED
    assert rows(connection, "old_side") == 1


def test_a_lock_without_a_transaction_is_refused(connection: psycopg.Connection[Any]):
    with (
        pytest.raises(RoutingError, match="no transaction is open"),
        migration(lock=advisory_lock).at("t", on=connection) as at,
    ):
        write(at)


def test_writers_of_one_row_take_turns(url: str, connection: psycopg.Connection[Any]):
    users = migration("off", lock=advisory_lock)
    with connection.transaction(), users.at("t", on=connection) as at, psycopg.connect(url) as other:
        at.lock(1)
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable), users.at("t", on=other) as second:
            second.lock(1)
        other.rollback()
        with users.at("t", on=other) as second:
            second.lock(2)
            with users.at("u", on=other) as third:
                third.lock(1)


def test_a_failure_while_a_row_is_repaired_stays_open(connection: psycopg.Connection[Any], url: str):
    def fail() -> None:
        with psycopg.connect(url) as own, migration().at("t", on=own) as at:
            at.write(old=lambda c: c.execute("SELECT 1"), new=lambda c: c.execute(BROKEN), key=1)

    def copy(_connection: Any, each: Any) -> None:
        seen.append((each.tenant, each.side, each.key, each.lock))
        if len(seen) == 1:
            fail()

    seen: list[object] = []
    fail()
    assert repair(connection, "m", copy) == 1
    assert len(open_repairs(connection, "m")) == 1
    assert repair(connection, "m", copy) == 1
    assert open_repairs(connection, "m") == []
    assert seen == [("t", "new", ("1",), 'm t ["1"]')] * 2
    assert repair(connection, "m", copy) == 0


def test_a_repair_that_fails_stays_open(connection: psycopg.Connection[Any]):
    with connection.transaction(), migration().at("t", on=connection) as at:
        write(at)

    def copy(own: Any, _each: Any) -> None:
        own.execute(BROKEN)

    with pytest.raises(psycopg.errors.UniqueViolation):
        repair(connection, "m", copy)
    assert len(open_repairs(connection, "m")) == 1


@pytest.fixture
def session(url: str) -> Iterator[Any]:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with orm.Session(engine) as made:
        yield made
    engine.dispose()


def test_a_session_keeps_its_stage_for_a_transaction_and_asks_anew_for_the_next(session: Any):
    switch = Switch("off")
    users = Router(switch, LedgerRecorder(), pace=Pace(ttl=0)).migration("m")
    assert at_session(users, session, "t").stage == "off"
    switch.stage = "dualwrite"
    assert at_session(users, session, "t").stage == "off"
    with session.begin_nested():
        assert at_session(users, session, "t").stage == "off"
    assert at_session(users, session, "t").stage == "off"
    assert at_session(users, session, "u").stage == "dualwrite"
    session.commit()
    assert at_session(users, session, "t").stage == "dualwrite"
    switch.stage = "shadow"
    session.rollback()
    with session.begin():
        assert at_session(users, session, "t").stage == "shadow"


def test_a_session_has_a_savepoint_for_second_writes(session: Any, connection: psycopg.Connection[Any]):
    users = migration(lock=advisory_lock)
    write(at_session(users, session, "t"))
    assert session.execute(sqlalchemy.text("SELECT count(*) FROM old_side")).scalar() == 1
    session.commit()
    assert (rows(connection, "old_side"), rows(connection, "new_side")) == (1, 0)
    assert recorded(connection) == EXPECTED


def test_a_session_reads_what_it_wrote(session: Any):
    users = migration("rampdown")
    write(at_session(users, session, "t"), INSERT.format("new_side"))
    found = at_session(users, session, "t").read(
        old=lambda s: s.execute(sqlalchemy.text("SELECT 'old'")).scalar(),
        new=lambda s: s.execute(sqlalchemy.text("SELECT v FROM new_side")).scalar(),
    )
    assert found == PII


def test_a_repair_takes_the_lock_of_the_writers(connection: psycopg.Connection[Any], url: str):
    """Whatever characters the key has."""
    users = migration(lock=advisory_lock)
    with connection.transaction(), users.at("t", on=connection) as at:
        at.write(old=lambda c: c.execute("SELECT 1"), new=lambda c: c.execute(BROKEN), key="ü ' \"")
    (each,) = open_repairs(connection, "m")
    with connection.transaction(), users.at("t", on=connection) as at, psycopg.connect(url) as other:
        at.lock("ü ' \"")
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            advisory_lock(other, each.lock)


KILL = "SELECT pg_terminate_backend(pg_backend_pid())"


def test_a_connection_that_breaks_in_the_second_write_is_recorded_on_another(
    url: str, connection: psycopg.Connection[Any]
):
    """In autocommit the first write stands by then."""
    users = migration(recorder=LedgerRecorder(lambda: psycopg.connect(url)))
    with psycopg.connect(url, autocommit=True) as lost, users.at("t", on=lost) as at:
        write(at, new=KILL)
    assert rows(connection, "old_side") == 1
    assert recorded(connection) == [('["t", "new", "[\\"1\\"]"]', "dualwrite AdminShutdown 57P01")]
    assert users.core.meters.value(m.REPAIRS, "m", "recorded") == 1


def test_asyncio_records_on_another_connection_too(url: str, connection: psycopg.Connection[Any]):
    async def run() -> None:
        recorder = LedgerRecorder(connect_async=lambda: connect(url))
        users = AsyncRouter(Switch("dualwrite"), recorder, pace=Pace(ttl=0)).migration("m")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as lost, users.at("t", on=lost) as at:
            await at.write(old=lambda c: c.execute(INSERT.format("old_side")), new=lambda c: c.execute(KILL), key=1)

    asyncio.run(run())
    assert rows(connection, "old_side") == 1
    assert recorded(connection) == [('["t", "new", "[\\"1\\"]"]', "dualwrite AdminShutdown 57P01")]


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(url) as made:
        yield made
