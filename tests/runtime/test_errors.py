"""What is told of a database's error: the message of the server where it is about a statement, never where a row made it."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.runtime.errors import error_class, safe_text

RAISES = "DO $$BEGIN RAISE EXCEPTION 'of {0}' USING ERRCODE = '{1}', DETAIL = '{0}', HINT = '{0}'; END$$"
SECRET = "Xp1i"


def refused(url: str, sql: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as error, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())
    return error.value


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nope", 'UndefinedColumn 42703: column "nope" does not exist'),
        ("SELECT FROM nope.no", 'UndefinedTable 42P01: relation "nope.no" does not exist'),
        ("SELECT nope(1)", "UndefinedFunction 42883: function nope(integer) does not exist"),
        ("SELEC 1", 'SyntaxError 42601: syntax error at or near "SELEC"'),
        (
            "CREATE TABLE t (); SET ROLE pg_monitor; SELECT FROM t",
            "InsufficientPrivilege 42501: permission denied for table t",
        ),
    ],
)
def test_what_stems_from_the_statement_is_told(database: str, sql: str, said: str) -> None:
    assert safe_text(refused(database, sql)) == said


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        # A function may raise anything under any SQLSTATE, and put SQL together from values.
        *((RAISES.format(SECRET, state), state) for state in ("42501", "42703", "55000", "53100", "0A000", "P0001")),
        (f"DO $$BEGIN EXECUTE 'SELECT {SECRET}'; END$$", "42703"),
        # Values that are looked up, or parsed, while rows are read.
        *(
            (f"SELECT {how} FROM (VALUES ('{SECRET}')) AS t (v)", state)
            for how, state in (
                ("v::regclass", "42P01"),
                ("v::regnamespace", "3F000"),
                ("to_tsquery(v || ' & &')", "42601"),
                ("v::integer", "22P02"),
            )
        ),
        (f"CREATE TABLE t (v text UNIQUE); INSERT INTO t SELECT '{SECRET}' FROM generate_series(1, 2)", "23505"),
        (f"CREATE TABLE t (v text CHECK (v = '')); INSERT INTO t VALUES ('{SECRET}')", "23514"),
    ],
)
def test_what_a_row_made_is_a_class_alone(database: str, sql: str, said: str) -> None:
    error = refused(database, sql)
    assert SECRET.lower() in str(error).lower()
    assert safe_text(error) == error_class(error) == f"{type(error).__name__} {said}"


def test_an_error_without_a_sqlstate_is_its_class(database: str) -> None:
    assert safe_text(refused("host=/nowhere password=secret", "SELECT 1")) == "OperationalError"
    assert database
