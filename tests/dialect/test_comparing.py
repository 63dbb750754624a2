"""Whether a foreign key can be made from a type to another is what PostgreSQL says of it, for all that it has itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from migdsl.dialect.comparing import may_point
from migdsl.dialect.types import SqlType, resolve
from migdsl.rehearsal.server import Server

# One of each family, and what is near it. The user's own types, and those of extensions, are a case of their own.
TYPES = [
    *("smallint", "integer", "bigint", "numeric", "real", "double precision", "oid", "money"),
    *("text", "character varying", "character", "name", "uuid", "boolean", "bytea", "jsonb"),
    *("date", "timestamp", "timestamp with time zone", "time", "time with time zone", "interval", "interval day"),
    *("inet", "cidr", "macaddr", "macaddr8", "bit", "bit varying", "int4range", "int8range", "daterange"),
    *("integer[]", "bigint[]", "text[]", "character varying[]", "pg_lsn", "tsvector"),
]
# A few of them, of which some go one way only.
FEW = [
    "integer",
    "bigint",
    "oid",
    "numeric",
    "real",
    "text",
    "character",
    "name",
    "uuid",
    "date",
    "timestamp",
    "integer[]",
]
FEW += ["interval", "interval day"]
# Makes a foreign key from each type to each, in a transaction that is undone, and tells the pairs that can be.
PAIRS = """
DO $$
DECLARE parent record; child record;
BEGIN
  FOR parent IN SELECT * FROM kinds LOOP
    EXECUTE format('CREATE TABLE parent_%s (v %s UNIQUE)', parent.n, parent.spelt);
  END LOOP;
  FOR parent IN SELECT * FROM kinds LOOP
    FOR child IN SELECT * FROM kinds LOOP
      BEGIN
        EXECUTE format('CREATE TABLE child (v %s REFERENCES parent_%s (v))', child.spelt, parent.n);
        DROP TABLE child;
        INSERT INTO made VALUES (child.n, parent.n);
      EXCEPTION WHEN datatype_mismatch THEN NULL;
      END;
    END LOOP;
  END LOOP;
END $$"""


def type_of(spelt: str) -> SqlType:
    found = resolve(spelt.removesuffix("[]"), None, False, (), "", int(spelt.endswith("[]")))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def connection(pg: Server) -> Iterator[psycopg.Connection]:
    name = f"migdsl_test_{uuid.uuid4().hex}"
    with psycopg.connect(pg.create_database(name), autocommit=True) as made:
        yield made
    pg.drop_database(name)


@pytest.mark.parametrize("types", [FEW, pytest.param(TYPES, marks=pytest.mark.long("MIGDSL_LONG"))], ids=["few", "all"])
def test_what_may_point_is_what_postgresql_lets_point(connection: psycopg.Connection, types: list[str]) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TEMP TABLE kinds (n int, spelt text)")
        connection.execute("CREATE TEMP TABLE made (child int, parent int)")
        for number, spelt in enumerate(types):
            connection.execute("INSERT INTO kinds VALUES (%s, %s)", (number, spelt))
        connection.execute(PAIRS)
        made = {(types[c], types[p]) for c, p in connection.execute("SELECT child, parent FROM made")}
    assert made == {(c, p) for c in types for p in types if may_point(type_of(c), type_of(p))}


def test_of_ones_own_types_nothing_is_said() -> None:
    own = resolve("kind", "app", False, (), "", 0)
    assert own is not None
    assert may_point(own, type_of("bigint"))
    assert may_point(type_of("bigint"), own)


def test_length_and_precision_are_no_difference() -> None:
    short, long = resolve("varchar", None, False, ("9",), "", 0), resolve("varchar", None, False, ("90",), "", 0)
    assert short is not None
    assert long is not None
    assert may_point(long, short)


def test_nothing_becomes_an_enum_that_is_spelt_out(connection: psycopg.Connection) -> None:
    enum, other, text = SqlType("mood", "mood", labels=("a",)), SqlType("tone", "tone", labels=("a",)), type_of("text")
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TYPE mood AS ENUM ('a'); CREATE TYPE tone AS ENUM ('a')")
        for number, parent in enumerate((enum, other, text)):
            connection.execute(f"CREATE TABLE parent_{number} (v {parent.sql} UNIQUE)")
            for child in (enum, other, text):
                sql = f"CREATE TABLE child (v {child.sql} REFERENCES parent_{number} (v)); DROP TABLE child"
                try:
                    with connection.transaction():
                        connection.execute(sql)
                    made = True
                except psycopg.errors.DatatypeMismatch:
                    made = False
                assert may_point(child, parent) is made, (child, parent)
    assert may_point(text, SqlType("mood", "mood")), "as it is written without its labels it may be a domain"
