"""The two-way trigger for pairs of other shapes: nullable, one-way, generated, split, typed, kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors

from tests.ops.support import T1, USERS, USERS_DDL, Migration, all_rows, codes, insert, mig, one, write

Expanded = Callable[..., Migration]


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


NULLABLE = mig(
    USERS, "change User { add mail text? { from `lower(email)`; back email = `mail` }; drop email after 30d }"
)


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


GENERATED = mig("""entity Doc in app.docs {
  id bigint key; tenant_id uuid tenant; title text; slug text? generated `lower(title) -- of the title`
  index (tenant_id, id)
}
change Doc { add path text { from `coalesce('/' || slug, '')`; back title = `substr(path, 2)` } }""")
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
    # Both written, and apart: that is a difference, and no loss.
    write(docs, "UPDATE docs SET title = 'Five', path = '/six'")
    assert (docs.differences(), docs.lossy()) == (1, 0)


SPLIT = mig("""entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add last text { from `split_part(name, ' ', 2)` }
  add first text { from `split_part(name, ' ', 1)`; back name = `first || ' ' || last` }
  drop name after 30d
}""")
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
    text = mig("""entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add title text?
  add plain text { from `name`; back name = `concat_ws(' ', title, plain)` }
  drop name after 30d
}""")
    people = expanded(text, P_DDL)
    write(people, f"INSERT INTO p (id, tenant_id, plain) VALUES (1, '{T1}', 'Lee')")
    write(people, "UPDATE p SET title = 'Dr'")
    assert one(people.connection, "SELECT name, plain, title FROM p") == ("Dr Lee", "Lee", "Dr")
    write(people, "UPDATE p SET title = NULL")
    assert one(people.connection, "SELECT name, plain, title FROM p") == ("Lee", "Lee", None)


def test_a_kept_column_is_filled_when_new_code_leaves_it_out(expanded: Expanded):
    text = mig("""entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P { drop name { back `'row ' || id` } }""")
    people = expanded(text, P_DDL)
    write(people, f"INSERT INTO p (id, tenant_id) VALUES (1, '{T1}')")
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', 'own')")
    assert all_rows(people.connection, "SELECT name FROM p ORDER BY id") == [("row 1",), ("own",)]
    with pytest.raises(errors.NotNullViolation):
        write(people, "UPDATE p SET name = NULL")


def test_an_enum_and_a_number_from_text(expanded: Expanded):
    text = mig("""entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P {
  add mood "mood" { from `CASE name WHEN '0' THEN 'sad' ELSE 'ok' END` }
  add number integer { from `name`; back name = `number::text` }
  drop name after 30d
}""")
    ddl = f"CREATE TYPE mood AS ENUM ('sad', 'ok'); {P_DDL}; INSERT INTO p VALUES (1, '{T1}', '0')"
    people = expanded(text, ddl)
    people.backfill()
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', '7')")
    write(people, f"INSERT INTO p (id, tenant_id, number) VALUES (3, '{T1}', 9)")
    rows = all_rows(people.connection, "SELECT name, mood::text, number FROM p ORDER BY id")
    assert rows == [("0", "sad", 0), ("7", "ok", 7), ("9", "ok", 9)]
    assert people.differences() == 0


def test_a_value_that_is_too_long_is_left_empty_and_never_cut(expanded: Expanded):
    text = mig("""entity P in app.p { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change P { add short varchar(3)? { from `name`; back name = `short` }; drop name }""").replace(
        "name text;", "name text?;"
    )
    people = expanded(
        text, f"{P_DDL.replace('name text NOT NULL', 'name text')}; INSERT INTO p VALUES (1, '{T1}', 'long')"
    )
    assert people.backfill() == 0
    write(people, f"INSERT INTO p (id, tenant_id, name) VALUES (2, '{T1}', 'long')")
    assert all_rows(people.connection, "SELECT name, short FROM p") == [("long", None), ("long", None)]
    write(people, "UPDATE p SET name = 'abc' WHERE id = 2")
    assert one(people.connection, "SELECT short FROM p WHERE id = 2") == ("abc",)
