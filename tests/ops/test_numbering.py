"""A column whose numbers come from a sequence that others use too: what is refused says what to do, and that works."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.ops import numbering

SHARED = """
CREATE SEQUENCE shared;
CREATE TABLE "Odd one" (id int PRIMARY KEY, no int NOT NULL DEFAULT nextval('shared'));
CREATE TABLE other (no int NOT NULL DEFAULT nextval('shared'));
INSERT INTO "Odd one" VALUES (1), (2);
"""
PLACE = 'public."Odd one"'


def said(connection: psycopg.Connection, check: str) -> str | None:
    """The hint of what refuses; None where nothing does."""
    try:
        connection.execute(f"DO $x$ BEGIN\n{check}END $x$".encode())
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        return error.diag.message_hint
    return None


@pytest.mark.parametrize("check", [numbering.numbered, numbering.unnumbered])
def test_the_way_out_of_a_shared_sequence_leads_out(database: str, check):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(SHARED)
        hint = said(connection, check(PLACE, "no"))
        assert hint is not None
        statements, _, _ = hint.removeprefix("give it a sequence of its own: ").partition(". Where")
        connection.execute(statements.replace("NAME", "its_own").encode())
        # As it is to be declared from now on.
        assert said(connection, numbering.numbered(PLACE, "no")) is None
        connection.execute('INSERT INTO "Odd one" VALUES (3); DROP TABLE "Odd one"; INSERT INTO other DEFAULT VALUES')
        assert connection.execute("SELECT no FROM other").fetchone() == (3,)


def test_one_of_its_own_is_only_to_be_declared(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id serial)")
        assert said(connection, numbering.numbered("public.t", "id")) is None
        assert said(connection, numbering.unnumbered("public.t", "id")) == (
            "declare it in the entity: id … identity, or as a serial"
        )
