"""Which types a key may have that two databases go by, against what PostgreSQL makes of equal values."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from migdsl.dialect.spelling import unlike
from migdsl.dialect.types import SqlType, resolve
from migdsl.rehearsal.server import Server

# Two texts that may be equal values, where a type has such.
TWICE = {
    "numeric": ("1.0", "1.00"),
    "numeric(6,2)": ("1.0", "1.00"),
    "numeric(6)": ("1", "1.0"),
    "real": ("0", "-0"),
    "double precision": ("0", "-0"),
    "interval": ("1 day", "24:00:00"),
    "jsonb": ('{"a": 1.0}', '{"a": 1.00}'),
    "numrange": ("[1.0,2)", "[1.00,2)"),
    "int4range": ("[1,2]", "[1,3)"),
    "text": ("a", "A"),
    "character varying(5)": ("a", "a "),
    "integer": ("1", "01"),
    "bigint": ("1", "+1"),
    "uuid": ("11111111-1111-1111-1111-11111111111a", "11111111111111111111-11111111111A"),
    "boolean": ("t", "yes"),
    "bytea": (r"\x01", r"\x01"),
    "date": ("2026-01-01", "20260101"),
    "timestamp": ("2026-01-01 00:00", "2026-01-01"),
    "timestamp with time zone": ("2026-01-01 00:00+00", "2026-01-01 01:00+01"),
    "time with time zone": ("12:00+00", "13:00+01"),
    "inet": ("10.0.0.1", "10.0.0.1/32"),
    "text[]": ("{a,b}", '{"a","b"}'),
}
UNHASHED = {
    "money": "1",
    "bit(3)": "101",
    "bit varying": "101",
    "tsvector": "a",
    "tsquery": "a",
    "txid_snapshot": "1:1:",
}


@pytest.fixture(scope="module")
def connection(pg: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg.url, autocommit=True) as found:
        yield found


def read(written: str) -> SqlType:
    """As the language reads it; arguments and brackets are those of PostgreSQL's spelling."""
    base, _, rest = written.partition("(")
    arguments = tuple(rest.rstrip(")").split(",")) if rest else ()
    found = resolve(base.removesuffix("[]"), None, False, arguments, "", int(base.endswith("[]")))
    assert found is not None
    return found


@pytest.mark.parametrize("written", TWICE)
def test_equal_values_are_spelt_alike_or_the_type_is_refused(connection: psycopg.Connection, written: str) -> None:
    one, other = TWICE[written]
    values = f"(SELECT %s::{written}, %s::{written}) AS x (a, b)"
    query = f"SELECT a = b, a::text = b::text, hash_record_extended(ROW(a), 0) FROM {values}"
    ((equal, alike, _),) = connection.execute(query.encode(), (one, other)).fetchall()
    assert (unlike(read(written)) is not None) == (equal and not alike)


@pytest.mark.parametrize("written", UNHASHED)
def test_what_postgresql_has_no_hash_of_is_refused(connection: psycopg.Connection, written: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction, match="hash"):
        connection.execute(f"SELECT hash_record_extended(ROW(%s::{written}), 0)".encode(), (UNHASHED[written],))
    assert unlike(read(written)) is not None


@pytest.mark.parametrize("written", ["citext", "character(5)"])
def test_what_ignores_case_or_blanks_is_refused(written: str) -> None:
    assert unlike(read(written)) is not None
