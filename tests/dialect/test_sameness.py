"""Expressions that mean the same are the same, however PostgreSQL prints them; others are not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from migdsl.dialect.sameness import on_one_line, same
from migdsl.rehearsal.server import Server

WRITTEN = [
    "a BETWEEN 1 AND 5", "a NOT BETWEEN 1 AND 5", "a IN (1, 2)", "a NOT IN (1, 2)", "t LIKE 'a%'", "t NOT ILIKE 'a%'",
    "v LIKE 'a%'", "a != 1 AND (b > 2 AND a < 3)", "(a > 1 OR b > 1) OR a = b", "NOT a = 1", "n > 0", "n = -1", "t <> ''",
    "v IN ('a', 'b')", "d > date '2020-01-01'", "i > interval '1 day'", "coalesce(t, v) = 'x'", "t IS NOT NULL",
    "CASE WHEN a > 1 THEN t ELSE v END = 'x'", "extract(year from d) > 2000", "j @> '{}'", "j ->> 'a' = 'b'", "t ~ '^a'",
    "length(t) > 2", "a::bigint > 3", "t IS DISTINCT FROM v", "r && '[1,3)'",
    "trim(t) = t", "position('a' in t) > 0", "t || v = 'ab'", "a % 2 = 0", "d = CURRENT_DATE", "f", "NOT f", "f IS TRUE",
    "b > (SELECT 1)", "x.a > 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def connection(pg: Server) -> Iterator[psycopg.Connection]:
    name = f"migdsl_test_{uuid.uuid4().hex}"
    with psycopg.connect(pg.create_database(name), autocommit=True) as made:
        made.execute(
            "CREATE TABLE x (a integer, b integer, t text, v varchar(9), n numeric(9,2), d date, i interval, j jsonb, "
            "r int4range, f boolean)"
        )
        yield made
    pg.drop_database(name)


@pytest.mark.parametrize("written", WRITTEN[:-2])
def test_what_the_server_prints_is_the_same(connection: psycopg.Connection, written: str) -> None:
    connection.execute(f"ALTER TABLE x DROP CONSTRAINT IF EXISTS c, ADD CONSTRAINT c CHECK ({written})".encode())
    printed = connection.execute(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'c'"
    ).fetchone()
    assert printed is not None
    assert same(written, str(printed[0]))


@pytest.mark.parametrize("one", WRITTEN)
def test_each_is_only_itself(one: str) -> None:
    assert [other for other in WRITTEN if same(one, other)] == [one]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("0.00", "0", True), ("'1'", "1", True), ("now()", "CURRENT_TIMESTAMP", True), ("app.f(a)", "f(a)", True),
        ("'open'", "'open'::app.state", True), ("-1", "'-1'::integer", True), ("true", "TRUE", True), ("a [", "a [", True),
        ("a IN (1, 2)", "a = ANY (ARRAY[1, 2])", True),
        ("1", "2", False), ("true", "false", False), ("now()", "CURRENT_DATE", False), ("f(a)", "g(a)", False),
        ("a AND b", "a OR b", False), ("a [", "a", False), ("NULL", "''", False), ("'007'", "7", False), ("a, b", "a", False),
        ("lower(a)", "lower(a, a)", False), ("a > b", "b > a", False), ("", "a", False),
    ],
)  # fmt: skip
def test_pairs(one: str, other: str, alike: bool) -> None:
    assert same(one, other) is alike


def test_line_breaks_between_words_go_and_those_in_strings_stay() -> None:
    assert on_one_line("CASE\n    WHEN a ~ 'x\n y' THEN 1\nEND") == "CASE WHEN a ~ 'x\n y' THEN 1 END"
    assert on_one_line("\nCASE  a\nEND\n") == "CASE  a END"
    assert on_one_line("'never\nclosed") == "'never\nclosed"
