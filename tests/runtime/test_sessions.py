"""Our sessions are the same whatever the database sets for them, and the URL says."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill.transform import array
from migdsl.runtime.database import Database
from migdsl.runtime.errors import DatabaseFailedError
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals
from migdsl.runtime.stream.letting import RefusedError, refusal
from migdsl.runtime.stream.pair import Pair, Urls
from tests.runtime.stream.world import OLD_TABLE, expand, moved, stream

ODD = {
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "latin1",
    "datestyle": "SQL, DMY",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "extra_float_digits": "-15",
    "intervalstyle": "sql_standard",
    "standard_conforming_strings": "off",
    "timezone": "Asia/Kathmandu",
    "xmloption": "document",
}
# What a table's key may be, and back: as text that any session reads as the same value.
VALUES = statement(
    r"SELECT :texts::text[] IS NOT DISTINCT FROM ARRAY[NULL, 'a\b', '→ü'], 'a\b', date '2026-02-01', float8 '0.1' + 0.2,"
    r" bytea '\x00ff', interval '-1 day 2 hours', current_setting('transaction_isolation'), current_setting('xmloption'),"
    " current_setting('transaction_read_only')"
)
EXPECTED = (
    *("t", r"a\b", "2026-02-01", "0.30000000000000004", r"\x00ff", "-1 days +02:00:00"),
    *("read committed", "content", "off"),
)


def test_values_travel_whatever_a_session_is_set_to(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        for name, value in ODD.items():
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'".encode())
    url = f"{database}{'&' if '?' in database else '?'}client_encoding=latin1"
    one = Database(conninfo_of(url, "test"), Limits(), Retry(attempts=0), Signals())
    given = {"texts": array([None, r"a\b", "→ü"])}
    try:
        with one.transaction() as tx:
            assert tx.rows(VALUES, given) == [EXPECTED]
        with one.transaction(brief=True) as tx:
            assert tx.together((VALUES, given)) == [[EXPECTED]]
    finally:
        one.close()
    # A dead letter is found again by the text of its key.
    pair = Pair.of(stream(moved()), Urls(url, url), "run", Signals(), lambda *_: None)
    try:
        zone = statement("SELECT current_setting('timezone')")
        assert [each.perform(lambda tx: tx.rows(zone)) for each in (pair.old, pair.new)] == [[("UTC",)]] * 2
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(
                f"ALTER DATABASE {connection.info.dbname} SET session_replication_role = replica".encode()
            )
        pair.close()
        with pytest.raises(DatabaseFailedError, match="old side's database: session_replication_role isn't origin"):
            pair.open()
    finally:
        pair.close()


def test_a_write_that_waited_for_a_switch_is_tried_again():
    """No longer than the lock_timeout that the application's role has."""
    refused = refusal(psycopg.errors.LockNotAvailable(), "t")
    assert isinstance(refused, RefusedError)
    assert refused.sqlstate == "40001"


def test_no_key_is_left_out_because_a_policy_hides_its_row(database: str, request: pytest.FixtureRequest):
    """The trigger's functions are their owner's, and for FORCE the owner is one of many."""
    with psycopg.connect(database, autocommit=True) as connection:
        role = f"filtered_{connection.info.dbname[-8:]}"
        connection.execute(f"CREATE ROLE {role}; ALTER SCHEMA public OWNER TO {role}".encode())
        connection.execute(f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {role}".encode())
        request.addfinalizer(lambda: _drop(database, role))
    url = f"{database}{'&' if '?' in database else '?'}options=-crole%3D{role}"
    expand(url, "old", OLD_TABLE, moved())
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO orders (tenant_id, total_cents) SELECT gen_random_uuid(), n FROM generate_series(1, 4) AS n"
        )
        owner.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY odd ON orders USING (id % 2 = 1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            owner.execute("TRUNCATE orders")


def _drop(database: str, role: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())
