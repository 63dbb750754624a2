"""What is said to be no condition PostgreSQL refuses as one, and what PostgreSQL takes is never said to be none."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.dialect import sql, types
from migdsl.dialect.truth import no_condition

COLUMNS = {"n": "integer", "b": "boolean", "v": "varchar(20)", "j": "jsonb", "l": "int[]", "d": "yes", "o": "mine.odd"}
REFUSED = ["n", "v", "1", "1.5", "n + 1", "-n", "b AND n", "NOT v", "lower(v)", "v::text", "v || 'x'", "j - 'a'", "(n)"]
REFUSED += ["b OR (n > 1 AND v)", "CASE WHEN b THEN n END", "coalesce(n, 1)", "trim(v)", "CURRENT_DATE::text"]
TAKEN = ["b", "n > 1", "n::boolean", "'true'", "NULL", "true", "d", "b AND d", "n IS NULL", "v LIKE 'x'", "j ? 'a'"]
TAKEN += ["n = ANY (l)", "coalesce(b, true)", "CASE WHEN n > 1 THEN b ELSE d END", "mine.lower(v)", "b::yes", "v ~ '.'"]


def said(text: str) -> str | None:
    def type_of(name: str) -> types.SqlType | None:
        base, _, argument = COLUMNS[name].removesuffix("[]").removesuffix(")").partition("(")
        schema, _, last = base.rpartition(".")
        quoted = last in ("yes", "odd")
        arguments = (argument,) if argument else ()
        return types.resolve(last, schema or None, quoted, arguments, "", COLUMNS[name].count("[]"))

    return no_condition(sql.expression(text).tree, type_of)


@pytest.fixture
def table(database: str):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine; CREATE DOMAIN yes AS boolean; CREATE TYPE mine.odd AS (a integer)")
        connection.execute("CREATE FUNCTION mine.lower(varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
        yield connection


def test_postgresql_refuses_what_is_said_to_be_none(table: psycopg.Connection):
    for text in REFUSED:
        assert said(text) is not None, text
        with pytest.raises(psycopg.errors.DatatypeMismatch):
            table.execute(f"ALTER TABLE t ADD CHECK ({text})")


def test_what_postgresql_takes_is_taken(table: psycopg.Connection):
    for text in TAKEN:
        table.execute(f"ALTER TABLE t ADD CHECK ({text})")
        assert said(text) is None, text


@pytest.mark.parametrize("text", ["o", "mine.told(n)", "o::mine.odd"])
def test_of_what_is_not_plain_nothing_is_said(text: str):
    assert said(text) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("n", "of type integer"),
        ("b AND v", "of type character varying"),
        ("7", "a number"),
        ("n * 2", "the result of a calculation"),
    ],
)
def test_it_is_said_what_stands_there_instead(text: str, what: str):
    assert said(text) == what
