"""The two-way trigger on a real PostgreSQL: what old and new code write becomes visible to both, clause by clause."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors

from migdsl.ops import names
from tests.ops.support import (
    CONTACT,
    T1,
    T2,
    USERS,
    USERS_DDL,
    Connection,
    Migration,
    all_rows,
    codes,
    ledger,
    lowered,
    mig,
    one,
)

Expanded = Callable[..., Migration]

STATUS = mig(
    """entity Job in app.jobs { id bigint key; tenant_id uuid tenant; status smallint; index (tenant_id, id) }
change Job {
  add state smallint { from `CASE status WHEN 4 THEN 4 ELSE status END`; back status = `CASE state WHEN 4 THEN 3 ELSE state END` }
  drop status after 30d
}"""
)
JOBS_DDL = "CREATE TABLE jobs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, status smallint NOT NULL)"


@pytest.fixture
def users(expanded: Expanded) -> Migration:
    """The example, expanded."""
    return expanded(mig(USERS, CONTACT))


def write(migration: Migration, statement: str, *values: object) -> None:
    migration.connection.execute(statement.encode(), values or None)


def pair(migration: Migration, username: str = "bob") -> tuple[str | None, str | None]:
    """What old code reads, and what new code reads."""
    return one(migration.connection, "SELECT email, contact_email FROM users WHERE username = %s", username)


def insert(migration: Migration, **values: object) -> None:
    columns = ", ".join(["tenant_id", "username", *values])
    marks = ", ".join(["%s"] * (len(values) + 2))
    write(migration, f"INSERT INTO users ({columns}) VALUES ({marks})", T1, "bob", *values.values())


@pytest.mark.parametrize(
    ("values", "expected", "old_writes"),
    [
        ({"email": "b@x"}, ("b@x", "b@x"), 1),
        ({"email": None}, (None, "bob@example.com"), 1),
        ({}, (None, "bob@example.com"), 1),
        ({"contact_email": "b@x"}, ("b@x", "b@x"), 0),
        ({"contact_email": "bob@example.com"}, (None, "bob@example.com"), 0),
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
    insert(users, contact_email="bob@example.com")
    write(users, "UPDATE users SET username = 'rob'")
    assert pair(users, "rob") == (None, "rob@example.com")
    write(users, "UPDATE users SET contact_email = 'r@x'")
    write(users, "UPDATE users SET username = 'bob'")
    assert pair(users) == ("r@x", "r@x")
    # New code renames users too: that is no sign of old code.
    assert users.old_writes() == 0


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
    users._run([function])  # noqa: SLF001 (one part of a phase)
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


def test_the_literal_rule_would_lose_that_value(users: Migration):
    literally(users)
    assert rename_by_both(users) == ("old@x", "old@x")


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
    write(users, "UPDATE users AS u SET email = v.email FROM (VALUES ('bob', '2@x')) AS v (name, email) WHERE u.username = v.name")
    assert pair(users) == ("2@x", "2@x")
    merge = (
        f"MERGE INTO users AS u USING (VALUES ('bob', '3@x'), ('ann', '4@x')) AS v (name, value) ON u.username = v.name "
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
    write(jobs, "ALTER TABLE jobs DISABLE TRIGGER USER; UPDATE jobs SET status = NULL; ALTER TABLE jobs ENABLE TRIGGER USER")
    write(jobs, f"ALTER TABLE jobs ENABLE ALWAYS TRIGGER {names.trigger('m')}")
    write(jobs, "UPDATE jobs SET status = 3")
    assert one(jobs.connection, "SELECT status, state FROM jobs") == (3, 4)
    assert jobs.old_writes() == 0


# ------------------------------------------------------------------------------------ pairs of other shapes


def test_without_a_way_back_the_new_follows_until_new_code_writes_it(expanded: Expanded):
    text = mig(USERS, "change User { add handle text { from `lower(username)` } }")
    users = expanded(text, f"{USERS_DDL}; INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'BOB')")
    handle = "SELECT username, handle FROM users"
    users.backfill()
    assert one(users.connection, handle) == ("BOB", "bob")
    assert users.old_writes() == 0
    write(users, "UPDATE users SET username = 'Rob'")
    assert one(users.connection, handle) == ("Rob", "rob")
    assert users.old_writes() == 1
    write(users, "UPDATE users SET handle = 'the-rob'")
    write(users, "UPDATE users SET username = 'Bob'")
    assert one(users.connection, handle) == ("Bob", "the-rob")
    write(users, "UPDATE users SET username = 'Ann', handle = 'ann'")
    assert one(users.connection, handle) == ("Ann", "ann")
    write(users, "UPDATE users SET username = 'Eve'")
    assert one(users.connection, handle) == ("Eve", "eve")
    # A dropped input is old code's alone: its change shows old code even where nothing follows it any more.
    assert users.differences("new") == 0


def test_a_dropped_input_shows_old_code_even_where_the_new_column_is_on_its_own(expanded: Expanded):
    text = mig(USERS, 'change User { add mail text? { from `email` }; drop email irreversible because "unread" }')
    users = expanded(text)
    insert(users, email="1@x")
    write(users, "UPDATE users SET mail = 'own@x'")
    before = users.old_writes()
    write(users, "UPDATE users SET email = '2@x'")
    assert one(users.connection, "SELECT email, mail FROM users") == ("2@x", "own@x")
    assert users.old_writes() == before + 1


NULLABLE = mig(USERS, "change User { add mail text? { from `lower(email)`; back email = `mail` }; drop email after 30d }")


def test_a_nullable_pair_keeps_nulls_of_either_side(expanded: Expanded):
    users = expanded(NULLABLE, f"{USERS_DDL}; INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'bob')")
    both = "SELECT email, mail FROM users"
    assert users.backfill() == 0
    for change, expected in [
        ("mail = 'a@x'", ("a@x", "a@x")),
        ("mail = NULL", (None, None)),
        ("email = 'B@x'", ("B@x", "b@x")),
        ("email = NULL", (None, None)),
        ("email = 'C@x'", ("C@x", "c@x")),
        ("mail = NULL", (None, None)),
        ("username = 'rob'", (None, None)),
    ]:
        write(users, f"UPDATE users SET {change}")
        assert one(users.connection, both) == expected
    write(users, f"INSERT INTO users (tenant_id, username, mail) VALUES ('{T1}', 'new', NULL)")
    assert one(users.connection, f"{both} WHERE username = 'new'") == (None, None)


def test_a_change_that_leaves_the_new_as_it_is_still_shows_old_code(expanded: Expanded):
    users = expanded(NULLABLE)
    insert(users, email="b@x")
    before = users.old_writes()
    write(users, "UPDATE users SET email = 'B@x'")
    assert one(users.connection, "SELECT email, mail FROM users") == ("B@x", "b@x")
    assert users.old_writes() == before + 1


REQUIRED_OLD = mig(
    USERS.replace("email      text?", "email      text"),
    """change User {
  add contact text { from `coalesce(nullif(email, ''), username || '@example.com')`; back email = `contact` }
  drop email after 30d
}""",
)


def test_new_code_may_leave_a_required_old_column_out_whatever_it_writes(expanded: Expanded):
    users = expanded(REQUIRED_OLD, USERS_DDL.replace("email text", "email text NOT NULL"))
    both = "SELECT email, contact FROM users"
    # Just what `from` would give for no address at all: the old column must be filled all the same.
    insert(users, contact="bob@example.com")
    assert one(users.connection, both) == ("bob@example.com", "bob@example.com")
    write(users, "UPDATE users SET contact = 'c@x'")
    assert one(users.connection, both) == ("c@x", "c@x")


def test_a_nullable_new_column_whose_null_the_old_one_could_not_take_is_refused():
    old = USERS.replace("email      text?", "email      text")
    change = "change User { add mail text? { from `email`; back email = `mail` }; drop email }"
    assert codes(mig(old, change)) == ["MIG412"]
    assert codes(mig(USERS, change)) == []


GENERATED = mig(
    """entity Doc in app.docs {
  id bigint key; tenant_id uuid tenant; title text; slug text? generated `lower(title) -- of the title`
  index (tenant_id, id)
}
change Doc { add path text { from `'/' || slug`; back title = `substr(path, 2)` } }"""
)
DOCS_DDL = """CREATE TABLE docs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, title text NOT NULL,
                                   slug text GENERATED ALWAYS AS (lower(title)) STORED)"""


def test_generated_inputs_are_inlined(expanded: Expanded):
    docs = expanded(GENERATED, f"{DOCS_DDL}; INSERT INTO docs VALUES (1, '{T1}', 'One')")
    docs.backfill()
    all_ = "SELECT title, slug, path FROM docs"
    assert one(docs.connection, all_) == ("One", "one", "/one")
    write(docs, "UPDATE docs SET title = 'Two'")
    assert one(docs.connection, all_) == ("Two", "two", "/two")
    write(docs, "UPDATE docs SET path = '/three'")
    assert one(docs.connection, all_) == ("three", "three", "/three")
    assert (docs.differences(), docs.lossy()) == (0, 0)
    write(docs, "UPDATE docs SET path = '/Four'")
    assert one(docs.connection, all_) == ("Four", "four", "/Four")
    assert docs.lossy() == 1


SPLIT = mig(
    """entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add last text { from `split_part(name, ' ', 2)` }
  add first text { from `split_part(name, ' ', 1)`; back name = `first || ' ' || last` }
  drop name after 30d
}"""
)
P_DDL = "CREATE TABLE p (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL)"


@pytest.mark.parametrize("text", [SPLIT, SPLIT.replace("  add last", "  add lost").replace(" last`", " lost`")])
def test_a_column_split_in_two_has_one_way_back_for_both(expanded: Expanded, text: str):
    last = "lost" if "add lost" in text else "last"
    people = expanded(text, f"{P_DDL}; INSERT INTO p VALUES (1, '{T1}', 'Ann Lee')")
    people.backfill()
    all_ = f"SELECT name, first, {last} FROM p"
    assert one(people.connection, all_) == ("Ann Lee", "Ann", "Lee")
    assert people.old_writes() == 0
    for change, expected in [
        (f"{last} = 'Roe'", ("Ann Roe", "Ann", "Roe")),
        ("first = 'Amy'", ("Amy Roe", "Amy", "Roe")),
        (f"first = 'Bob', {last} = 'Lee'", ("Bob Lee", "Bob", "Lee")),
        # What goes back with a space in it comes forth cut; the value that new code wrote must stand all the same.
        ("first = 'Bob B.'", ("Bob B. Lee", "Bob B.", "Lee")),
    ]:
        write(people, f"UPDATE p SET {change}")
        assert one(people.connection, all_) == expected
    assert people.old_writes() == 0
    write(people, "UPDATE p SET name = 'Eve Adams'")
    assert one(people.connection, all_) == ("Eve Adams", "Eve", "Adams")
    assert people.old_writes() > 0
    write(people, "DELETE FROM p")
    write(people, f"INSERT INTO p (id, tenant_id, first, {last}) VALUES (2, '{T1}', 'Zoe', 'Poe')")
    assert one(people.connection, all_) == ("Zoe Poe", "Zoe", "Poe")
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (3, '{T1}', 'Old Code')")
    assert one(people.connection, f"{all_} WHERE id = 3") == ("Old Code", "Old", "Code")


@pytest.mark.parametrize("first", ["mail", "domain"])
def test_a_column_that_starts_from_what_another_one_gives_back(expanded: Expanded, first: str):
    adds = {
        "mail": "add mail text? { from `email`; back email = `mail` }",
        "domain": "add domain text? { from `split_part(email, '@', 2)` }",
    }
    users = expanded(mig(USERS, f"change User {{ {adds.pop(first)}; {adds.popitem()[1]}; drop email }}"))
    both = "SELECT email, domain FROM users"
    insert(users, mail="b@x")
    assert one(users.connection, both) == ("b@x", "x")
    write(users, "UPDATE users SET mail = 'b@y'")
    assert one(users.connection, both) == ("b@y", "y")
    write(users, "UPDATE users SET mail = 'b@z', domain = 'own'")
    assert one(users.connection, both) == ("b@z", "own")
    write(users, "UPDATE users SET mail = 'b@w'")
    assert one(users.connection, both) == ("b@w", "own")
    assert users.old_writes() == 0
    write(users, f"INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'ann', 'a@x')")
    assert users.old_writes() > 0


def test_an_added_column_without_from_that_the_way_back_reads(expanded: Expanded):
    text = mig(
        """entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add title text?
  add plain text { from `name`; back name = `concat_ws(' ', title, plain)` }
  drop name after 30d
}"""
    )
    people = expanded(text, P_DDL)
    write(people, f"INSERT INTO p (id, tenant_id, plain) VALUES (1, '{T1}', 'Lee')")
    write(people, "UPDATE p SET title = 'Dr'")
    assert one(people.connection, "SELECT name, plain, title FROM p") == ("Dr Lee", "Lee", "Dr")
    write(people, "UPDATE p SET title = NULL")
    assert one(people.connection, "SELECT name, plain, title FROM p") == ("Lee", "Lee", None)


def test_a_kept_column_is_filled_when_new_code_leaves_it_out(expanded: Expanded):
    text = mig(
        """entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P { drop name { back `'row ' || id` } }"""
    )
    people = expanded(text, P_DDL)
    write(people, f"INSERT INTO p (id, tenant_id) VALUES (1, '{T1}')")
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', 'own')")
    assert all_rows(people.connection, "SELECT name FROM p ORDER BY id") == [("row 1",), ("own",)]
    with pytest.raises(errors.NotNullViolation):
        write(people, "UPDATE p SET name = NULL")


def test_an_enum_and_a_number_from_text(expanded: Expanded):
    text = mig(
        """entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add mood "mood" { from `CASE name WHEN '0' THEN 'sad' ELSE 'ok' END` }
  add number integer { from `name`; back name = `number::text` }
  drop name after 30d
}"""
    )
    ddl = f"CREATE TYPE mood AS ENUM ('sad', 'ok'); {P_DDL}; INSERT INTO p VALUES (1, '{T1}', '0')"
    people = expanded(text, ddl)
    people.backfill()
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', '7')")
    write(people, f"INSERT INTO p (id, tenant_id, number) VALUES (3, '{T1}', 9)")
    rows = all_rows(people.connection, "SELECT name, mood::text, number FROM p ORDER BY id")
    assert rows == [("0", "sad", 0), ("7", "ok", 7), ("9", "ok", 9)]
    assert people.differences() == 0


def test_a_value_that_is_too_long_fails_and_is_never_cut(expanded: Expanded):
    text = mig(
        """entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P { add short varchar(3)? { from `name`; back name = `short` }; drop name }"""
    ).replace("name text;", "name text?;")
    people = expanded(text, f"{P_DDL.replace('name text NOT NULL', 'name text')}; INSERT INTO p VALUES (1, '{T1}', 'long')")
    with pytest.raises(errors.StringDataRightTruncation):
        people.backfill()
    with pytest.raises(errors.StringDataRightTruncation):
        write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', 'long')")
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', 'abc')")
    assert one(people.connection, "SELECT short FROM p WHERE id = 2") == ("abc",)


# ---------------------------------------------------------------------------------------- others in the same database


def notes(when: str, name: str, before: str = "BEFORE INSERT OR UPDATE") -> str:
    return f"""
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$;
CREATE TRIGGER "{name}" {before} ON users FOR EACH ROW {when} EXECUTE FUNCTION stamp()"""


def test_a_trigger_of_the_user_that_fires_before_ours_is_seen_by_it(expanded: Expanded):
    users = expanded(mig(USERS, CONTACT), USERS_DDL + ";" + notes("", "zz_stamp"))
    insert(users, email="B@X")
    assert pair(users) == ("b@x", "b@x")
    write(users, "UPDATE users SET email = 'C@X'")
    assert pair(users) == ("c@x", "c@x")


@pytest.mark.parametrize("name", ["~z", "é", "~migdsm"])
def test_a_trigger_of_the_user_that_would_fire_after_ours_is_refused_at_expand(connection: Connection, name: str):
    connection.execute((USERS_DDL + ";" + notes("", name)).encode())
    ledger(connection)
    with pytest.raises(errors.RaiseException, match=name):
        Migration(connection, lowered(mig(USERS, CONTACT))).up("expand")
    # Refused as a whole: neither the column nor the trigger is there.
    assert one(connection, "SELECT count(*) FROM pg_attribute WHERE attname = 'contact_email'") == (0,)


@pytest.mark.parametrize("before", ["AFTER INSERT OR UPDATE", "BEFORE DELETE"])
def test_a_later_trigger_that_can_not_change_the_row_is_none_of_our_business(expanded: Expanded, before: str):
    users = expanded(mig(USERS, CONTACT), USERS_DDL + ";" + notes("", "~z", before))
    insert(users, email="B@X")
    assert pair(users) == ("B@X", "B@X")


def test_nobody_can_slip_a_function_or_a_table_under_the_trigger(users: Migration):
    write(
        users,
        """
