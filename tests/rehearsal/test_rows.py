"""Rows that are made up keep whatever a file demands, and traffic writes nothing that a rule of the file forbids."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import psycopg
import pytest

from migdsl.ops.lower import lower
from migdsl.rehearsal import baseline
from migdsl.rehearsal.journal import Journal, View, apart
from migdsl.rehearsal.model import Log, Settings
from migdsl.rehearsal.patterns import UnmatchedError, like, matching
from migdsl.rehearsal.rows import Maker, seeded, tenancy
from migdsl.rehearsal.shapes import Shape, shapes
from migdsl.rehearsal.writing import Codes
from tests.ops.support import checked, mig

FEW = Settings(rows=30, tenants=4)
# Each table, and what shall become of it.
TABLES = {
    "columns that are called like what stands beside them": """
entity E in app.t { n bigint key; tenant_id uuid tenant; last text; given text; strayed boolean; r text; t text; j text }
change E { add x text { from `last || given || strayed || r || t || j || n` } }""",
    "a check that goes while its column is renamed": """
entity E in app.t { id bigint key identity; tenant_id uuid tenant; n integer; check `n > 0` as n_ck }
change E { drop constraint n_ck; rename n to m }""",
    "numbers that the database gives": """
entity E in app.t { id bigint key identity; tenant_id uuid tenant; seq serial; name text; check `id > 0 AND seq > 0` as some }
change E { add slug text { from `name || '-' || id || '-' || seq` } }""",
    "a number beside a copied key": """
entity E in app.t { id bigint key; tenant_id uuid tenant; seq bigint identity; name text }
move E to app.u { id = id; tenant_id = tenant_id; seq = seq; title text = `upper(name)`; back name = `title` }""",
    "what the table computes itself": """
entity E in app.t { id bigint key; tenant_id uuid tenant; name text; lower_name text generated `lower(name)`
  check `lower_name <> 'x'` as other }
change E { add slug text { from `lower_name || '!'` } }""",
    "words and ranges": """
entity E in app.t { id bigint key; tenant_id uuid tenant; status text; size integer; low integer; high integer
  check `status IN ('open', 'paid', 'lost') AND size BETWEEN 10 AND 12` as one
  check `low < high AND low >= 0 AND high <= 100` as two }
change E { add state text { from `CASE status WHEN 'open' THEN 'o' ELSE 'p' END` } }""",
    "shapes of texts": """
entity E in app.t { id bigint key; tenant_id uuid tenant; code text; email text; iban varchar(30); unique (tenant_id, code)
  check `code ~ '^[A-Z]{3}-[0-9]{4}$'` as one; check `email LIKE '%_@_%'` as two; check `length(iban) = 22` as three }
change E { add lower_code text { from `lower(code)` } }""",
    "documents and arrays": """
entity E in app.t { id bigint key; tenant_id uuid tenant; doc jsonb; tags text[]
  check `jsonb_typeof(doc -> 'kind') = 'string'` as one; check `cardinality(tags) > 0 AND tags <@ ARRAY['a', 'b']` as two }
change E { add kind text { from `doc ->> 'kind'` } }""",
    "a sequence that a default names": """
entity E in app.t { id bigint key default `nextval('numbers')`; tenant_id uuid tenant; name text }
change E { add x text { from `upper(name)` } }""",
    "a table that points at itself": """
entity E in app.t { id bigint key; tenant_id uuid tenant; parent_id bigint -> E.id; name text }
change E { add x text { from `upper(name)` } }""",
    "types of all kinds": """
entity E in app.t { id bigint key; tenant_id uuid tenant; a point; b tsvector; c macaddr; d int4range; e bit(8); f timetz
  g interval; h tstzmultirange; i path; j money; k oid; l daterange; m varbit }
