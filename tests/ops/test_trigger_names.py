"""Names and expressions that break generators: trigger, fills and comparisons must take them as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migdsl.dialect.names import quote
from migdsl.ops import pairs, triggers
from migdsl.values import replace
from tests.ops.support import T1, Connection, Migration, all_rows, checked, mig, one

Expanded = Callable[..., Migration]

LONG = "é" * 31 + "x"  # 63 bytes
NAMES = [
    'with "quotes"',
    "with space",
    "größe",
    "select",
    "user",
    "new",
    "old",
    "given",
    "tg_op",
    "loop",
    "if",
    "begin",
    "strict",
    "then",
    "end",
    "found",
    "row",
    "t",
    "a'b",
    "a\\b",
    "$sync$",
    "a:tenant_id",
    "100%s",
    "-- no comment",
    "/* open",
    "CamelCase",
    LONG,
]


def name(text: str) -> str:
    """As it is written in a `.mig` file."""
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("word", NAMES)
def test_a_name_as_old_column_new_column_table_and_schema(expanded: Expanded, word: str):
    other = word[:40].rstrip("é") + "_2" if word != LONG else LONG[:-1] + "y"
    schema = word if word != "old" else "older"
    table = f"app.{name(schema)}.{name(word)}"
    text = mig(f"""entity Thing in {table} {{
  id bigint key
  tenant_id uuid tenant
  {name(word)} text?
  unique (tenant_id, {name(word)})
}}
change Thing {{
  add {name(other)} text? {{
    from `upper({name(word)})`
    back {name(word)} = `lower({name(other)})`
    unique per tenant
  }}
}}""")
    ddl = f"""CREATE SCHEMA IF NOT EXISTS {quote(schema)};
        CREATE TABLE {quote(schema)}.{quote(word)} (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, {quote(word)} text);
        INSERT INTO {quote(schema)}.{quote(word)} VALUES (1, '{T1}', 'a'), (2, '{T1}', NULL)"""
    thing = expanded(text, ddl)
    where, old, new = f"{quote(schema)}.{quote(word)}", quote(word), quote(other)
    assert thing.backfill() == 1
    write = f"INSERT INTO {where} (id, tenant_id, {{}}) VALUES ({{}}, '{T1}', '{{}}')"
    thing.connection.execute(write.format(old, 3, "c").encode())
    thing.connection.execute(write.format(new, 4, "D").encode())
    thing.connection.execute(f"UPDATE {where} SET {old} = 'b' WHERE id = 2".encode())
    rows = all_rows(thing.connection, f"SELECT {old}, {new} FROM {where} ORDER BY id")
    assert rows == [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
    assert (thing.old_writes(), thing.differences("old"), thing.differences("new"), thing.lossy()) == (2, 0, 0, 0)
    thing.down("expand")
    assert one(thing.connection, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == (0,)


THINGS = """entity Thing in app.things {{
  id bigint key
  tenant_id uuid tenant
  {} text
  index (tenant_id, id)
}}"""


@pytest.mark.parametrize("word", ["a\rEND; SELECT 1/0; --", "a\nEND; SELECT 1/0; --", "a\u2028b"])
def test_a_name_with_an_end_of_line_in_it_can_not_leave_its_comment(connection: Connection, word: str):
    (change,) = checked(mig(THINGS.format("note"), "change Thing { add added text { from `note` } }"))[0].changes
    pair = replace(pairs.pairs(change)[0], column=word)
    tables = f"CREATE TABLE things (note text, {quote(word)} text)"
    connection.execute(f"CREATE SCHEMA migdsl; CREATE SEQUENCE migdsl.m_things_old_writes; {tables}".encode())
    connection.execute(triggers.function("m", change.table, (pair,), (), fill=True, turns=True).encode())
    for statement in triggers.trigger("m", change.table):
        connection.execute(statement.encode())
    connection.execute(b"INSERT INTO things (note) VALUES ('n')")
    assert one(connection, "SELECT * FROM things") == ("n", "n")


def test_names_that_are_parts_of_others_are_replaced_by_place(expanded: Expanded):
    text = mig("""entity Thing in app.things {
  id bigint key; tenant_id uuid tenant; e text; em text; email text; index (tenant_id, id)
}
change Thing { add email2 text { from `e || em || email || 'e em email' || "e"` } }""")
    ddl = f"""CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid, e text, em text, email text);
        INSERT INTO things VALUES (1, '{T1}', '1', '2', '3')"""
    things = expanded(text, ddl)
    things.backfill()
    assert one(things.connection, "SELECT email2 FROM things") == ("123e em email1",)


# An expression over `note`, what it gives for 'n', and what it looks like in a file (backticks are doubled there).
EXPRESSIONS = [
    ("note || ' -- no comment' -- a comment", "n -- no comment"),
    ("-- first\nnote\n  || 'x' -- last", "nx"),
    ("note /* a /* nested */ comment */ || 'x'", "nx"),
    ("note::text || ':tenant_id :x ::y'", "n:tenant_id :x ::y"),
    ("note || '100% %s %% %(x)s'", "n100% %s %% %(x)s"),
    (r"note || E'\\ \x41 \'' || '\'", "n\\ A '\\"),
    ("note || $$it's$$ || $sync$ in $sync$ || $a$ $b$ $a$", "nit's in  $b$ "),
    ("note || $migdsl$ x $migdsl$ || $proof$ y $proof$", "n x  y "),
    ("CASE WHEN note = 'n' THEN 'then; end' ELSE 'loop' END", "then; end"),
    ("note || '''' || U&'\\00e9'", "n'é"),
    ("note || '`' || \"note\"", "n`n"),
    ("substring(note from 1 for 1) || position('n' in note)", "n1"),
    ("coalesce(nullif(note, 'n'), 'new.note')", "new.note"),
    ('note COLLATE "C"', "n"),
    ("(ARRAY[note, 'b'])[1]", "n"),
    ("note || 'é😀'", "né😀"),
    ("'{}' || '{{ note }}' || note", "{}{{ note }}n"),
]


@pytest.mark.parametrize(("source", "expected"), EXPRESSIONS)
def test_an_expression(expanded: Expanded, connection: Connection, source: str, expected: str):
    written = source.replace("`", "``")
    text = mig(
        THINGS.format("note"),
        "change Thing {\n"
        f"add added text? {{ from `{written}` }}\n add copy text {{ from `note`; back note = `copy` }} }}",
    )
    ddl = f"""CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, note text);
        INSERT INTO things VALUES (1, '{T1}', 'n')"""
    things = expanded(text, ddl)
    things.backfill()
    connection.execute(f"INSERT INTO things (id, tenant_id, note) VALUES (2, '{T1}', 'n')".encode())
    connection.execute(f"INSERT INTO things (id, tenant_id, copy) VALUES (3, '{T1}', 'n')".encode())
    assert all_rows(connection, "SELECT added FROM things ORDER BY id") == [(expected,)] * 3
    assert things.differences() == 0


@pytest.mark.parametrize(("source", "expected"), EXPRESSIONS)
def test_an_expression_as_a_way_back(expanded: Expanded, connection: Connection, source: str, expected: str):
    written = source.replace("`", "``").replace("note", "plain")
    text = mig(
        THINGS.format("note"),
        f"change Thing {{ add plain text {{ from `note`; back note = `{written}` }} }}",
    )
    things = expanded(text, "CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, note text)")
    connection.execute(f"INSERT INTO things (id, tenant_id, plain) VALUES (1, '{T1}', 'n')".encode())
    assert one(connection, "SELECT note FROM things") == (expected.replace("note", "plain"),)
    assert things.differences("new") == 0
    assert things.lossy() == (expected.replace("note", "plain") != "n")