CREATE SCHEMA evil;
CREATE FUNCTION evil.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT 1/0 $$;
CREATE FUNCTION evil.nextval(text) RETURNS bigint LANGUAGE sql AS $$ SELECT 1/0 $$;
CREATE FUNCTION evil.cat(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.cat);
CREATE TEMP TABLE users (LIKE public.users);
CREATE TEMP SEQUENCE m_users_old_writes;
SET search_path = evil, pg_temp, public, pg_catalog""",
    )
    write(users, f"INSERT INTO public.users (tenant_id, username) VALUES ('{T1}', 'bob')")
    assert one(users.connection, "SELECT contact_email FROM public.users") == ("bob@example.com",)
    assert users.old_writes() == 1


def test_a_misspelt_function_is_found_at_expand_and_not_by_old_code(connection: Connection):
    connection.execute(USERS_DDL.encode())
    ledger(connection)
    change = "change User { add handle text { from `lowercase(username)` } }"
    with pytest.raises(errors.UndefinedFunction):
        Migration(connection, lowered(mig(USERS, change))).up("expand")
    assert one(connection, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'users'::regclass") == (0,)
    assert one(connection, "SELECT count(*) FROM pg_attribute WHERE attname = 'handle'") == (0,)


@pytest.mark.parametrize("back", ["missing(handle)", "ARRAY[handle]"])
def test_a_way_back_that_can_not_work_is_found_at_expand(connection: Connection, back: str):
    connection.execute(USERS_DDL.replace("email text", "email integer").encode())
    ledger(connection)
    change = f"change User {{ add handle text {{ from `email::text`; back email = `{back}` }} }}"
    with pytest.raises((errors.UndefinedFunction, errors.CannotCoerce)):
        Migration(connection, lowered(mig(USERS.replace("text?", "integer?"), change))).up("expand")


def test_the_proof_leaves_the_search_path_alone(users: Migration):
    plan = users.lowered.tables[0]
    module_pairs = [s for step in plan.steps if step.operation == "create_trigger" for s in step.up]
    proof = next(s for s in module_pairs[0].statements if "$proof$" in s)  # type: ignore[union-attr]
    with users.connection.transaction():
        write(users, "SET LOCAL search_path = evil, public")
        write(users, proof)
        assert one(users.connection, "SHOW search_path") == ("evil, public",)


def test_expand_can_be_run_again(users: Migration):
    insert(users, email="b@x")
    users.up("expand")
    write(users, "UPDATE users SET email = 'c@x'")
    assert pair(users) == ("c@x", "c@x")
    assert users.old_writes() == 2
