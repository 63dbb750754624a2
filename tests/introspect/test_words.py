"""Names, texts and types of a database as words of the language, or found to have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migdsl.introspect.lines import Line
from migdsl.introspect.model import TypeRef
from migdsl.introspect.words import WordlessError, begins_a_line, comment, default, is_null, name, sql, string
from migdsl.semantics.problems import sql_name
from migdsl.source import SourceFile
from migdsl.syntax import ast, parse


def items(body: str) -> tuple[ast.EntityItem, ...]:
    found = parse(SourceFile("", f"entity E in d.t {{\n{body}\n}}"))
    assert found.diagnostics == ()
    (entity,) = found.module.declarations
    assert isinstance(entity, ast.Entity)
    return entity.items


@given(st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text and text.isprintable()))
def test_a_name_reads_back_or_is_refused(text: str) -> None:
    try:
        spelt = name(text)
    except WordlessError:
        assert "\\" in text
        return
    (column,) = items(f"{spelt} text")
    assert isinstance(column, ast.Column)
    assert sql_name(column.name) == text


@pytest.mark.parametrize("text", ["a\nb", "tab\t", "a\\", 'a\\"b', "\x07", "\u2028"])
def test_a_name_without_a_spelling_is_refused(text: str) -> None:
    with pytest.raises(WordlessError):
        name(text)


def test_directives_are_quoted_and_other_words_are_not() -> None:
    assert [
        w for w in ("key", "unique", "index", "check", "rows", "global", "tenant", "legacy") if not begins_a_line(w)
    ] == []
    assert [w for w in ("type", "title", "phase", "ramp", "to", "from", "on", "name") if begins_a_line(w)] == []


@given(st.text(max_size=20).filter(lambda text: "\x00" not in text))
def test_sql_and_strings_read_back(text: str) -> None:
    (check,) = items(f"check {sql(text)}")
    assert isinstance(check, ast.Check)
    assert check.sql.text == text
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    (column,) = items(f"a text default {string(text)}")
    assert isinstance(column, ast.Column)
    literal = column.marks[0].literal
    assert literal is not None
    assert literal.text == "'" + text.replace("'", "''") + "'"


@given(st.text(max_size=30))
def test_a_remark_is_one_line(text: str) -> None:
    assert "\n" not in comment(text)
    assert str(Line("x", (text,))).isprintable()


@pytest.mark.parametrize(
    ("expression", "kind", "spelt"),
    [
        ("'open'::text", "text", '"open"'), ("'it''s'::character varying", "character varying(9)", '"it\'s"'),
        ("'-1'::integer", "integer", "-1"), ("'1'::text", "text", '"1"'), ("5", "bigint", "5"), ("-1.5", "numeric", "-1.5"),
        ("1.0", "numeric", "`1.0`"), ("true", "boolean", "true"), ("now()", "timestamp with time zone", "`now()`"),
        ("'a'::text || 'b'::text", "text", "`'a'::text || 'b'::text`"), ("'{}'::integer[]", "integer[]", '"{}"'),
        ("'x'::text", "app.state", "`'x'::text`"), ("CURRENT_DATE", "date", "`CURRENT_DATE`"),
    ],
)  # fmt: skip
def test_defaults(expression: str, kind: str, spelt: str) -> None:
    assert default(expression, TypeRef(kind, "pg_catalog", kind)) == spelt


def test_null_is_no_default() -> None:
    assert all(map(is_null, ("NULL", "NULL::text", "NULL::character varying(3)", "NULL::numeric(3,2)[]")))
    assert not any(map(is_null, ("NULL::text || 'a'", "NULLIF(1, 2)", "'NULL'::text")))
