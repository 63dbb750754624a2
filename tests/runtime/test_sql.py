"""Named parameters become PostgreSQL's `$n`, exactly where PostgreSQL's own scanner sees a colon and a name."""

from __future__ import annotations

import re
from itertools import pairwise

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.runtime.sql import Statement, bind_names


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT id::text FROM t WHERE id=:id::bigint", "SELECT id::text FROM t WHERE id=$1::bigint", ("id",)),
        ("SELECT ':a', 'it''s :a', \":a\"", "SELECT ':a', 'it''s :a', \":a\"", ()),
        (r"SELECT E'\':a', :b", r"SELECT E'\':a', $1", ("b",)),
        ("SELECT E'x'\n -- c\n '\\':a', :b", "SELECT E'x'\n -- c\n '\\':a', $1", ("b",)),
        (r"SELECT fee'\', :b", r"SELECT fee'\', $1", ("b",)),
        ("SELECT $$ :a $$, $t$ :a $$ :a $t$, :b", "SELECT $$ :a $$, $t$ :a $$ :a $t$, $1", ("b",)),
        ("SELECT a$b$ , :c", "SELECT a$b$ , $1", ("c",)),
        ("-- :a\nSELECT :b /* :c /* :d */ :e */", "-- :a\nSELECT $1 /* :c /* :d */ :e */", ("b",)),
        ("f(x := 1, y => :z)", "f(x := 1, y => $1)", ("z",)),
        ("a <:b AND c>=:d", "a <$1 AND c>=$2", ("b", "d")),
    ],
)
def test_what_is_a_parameter(sql: str, text: str, names: tuple[str, ...]):
    assert bind_names(sql) == (text, names)


@pytest.mark.parametrize("sql", ["SELECT ':a", 'SELECT ":a', "SELECT $x$ :a", "SELECT /* /* */ :a", r"SELECT E'\'"])
def test_what_is_never_closed_is_refused(sql: str):
    with pytest.raises(ValueError, match="never closed"):
        bind_names(sql)


def test_a_number_that_is_there_already_is_refused():
    with pytest.raises(ValueError, match="names"):
        bind_names("SELECT $1, :a")


def test_bind_gives_the_values_in_the_order_of_the_numbers():
    statement = Statement(*bind_names("SELECT :b, :a, :b"))
    assert statement.bind({"a": "1", "b": None, "c": "unused"}) == (None, "1")
    with pytest.raises(KeyError):
        statement.bind({"a": "1"})


def test_values_in_the_text_stand_where_the_numbers_are():
    sql = "SELECT :a, '$1', $q$ $1 $q$, /* $1 */ \"$1\", a$1, :b::text -- $1\n WHERE :a IS NULL"
    text = Statement(*bind_names(sql)).inlined({"a": "x", "b": None}, lambda value: f"<{value}>")
    assert text == "SELECT <x>, '$1', $q$ $1 $q$, /* $1 */ \"$1\", a$1, NULL::text -- $1\n WHERE <x> IS NULL"


def as_scanned(sql: str) -> tuple[str, tuple[str, ...]]:
    """The same rewriting on PostgreSQL's own tokens (offsets in bytes)."""
    source = sql.encode()
    tokens = list(postgast.scan(sql).tokens)
    names: dict[str, int] = {}
    out, at = b"", 0
    for colon, word in pairwise(tokens):
        name = source[word.start : word.end].decode()
        if (
            source[colon.start : colon.end] == b":"
            and word.start == colon.end
            and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        ):
            out += source[at : colon.start] + b"$%d" % names.setdefault(name, len(names) + 1)
            at = word.end
    return (out + source[at:]).decode(), tuple(names)


FRAGMENTS = st.sampled_from(
    [
        *r""":a :tenant_id ::text : := $$ $t$ $ ' '' " E' e U&' \ \' -- /* */ / *""".split(),
        *"x ä ein 1 1.5 ( ) [ ] , ; < = || @ :ä".split(),
        " ",
        "\n",
    ]
)


@given(st.lists(FRAGMENTS, max_size=14).map("".join))
def test_agrees_with_the_scanner_of_postgresql(sql: str):
    try:
        expected = as_scanned(sql)
    except postgast.PgQueryError:
        return  # not SQL: whatever comes out, PostgreSQL refuses it
    if any(re.fullmatch(r"\$[0-9]+", sql.encode()[t.start : t.end].decode()) for t in postgast.scan(sql).tokens):
        with pytest.raises(ValueError, match="names"):
            bind_names(sql)
        return
    assert bind_names(sql) == expected
