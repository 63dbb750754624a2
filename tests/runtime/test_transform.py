"""A Python function's answers: how they are asked for, written as text, refused, and what a refusal says."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from migdsl.rehearsal.server import Server
from migdsl.runtime.backfill.transform import Filler, Transform, array
from migdsl.runtime.database import Transaction
from migdsl.runtime.errors import RowsRefusedError, UsageError
from migdsl.runtime.sql import statement
from tests.ops import functions

WRITE = """
UPDATE things AS t SET answer = CAST(g.answer AS {type})
  FROM unnest(CAST(:key_1 AS text[]), CAST(:key_2 AS text[]), CAST(:input_1 AS text[]), CAST(:answer AS text[]))
       AS g (key_1, key_2, input_1, answer)
 WHERE t.tenant_id = :tenant_id AND t.code = CAST(g.key_1 AS text) AND t.number = CAST(g.key_2 AS numeric)
   AND t.given IS NOT DISTINCT FROM CAST(g.input_1 AS {type}) AND t.answer IS NULL"""
READ = statement("SELECT code, number, given FROM things WHERE tenant_id = :tenant_id AND answer IS NULL")
SPAN = {"tenant_id": "1"}
SECRET = "bad@secret"


def transform(function: str, *, type_: str = "text", chunk: int = 200, name: str = "given") -> Transform:
    write = WRITE.format(type=type_)
    return Transform(f"tests.ops.functions:{function}", (name,), write, chunk, document=type_ == "jsonb")


@pytest.fixture
def tx(pg: Server) -> Iterator[Transaction]:
    """A transaction that leaves nothing behind."""
    with psycopg.connect(pg.url) as connection:
        yield Transaction(psycopg.RawCursor(connection))
        connection.rollback()


def things(tx: Transaction, type_: str, *values: str) -> None:
    """One row a value, under keys that need quoting."""
    tx.cursor.execute(
        f"CREATE TABLE things (tenant_id int, code text, number numeric, given {type_}, answer {type_},"
        " PRIMARY KEY (code, number))".encode()
    )
    for n, value in enumerate(values):
        code = ["a{b}", 'q"uo\\te', "com,ma", "", "NULL", "ü\n"][n % 6]
        tx.cursor.execute(f"INSERT INTO things VALUES (1, $1, {n}.50, {value})".encode(), (code,))


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("text", ["'x'", "''", "'NULL'", "'a\"b'", r"E'\\'", "'{},'", "'üß€'"]),
        ("bigint", ["1", "-9223372036854775808"]),
        ("numeric", ["1.10", "'NaN'", "1e30"]),
        ("double precision", ["0.1", "'Infinity'", "1e-300"]),
        ("boolean", ["true", "false"]),
        ("date", ["'2026-02-28'"]),
        ("timestamptz", ["'2026-03-29 01:30:00.123456+01'"]),
        ("interval", ["'1 day 02:00:00.5'"]),
        ("uuid", ["gen_random_uuid()"]),
        ("bytea", [r"'\x00ff'"]),
        ("jsonb", ["""'{"a": [1, "ü", null], "b": {"c": true}}'""", "'[1, []]'", "'\"text\"'", "'7'"]),
        ("text[]", ["""'{"a,b", NULL, "q\\"uote", ""}'"""]),
        ("integer[]", ["'{1,NULL,3}'", "'{}'"]),
    ],
)
def test_a_value_comes_back_as_it_was(tx: Transaction, type_: str, values: list[str]):
    things(tx, type_, *values)
    assert Filler(transform("rich", type_=type_), READ).fill(tx, SPAN) == len(values)
    assert tx.rows(statement("SELECT count(*) FROM things WHERE answer IS DISTINCT FROM given")) == [("0",)]


def test_chunks_and_one_statement(tx: Transaction):
    things(tx, "text", *["'v'"] * 7)
    functions.calls.clear()
    found = Filler(Transform("tests.ops.functions:rich", ("given",), WRITE.format(type="text"), 3), READ)
    tx.cursor.execute("CREATE TABLE statements (n int)")
    tx.cursor.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO statements VALUES (1); RETURN NULL; END'"
    )
    tx.cursor.execute("CREATE TRIGGER note AFTER UPDATE ON things FOR EACH STATEMENT EXECUTE FUNCTION note()")
    assert found.fill(tx, SPAN) == 7
    assert found.fill(tx, SPAN) == 0
    assert tx.rows(statement("SELECT count(*) FROM statements")) == [("1",)]


@pytest.mark.parametrize(("function", "class_"), [("picky", "KeyError"), ("silent", "KeyError")])
def test_a_missing_input_is_told_by_its_class(tx: Transaction, function: str, class_: str):
    things(tx, "text", "'x'")
    with pytest.raises(RowsRefusedError) as refused:
        Filler(transform(function), READ).fill(tx, SPAN)
    assert refused.value.error_class == class_


@pytest.mark.parametrize(("function", "class_"), [("picky", "ValueError"), ("silent", "NoAnswer")])
def test_a_refusal_says_no_value(tx: Transaction, function: str, class_: str):
    things(tx, "text", f"'{SECRET}'")
    with pytest.raises(RowsRefusedError) as refused:
        Filler(transform(function, name="email"), READ).fill(tx, SPAN)
    assert refused.value.error_class == class_
    assert SECRET not in f"{refused.value} {refused.value.template} {refused.value!r}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_answer_too_few(tx: Transaction):
    things(tx, "text", "'x'", "'y'")
    with pytest.raises(UsageError, match="given 2 rows, and returned 1"):
        Filler(transform("short"), READ).fill(tx, SPAN)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("tests.nowhere:f", "can't import tests.nowhere:f (ModuleNotFoundError)"),
        ("tests.ops.functions:nothing", "can't import tests.ops.functions:nothing (AttributeError)"),
        ("tests.ops.functions:no_function", "is no function, but a int"),
    ],
)
def test_what_can_not_be_imported(function: str, said: str):
    with pytest.raises(UsageError) as error:
        Filler(Transform(function, ("given",), WRITE.format(type="text")), READ).prepare()
    assert said in str(error.value)


def test_what_python_can_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "migdsl_test_broken.py").write_text("def f(x):\n    return (x\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as error:
        Filler(Transform("migdsl_test_broken:f", ("given",), WRITE.format(type="text")), READ).prepare()
    assert "(SyntaxError, line 2 of migdsl_test_broken.py: '(' was never closed)" in str(error.value)


def test_a_wrong_statement():
    with pytest.raises(ValueError, match="write must use"):
        Transform("a:b", ("x", "y"), WRITE)
    with pytest.raises(ValueError, match="module:function"):
        Transform("a.b", ("x",), WRITE)


@pytest.mark.parametrize(("function", "said"), [("odd", "returns a object"), ("zero", "zero byte")])
def test_no_value_of_postgresql(tx: Transaction, function: str, said: str):
    things(tx, "text", "'x'")
    with pytest.raises(RowsRefusedError, match=said):
        Filler(transform(function), READ).fill(tx, SPAN)


def test_arrays():
    assert array(["a", None, "NULL", '"', "\\", ""]) == '{"a",NULL,"NULL","\\"","\\\\",""}'


@pytest.mark.parametrize(
    ("type_", "value", "seen"),
    [
        ("numeric", "1", Decimal),
        ("date", "'2026-01-01'", datetime.date),
        ("uuid", "gen_random_uuid()", uuid.UUID),
        ("jsonb", "'[1]'", list),
        ("boolean", "true", bool),
        ("text", "NULL", type(None)),
    ],
)
def test_the_function_sees_values_of_python(tx: Transaction, type_: str, value: str, seen: type):
    things(tx, type_, value)
    functions.seen.clear()
    with pytest.raises(RowsRefusedError):
        Filler(transform("looking", type_=type_), READ).fill(tx, SPAN)
    assert [type(each) for each in functions.seen] == [seen]
