"""A column whose numbers come from a sequence that others use too: what is refused says what to do, and that works."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migdsl.ops import numbering
from migdsl.semantics.model import Table
from tests.ops.support import checked, lowered, mig

SHARED = """
CREATE SEQUENCE shared;
CREATE SCHEMA odd;
CREATE TABLE odd."Odd 100% one" (id int PRIMARY KEY, "no %s" int NOT NULL DEFAULT nextval('shared'));
CREATE TABLE other (no int NOT NULL DEFAULT nextval('shared'));
"""
ODD = 'entity Odd in app.odd."Odd 100% one" { id int key; "no %s" int; tenant_id uuid tenant }'
FULL = 'INSERT INTO odd."Odd 100% one" VALUES (1), (2)'
INSERT = "SET LOCAL lock_timeout = '10ms'; INSERT INTO odd.\"Odd 100% one\" VALUES (3)"


def entity(text: str) -> Table:
    """What a declaration says of the table."""
    (found,) = checked(mig(text))[0].tables
    return found


def said(connection: psycopg.Connection, check: str) -> str | None:
    """The hint of what refuses; None where nothing does."""
    try:
        connection.execute(f"DO $x$ BEGIN\n{check}END $x$".encode())
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        return error.diag.message_hint
    return None


@pytest.mark.parametrize(("check", "rows"), [(numbering.numbered, FULL), (numbering.unnumbered, "")])
def test_the_way_out_of_a_shared_sequence_leads_out(database: str, check: Callable[[Table, str], str], rows: str):
    """As it stands, with nobody between the highest number and the new default: there the next number is given twice."""
    with (
        psycopg.connect(database, autocommit=True) as connection,
        psycopg.connect(database, autocommit=True) as client,
    ):
        connection.execute((SHARED + rows).encode())
        odd = entity(ODD)
        hint = said(connection, check(odd, "no %s"))
        assert hint is not None
        assert "ALTER SEQUENCE" not in hint, "it is in another schema, and couldn't belong to the table"
        statements, _, _ = hint.partition("BEGIN; ")[2].partition(". Before")
        connection.execute("BEGIN")
        for statement in statements.split("; "):
            connection.execute(statement.encode())
            if "setval" in statement:
                with pytest.raises(psycopg.errors.LockNotAvailable), client.transaction():
                    client.execute(INSERT)
        # As it is to be declared from now on.
        assert said(connection, numbering.numbered(odd, "no %s")) is None
        client.execute(f"{INSERT}; INSERT INTO other DEFAULT VALUES")
        numbers = 'SELECT "no %s" FROM odd."Odd 100% one" ORDER BY 1'
        assert client.execute(numbers.encode()).fetchall() == ([(1,), (2,), (3,)] if rows else [(1,)])
        client.execute('DROP TABLE odd."Odd 100% one"; INSERT INTO other DEFAULT VALUES')


def test_one_of_its_own_is_only_to_be_declared(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id serial)")
        table = entity("entity T in app.t { id int key; tenant_id uuid tenant }")
        assert said(connection, numbering.numbered(table, "id")) is None
        assert said(connection, numbering.unnumbered(table, "id")) == (
            "declare it in the entity: id serial key, or, if it is an identity, id integer key identity"
        )


def test_the_sequence_that_is_there_may_become_its_own(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute((SHARED + "ALTER SEQUENCE shared SET SCHEMA odd").encode())
        odd = entity(ODD)
        hint = said(connection, numbering.unnumbered(odd, "no %s")) or ""
        statement = hint.partition("is there: ")[2].partition(". Then ")[0]
        connection.execute(statement.encode())
        assert said(connection, numbering.numbered(odd, "no %s")) is None


THING = "entity Thing in app.things { id serial key; no bigint identity; tenant_id uuid tenant }"
MOVE = "move Thing to app.{}others {{ id = id; no = no; tenant_id = tenant_id }}"


@pytest.mark.parametrize(("entity", "schema"), [(THING, ""), (THING.replace("serial", "bigint"), "work.")])
def test_a_name_that_stays_is_not_spoken_of(entity: str, schema: str):
    assert [s for s in lowered(mig(entity, MOVE.format(schema))).phase("contract") if s.precondition] == []


def test_who_names_the_sequence_is_told_that_it_goes():
    found = [s.precondition for s in lowered(mig(THING, MOVE.format("work."))).phase("contract") if s.precondition]
    told = "code leaves things.id to the column's default, or names the sequence without a schema and has both in its "
    told += "search_path: from public the sequence goes to work, and nextval('public.…') fails from then on"
    assert found == [told]
