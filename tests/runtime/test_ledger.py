"""The ledger's DDL: it can be run again, and it enforces the transitions that the code knows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from migdsl.runtime.backfill.transitions import INITIAL, STATES, allowed
from tests.runtime.conftest import ledger_statements

INSERT = "INSERT INTO migdsl.slice (migration, backfill, tenant, state) VALUES ('m', 'b', %s, %s)"


@pytest.fixture
def ledger(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in ledger_statements():
            connection.execute(statement)
        yield connection


def put_into(ledger: psycopg.Connection, state: str) -> None:
    """A slice in `state`, past the trigger."""
    lease = ("2099-01-01", "w") if state == "running" else (None, None)
    with ledger.transaction():
        ledger.execute("SET LOCAL session_replication_role = replica")
        ledger.execute("DELETE FROM migdsl.slice")
        ledger.execute(
            "INSERT INTO migdsl.slice (migration, backfill, tenant, state, lease_until, worker)"
            " VALUES ('m', 'b', 't', %s, %s, %s)",
            (state, *lease),
        )


def moves(ledger: psycopg.Connection, after: str) -> bool:
    lease = ("2099-01-01", "w") if after == "running" else (None, None)
    try:
        ledger.execute("UPDATE migdsl.slice SET state = %s, lease_until = %s, worker = %s", (after, *lease))
    except psycopg.errors.CheckViolation:
        return False
    return True


def starts(ledger: psycopg.Connection, state: str) -> bool:
    try:
        ledger.execute(INSERT, (state, state))
    except psycopg.errors.CheckViolation:
        return False
    return True


def test_the_trigger_and_the_code_hold_the_same_transitions(ledger: psycopg.Connection):
    for before in STATES:
        for after in STATES:
            put_into(ledger, before)
            assert moves(ledger, after) == allowed(before, after), (before, after)


def test_a_slice_begins_as_the_code_says(ledger: psycopg.Connection):
    assert {state for state in STATES if starts(ledger, state)} == INITIAL


def test_the_ddl_can_be_run_again(ledger: psycopg.Connection):
    ledger.execute(INSERT, ("t", "pending"))
    for statement in ledger_statements():
        ledger.execute(statement)
    assert ledger.execute("SELECT count(*) FROM migdsl.slice").fetchone() == (1,)


def test_a_fence_only_grows(ledger: psycopg.Connection):
    ledger.execute(INSERT, ("t", "pending"))
    ledger.execute("UPDATE migdsl.slice SET fence = 3")
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.execute("UPDATE migdsl.slice SET fence = 2")


def test_a_running_slice_has_a_lease(ledger: psycopg.Connection):
    ledger.execute(INSERT, ("t", "pending"))
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.execute("UPDATE migdsl.slice SET state = 'running'")


@pytest.mark.parametrize("statement", ["UPDATE {} SET migration = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["migdsl.event", "migdsl.reconciliation"])
def test_the_logs_are_append_only(ledger: psycopg.Connection, table: str, statement: str):
    ledger.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    ledger.execute(
        "INSERT INTO migdsl.reconciliation (migration, entity, tenant, rows, truth) VALUES ('m', 'E', 't', 1, 'old')"
    )
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="append-only"):
        ledger.execute(statement.format(table))


def test_an_event_says_who_and_when(ledger: psycopg.Connection):
    ledger.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    row = ledger.execute(
        "SELECT actor = current_user, at BETWEEN now() - interval '1 hour' AND clock_timestamp() FROM migdsl.event"
    )
    assert row.fetchone() == (True, True)


def test_keys_keep_their_text(ledger: psycopg.Connection):
    key = ['it\'s "quoted" \\ ü', "-9223372036854775808"]
    ledger.execute(INSERT, ("t", "pending"))
    ledger.execute("UPDATE migdsl.slice SET watermark = %s", (json.dumps(key),))
    assert ledger.execute("SELECT watermark FROM migdsl.slice").fetchone() == (key,)
