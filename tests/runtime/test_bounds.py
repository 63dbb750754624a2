"""A bound that a database puts on transactions doesn't end those that may take as long as they take."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals

LONG = statement("SELECT pg_sleep(0.4), current_setting('statement_timeout')")


def test_a_patient_transaction_outlasts_transaction_timeout(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        if connection.info.server_version < 170000:
            return  # there is no such bound
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET transaction_timeout = '200ms'".encode())
    one = Database(conninfo_of(database, "test"), Limits(), Retry(attempts=0), Signals())
    try:
        assert one.perform(lambda tx: tx.rows(LONG)[0][1], patient=True) == "0"
        with pytest.raises(psycopg.errors.TransactionTimeout):
            one.perform(lambda tx: tx.rows(LONG))
    finally:
        one.close()
