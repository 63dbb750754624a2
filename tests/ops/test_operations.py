"""Every operation, compiled, through Alembic and the generated jobs and back again, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from alembic.util import CommandError

from migdsl.rehearsal.server import Server
from tests.ops.conftest import emptied
from tests.ops.story import NOTHING, Look, Story, compiled
from tests.ops.support import CONTACT, T1, T2, TENANTS, USERS, USERS_DDL, Connection, mig

Walk = Callable[..., Story]
TENANTS_DDL = f"""
CREATE TABLE tenants (id uuid PRIMARY KEY);
INSERT INTO tenants VALUES ('{T1}'), ('{T2}');
"""
SEED = f"""
INSERT INTO users (tenant_id, username, email)
SELECT '{T1}', 'u' || n, CASE WHEN n % 3 > 0 THEN 'e' || n || '@x' END FROM generate_series(1, 7) AS n"""


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with nothing in it, on PostgreSQL 18 unless a test asks for 16 too."""
    return emptied(request, getattr(request, "param", 18))


both_versions = pytest.mark.parametrize("url", [18, 16], indirect=True)


@pytest.fixture
def walk(request: pytest.FixtureRequest, url: str, connection: Connection, tmp_path: Path) -> Walk:
    """`walk(text, ddl, looks)`: the whole story of a migration, there and back."""
    server: Server = request.getfixturevalue("pg16" if connection.info.server_version < 170000 else "pg")

    def make(text: str, ddl: str = USERS_DDL + ";" + SEED, looks: Mapping[str, Look] | None = NOTHING) -> Story:
        connection.execute((TENANTS_DDL + ddl).encode())
        story = Story(server, url, tmp_path, connection, compiled(text, tmp_path))
        if looks is not None:
            story.there_and_back(looks)
        return story

    return make


def sees(query: str, *expected: tuple[object, ...]) -> Look:
    """A look that runs a query."""

    def look(story: Story) -> None:
        assert story.rows(query) == list(expected)

    return look


def column(name: str, table: str = "users") -> str:
    """Asks for a column: whether it may be NULL, and its default."""
    return f"SELECT is_nullable, column_default FROM information_schema.columns WHERE (table_name, column_name) = ('{table}', '{name}')"


def change(*operations: str, entity: str = "User") -> str:
    return f"change {entity} {{\n" + "\n".join(operations) + "\n}"


@both_versions
def test_the_example(walk: Walk):
    values = "SELECT id, email, contact_email FROM users ORDER BY id LIMIT 3"
    filled = [(1, "e1@x", "e1@x"), (2, "e2@x", "e2@x"), (3, None, "u3@example.com")]
    walk(
        mig(USERS, CONTACT),
        looks={
            "expand": sees(column("contact_email"), ("YES", None)),
            "backfill": sees(values, *filled),
            "enforce": sees(column("contact_email"), ("NO", None)),
            "contract": sees("SELECT count(*) FROM pg_constraint WHERE conname = 'users_tenant_id_contact_email_key'", (1,)),
            "back contract": sees(values, *filled[:2], (3, "u3@example.com", "u3@example.com")),
            "back expand": sees(column("contact_email")),
        },
    )


def test_add_a_nullable_column(walk: Walk):
    story = walk(mig(USERS, change("add note text?")), looks={"expand": sees(column("note"), ("YES", None))})
    assert story.revisions == ["m_expand"]


@pytest.mark.parametrize(
    ("added", "wanted"),
    [
        ("note text? default \"it's\"", ("YES", "'it''s'::text")),
        ("level integer default 3", ("NO", "3")),
        ("active bool default true", ("NO", "true")),
        ("since date default `date '2026-01-01'`", ("NO", "'2026-01-01'::date")),
    ],
)
def test_add_a_column_with_a_constant_default(walk: Walk, added: str, wanted: tuple[str, str]):
    name = added.split()[0]
    story = walk(mig(USERS, change(f"add {added}")), looks={"expand": sees(column(name), wanted)})
    assert story.revisions == ["m_expand"]


def test_add_a_column_that_is_computed_and_leads_nowhere_back(walk: Walk):
    walk(
        mig(USERS, change("add handle text { from `upper(username)` }")),
        looks={
            "backfill": sees("SELECT count(*) FROM users WHERE handle = upper(username)", (7,)),
            "enforce": sees(column("handle"), ("NO", None)),
            "contract": sees("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~migdsl%'", (0,)),
        },
    )


def test_the_default_of_a_filled_column_appears_in_contract_only(walk: Walk):
    silent = sees(column("handle"), ("YES", None))
    walk(
        mig(USERS, change("add handle text default `'none'` { from `lower(username)` }")),
        looks={
            "expand": silent,
            "backfill": silent,
            "enforce": sees(column("handle"), ("NO", None)),
            "contract": sees(column("handle"), ("NO", "'none'::text")),
            "back contract": sees(column("handle"), ("NO", None)),
        },
    )


@both_versions
def test_several_adds_and_a_drop_at_once(walk: Walk):
    text = mig(
        USERS,
        change(
            "add local text { from `split_part(coalesce(email, 'none@none'), '@', 1)` }",
            "add domain text? { from `split_part(email, '@', 2)`; back email = `local || '@' || domain` }",
            "add level integer default 1",
            "add note text?",
            "drop email after 30d",
        ),
    )
    walk(
        text,
        looks={
            "backfill": sees("SELECT id, local, domain, level FROM users ORDER BY id LIMIT 3", (1, "e1", "x", 1), (2, "e2", "x", 1), (3, "none", None, 1)),
            "back contract": sees("SELECT email FROM users ORDER BY id LIMIT 3", ("e1@x",), ("e2@x",), (None,)),
        },
    )


