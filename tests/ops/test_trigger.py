"""The two-way trigger on a real PostgreSQL: what old and new code write becomes visible to both, clause by clause."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migdsl.ops import names
from tests.ops.support import (
    CONTACT,
    T1,
    T2,
    USERS,
    USERS_DDL,
    Migration,
    all_rows,
    insert,
    mig,
    one,
    pair,
    write,
)

Expanded = Callable[..., Migration]

STATUS = mig("""entity Job in app.jobs { id bigint key; tenant_id uuid tenant; status smallint; index (tenant_id, id) }
change Job {
  add state smallint { from `status`; back status = `CASE state WHEN 4 THEN 3 ELSE state END` }
  drop status after 30d
}""")
JOBS_DDL = "CREATE TABLE jobs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, status smallint NOT NULL)"


@pytest.mark.parametrize(
    ("values", "expected", "old_writes"),
    [
        ({"email": "b@x"}, ("b@x", "b@x"), 1),
        ({"email": None}, (None, "bob@example.com"), 1),
        ({}, (None, "bob@example.com"), 1),
        ({"contact_email": "b@x"}, ("b@x", "b@x"), 0),
        ({"contact_email": "bob@example.com"}, ("bob@example.com", "bob@example.com"), 0),
        ({"contact_email": None}, (None, "bob@example.com"), 1),
        ({"email": "b@x", "contact_email": "b@x"}, ("b@x", "b@x"), 0),
        ({"email": "old@x", "contact_email": "new@x"}, ("new@x", "new@x"), 0),
        ({"email": "old@x", "contact_email": None}, ("old@x", "old@x"), 1),
        ({"email": None, "contact_email": "new@x"}, ("new@x", "new@x"), 0),
    ],
)
def test_insert(users: Migration, values: dict[str, object], expected: tuple[str | None, str | None], old_writes: int):
    insert(users, **values)
    assert pair(users) == expected
    assert users.old_writes() == old_writes


@pytest.mark.parametrize(
    ("start", "change", "expected", "old_writes"),
    [
        ("a@x", "email = 'b@x'", ("b@x", "b@x"), 1),
        ("a@x", "email = NULL", (None, "bob@example.com"), 1),
        (None, "email = 'b@x'", ("b@x", "b@x"), 1),
        ("a@x", "email = email", ("a@x", "a@x"), 0),
        ("a@x", "contact_email = 'b@x'", ("b@x", "b@x"), 0),
        (None, "contact_email = 'b@x'", ("b@x", "b@x"), 0),
        ("a@x", "contact_email = NULL", (None, None), 0),
        ("a@x", "email = 'b@x', contact_email = 'b@x'", ("b@x", "b@x"), 0),
        ("a@x", "email = 'o@x', contact_email = 'n@x'", ("o@x", "n@x"), 0),
        ("a@x", "tenant_id = gen_random_uuid()", ("a@x", "a@x"), 0),
    ],
)
def test_update(
    users: Migration, start: str | None, change: str, expected: tuple[str | None, str | None], old_writes: int
):
    insert(users, email=start, contact_email=start or "bob@example.com")
    write(users, f"UPDATE users SET {change}")
    assert pair(users) == expected
    assert users.old_writes() == old_writes


def test_a_rename_carries_a_derived_address_along_and_leaves_a_written_one(users: Migration):
    insert(users)
    write(users, "UPDATE users SET username = 'rob'")
    assert pair(users, "rob") == (None, "rob@example.com")
    write(users, "UPDATE users SET contact_email = 'r@x'")
    write(users, "UPDATE users SET username = 'bob'")
    assert pair(users) == ("r@x", "r@x")
    # New code renames users too: that is no sign of old code, which wrote the first row alone.
    assert users.old_writes() == 1


def test_an_address_that_new_code_wrote_stays_though_it_looks_derived(users: Migration):
    insert(users, contact_email="bob@example.com")
    write(users, "UPDATE users SET username = 'rob'")
    assert pair(users, "rob") == ("bob@example.com", "bob@example.com")


def test_a_row_that_nobody_filled_is_filled_by_whoever_touches_it_and_counts_for_nobody(expanded: Expanded):
    ddl = f"{USERS_DDL}; INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'bob', 'b@x')"
    users = expanded(mig(USERS, CONTACT), ddl)
    assert pair(users) == ("b@x", None)
    write(users, "UPDATE users SET id = id + 100")
    assert pair(users) == ("b@x", "b@x")
    assert users.old_writes() == 0


def test_after_enforce_the_function_no_longer_fills_on_update_and_still_does_on_insert(users: Migration):
    insert(users, contact_email="b@x")
    function = next(
        s for step in users.lowered.phase("enforce") if step.operation == "replace_function" for s in step.up
    )
    users._run([function])
    write(users, "UPDATE users SET contact_email = NULL")
    write(users, "UPDATE users SET id = id + 100")
    assert pair(users) == (None, None)
    write(users, "UPDATE users SET email = 'o@x'")
    assert pair(users) == ("o@x", "o@x")
    write(users, f"INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'ann', 'a@x')")
    assert pair(users, "ann") == ("a@x", "a@x")


# ------------------------------------------------------------------------------------------ the deliberate deviation


def literally(migration: Migration) -> None:
    """The trigger as the rule says it literally: `back` only where no input at all has changed."""
    plan = migration.lowered.tables[0]
    step = next(s for s in plan.steps if s.operation == "create_function")
    text = step.up[0].statements[-1]  # type: ignore[union-attr]
    ours = "IF NEW.email IS NOT DISTINCT FROM OLD.email\n"
    assert text.count(ours) == 1
    migration.connection.execute(
        text.replace(ours, ours + "       AND NEW.username IS NOT DISTINCT FROM OLD.username\n").encode()
    )


def rename_by_both(migration: Migration) -> tuple[str | None, str | None]:
    insert(migration, email="old@x")
    write(migration, "UPDATE users SET username = 'rob', contact_email = 'new@x'")  # new code
    write(migration, "UPDATE users SET username = 'bob'")  # old code, which knows nothing of an address
    return pair(migration)


def test_new_code_that_changes_two_inputs_at_once_keeps_its_value(users: Migration):
    assert rename_by_both(users) == ("new@x", "new@x")


def test_the_literal_rule_would_keep_that_value_from_old_code(users: Migration):
    literally(users)
    assert rename_by_both(users) == ("old@x", "new@x")


# ---------------------------------------------------------------------------------------------- all kinds of writing

OLD_UPSERT = (
    "INSERT INTO users (tenant_id, username, email) VALUES (%s, 'bob', %s) "
    "ON CONFLICT (tenant_id, username) DO UPDATE SET email = EXCLUDED.email"
)
NEW_UPSERT = (
    "INSERT INTO users (tenant_id, username, contact_email) VALUES (%s, 'bob', %s) "
    "ON CONFLICT (tenant_id, username) DO UPDATE SET contact_email = EXCLUDED.contact_email"
)


def test_upserts_of_old_and_new_code(users: Migration):
    write(users, OLD_UPSERT, T1, "1@x")
    assert pair(users) == ("1@x", "1@x")
    write(users, NEW_UPSERT, T1, "2@x")
    assert pair(users) == ("2@x", "2@x")
    before = users.old_writes()
    write(users, NEW_UPSERT, T1, "3@x")
    assert users.old_writes() == before
    write(users, OLD_UPSERT, T1, "4@x")
    assert pair(users) == ("4@x", "4@x")
    assert users.old_writes() > before
    write(users, OLD_UPSERT, T1, None)
    assert pair(users) == (None, "bob@example.com")


def test_an_upsert_that_sets_something_else_touches_no_pair(users: Migration):
    write(users, NEW_UPSERT, T1, "1@x")
    write(
        users,
        "INSERT INTO users (tenant_id, username, contact_email) VALUES (%s, 'bob', '2@x') "
        "ON CONFLICT (tenant_id, username) DO UPDATE SET id = users.id + 1",
        T1,
    )
    assert pair(users) == ("1@x", "1@x")


def test_copy_and_several_rows_at_once(users: Migration):
    for columns, name in (("email", "old"), ("contact_email", "new")):
        with users.connection.cursor().copy(f"COPY users (tenant_id, username, {columns}) FROM STDIN".encode()) as copy:
            for n in range(3):
                copy.write_row((T1, f"{name}{n}", f"{name}{n}@x"))
    write(
        users,
        f"INSERT INTO users (tenant_id, username, email, contact_email) VALUES "
        f"('{T1}', 'o', 'o@x', NULL), ('{T1}', 'n', NULL, 'n@x'), ('{T1}', 'e', NULL, NULL)",
    )
    rows = all_rows(users.connection, "SELECT username, email, contact_email FROM users WHERE username <> 'e'")
    assert len(rows) == 8
    assert all(email == contact == f"{name}@x" for name, email, contact in rows)
    assert pair(users, "e") == (None, "e@example.com")


def test_update_from_and_merge(users: Migration):
    insert(users, email="1@x")
    write(
        users,
        "UPDATE users AS u SET email = v.email FROM (VALUES ('bob', '2@x')) AS v (name, email) WHERE username = name",
    )
    assert pair(users) == ("2@x", "2@x")
    if users.connection.info.server_version < 150000:
        return  # there is no MERGE
    merge = (
        "MERGE INTO users AS u USING (VALUES ('bob', '3@x'), ('ann', '4@x')) AS v (name, value) ON username = name "
        f"WHEN MATCHED THEN UPDATE SET {{0}} = v.value "
        f"WHEN NOT MATCHED THEN INSERT (tenant_id, username, {{0}}) VALUES ('{T1}', v.name, v.value)"
    )
    write(users, merge.format("contact_email"))
    assert (pair(users), pair(users, "ann")) == (("3@x", "3@x"), ("4@x", "4@x"))
    write(users, "DELETE FROM users WHERE username = 'ann'")
    write(users, merge.format("email").replace("3@x", "5@x").replace("4@x", "6@x"))
    assert (pair(users), pair(users, "ann")) == (("5@x", "5@x"), ("6@x", "6@x"))


def test_a_session_that_applies_replicated_changes_fires_it_too(users: Migration):
    write(users, "SET session_replication_role = replica")
    insert(users, email="b@x")
    assert pair(users) == ("b@x", "b@x")


# ----------------------------------------------------------------------------------- the backfill, and pairs that agree


def test_the_backfill_changes_no_old_column_and_counts_nothing(expanded: Expanded):
    ddl = f"""{USERS_DDL}; INSERT INTO users (tenant_id, username, email)
        SELECT '{T1}', 'u' || n, CASE WHEN n % 3 > 0 THEN n || '@x' END FROM generate_series(1, 30) AS n"""
    users = expanded(mig(USERS, CONTACT), ddl)
    before = all_rows(users.connection, "SELECT id, email FROM users ORDER BY id")
    assert users.backfill() == 30
    assert all_rows(users.connection, "SELECT id, email FROM users ORDER BY id") == before
    assert one(users.connection, "SELECT count(*) FROM users WHERE contact_email IS NULL") == (0,)
    assert (users.old_writes(), users.differences(), users.backfill()) == (0, 0, 0)


ROUNDED = [
    # A value that the column rounds differs from `from` for ever; the backfill must not pass for new code's write.
    ("numeric", "numeric(12,2)", "old_ * 1.19", "new_ / 1.19", "1.01", "1.20"),
    ("double precision", "real", "old_", "new_", "0.1", "'0.1'::real"),
    ("numeric", "integer", "old_ * 100", "new_ / 100.0", "0.337", "34"),
    ("timestamptz", "timestamptz(0)", "old_", "new_", "'2026-01-01 00:00:00.7+00'", "'2026-01-01 00:00:01+00'"),
    ("numeric", "numeric(8,1)[]", "ARRAY[old_]", "new_[1]", "0.12", "ARRAY[0.1]"),
]


@pytest.mark.parametrize(("old", "new", "source", "back", "value", "stored"), ROUNDED)
def test_the_backfill_of_a_column_that_rounds(
    expanded: Expanded, old: str, new: str, source: str, back: str, value: str, stored: str
):
    text = mig(
        f"""entity Item in app.items {{ id bigint key; tenant_id uuid tenant; old_ {old}; index (tenant_id, id) }}
