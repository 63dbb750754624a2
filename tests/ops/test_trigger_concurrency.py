"""Clients that upsert one fact at the same moment, while two unique indexes exist for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from psycopg import errors

from tests.ops.support import T1, USERS, USERS_DDL, Migration, mig, one, statements

CLIENTS, ROUNDS = 6, 25
COPIED = mig(
    USERS.replace("  unique (tenant_id, username)", "  unique (tenant_id, username)\n  unique (tenant_id, email)"),
    "change User { add mail text? { from `email`; back email = `mail`; unique per tenant } }",
)
COPIED_DDL = USERS_DDL.replace("UNIQUE (tenant_id, username)", "UNIQUE (tenant_id, email)")
# The same, said to be kept by old code already: the index is built in validate.
EARLY = COPIED.replace("unique per tenant }", 'unique per tenant; complies because "it is a copy" }')
# A column that only gets another name: its twin is the second index.
RENAMED = mig(
    USERS.replace("  unique (tenant_id, username)", "  unique (tenant_id, email)"),
    "change User { rename email to mail }",
)
# A unique index keeps apart what differs in letters alone, so that these take turns too.
LOWERED = mig(
    USERS.replace(
        "  unique (tenant_id, username)", "  unique (tenant_id, lower(email)) where `username <> ''` as users_email_ux"
    ),
    "change User { rename email to mail }",
)
LOWERED_DDL = (
    USERS_DDL.replace("UNIQUE (tenant_id, username)", "CHECK (id > 0)")
    + "; CREATE UNIQUE INDEX users_email_ux ON users (tenant_id, lower(email)) WHERE username <> ''"
)
CASES = [
    (LOWERED, LOWERED_DDL, "(tenant_id, lower(email)) WHERE username <> ''", "email"),
    (RENAMED, COPIED_DDL, "(tenant_id, email)", "email"),
    (COPIED, COPIED_DDL, "(tenant_id, email)", "email"),
    (EARLY, COPIED_DDL, "(tenant_id, email)", "email"),
]


def upsert(url: str, conflict: str, column: str, barrier: Barrier, client: int) -> int:
    """How many of a client's upserts failed because of the other index."""
    failed = 0
    # An argument of its own beside the key, so that no two clients write the same row's content.
    statement = (
        f"INSERT INTO users (tenant_id, username, {'email' if column == 'email' else 'id'}) VALUES (%s, %s, %s) "
        f"ON CONFLICT {conflict} DO UPDATE SET tenant_id = EXCLUDED.tenant_id"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for n in range(ROUNDS):
            fact = f"fact{n}" if client % 2 or "lower" not in conflict else f"Fact{n}"
            values = (T1, f"{client}-{n}", fact) if column == "email" else (T1, fact, client * 1000 + n)
            barrier.wait()
            try:
                connection.execute(statement.encode(), values)
            except errors.UniqueViolation:
                failed += 1
    return failed


def storm(url: str, conflict: str, column: str) -> int:
    barrier = Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(lambda client: upsert(url, conflict, column, barrier, client), range(CLIENTS)))


@pytest.fixture(params=CASES, ids=["index", "rename", "enforce", "validate"])
def both_unique(request: pytest.FixtureRequest, expanded: Callable[..., Migration]) -> tuple[Migration, str, str]:
    """A table on which old and new unique index stand side by side, as between enforce and contract."""
    text, ddl, conflict, column = request.param
    migration = expanded(text, ddl)
    for step in (*migration.lowered.phase("validate"), *migration.lowered.phase("enforce")):
        if step.operation in ("replace_function", "build_unique_index"):
            for part in step.up:
                for statement in statements(part):
                    migration.connection.execute(statement.encode())
    return migration, conflict, column


def test_no_upsert_fails(both_unique: tuple[Migration, str, str], url: str):
    migration, conflict, column = both_unique
    assert storm(url, conflict, column) == 0
    assert one(migration.connection, f"SELECT count(DISTINCT {column}), count(*) FROM users") == (ROUNDS, ROUNDS)


def test_without_the_lock_they_do(both_unique: tuple[Migration, str, str], url: str):
    migration, conflict, column = both_unique
    replace = next(s for s in migration.lowered.phase("enforce") if s.operation == "replace_function")
    (function,) = (found for found in statements(replace.up[0]) if "CREATE OR REPLACE FUNCTION" in found)
    without, taken = re.subn(r"PERFORM pg_advisory_xact_lock\(.*\);", "NULL;", function)
    assert taken == 1
    migration.connection.execute(without.encode())
    # A race is not lost every time: many rounds, of which one is enough.
    assert any(storm(url, conflict, column) or clear(migration) for _ in range(10))


def clear(migration: Migration) -> bool:
    migration.connection.execute("TRUNCATE users")
    return False


def test_a_large_copy_needs_no_lock_a_row_while_old_code_is_at_work(expanded: Callable[..., Migration]):
    users = expanded(COPIED, COPIED_DDL)
    # More rows than the server has room for locks.
    rows = 6 * 64 * int(one(users.connection, "SELECT current_setting('max_connections')")[0])
    with users.connection.cursor().copy(b"COPY users (tenant_id, username, email) FROM STDIN") as copy:
        for n in range(rows):
            copy.write_row((T1, f"u{n}", f"{n}@x"))
    assert one(users.connection, "SELECT count(*) FROM users WHERE mail = email") == (rows,)


def test_a_lock_a_row_is_said_beforehand(both_unique: tuple[Migration, str, str], url: str):
    """From the second index on a large INSERT would take the locks of all sessions: plan and runbook have the bound."""
    migration, _, column = both_unique
    steps = [s for s in migration.lowered.steps if s.precondition and "max_locks_per_transaction" in s.precondition]
    assert [(s.phase, s.operation) for s in steps] == [(steps[0].phase, "replace_function")]
    assert steps[0].phase in ("validate", "enforce")
    assert f"between {steps[0].phase} and contract" in (steps[0].precondition or "")
    with psycopg.connect(url) as connection:
        rows = f"SELECT '{T1}', 'u' || n, 'e' || n FROM generate_series(1, 100) AS n"
        connection.execute(f"INSERT INTO users (tenant_id, username, {column}) {rows}".encode())
        assert one(connection, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == (100,)


def test_where_nobody_takes_turns_nothing_is_said(users: Migration):
    assert not [s for s in users.lowered.steps if s.precondition and "max_locks_per_transaction" in s.precondition]
