"""A standby that lags on purpose: the server's own reading says so, and says when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from migdsl.rehearsal.standby import Standby

LAG = b"""
SELECT extract(epoch FROM replay_lag)::float8 FROM pg_stat_replication
 WHERE application_name = 'rehearsal standby' AND replay_lag IS NOT NULL"""


def written_until(connection: psycopg.Connection, done: Callable[[], bool]) -> bool:
    """Writes until something holds: what isn't written has no lag."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        connection.execute("INSERT INTO t VALUES (1)")
        if done():
            return True
        time.sleep(0.01)
    return False


def test_a_standby_lags_as_much_as_it_is_told(database: str):
    standby = Standby(database)
    standby.start()
    try:
        with psycopg.connect(database, autocommit=True) as connection:

            def lags() -> float:
                found = connection.execute(LAG).fetchone()
                return -1.0 if found is None else float(found[0])

            connection.execute("CREATE TABLE t (a int)")
            assert written_until(connection, lambda: standby.may_lag(1.5)), standby.failed
            assert lags() == -1.0, "it has said nothing yet, so that nobody waits for it"
            standby.lag(1.5)
            assert written_until(connection, lambda: lags() >= 1.5)
            standby.lag(0.0)
            assert written_until(connection, lambda: 0 <= lags() < 1.5)
            standby.stop()
            assert written_until(connection, lambda: lags() == -1.0)
    finally:
        standby.stop()
    assert standby.failed is None
    assert not standby.may_lag(0.0)


def test_where_nothing_may_be_streamed_it_says_so():
    standby = Standby("postgresql://nobody@/nothing?host=/nowhere")
    standby.start()
    standby.join(60)
    assert standby.failed is not None
    assert not standby.may_lag(0.0)
