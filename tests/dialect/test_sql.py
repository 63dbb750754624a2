"""SQL is read as PostgreSQL reads it: tokens, trees, parameters, columns by position, and what can be NULL."""

from __future__ import annotations

from typing import Any

import postgast
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from migdsl.dialect import pgquery, sql
from migdsl.dialect.functions import STRICT
from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.dialect.nulls import surely_null
from migdsl.dialect.pgquery import SqlError, TooDeepError
from migdsl.dialect.types import resolve
from migdsl.runtime.sql import bind_names
from tests.dialect.test_tenancy import CONFINED, UNCONFINED

CORPUS = [
    *(
        text.replace(":tenant_id", "$1").replace(":other", "$2").replace(":after", "$3")
        for text in (*CONFINED, *UNCONFINED)
    )
]
CORPUS += [
    "SELECT 'é', \"ü\", $tag$ ; $tag$ /* /* nested */ é */ -- ö\n, E'\\'' , U&'\\0061', b'1', x'f', 1e3, 1_000, 0x1f",
    "SELECT a::text, a[1:2], a @> b, a ->> 'x' FROM t",
    "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b text COLLATE \"C\" DEFAULT 'x')",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; SET lock_timeout = '1s'",
]


def _without_empty(node: Any) -> Any:
    """Protobuf's reader leaves empty texts out."""
    if isinstance(node, list):
        return [_without_empty(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {k: inner for k, v in node.items() if (inner := _without_empty(v)) not in ("", {})}


@pytest.mark.parametrize("text", CORPUS)
def test_trees_and_tokens_are_those_of_postgast(text):
    assert _without_empty(pgquery.parse(text)) == _without_empty(MessageToDict(postgast.parse(text))["stmts"])
    raw = text.encode()
    ours = [(x.start, x.end, x.text, x.kind) for x in pgquery.scan(text)]
    theirs = []
    for token in postgast.scan(text).tokens:
        start, end = len(raw[: token.start].decode()), len(raw[: token.end].decode())
        theirs.append((start, end, text[start:end], token.keyword_kind))
    assert ours == theirs


@pytest.mark.parametrize(
    "text", ["SELECT 1 +", "SELECT 'a", "é é é FROM", "SELECT 'é', 'ü' ) x", "SELECT /*", 'SELECT "']
)
def test_mistakes_are_where_postgast_sees_them(text):
    with pytest.raises(SqlError) as ours:
        pgquery.parse(text)
    with pytest.raises(postgast.PgQueryError) as theirs:
        postgast.parse(text)
    assert ours.value.message == theirs.value.message
    assert ours.value.offset == max(theirs.value.cursorpos - 1, 0)


@pytest.mark.parametrize(
    "text", ["SELECT 1" + " + 1" * 20_000, "SELECT " + "f(" * 400 + "1" + ")" * 400, "SELECT " + "(" * 20_000]
)
def test_what_would_end_the_process_is_refused(text):
    with pytest.raises(TooDeepError):
        pgquery.parse(text)


PARAMETERS = {
    "a = :x": ["x"],
    ":x + :y + :x": ["x", "y", "x"],
    "a::text = :x::text": ["x"],
    "':x' || \":x\" || $$:x$$ || $a$ :x $a$": [],
    "E'\\':x' || :y": ["y"],
    "/* :x /* :y */ :z */ :w -- :v": ["w"],
    "a[1:n] || a[:n] || a[b[1]:c]": [],
    "ARRAY[:x, :y] || ARRAY[ARRAY[:z]]": ["x", "y", "z"],
    "f(:x)": ["x"],
    "é = :ü": ["ü"],
    "x ->> ':y'": [],
    "(:x)": ["x"],
    "a < :x": ["x"],
    "CASE WHEN a THEN :b END": ["b"],
    "': x' || :Y": ["Y"],
}


# Names beyond ASCII, and slices, are the compiler's alone: what it emits has neither.
SHARED = [text for text in PARAMETERS if "[" not in text and "é" not in text]


@pytest.mark.parametrize(("text", "names"), PARAMETERS.items())
def test_parameters(text, names):
    found = sql.parameters(text)
    assert [p.name for p in found] == names
    assert [text[p.start : p.end] for p in found] == [f":{name}" for name in names]


@given(
    st.lists(
        st.sampled_from([*"abx'\"$:[](),.-+*/= \n1_", "::", "$$", "E'", "--", "/*", "*/", "é", ":x", "array"])
    ).map("".join)
)
def test_the_short_way_to_parameters_finds_what_the_long_one_does(text):
    def long_way() -> list[str] | None:
        try:
            return [p.name for p in sql.parameters(text + " -- é")]
        except SqlError:
            return None

    expected = long_way()
    if expected is not None:
        assert [p.name for p in sql.parameters(text)] == expected


@given(st.sampled_from(SHARED), st.sampled_from(SHARED))
def test_the_runtime_reads_the_same_parameters(left, right):
    text = f"{left}\n AND {right}"
    assert list(bind_names(text)[1]) == list(dict.fromkeys(p.name for p in sql.parameters(text)))


REWRITTEN = {
    "coalesce(email, username || '@example.com')": "coalesce(t.email, t.username || '@example.com')",
    "email": "t.email",
    'EMAIL || "EMAIL"': "t.email || t.EMAIL",
    "'email' || email /* email */ -- email": "'email' || t.email /* email */ -- email",
    "mail || email || e_mail": "t.mail || t.email || t.e_mail",
    "f(email => email)": "f(email => t.email)",
    "é || 'é' || ñ": "t.é || 'é' || t.ñ",
    "a[1:n]": "t.a[1: t.n]",
    "a[1: n]": "t.a[1: t.n]",
    "a[length(b):length(c)]": "t.a[length(t.b): length(t.c)]",
    "CASE a WHEN b THEN c ELSE d END": "CASE t.a WHEN t.b THEN t.c ELSE t.d END",
    "a::date::text": "t.a::date::text",
    "a AT TIME ZONE b": "t.a AT TIME ZONE t.b",
    "(a).b": "(t.a).b",
    'a COLLATE "C"': 't.a COLLATE "C"',
    "interval '1 day' * a": "interval '1 day' * t.a",
}


@pytest.mark.parametrize(("text", "expected"), REWRITTEN.items())
def test_columns_are_rewritten_by_their_place(text, expected):
    found = sql.expression(text).rewritten(lambda name: f"t.{name}")
    assert found == expected
    assert bind_names(found)[1] == ()


@pytest.mark.parametrize(
    "text",
    [
        "a, b",
        "a) FROM x WHERE (true",
        "a) UNION SELECT (b",
        "a); DROP TABLE x; SELECT (1",
        "a) AS b, (c",
        "SELECT 1",
        "",
        "--",
        "a) LIMIT (1",
        "a) ORDER BY (1",
        "a) INTO x FROM (y",
        "a) FOR UPDATE OF (x",
        "DISTINCT a",
        "*) FROM x --",
        "a /*",
        "a; b",
        "$1",
        "\x00",
        "\ud800",
    ],
)
def test_what_is_no_expression(text):
    if not refused(text):
        assert sql.expression(text).misuses


def refused(text: str) -> bool:
    try:
        sql.expression(text)
    except SqlError as error:
        return 0 <= error.offset <= len(text)
    return False


MISUSES = {
    "(SELECT 1)": "a subquery",
    "EXISTS (SELECT 1)": "a subquery",
    "ARRAY(SELECT 1)": "a subquery",
    "max(a)": "the aggregate `max`",
    "count(*)": "the aggregate `count`",
    "f(DISTINCT a)": "the aggregate `f`",
    "sum(a) OVER ()": "the window function `sum`",
    "rank() OVER (ORDER BY a)": "the window function `rank`",
    "unnest(a)": "`unnest()`, which returns several rows,",
    ":x": "the parameter `:x`",
    "x.*": "`*`",
    "now()": "`now()`",
    "pg_catalog.random()": "`random()`",
    "CURRENT_DATE": "`current_date`",
    "current_user": "`current_user`",
    "'now'::timestamptz": "`'now'` as a time",
    "timestamp ' Today '": "`' Today '` as a time",
    "age(a)": "`age()`",
}


@pytest.mark.parametrize(("text", "what"), MISUSES.items())
def test_misuses(text, what):
    found = sql.expression(f"coalesce(a, {text})").misuses
    assert found[0].what == what
    assert found[0].volatile == (what[0] in "`" and what != "`*`" and "rows" not in what)


@pytest.mark.parametrize("text", ["'now'", "'now'::text", "age(a, b)", "lower(now)", '"current_date"', "left(a, 1)"])
def test_no_misuse(text):
    assert sql.expression(text).misuses == ()


# Each: whether it is NULL in every row in which `a` is. What PostgreSQL says of them stands in tests/ops.
NULLS = {
    "a": True,
    "b": False,
    "lower(a)": True,
    "a || b": True,
    "b || a": True,
    "coalesce(a, b)": False,
    "coalesce(a, NULL)": True,
    "coalesce(a)": True,
    "a IS NULL": False,
    "a IS DISTINCT FROM b": False,
    "nullif(a, b)": True,
    "nullif(b, a)": False,
    "a::text": True,
    'a COLLATE "C"': True,
    "concat(a, b)": False,
    "concat_ws('', a)": False,
    "NULL": True,
    "''": False,
    "CASE WHEN b THEN a END": True,
    "CASE WHEN b THEN a ELSE '' END": False,
    "CASE a WHEN b THEN 'x' END": False,
    "greatest(a, b)": False,
    "greatest(a, a)": True,
    "a AND b": False,
    "NOT a": False,
    "a = b": True,
    "a IN (b)": True,
    "a BETWEEN b AND c": True,
    "b BETWEEN a AND c": False,
    "a = ANY (b)": False,
    "mine(a)": False,
    "mine.lower(a)": False,
    "pg_catalog.lower(a)": True,
    "a OPERATOR(mine.+) b": False,
    "to_jsonb(a)": False,
    "-a": True,
    "ARRAY[a]": False,
    "ROW(a) IS NULL": False,
}


@pytest.mark.parametrize(("text", "null"), NULLS.items())
def test_what_is_surely_null(text, null):
    assert surely_null(sql.expression(text).tree, lambda name: name == "a") is null


def test_a_deep_expression_is_not_surely_null():
    deep = sql.expression("(" * 300 + "a" + ")::text" * 300).tree
    for _ in range(700):
        deep = {"TypeCast": {"arg": deep}}
    assert surely_null(deep, lambda _: True) is False


def test_strict_functions_are_strict(database):
    """Held against the catalogue: each of them, in every form that it has, returns NULL for an argument that is NULL."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT proname, bool_and(proisstrict), bool_or(proretset) FROM pg_proc"
            " WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (%s) AND prokind = 'f' GROUP BY proname",
            [sorted(STRICT)],
        ).fetchall()
    assert {name for name, strict, several in rows if not strict or several} == set()
    assert len(rows) > len(STRICT) - 6  # casefold and others are younger than the oldest server


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "a"),
        ("A", '"A"'),
        ("select", '"select"'),
        ("a b", '"a b"'),
        ('a"b', '"a""b"'),
        ("é", '"é"'),
        ("1a", '"1a"'),
        ("name", "name"),
        ("value", "value"),
        ("user", '"user"'),
        ("left", '"left"'),
        ("int", '"int"'),
    ],
)
def test_names_are_quoted_where_they_must_be(name, expected):
    assert quote(name) == expected


@given(st.text(min_size=1, alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_a_quoted_name_and_a_literal_read_back(text):
    (select,) = pgquery.parse(f"SELECT {quote(text)}, {literal(text)}")
    column, value = (t["ResTarget"]["val"] for t in select["stmt"]["SelectStmt"]["targetList"])
    if len(text.encode()) <= 63:
        assert column["ColumnRef"]["fields"][0]["String"]["sval"] == text
    assert value["A_Const"]["sval"].get("sval", "") == text


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=3))
def test_derived_names_fit_and_differ(parts):
    found = derived(*parts, suffix="key")
    assert len(found.encode("utf-8", "surrogatepass")) <= 63 or any("\ud800" <= c <= "\udfff" for p in parts for c in p)
    assert found.endswith("_key")
    assert derived(*parts, "x", suffix="key") != found


@given(st.text(alphabet="$migdsl_ "))
def test_a_dollar_quote_is_not_in_its_body(body):
    assert dollar_tag(body) not in body


@pytest.mark.parametrize(
    ("name", "args", "suffix", "expected"),
    [
        ("int8", (), "", "bigint"),
        ("VARCHAR", ("50",), "", "character varying(50)"),
        ("timestamptz", ("3",), "", "timestamp(3) with time zone"),
        ("timestamp", ("3",), "with time zone", "timestamp(3) with time zone"),
        ("decimal", ("12", "2"), "", "numeric(12, 2)"),
        ("float", ("24",), "", "real"),
        ("float", ("53",), "", "double precision"),
        ("double precision", (), "", "double precision"),
        ("bigserial", (), "", "bigint"),
        ("text", ("5",), "", None),
        ("numeric", ("1", "2", "3"), "", None),
        ("varchar", ("5k",), "", None),
        ("texxt", (), "", None),
    ],
)
def test_types(name, args, suffix, expected):
    found = resolve(name, None, False, args, suffix, 0)
    assert (found.sql if found else None) == expected


@pytest.mark.parametrize("text", [":é || a || é", "'é' || :ü || a[1:é]", "é || :x || 'ü' || a"])
def test_columns_behind_a_parameter_have_their_place(text):
    found = sql.expression(text)
    assert [text[use.start : use.end] for use in found.columns] == [use.name for use in found.columns]
    assert {"a", "é"} == found.names()
