"""Of every kind of type: a row that comes home for another column leaves what the way there has rounded, merged or respelt."""

from __future__ import annotations

import psycopg
import pytest

from migdsl.dialect.types import SqlType
from migdsl.ops import stream_carry, stream_compare
from migdsl.ops.stream_model import Column, Moved, Place, Side
from migdsl.runtime.reconcile.between import same

INTEGER, TEXT = SqlType("integer", "integer"), SqlType("text", "text")
# Old type and value, way there, new type, way back.
PAIRS = {
    "a moment and its day": (
        "timestamptz",
        "'2026-01-02 03:04+00'",
        "CAST(t.old AS date)",
        "date",
        "CAST(t.new AS timestamptz)",
    ),
    "a padded text": ("character(3)", "'aB'", "lower(t.old)", "text", "upper(t.new)"),
    "a text with a bound": ("varchar(5)", "' x '", "trim(t.old)", "varchar(9)", "t.new"),
    "a copy that is respelt": ("text", "'Ab'", "upper(t.old)", "text", "t.new"),
    "a document": ("json", """'{"a":  1}'""", "CAST(t.old AS jsonb)", "jsonb", "CAST(t.new AS json)"),
    "a text as a document": ("text", "' b'", "to_json(trim(t.old))", "json", "t.new #>> '{}'"),
    "bits": ("bit(3)", "B'101'", "CAST(t.old AS integer) % 4", "integer", "CAST(t.new AS bit(3))"),
    "an array": ("text[]", "ARRAY['é', NULL]", "cardinality(t.old)", "integer", "array_fill('x'::text, ARRAY[t.new])"),
    "a float": ("double precision", "0.1", "CAST(t.old AS real)", "real", "CAST(t.new AS double precision)"),
    "a number that is rounded": ("numeric", "1.239", "round(t.old, 2)", "numeric(9,2)", "t.new"),
    "a place": ("point", "'(1,2)'", "t.old[0]", "double precision", "point(t.new, 0)"),
    "nothing": ("text", "''", "nullif(t.old, '')", "text", "t.new"),
    "what nothing can change": ("text", "'legacy'", None, None, "'made up'"),
}


def described(old: str, forth: str | None, new: str | None, back: str) -> Moved:
    """The move, in two schemas of one database."""

    def typed(name: str) -> SqlType:
        plain = {"timestamptz": "timestamp with time zone", "varchar": "character varying"}
        base = name.partition("(")[0].removesuffix("[]")
        return SqlType(name, plain.get(base, base), array=name.endswith("[]"))

    key, note = Column("id", INTEGER, "t.id", inputs=("id",)), Column("note", TEXT, "t.note", inputs=("note",))
    home = Column("old", typed(old), back, inputs=("new",) if new else ())
    there = (Column("new", typed(new), forth, inputs=("old",)),) if new and forth else ()
    sides = (Place("a", "rows", ("id",), (key, home, note), ""), Place("b", "rows", ("id",), (key, *there, note), ""))
    return Moved("kept", "Row", "Row", (INTEGER,), *sides)


def carried(connection: psycopg.Connection, moved: Moved, origin: Side) -> int:
    """Runs the statements of an applier; how many rows it has written."""
    made = stream_carry.carry(moved, origin)
    connection.execute(made.stage)
    connection.execute("SELECT set_config('migdsl.key_1', '{1}', true)")
    columns = made.copy.removeprefix("COPY ").partition(" FROM")[0]
    connection.execute(f"INSERT INTO {columns} {made.read}")
    return connection.execute(made.upsert).rowcount


@pytest.mark.parametrize("pair", PAIRS)
def test_what_agrees_is_left_and_is_no_difference(database: str, pair: str):
    old, value, forth, new, back = PAIRS[pair]
    moved = described(old, forth, new, back)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA a; CREATE SCHEMA b")
        connection.execute(f"CREATE TABLE a.rows (id integer PRIMARY KEY, old {old}, note text)")
        connection.execute(f"CREATE TABLE b.rows (id integer PRIMARY KEY, {f'new {new}, ' if new else ''}note text)")
        connection.execute(f"INSERT INTO a.rows VALUES (1, {value}, 'first')")
        with connection.transaction():
            assert carried(connection, moved, "old") == 1
        before = connection.execute("SELECT old::text FROM a.rows").fetchone()
        connection.execute("UPDATE b.rows SET note = 'second'")
        for written in (1, 0):
            with connection.transaction():
                assert carried(connection, moved, "new") == written
        assert connection.execute("SELECT old::text, note FROM a.rows").fetchone() == (*(before or ()), "second")
        with connection.transaction():
            assert carried(connection, moved, "old") == 0
        for portable in (False, True):
            given, there = (
                connection.execute(each.rows.replace(":after", "NULL").replace(":upto", "NULL")).fetchall()
                for each in stream_compare.compared(moved, "old", portable=portable)
            )
            assert all(same(str(a), str(b)) for a, b in zip(given[0], there[0], strict=True))