def test_require_with_from(walk: Walk):
    walk(
        mig(USERS, change("require email { from `coalesce(email, username || '@example.com')` }")),
        looks={
            "expand": sees(column("email"), ("YES", None)),
            "backfill": sees("SELECT count(*) FROM users WHERE email IS NULL", (0,)),
            "enforce": sees(column("email"), ("NO", None)),
        },
    )


def test_require_of_a_column_that_complies_already(walk: Walk):
    story = walk(
        mig(USERS, change('require email { complies because "the form demands it" }')),
        USERS_DDL + ";" + SEED.replace("CASE WHEN n % 3 > 0 THEN 'e' || n || '@x' END", "'e'"),
        looks={"validate": sees(column("email"), ("NO", None))},
    )
    assert story.revisions[-1] == "m_validate"


OPTIONAL_DDL = USERS_DDL.replace("email text", "email text NOT NULL") + f"; INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'a', 'a@x')"
OPTIONAL = USERS.replace("email      text?", "email      text")


@both_versions
def test_optional_with_a_way_back_refills_the_nulls(walk: Walk):
    def write(story: Story) -> None:
        assert story.rows(column("email")) == [("YES", None)]
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'n'), ('{T2}', 'm')")

    walk(
        mig(OPTIONAL, change("optional email { back `username || '@none'` }")),
        OPTIONAL_DDL,
        looks={
            "expand": write,
            "back expand": sees("SELECT username, email FROM users ORDER BY username", ("a", "a@x"), ("m", "m@none"), ("n", "n@none")),
        },
    )


def test_optional_without_a_way_back_says_so_and_refuses_where_nulls_were_written(walk: Walk):
    story = walk(mig(OPTIONAL, change("optional email")), OPTIONAL_DDL)
    story.upgrade()
    story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'n')")
    with pytest.raises(CommandError, match="is violated by some row"):
        story.downgrade()
    story.execute("UPDATE users SET email = 'n@x' WHERE email IS NULL")
    story.downgrade()
    assert story.rows(column("email")) == [("NO", None)]


@both_versions
def test_drop_a_required_column_that_has_its_own_way_back(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T2}', 'new')")
        assert story.rows("SELECT email FROM users WHERE username = 'new'") == [("new@x",)]

    walk(
        mig(OPTIONAL, change("drop email after 30d { back `username || '@x'` }")),
        OPTIONAL_DDL,
        looks={
            "expand": write,
            "contract": sees(column("email")),
            "back contract": sees("SELECT email FROM users ORDER BY username", ("a@x",), ("new@x",)),
        },
    )


def test_drop_without_a_way_back(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T2}', 'new')")
        assert story.rows("SELECT email FROM users WHERE username = 'new'") == [(None,)]

    story = walk(
        mig(OPTIONAL, change('drop email after 30d irreversible because "unread since 2023"')), OPTIONAL_DDL, looks=None
    )
    before = story.dump()
    story.upgrade("m_expand")
    write(story)
    expanded = story.dump()
    story.stage("live")
    story.stage("complete")
    story.upgrade("m_contract")
    assert story.rows(column("email")) == []
    story.downgrade()
    # The column comes back as it was in expand, and empty: nothing knows its values.
    assert story.dump() == expanded
    assert story.rows("SELECT DISTINCT email FROM users") == [(None,)]
    story.execute("UPDATE users SET email = 'x'")
    story.downgrade()
    assert story.dump() == before


# ------------------------------------------------------------------------------------------------ tables of other shapes

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
            "expand": sees("SELECT indisvalid FROM pg_index WHERE indexrelid = 'm_things_batch_idx'::regclass", (True,)),
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
        f"{USERS_DDL}; {SEED}; CREATE TABLE countries (code text PRIMARY KEY, title text NOT NULL); INSERT INTO countries VALUES ('de', 'Germany')",
        looks={
            "backfill": sees("SELECT (SELECT count(*) FROM users WHERE contact_email IS NULL), name FROM countries", (0, "Germany")),
            "back contract": sees("SELECT title FROM countries", ("Germany",)),
        },
    )


def test_an_entity_in_another_schema_with_names_that_need_quotes(walk: Walk):
    text = mig(
        """entity Row in app."my shop"."select" { "key" bigint key; "tenant id" uuid tenant; "größe" text?; index ("tenant id", "key") }""",
        change("""add "it's ""new"" col" text? { from `"größe"`; back "größe" = `"it's ""new"" col"` }""", 'drop "größe" after 30d', entity="Row"),
        tenants='tenants { key "tenant id" uuid; list `SELECT id FROM public.tenants ORDER BY id` }',
    )
    walk(
        text,
        f"""CREATE SCHEMA "my shop"; CREATE TABLE "my shop"."select" ("key" bigint PRIMARY KEY, "tenant id" uuid NOT NULL, "größe" text);
        CREATE INDEX ON "my shop"."select" ("tenant id", "key"); INSERT INTO "my shop"."select" VALUES (1, '{T1}', 'xl')""",
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
    assert story.rows("SELECT value FROM migdsl.event WHERE subject = 'tenants_unlisted:User' ORDER BY id DESC LIMIT 1") == [("1",)]
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
        looks={"backfill": sees("SELECT copy FROM things", ("n",)), "back contract": sees("SELECT note FROM things", ("n",))},
    )
