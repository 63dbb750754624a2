"""The two-way trigger among others: a user's triggers, a hostile search_path, expressions that PostgreSQL refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors

from tests.ops.support import (
    CONTACT,
    T1,
    USERS,
    USERS_DDL,
    Connection,
    Migration,
    insert,
    ledger,
    lowered,
    mig,
    one,
    pair,
    write,
)

Expanded = Callable[..., Migration]


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
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=name):
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
    assert one(
        connection, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'users'::regclass"
    ) == (0,)
    assert one(connection, "SELECT count(*) FROM pg_attribute WHERE attname = 'handle'") == (0,)


@pytest.mark.parametrize("back", ["missing(handle)", "ARRAY[handle]"])
def test_a_way_back_that_can_not_work_is_found_at_expand(connection: Connection, back: str):
    connection.execute(USERS_DDL.replace("email text", "email integer").encode())
    ledger(connection)
    change = f"change User {{ add handle text {{ from `coalesce(email::text, '')`; back email = `{back}` }} }}"
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


def test_a_partitioned_table_is_refused_before_anything_changes(connection: Connection):
    connection.execute(
        "CREATE TABLE users (id bigint, tenant_id uuid NOT NULL, username text NOT NULL, email text,"
        " PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id)"
    )
    ledger(connection)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"public\.users is partitioned"):
        Migration(connection, lowered(mig(USERS, CONTACT))).up("expand")
    assert one(connection, "SELECT count(*) FROM pg_attribute WHERE attname = 'contact_email'") == (0,)
