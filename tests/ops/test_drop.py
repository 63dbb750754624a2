"""What goes from a table: constraints and indexes, and columns with all that stands on them, there and back."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from migdsl.ops.stream_slot import COLUMN_LISTS
from tests.conftest import ENGINE, MAJORS
from tests.ops.story import Story, Walk, both_versions, change, sees
from tests.ops.support import T1, T2, mig

OWNER = """
entity Owner in app.owners {
  id bigint key; tenant_id uuid tenant; code text; unique (code) as owners_code_uq; index (tenant_id, id)
}"""
THING = """
entity Thing in app.things {
  id        bigint  key
  tenant_id uuid    tenant
  name      text
  note      text?
  owner     text?   -> Owner.code on delete set null
  amount    integer
  unique (tenant_id, name)
  unique (tenant_id, note) as things_note_uq
  index  (lower(note)) as things_lower_ix where `note <> ''`
  index  (tenant_id, id)
  check  `amount >= 0` as things_amount_ck
  check  `length(note) < amount`
}"""
DDL = f"""
CREATE TABLE owners (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, code text NOT NULL CONSTRAINT owners_code_uq UNIQUE);
CREATE INDEX ON owners (tenant_id, id);
CREATE TABLE things (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, note text,
  owner text REFERENCES owners (code) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE,
  amount integer NOT NULL,
  CONSTRAINT things_amount_ck CHECK (amount >= 0),
  CHECK (length(note) < amount),
  UNIQUE (tenant_id, name) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX things_note_uq ON things (tenant_id, note COLLATE "C" DESC) WITH (fillfactor = 70);
CREATE INDEX things_lower_ix ON things USING btree (lower(note) text_pattern_ops DESC NULLS LAST) WHERE note <> '';
CREATE INDEX ON things (tenant_id, id);
COMMENT ON CONSTRAINT things_amount_ck ON things IS 'it''s never "negative"';
COMMENT ON INDEX things_lower_ix IS 'for the search';
COMMENT ON INDEX things_note_uq IS 'one note each';
ALTER INDEX things_lower_ix ALTER COLUMN 1 SET STATISTICS 500;
ALTER TABLE things CLUSTER ON things_note_uq;
INSERT INTO owners VALUES (1, '{T1}', 'o1');
INSERT INTO things SELECT n, '{T1}', 'n' || n, 'x' || n, 'o1', 100 FROM generate_series(1, 9) AS n"""


@both_versions
@pytest.mark.parametrize(
    "dropped",
    [
        "drop index things_lower_ix",
        "drop constraint things_amount_ck",
        "drop constraint things_amount_note_check",
        "drop constraint things_tenant_id_name_key",
        "drop constraint things_note_uq",
        "drop constraint things_owner_fkey",
        "drop index things_tenant_id_id_idx",
    ],
)
def test_drop_a_constraint_or_an_index(walk: Walk, dropped: str):
    """All that the entity doesn't say of it comes back too: order, collation, options, comments, statistics."""
    name = dropped.rsplit(maxsplit=1)[-1]
    ddl = DDL.replace("  CHECK (length(note)", "  CONSTRAINT things_amount_note_check CHECK (length(note)")
    there = f"to_regclass('{name}') IS NOT NULL OR EXISTS (SELECT FROM pg_constraint WHERE conname = '{name}')"
    found = f"SELECT '{name}' WHERE {there}"
    walk(
        mig(OWNER, THING, change(dropped, entity="Thing")),
        ddl,
        looks={"expand": sees(found, (name,)), "contract": sees(found), "back contract": sees(found, (name,))},
    )


@both_versions
def test_drop_a_column_and_what_stands_on_it(walk: Walk):
    def contracted(story: Story) -> None:
        # The second index was declared as a unique, and is an index alone: it comes back as what it was.
        assert story.rows("SELECT count(*) FROM pg_class WHERE relname IN ('things_note_uq', 'things_lower_ix')") == [
            (0,)
        ]
        story.execute(f"INSERT INTO things (id, tenant_id, name, amount) VALUES (99, '{T2}', 'x', 5)")

    walk(
        mig(
            OWNER,
            THING,
            change(
                "drop index things_lower_ix",
                "drop constraint things_note_uq",
                "drop constraint things_amount_note_check",
                "drop note { back `name` }",
                entity="Thing",
            ),
        ),
        DDL.replace("  CHECK (length(note)", "  CONSTRAINT things_amount_note_check CHECK (length(note)").replace(
            "'x' || n,", "'n' || n,"
        ),
        looks={
            "contract": contracted,
            "back contract": sees("SELECT note FROM things WHERE id IN (1, 99) ORDER BY id", ("n1",), ("x",)),
        },
    )


def contracted(story: Story) -> None:
    """All the way up."""
    story.upgrade("m_expand")
    story.stage("live")
    story.stage("complete")
    story.upgrade("m_contract")


INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


def test_rows_that_came_meanwhile_stop_the_way_back_which_goes_on_when_they_are_mended(walk: Walk):
    dropped = change("drop constraint things_note_uq", "drop constraint things_amount_ck", entity="Thing")
    story = walk(mig(OWNER, THING, dropped), DDL.replace("  CHECK (length(note) < amount),\n", ""), looks=None)
    before = story.dump()
    story.upgrade("m_expand")
    assert story.dump() == before
    contracted(story)
    story.execute(f"INSERT INTO things (id, tenant_id, name, note, amount) VALUES (10, '{T1}', 'n10', 'x1', 100)")
    with pytest.raises(CommandError, match='could not create unique index "things_note_uq"') as failed:
        story.downgrade()
    assert "x1" not in str(failed.value)
    # Nothing of the failed try is left to bind writes.
    assert story.rows(INVALID) == [(0,)]
    story.execute("UPDATE things SET note = 'x10', amount = -1 WHERE id = 10")
    with pytest.raises(
        CommandError, match='check constraint "things_amount_ck" of relation "things" is violated by some row'
    ):
        story.downgrade()
    story.execute("UPDATE things SET amount = -2 WHERE id = 10")
    story.execute("UPDATE things SET amount = 20 WHERE id = 10")
    story.downgrade()
    assert story.dump() == before


def test_what_the_file_says_nobody_will_want_back_stays_away(walk: Walk):
    story = walk(
        mig(OWNER, THING, change('drop index things_lower_ix irreversible because "nobody searches"', entity="Thing")),
        DDL,
        looks=None,
    )
    contracted(story)
    story.downgrade()
    assert story.rows("SELECT to_regclass('things_lower_ix')::text") == [(None,)]


SOME_COLUMNS = "CREATE PUBLICATION extra FOR TABLE things (id, note)"
DEPENDENTS = {
    "CREATE INDEX extra ON things (name, note)": "index public.extra",
    "CREATE INDEX extra ON things (id) WHERE note IS NULL": "index public.extra",
    "CREATE UNIQUE INDEX extra ON things (note) WHERE note <> ''": "index public.extra",
    "ALTER TABLE things ADD CONSTRAINT extra CHECK (note <> name)": "constraint extra on table public.things",
    "CREATE STATISTICS extra ON note, name FROM things": "statistics object public.extra",
    "ALTER TABLE things ADD COLUMN g text GENERATED ALWAYS AS (upper(note)) STORED": "column g of table public.things",
    "CREATE POLICY extra ON things USING (note <> '')": "policy extra on table public.things",
    SOME_COLUMNS: "publication of table public.things in publication extra",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER extra AFTER UPDATE OF note ON things EXECUTE FUNCTION f()": "trigger extra on table public.things",
}


@both_versions
def test_what_nobody_declared_is_refused_before_anything_has_changed(walk: Walk):
    dropped = change(
        "drop index things_lower_ix",
        "drop constraint things_note_uq",
        "drop constraint things_amount_note_check",
        "drop note { back `name` }",
        entity="Thing",
    )
    ddl = DDL.replace("  CHECK (length(note)", "  CONSTRAINT things_amount_note_check CHECK (length(note)")
    story = walk(mig(OWNER, THING, dropped), ddl, looks=None)
    before = story.dump()
    for statement, named in DEPENDENTS.items():
        if statement == SOME_COLUMNS and ENGINE < COLUMN_LISTS:
            continue
        with story.connection.transaction():
            story.execute(statement)
        with pytest.raises(CommandError, match=r"column note of public\.things is still used by") as refused:
            story.upgrade("m_expand")
        assert named in str(refused.value)
        story.execute(_undo(statement))
        assert story.dump() == before
    # A view may have been there before, or somebody comes meanwhile.
    story.execute("CREATE VIEW v AS SELECT note FROM things")
    story.upgrade("m_expand")
    story.stage("live")
    story.stage("complete")
    with pytest.raises(CommandError, match=r"still used by: .*view public.v"):
        story.upgrade("m_contract")
    story.execute("DROP VIEW v")
    story.upgrade("m_contract")


def test_a_view_is_made_again_over_the_column_that_takes_the_place(walk: Walk):
    """Its readers see a value all the while, and nobody has to drop it."""
    person = "entity Person in app.people { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }"
    ddl = f"""
CREATE TABLE people (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL);
CREATE INDEX ON people (tenant_id, id);
INSERT INTO people SELECT n, '{T1}', 'n' || n FROM generate_series(1, 5) AS n;
CREATE VIEW v AS SELECT id, name FROM people"""
    story = walk(mig(person, change("rename name to title", entity="Person")), ddl, looks=None)
    names = story.rows("SELECT * FROM v ORDER BY id")
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    with pytest.raises(CommandError, match=r"still used by: .*view public.v(?s:.*)CREATE OR REPLACE VIEW"):
        story.upgrade("m_contract")
    story.execute("CREATE OR REPLACE VIEW v AS SELECT id, title AS name FROM people")
    assert story.rows("SELECT * FROM v ORDER BY id") == names
    story.upgrade("m_contract")
    assert story.rows("SELECT * FROM v ORDER BY id") == names


def _undo(statement: str) -> str:
    if "ADD COLUMN g" in statement:
        return "ALTER TABLE things DROP COLUMN g"
    if "ADD CONSTRAINT" in statement:
        return "ALTER TABLE things DROP CONSTRAINT extra"
    if "TRIGGER" in statement:
        return "DROP FUNCTION f CASCADE"
    kind = statement.split()[1] if "UNIQUE" not in statement else "INDEX"
    return f"DROP {kind} {'v' if kind == 'VIEW' else 'extra'}{' ON things' if kind == 'POLICY' else ''}"


@pytest.mark.parametrize(
    ("ddl", "wanted"),
    [
        (
            "ALTER TABLE things RENAME CONSTRAINT things_amount_ck TO other",
            "public.things has no constraint things_amount_ck",
        ),
        ("DROP INDEX things_note_uq", "public.things has no constraint things_note_uq"),
        (
            "CREATE TABLE pets (thing text, tenant_id uuid, FOREIGN KEY (tenant_id, thing) REFERENCES things (tenant_id, note))",
            "things_note_uq of public.things is still needed by: constraint pets_tenant_id_thing_fkey on table public.pets",
        ),
        (
            "ALTER TABLE things ALTER note SET NOT NULL; ALTER TABLE things REPLICA IDENTITY USING INDEX things_note_uq",
            "things_note_uq of public.things is still needed by: logical replication, which tells rows apart by it",
        ),
    ],
)
def test_drop_of_what_is_not_there_or_needed_is_refused_before_anything_has_changed(walk: Walk, ddl: str, wanted: str):
    dropped = change("drop constraint things_note_uq", "drop constraint things_amount_ck", entity="Thing")
    story = walk(mig(OWNER, THING, dropped), DDL.replace('note COLLATE "C" DESC', "note"), looks=None)
    story.execute(ddl)
    before = story.dump()
    with pytest.raises(CommandError, match=wanted):
        story.upgrade("m_expand")
    assert story.dump() == before


@both_versions
def test_a_key_and_what_points_at_it_go_together(walk: Walk):
    walk(
        mig(
            OWNER,
            THING,
            change("drop constraint owners_code_uq", entity="Owner"),
            change("drop constraint things_owner_fkey", entity="Thing"),
        ),
        DDL,
        looks={
            "contract": sees(
                "SELECT count(*) FROM pg_constraint WHERE conname IN ('owners_code_uq', 'things_owner_fkey')", (0,)
            )
        },
    )


def test_a_name_that_is_taken_by_what_nobody_declared_is_refused_before_anything_has_changed(walk: Walk):
    added = change('unique (tenant_id, amount) as "taken ""so"""', entity="Thing")
    story = walk(mig(OWNER, THING, added), f'{DDL}; CREATE INDEX "taken ""so""" ON things (name)', looks=None)
    with pytest.raises(CommandError, match="these names are taken"):
        story.upgrade("m_expand")
    story.execute('DROP INDEX "taken ""so"""')
    story.upgrade("m_expand")


PERSON = """
entity Person in app.people {
  id        bigint key
  tenant_id uuid   tenant
  name      text
  search    text   generated `lower(name)`
  index (tenant_id, id)
  index (search) as people_search_ix
}"""
PEOPLE = f"""
CREATE TABLE people (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL,
                     search text NOT NULL GENERATED ALWAYS AS (lower(name)) STORED);
CREATE INDEX ON people (tenant_id, id);
CREATE INDEX people_search_ix ON people (search);
INSERT INTO people SELECT n, '{T1}', 'N' || n FROM generate_series(1, 5) AS n
"""


@both_versions
@pytest.mark.parametrize("first", [True, False])
def test_a_generated_column_goes_before_what_it_is_computed_from(walk: Walk, first: bool):
    operations = ["drop search" + ' irreversible because "it is computed"' * first, "rename name to full_name"]
    gone = change(*(operations if first else operations[::-1]), "drop index people_search_ix", entity="Person")
    story = walk(mig(PERSON, gone), PEOPLE, looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    story.execute(f"INSERT INTO people (id, tenant_id, name) VALUES (6, '{T1}', 'N6')")
    assert story.rows("SELECT search, full_name FROM people WHERE id = 6") == [("n6", "N6")]
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.upgrade("m_contract")
    left = "SELECT string_agg(column_name, ' ' ORDER BY column_name) FROM information_schema.columns WHERE table_name = 'people'"
    assert story.rows(left) == [("full_name id tenant_id",)]
    story.downgrade("base")
    assert story.rows(left) == [("id name search tenant_id",)]
    assert story.rows("SELECT name, search FROM people WHERE id = 6") == [("N6", "n6")]
    story.execute("UPDATE people SET name = 'O' WHERE id = 6")
    assert story.rows("SELECT search FROM people WHERE id = 6") == [("o",)], "generated, as it was"
    nullable = (
        "SELECT is_nullable FROM information_schema.columns WHERE table_name = 'people' AND column_name = 'search'"
    )
    assert story.rows(nullable) == [("NO",)]


def test_what_others_wait_for_too_long_is_ended(walk: Walk, monkeypatch: pytest.MonkeyPatch):
    """A way back that writes the table anew under its lock; what it may take is said by whoever runs it."""
    slow = """
CREATE FUNCTION public.slow(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM pg_notify('limits', current_setting('statement_timeout'));
  PERFORM pg_sleep(current_setting('test.asleep', true)::float);
  RETURN a;
END $$;"""
    entity = PERSON.replace("lower(name)", "public.slow(name)").replace("  index (search) as people_search_ix\n", "")
    ddl = PEOPLE.replace("lower(name)", "public.slow(name)").replace(
        "CREATE INDEX people_search_ix ON people (search);", ""
    )
    story = walk(mig(entity, change("drop search", entity="Person")), slow + ddl, looks=None)
    story.upgrade("m_expand")
    story.stage("complete")
    story.upgrade("m_contract")
    monkeypatch.setenv("PGOPTIONS", "-c migdsl.statement_timeout=5s -c test.asleep=8")
    with pytest.raises(CommandError, match=r"nothing of this step is done(?s:.*)-c migdsl\.statement_timeout=20min"):
        story.downgrade()
    assert story.rows("SELECT FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'search'") == []
    monkeypatch.setenv("PGOPTIONS", "-c test.asleep=0")
    story.execute("LISTEN limits")
    story.downgrade()
    assert story.rows("SELECT name, search FROM people WHERE id = 1") == [("N1", "N1")]
    assert {told.payload for told in story.connection.notifies(timeout=0)} == {"40s"}


@pytest.mark.skipif(MAJORS[0] < 18, reason="before PostgreSQL 18 all that is generated is stored")
def test_a_column_that_is_computed_when_it_is_read_comes_back_so(walk: Walk):
    entity = PERSON.replace("  index (search) as people_search_ix\n", "")
    ddl = PEOPLE.replace("STORED", "VIRTUAL").replace("CREATE INDEX people_search_ix ON people (search);\n", "")
    gone = change("drop search", "rename name to full_name", entity="Person")
    story = walk(mig(entity, gone), ddl, looks=None)
    kind = "SELECT attgenerated::text, attnotnull FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'search'"
    assert story.rows(kind) == [("v", True)]
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.upgrade("m_contract")
    assert story.rows(kind) == []
    story.downgrade("base")
    assert story.rows(kind) == [("v", True)]
    assert story.rows("SELECT search FROM people WHERE id = 5") == [("n5",)]


def test_a_generated_column_that_nobody_drops_is_in_the_way(walk: Walk):
    entity = PERSON.replace("  search    text   generated `lower(name)`\n", "").replace(
        "  index (search) as people_search_ix\n", ""
    )
    story = walk(mig(entity, change("rename name to full_name", entity="Person")), PEOPLE, looks=None)
    with pytest.raises(CommandError, match=r"column name of public.people is still used by: .*search"):
        story.upgrade("m_expand")