change E { add x text default "x" }""",
}


class World:
    """A file's tables in a database, with rows in them."""

    def __init__(self, connection: psycopg.Connection, text: str) -> None:
        self.module, _ = checked(mig(text))
        for statement in baseline.ddl(self.module):
            connection.execute(statement.encode())
        self.shapes = shapes(self.module, lower(self.module))
        self.journals = {shape.entity: Journal(shape) for shape in self.shapes}
        self.tenants = tenancy(self.module, FEW)
        self.maker = Maker(self.module, self.shapes, self.journals, connection, seeded(1), Log())
        self.maker.fill(self.tenants)

    def shape(self, entity: str) -> Shape:
        return next(shape for shape in self.shapes if shape.entity == entity)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True, options="-c timezone=UTC") as found:
        yield found


def test_every_table_is_filled_and_more_rows_can_be_made(connection: psycopg.Connection):
    for what, text in TABLES.items():
        world = World(connection, text)
        (journal,) = world.journals.values()
        assert len(journal.rows) > 12, what
        world.maker.stock(journal.shape)
        assert len(world.maker.pools["E"]) > 30, what
        assert apart(connection, journal, View(False, frozenset(), False)) == [], what
        connection.execute("DROP TABLE t; DROP TABLE tenants")


def test_a_row_that_was_altered_or_has_come_by_itself_is_told(connection: psycopg.Connection):
    """What `apart` finds none of above it would find."""
    world = World(connection, TABLES["columns that are called like what stands beside them"])
    (journal,) = world.journals.values()
    one, other = journal.rows[0].key["n"], journal.rows[1].key["n"]
    connection.execute("UPDATE t SET last = last || '!' WHERE n = %s", (one,))
    connection.execute("DELETE FROM t WHERE n = %s", (other,))
    found = [what for _, what in apart(connection, journal, View(False, frozenset(), False))]
    assert sorted(found) == sorted(
        [f"E {one}: last isn't what was written (last written by old code)", f"E {other} is lost"]
    )


@pytest.mark.parametrize(
    ("last", "held", "told"),
    [("new", "v1", 0), ("new", "v1 ", 0), ("new", "v2", 1), ("old", "v1", 1), ("old", "v1 ", 0)],
)
def test_new_code_that_changes_nothing_leaves_the_old_column_as_it_is(
    connection: psycopg.Connection, last: str, held: str, told: int
):
    """Also once the new columns, in which that could be seen, are gone again. Two texts give the same two columns."""
    world = World(
        connection,
        """
entity E in app.t { id bigint key; tenant_id uuid tenant; name text }
change E { split name into given text, family text {
  given  = `split_part(name, ' ', 1)`
  family = `substr(name, length(split_part(name, ' ', 1)) + 2)`
  back `given || ' ' || family` } }""",
    )
    row = world.journals["E"].rows[0]
    row.facts, row.last = {**row.facts, "name": "v1 "}, last
    connection.execute("UPDATE t SET name = %s WHERE id = %s", (held, row.key["id"]))
    found = apart(connection, world.journals["E"], View(False, frozenset(), False))
    assert [verdict for verdict, _ in found] == ["acknowledged_writes"] * told


def test_new_code_draws_the_numbers_that_it_computes_something_from(connection: psycopg.Connection):
    world = World(connection, TABLES["numbers that the database gives"])
    shape = world.shape("E")
    connection.execute("ALTER TABLE t ADD slug text")
    world.maker.stock(shape)
    facts = world.maker.owned(shape, world.tenants.ids[0], world.maker.pools["E"].pop())
    assert facts is not None
    write = Codes(shape).insert("new")
    with psycopg.RawCursor(connection) as cursor:
        row = cursor.execute(write.text.encode(), write.values(facts)).fetchone()
    assert row is not None
    key = shape.numbers(row, facts)
    assert (facts["id"], facts["seq"]) == (key["id"], str(row[1]))
    held = connection.execute(
        "SELECT slug = name || '-' || id || '-' || seq FROM t WHERE id = %s", (key["id"],)
    ).fetchone()
    assert held == (True,)