change Item {{ add new_ {new} {{ from `{source}`; back old_ = `{back}` }}; drop old_ after 30d }}"""
    )
    ddl = f"""CREATE TABLE items (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, old_ {old} NOT NULL);
        INSERT INTO items VALUES (1, '{T1}', {value})"""
    items = expanded(text, ddl)
    assert items.backfill() == 1
    assert one(items.connection, f"SELECT old_ = {value}, new_ = {stored} FROM items") == (True, True)
    assert (items.differences(), items.old_writes()) == (0, 0)
    write(items, f"INSERT INTO items (id, tenant_id, old_) VALUES (2, '{T1}', {value})")
    write(items, "UPDATE items SET tenant_id = tenant_id, id = id + 10")
    assert one(items.connection, f"SELECT count(*) FROM items WHERE old_ = {value} AND new_ = {stored}") == (2,)
    assert items.old_writes() == 1


def test_a_way_back_that_loses_something_corrupts_nothing(expanded: Expanded):
    jobs = expanded(STATUS, f"{JOBS_DDL}; INSERT INTO jobs SELECT n, '{T1}', n FROM generate_series(1, 4) AS n")
    jobs.backfill()
    assert all_rows(jobs.connection, "SELECT status, state FROM jobs ORDER BY id") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    write(jobs, f"INSERT INTO jobs (id, tenant_id, state) VALUES (5, '{T1}', 5)")
    assert one(jobs.connection, "SELECT status, state FROM jobs WHERE id = 5") == (5, 5)
    # 4 goes back as 3: new code keeps its 4, whatever else changes in the row, until old code writes another status.
    write(jobs, "UPDATE jobs SET state = 4 WHERE id = 5")
    write(jobs, f"UPDATE jobs SET tenant_id = '{T2}', id = 6 WHERE id = 5")
    assert one(jobs.connection, "SELECT status, state FROM jobs WHERE id = 6") == (3, 4)
    assert (jobs.differences("new"), jobs.lossy()) == (0, 2)
    write(jobs, "UPDATE jobs SET status = 1 WHERE id = 6")
    write(jobs, "UPDATE jobs SET status = 3 WHERE id = 6")
    assert one(jobs.connection, "SELECT status, state FROM jobs WHERE id = 6") == (3, 3)


def test_an_old_value_that_is_only_computed_back_again_leaves_the_new_one(expanded: Expanded):
    jobs = expanded(STATUS, JOBS_DDL)
    write(jobs, "ALTER TABLE jobs ALTER COLUMN status DROP NOT NULL")
    write(jobs, f"INSERT INTO jobs (id, tenant_id, state) VALUES (1, '{T1}', 4)")
    # As after a downgrade of contract: the column is there again, empty, and is computed from `back`.
    write(
        jobs,
        "ALTER TABLE jobs DISABLE TRIGGER USER; UPDATE jobs SET status = NULL; ALTER TABLE jobs ENABLE TRIGGER USER",
    )
    write(jobs, f"ALTER TABLE jobs ENABLE ALWAYS TRIGGER {names.trigger('m')}")
    write(jobs, "UPDATE jobs SET status = 3")
    assert one(jobs.connection, "SELECT status, state FROM jobs") == (3, 4)
    assert jobs.old_writes() == 0
