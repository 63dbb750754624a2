"""The operations on tables of every shape, and with every spelling, there and back on a real PostgreSQL."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import SEED, Walk, change, sees
from tests.ops.support import CONTACT, T1, T2, USERS, USERS_DDL, mig

SHAPES = {
    "composite": ("key (a, b)", "a integer; b text", "a integer, b text, PRIMARY KEY (a, b)", "n, 'k' || n"),
    "text": ("", "a text key", "a text PRIMARY KEY", "'k''' || n"),
    "uuid": ("", "a uuid key", "a uuid PRIMARY KEY", "gen_random_uuid()"),
    "identity": ("", "a bigint key identity always", "a bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_keys_of_any_type(walk: Walk, shape: str):
    key, columns, ddl, values = SHAPES[shape]
    text = mig(
        f"entity Thing in app.things {{ {columns}; tenant_id uuid tenant; note text?; {key} }}",
        change("add copy text? { from `note`; back note = `copy` }", "drop note after 30d", entity="Thing"),
    )
    tables = f"CREATE TABLE things ({ddl}, tenant_id uuid NOT NULL, note text)"
    listed = "tenant_id, note" if values is None else f"{'a, b' if shape == 'composite' else 'a'}, tenant_id, note"
    fill = f"""INSERT INTO things ({listed}) SELECT {'' if values is None else values + ','} '{T1}'::uuid, 'n' || n
        FROM generate_series(1, 1205) AS n"""
    walk(
        text,
        f"{tables}; {fill}",
        looks={
            # No index begins with the tenant and the key: the batches' own is there until contract.
            "expand": sees(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'm_things_batch_idx'::regclass", (True,)
            ),
            "backfill": sees("SELECT count(*) FROM things WHERE copy = note", (1205,)),
            "contract": sees("SELECT to_regclass('m_things_batch_idx')::text", (None,)),
            "back contract": sees("SELECT count(*) FROM things WHERE copy = note", (1205,)),
        },
    )


@pytest.mark.parametrize("seed", ["", f"INSERT INTO users (tenant_id, username) VALUES ('{T2}', 'only')"])
def test_tables_of_no_row_and_of_one(walk: Walk, seed: str):
    walk(mig(USERS, CONTACT), f"{USERS_DDL}; {seed}")


def test_no_tenants_at_all(walk: Walk):
    text = mig(USERS, CONTACT.replace("    unique per tenant\n", ""), tenants='tenants none because "one customer"')
    walk(text, looks={"backfill": sees("SELECT count(*) FROM users WHERE contact_email IS NULL", (0,))})


def test_a_table_that_belongs_to_everybody_beside_one_of_tenants(walk: Walk):
    text = mig(
        USERS,
        'entity Country in app.countries { code text key; title text; global because "the same for all" }',
        CONTACT,
        change("add name text { from `title`; back title = `name` }", "drop title after 30d", entity="Country"),
    )
    walk(
        text,
        f"{USERS_DDL}; {SEED}; CREATE TABLE countries (code text PRIMARY KEY, title text NOT NULL);"
        "INSERT INTO countries VALUES ('de', 'Germany')",
        looks={
            "backfill": sees(
                "SELECT (SELECT count(*) FROM users WHERE contact_email IS NULL), name FROM countries", (0, "Germany")
            ),
            "back contract": sees("SELECT title FROM countries", ("Germany",)),
        },
    )


def test_an_entity_in_another_schema_with_names_that_need_quotes(walk: Walk):
    text = mig(
        """entity Row in app."my shop"."select" {
  "key" bigint key; "tenant id" uuid tenant; "größe" text?; index ("tenant id", "key")
}""",
        change(
            """add "it's ""new"" col" text? { from `"größe"`; back "größe" = `"it's ""new"" col"` }""",
            'drop "größe" after 30d',
            entity="Row",
        ),
        tenants='tenants { key "tenant id" uuid; list `SELECT id FROM public.tenants ORDER BY id` }',
    )
    walk(
        text,
        f"""CREATE SCHEMA "my shop";
        CREATE TABLE "my shop"."select" ("key" bigint PRIMARY KEY, "tenant id" uuid NOT NULL, "größe" text);
        CREATE INDEX ON "my shop"."select" ("tenant id", "key");
        INSERT INTO "my shop"."select" VALUES (1, '{T1}', 'xl')""",
        looks={
            "backfill": sees("""SELECT "it's ""new"" col" FROM "my shop"."select" """, ("xl",)),
            "back contract": sees('SELECT "größe" FROM "my shop"."select"', ("xl",)),
        },
    )


def test_rows_whose_tenant_nobody_lists_stop_the_migration(walk: Walk):
    story = walk(mig(USERS, CONTACT), f"{USERS_DDL.replace('uuid NOT NULL', 'uuid')}; {SEED}", looks=None)
    story.execute("INSERT INTO users (tenant_id, username, email) VALUES (NULL, 'nobody', 'n@x')")
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 1
    assert story.rows(
        "SELECT value FROM migdsl.event WHERE subject = 'tenants_unlisted:User' ORDER BY id DESC LIMIT 1"
    ) == [("1",)]
    story.execute("UPDATE users SET tenant_id = gen_random_uuid() WHERE tenant_id IS NULL")
    assert story.job("reconcile") == 1
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    with pytest.raises(CommandError, match="tenants_unlisted of User is 1, not 0"):
        story.upgrade("m_enforce")


# Over `note`, and with what it is for "n": each is its own inverse there, so that nothing is lost on the way back.
SPELLINGS = [
    "note -- a comment",
    "note || '' -- 'a'",
    "replace(note, ':tenant_id', ':skip :x ::y')",
    "replace(note, '100% %s %(x)s', '%')",
    r"replace(note, E'\\ \'', '\')",
    "replace(note, $$it's$$, $migdsl$ x $migdsl$ || '\"\"\"')",
    "CASE WHEN note = 'then; end' THEN 'x' ELSE note END",
    "replace(note, U&'\\00e9', 'é{{ x }}{}')",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_expressions_survive_files_drivers_and_templates(walk: Walk, spelling: str):
    """In the trigger, the backfill, the reconciliation, and what the downgrade of contract computes."""
    text = mig(
        "entity Thing in app.things { id bigint key; tenant_id uuid tenant; note text; index (tenant_id, id) }",
        change(
            f"add copy text {{ from `{spelling}`; back note = `{spelling.replace('note', 'copy')}` }}",
            "drop note after 30d",
            entity="Thing",
        ),
    )
    walk(
        text,
        f"""CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, note text NOT NULL);
        INSERT INTO things VALUES (1, '{T1}', 'n')""",
        looks={
            "backfill": sees("SELECT copy FROM things", ("n",)),
            "back contract": sees("SELECT note FROM things", ("n",)),
        },
    )


def test_columns_of_types_that_postgresql_can_not_hash(walk: Walk):
    entity = "entity Thing in app.things { id bigint key; tenant_id uuid tenant; note text; index (tenant_id, id) }"
    walk(
        mig(
            entity,
            change(
                "add price money { from `length(note)::text::money` }",
                "add words tsvector { from `to_tsvector('simple', note)` }",
                "add bits bit(3)[] { from `ARRAY[length(note)::bit(3)]` }",
                "add mask varbit(9) { from `length(note)::bit(3)::varbit` }",
                entity="Thing",
            ),
        ),
        f"""CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, note text NOT NULL);
        INSERT INTO things VALUES (1, '{T1}', 'n')""",
        looks={
            "enforce": sees("SELECT price::text, words::text, bits[1]::text FROM things", ("$1.00", "'n':1", "001"))
        },
    )