def test_an_optional_reference_leaves_the_tenant_alone(connection: psycopg.Connection):
    world = World(
        connection,
        """
entity P in app.p { id bigint key; tenant_id uuid tenant; unique (tenant_id, id) }
entity E in app.t { id bigint key; tenant_id uuid tenant; p_id bigint?; name text; (tenant_id, p_id) -> P (tenant_id, id) }
change E { add x text { from `upper(name)` } }""",
    )
    tenant = world.tenants.ids[0]
    found = [world.maker.owned(world.shape("E"), tenant, {"id": str(n), "name": "v"}) for n in range(80)]
    assert {facts["tenant_id"] for facts in found if facts} == {tenant}
    assert {facts["p_id"] is None for facts in found if facts} == {True, False}


@pytest.mark.parametrize(
    ("unique", "check"),
    [("unique (tenant_id, n)", "n > 0"), ("unique (n)", "n > 0"), ("unique (tenant_id, n)", "n < 9")],
)
def test_of_what_is_to_be_unique_nothing_is_made_twice(connection: psycopg.Connection, unique: str, check: str):
    """However few values its check speaks of; numbers are the same in several tenants where they may be."""
    world = World(
        connection,
        f"""
entity E in app.t {{ id bigint key; tenant_id uuid tenant; n bigint; m text }}
change E {{ {unique}; check `{check} or m <> 'x'` as some }}""",
    )
    world.maker.stock(world.shape("E"))
    rows = [(row.tenant, row.facts["n"]) for row in world.journals["E"].rows]
    rows += [("", facts["n"]) for facts in world.maker.pools["E"]]
    numbers = [n for _, n in rows]
    made = rows if "tenant_id" in unique else numbers
    assert len(set(made)) == len(made) > 100
    assert (len(set(numbers)) < len(numbers)) == ("tenant_id" in unique)
    assert not {n for tenant, n in rows if tenant} & {n for tenant, n in rows if not tenant}


@pytest.mark.parametrize(
    ("columns", "loose", "still"),
    [
        ("p_id bigint? -> P.id unique", {"p_id"}, {"p_id"}),
        ("p_id bigint -> P.id unique", None, {"p_id"}),
        ("main boolean; unique (tenant_id) where `main` as one_main", None, {"main"}),
        ("code text unique", set(), set()),
    ],
)
def test_of_what_is_unique_and_scarce_traffic_makes_no_more(
    columns: str, loose: frozenset[str] | None, still: frozenset[str]
):
    module, _ = checked(mig(f"""
entity P in app.p {{ id bigint key; tenant_id uuid tenant }}
entity E in app.t {{ id bigint key; tenant_id uuid tenant; name text; {columns} }}
change E {{ add x text {{ from `upper(name)` }} }}"""))
    found = next(s for s in shapes(module, lower(module)) if s.entity == "E")
    assert (found.loose(), found.still) == (loose, still)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}-[0-9]{4}$",
        r"^\d+(\.\d{1,2})?$",
        "^(open|paid|in (transit|stock))$",
        r"^[^@ ]+@[a-z0-9.-]+\.[a-z]{2,}$",
        "^(?:a|b)*c?[x-z]+$",
        "^[]x]{2}$",
        r"^\+[1-9][0-9]{5,14}$",
    ],
)
def test_a_text_matches_its_pattern(pattern: str):
    chance = random.Random(3)
    for _ in range(40):
        assert re.fullmatch(pattern, found := matching(pattern, chance)), found


def test_what_nobody_can_read_is_no_pattern():
    for pattern in ("(((", "[a", "a)b", "(" * 500 + ")" * 500, "((((a{9}){9}){9}){9})"):
        with pytest.raises(UnmatchedError):
            matching(pattern, random.Random(1))


def test_a_text_is_like_its_pattern():
    found = {like("AB_-%x", random.Random(n)) for n in range(9)}
    assert all(re.fullmatch("AB.-.+x", each) for each in found)
    assert len(found) > 1
    assert like(r"100\%", random.Random(1)) == "100%"
