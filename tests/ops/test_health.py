"""What a backfill asks before it goes on, on real PostgreSQL: each reason holds alone, and names itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from migdsl.dialect.sql import statement
from migdsl.ops.health import question
from migdsl.rehearsal.server import start_server
from tests.runtime.conftest import ledger_statements

TABLE = 'public."odd name"'


@pytest.fixture
def busy(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        for ddl in ledger_statements():
            connection.execute(ddl)
        connection.execute(
            f"CREATE TABLE {TABLE} AS SELECT g AS id, repeat('x', 500) AS pad FROM generate_series(1, 20000) AS g"
        )
        connection.execute(f"DELETE FROM {TABLE} WHERE id % 3 = 0")
        yield connection


def why(connection: psycopg.Connection, *ours: str) -> str | None:
    row = connection.execute(question(TABLE, None, ours)).fetchone()
    assert row is not None
    return row[0]


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_healthy_database_gives_no_reason(busy: psycopg.Connection):
    assert why(busy) is None


def test_who_waits_for_the_table_is_let_through(busy: psycopg.Connection, database: str):
    def other(pid: list[int]) -> None:
        with psycopg.connect(database) as blocked:
            pid.append(blocked.info.backend_pid)
            blocked.execute(f"ALTER TABLE {TABLE} ADD COLUMN late int")

    pid: list[int] = []
    with psycopg.connect(database) as holder:
        holder.execute(f"SELECT FROM {TABLE} LIMIT 1")
        thread = threading.Thread(target=other, args=(pid,))
        thread.start()
        wait_for(lambda: why(busy) is not None)
        assert why(busy) == 'sessions that wait for a lock on public."odd name": 1'
        # Another lane of ours isn't whom it should make room for.
        busy.execute(
            "INSERT INTO migdsl.slice (migration, backfill, tenant, state, backend)"
            " VALUES ('m', 'b', 't', 'pending', %s)",
            (pid[0],),
        )
        assert why(busy) is None
    thread.join()
    assert why(busy) is None


def test_a_vacuum_of_the_table_goes_first(busy: psycopg.Connection, database: str):
    def vacuum() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SET vacuum_cost_delay = '50ms'; SET vacuum_cost_limit = 20")
            with suppress(psycopg.errors.QueryCanceled):
                other.execute(f"VACUUM {TABLE}")

    thread = threading.Thread(target=vacuum)
    thread.start()
    wait_for(lambda: (why(busy) or "").startswith('a VACUUM works on public."odd name": '))
    busy.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
    thread.join()
    assert why(busy) is None


def test_an_archive_that_fails_or_lags_holds(tmp_path: Path):
    settings = {
        "fsync": "off",
        "archive_mode": "on",
        "archive_command": "false",
        "wal_level": "replica",
        "max_wal_size": "1GB",
    }
    with start_server(tmp_path / "pg", settings=settings) as server, psycopg.connect(server.url, autocommit=True) as db:
        for ddl in ledger_statements():
            db.execute(ddl)
        db.execute("SELECT pg_switch_wal()")
        wait_for(lambda: (why(db) or "").startswith("archiving WAL fails since "))
        db.execute("ALTER SYSTEM SET archive_command = 'true'")
        db.execute("SELECT pg_reload_conf()")
        db.execute("CREATE TABLE filler (id int)")
        db.execute("SELECT pg_switch_wal()")
        wait_for(lambda: why(db) is None)
        # It hangs, and doesn't fail: only what waits tells.
        db.execute("ALTER SYSTEM SET archive_command = 'sleep 600'")
        db.execute("SELECT pg_reload_conf()")
        for _ in range(34):
            db.execute("INSERT INTO filler VALUES (1)")
            db.execute("SELECT pg_switch_wal()")
        wait_for(lambda: (why(db) or "").startswith("WAL files that wait to be archived: "))
        assert int((why(db) or "").rpartition(" ")[2]) in range(33, 37)


def test_a_slot_that_nobody_reads_holds_until_the_disk_is_safe(tmp_path: Path):
    settings = {"fsync": "off", "wal_level": "logical", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    with start_server(tmp_path / "pg", settings=settings) as server, psycopg.connect(server.url, autocommit=True) as db:
        for ddl in ledger_statements():
            db.execute(ddl)
        db.execute("CREATE TABLE filler (id int)")
        db.execute("SELECT pg_create_physical_replication_slot('never_used')")
        db.execute("SELECT pg_create_physical_replication_slot('replica_1', true)")
        db.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")

        def written(files: int) -> None:
            for _ in range(files):
                db.execute("INSERT INTO filler VALUES (1)")
                db.execute("SELECT pg_switch_wal()")

        written(1)
        assert why(db) is None
        written(3)
        said = why(db) or ""
        assert said.startswith("replication slots without a reader keep WAL: ")
        assert ("replica_1 " in said, "reader 5" in said, "never_used" in said) == (True, True, False)
        # What the sync job of the same migration reads is its own affair.
        assert (why(db, "reader") or "").startswith("replication slots without a reader keep WAL: replica_1 ")
        assert "reader 5" not in (why(db, "reader", "another") or "")
        db.execute("SELECT pg_drop_replication_slot('reader')")
        assert (why(db) or "").startswith("replication slots without a reader keep WAL: replica_1 ")
        # One whose WAL PostgreSQL has thrown away keeps none.
        db.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        db.execute("SELECT pg_reload_conf()")
        written(2)
        db.execute("CHECKPOINT")
        wait_for(lambda: why(db) is None)
        assert db.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'replica_1'").fetchone() == (
            "lost",
        )


def test_the_question_is_one_statement_of_ours():
    statement(question("public.users", None))
