"""The traps seen in the field: each has a test, here or where `traps.TRAPS` says."""

from __future__ import annotations

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.util import CommandError
from psycopg.conninfo import make_conninfo

from migdsl.ops.stream_slot import COLUMN_LISTS
from tests.conftest import ENGINE
from tests.ops.story import SEED, Story, Walk, both_versions, change, column, sees
from tests.ops.support import CONTACT, T1, T2, USERS, USERS_DDL, checked, codes, mig
from tests.ops.test_constraints import DDL as MEMBERS_DDL
from tests.ops.test_constraints import ENTITIES
from tests.ops.traps import TRAPS

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_has_a_test(trap: str):
    for wanted in TRAPS[trap]:
        path, name = wanted.split("::")
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, wanted


# ------------------------------------------------------------------------------------------------------------- names


@both_versions
@pytest.mark.parametrize(
    ("old", "new"), [("name", "name_full"), ("name_full", "name"), ("name", "nam"), ("name", "Name")]
)
def test_a_rename_to_a_name_that_is_part_of_another(walk: Walk, old: str, new: str):
    """Beside columns, constraints and an index whose names and expressions hold the same letters."""
    kept = "rename_name_full_names"
    text = mig(
        f"""entity Thing in app.things {{
          id bigint key; tenant_id uuid tenant; "{old}" text; {kept} text?; names text?
          unique (tenant_id, "{old}") as name_uq
          index (tenant_id, id)
          index (tenant_id, lower("{old}"), names) as "{old}_ix"
          check `"{old}" <> '{old}' OR {kept} = 'name' OR names IS NULL` as "names_{old}"
        }}""",
        change(f'rename "{old}" to "{new}" after 30d', entity="Thing"),
    )
    ddl = f"""CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, "{old}" text NOT NULL, {kept} text, names text,
      CONSTRAINT name_uq UNIQUE (tenant_id, "{old}"),
      CONSTRAINT "names_{old}" CHECK ("{old}" <> '{old}' OR {kept} = 'name' OR names IS NULL));
    CREATE INDEX ON things (tenant_id, id);
    CREATE INDEX "{old}_ix" ON things (tenant_id, lower("{old}"), names);
    INSERT INTO things VALUES (1, '{T1}', 'name', 'name', 'names')"""
    walk(
        text,
        ddl,
        {
            "contract": sees(f'SELECT "{new}", {kept}, names FROM things', ("name", "name", "names")),
            "back expand": sees(f'SELECT "{old}", {kept}, names FROM things', ("name", "name", "names")),
        },
    )


HOSTILE = ("select", "a\"b'c", "Grüße %s {x}", "名前 -- /*", "x" * 63)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_is_hostile(walk: Walk, name: str):
    """Of the table, a column, a constraint, an index, the tenants' column, an enum's type and label, and the new table."""
    q = '"' + name.replace('"', '""') + '"'
    said = '"' + name.replace('"', '\\"') + '"'
    sql = "'" + name.replace("'", "''") + "'"
    short = name[:20]
    column_ = '"' + short.replace('"', '""') + '_2"'
    text = mig(
        f"""entity Thing in app.{q} {{
          {q} bigint key; "t id" uuid tenant; {column_} text; feels enum "m {short.replace('"', '""')}"({said}) default {said}
          index ("t id", {q})
        }}""",
        f"""change Thing {{
          rename {column_} to "to {short.replace('"', '""')}" after 30d
          unique ("t id", feels) as "u {short.replace('"', '""')}"
          index (feels) as "i {short.replace('"', '""')}"
          check `{q} > 0` as "c {short.replace('"', '""')}"
          enum feels add {said[:-1][:40]}!" after {said}
          comment feels {said}
        }}""",
        f"""create Other in app."o {short.replace('"', '""')}" {{
          {q} bigint key; "t id" uuid tenant; note text default {said}
        }}""",
        tenants='tenants { key "t id" uuid; list `SELECT id FROM tenants ORDER BY id` }',
    )
    type_ = f'"m {short.replace(chr(34), chr(34) * 2)}"'
    ddl = f"""CREATE TYPE {type_} AS ENUM ({sql});
    CREATE TABLE {q} ({q} bigint PRIMARY KEY, "t id" uuid NOT NULL, {column_} text NOT NULL,
                      feels {type_} NOT NULL DEFAULT {sql});
    CREATE INDEX ON {q} ("t id", {q});
    INSERT INTO {q} VALUES (1, '{T1}', 'v')"""
    walk(text, ddl, {"back expand": sees(f"SELECT {q}, {column_} FROM {q}", (1, "v"))})


# --------------------------------------------------------------------------------------------------- tenants and keys


@pytest.mark.parametrize("tenants", [(), (T1,), (T1, T2)], ids=["none", "one", "one of two without rows"])
def test_tenants_of_all_sizes(walk: Walk, tenants: tuple[str, ...]):
    rows = "SELECT count(*) FROM users WHERE contact_email IS NOT NULL"
    story = walk(mig(USERS, CONTACT), USERS_DDL, looks=None)
    story.execute("TRUNCATE tenants")
    for tenant in tenants:
        story.execute(f"INSERT INTO tenants VALUES ('{tenant}')")
    if tenants:
        story.execute(SEED)
    story.there_and_back({"backfill": sees(rows, (7 if tenants else 0,))})


def test_without_a_key_there_is_a_way_out():
    text = mig(
        USERS.replace("bigint   key", "bigint"),
        change("add note text { from `username`; back username = `note` }"),
    )
    assert codes(text) == ["MIG108"]
    assert "key" in checked(text)[1][0]


# ------------------------------------------------------------------------------------------ what stands on the table

STAMP = """;
ALTER TABLE users ADD COLUMN updated_at timestamptz;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER "a stamp" BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp()"""


def test_a_trigger_that_stamps_rows_goes_on_stamping(walk: Walk):
    """The backfill stamps them too, once; it is there in the end as it was."""
    stamped = "SELECT count(*) FROM users WHERE updated_at IS NOT NULL"
    walk(
        mig(USERS, CONTACT),
        f"{USERS_DDL};{SEED}{STAMP}",
        {"expand": sees(stamped, (0,)), "backfill": sees(stamped, (7,))},
    )


def test_a_row_filter_stops_a_revision_that_fills(walk: Walk, request: pytest.FixtureRequest):
    """A policy that hides rows would leave them NULL: the way back fails instead, and goes on once it may see all."""
    role = "filtered_owner"
    ddl = f"""{USERS_DDL.replace('email text', 'email text NOT NULL')};
    INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'a', 'a@x');
    DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    ALTER ROLE {role} NOBYPASSRLS;
    ALTER TABLE users OWNER TO {role}; ALTER TABLE tenants OWNER TO {role}; ALTER SCHEMA public OWNER TO {role};
    DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$"""
    text = mig(USERS.replace("text?    pii", "text     pii"), change("optional email { back `username || '@none'` }"))
    story = walk(text, ddl, looks=None)
    request.addfinalizer(lambda: story.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
    mine = Story(story.server, make_conninfo_url(story.url, role), story.folder, story.connection, story.name)
    mine.upgrade()
    story.execute(f"INSERT INTO users (tenant_id, username) SELECT '{T1}', 'n' || n FROM generate_series(1, 4) AS n")
    story.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY")
    story.execute("CREATE POLICY odd ON users USING (id % 2 = 1)")
    with pytest.raises(CommandError, match="row-level security"):
        mine.downgrade()
    assert story.rows("SELECT count(*) FROM users WHERE email IS NULL") == [(4,)]
    story.execute("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
    mine.downgrade()
    assert story.rows("SELECT count(*) FROM users WHERE email IS NULL") == [(0,)]
    assert story.rows(column("email")) == [("NO", None)]


def make_conninfo_url(url: str, role: str) -> str:
    """The same database for another role, as a URL, since Alembic wants one."""
    found = psycopg.conninfo.conninfo_to_dict(make_conninfo(url, user=role))
    return f"postgresql://{role}@/{found['dbname']}?host={found['host']}&port={found.get('port', 5432)}"


PARTITIONED = (
    MEMBERS_DDL.split("CREATE TABLE members")[0]
    + """CREATE TABLE members (id bigint, tenant_id uuid NOT NULL, org_id bigint, nick text NOT NULL, age int, PRIMARY KEY (id))
    PARTITION BY HASH (id);
    CREATE TABLE members_0 PARTITION OF members FOR VALUES WITH (MODULUS 1, REMAINDER 0)"""
)


@pytest.mark.parametrize(
    "operation",
    [
        "add note text?",
        'drop age irreversible because "unread"',
        "rename nick to name",
        "require age { from `0` }",
        "optional nick",
        "retype age bigint",
        "default age 1",
        "unique (tenant_id, nick)",
        "index (nick)",
        "check `age > 0` as old_enough",
        "org_id -> Org.id",
        "rename table to people",
        "replica identity full",
        "key (id, tenant_id)",
    ],
)
def test_partitioned_tables_are_refused_by_every_operation(walk: Walk, operation: str):
    story = walk(mig(ENTITIES, change(operation, entity="Member")), PARTITIONED, looks=None)
    before = story.dump()
    with pytest.raises(CommandError, match=r"members is (partitioned|inherited), which"):
        story.upgrade("m_expand")
    assert story.dump() == before


@both_versions
@pytest.mark.parametrize(
    ("kind", "publication", "was"),
    [
        ("default", f"TABLE members WHERE (tenant_id = '{T1}')", "FULL"),
        ("nothing", f"TABLE members WHERE (tenant_id = '{T1}')", "FULL"),
        ("nothing", "TABLE members", "DEFAULT"),
        ("nothing", "ALL TABLES", "DEFAULT"),
        ("full", "TABLE members (id, tenant_id)", "DEFAULT"),
    ],
)
def test_a_replica_identity_that_a_publication_could_not_live_with(walk: Walk, kind: str, publication: str, was: str):
    """Every UPDATE on the table would fail from then on: refused before."""
    if ENGINE < COLUMN_LISTS and "(" in publication:
        return  # whole rows of whole tables are all that it publishes
    ddl = f"{MEMBERS_DDL}; ALTER TABLE members REPLICA IDENTITY {was}; CREATE PUBLICATION told FOR {publication}"
    story = walk(mig(ENTITIES, change(f"replica identity {kind}", entity="Member")), ddl, looks=None)
    try:
        before = story.dump()
        with pytest.raises(CommandError, match="publication told"):
            story.upgrade("m_expand")
        assert story.dump() == before
        story.execute("UPDATE members SET age = 1")
        story.execute("ALTER PUBLICATION told SET (publish = 'insert')")
        story.upgrade("m_expand")
        story.execute("UPDATE members SET age = 1")
        story.downgrade()
        assert story.rows(
            "SELECT relreplident = %s FROM pg_class WHERE relname = 'members'".replace("%s", f"'{was[0].lower()}'")
        ) == [(True,)]
    finally:
        story.execute("DROP PUBLICATION told")


# ------------------------------------------------------------------------------------------------- while it happens


def eventually(story: Story, query: str) -> None:
    """Waits until a query finds a row."""
    until = time.monotonic() + 30
    while not story.rows(query):
        assert time.monotonic() < until, query
        time.sleep(0.01)


WAITS = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'migdsl %' AND wait_event_type = 'Lock'"


def test_a_bound_on_transactions_ends_no_step(walk: Walk):
    """From 17 on `transaction_timeout` of a role or a database ends the session, however long an index may take."""
    story = walk(mig(ENTITIES, change("index (nick) as by_nick", entity="Member")), MEMBERS_DDL, looks=None)
    if story.connection.info.server_version < 170000:
        return
    bounded = f"ALTER DATABASE {story.connection.info.dbname}"
    with psycopg.connect(story.url) as other, ThreadPoolExecutor() as pool:
        other.execute("UPDATE members SET age = 1")
        story.execute(f"{bounded} SET transaction_timeout = '1s'")
        try:
            done = pool.submit(story.upgrade, "m_expand")
            while not (done.done() or story.rows(LONGER)):
                time.sleep(0.05)
            other.rollback()
            done.result()
        finally:
            story.execute(f"{bounded} RESET transaction_timeout")
    assert story.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_nick'::regclass") == [(True,)]


LONGER = """
SELECT FROM pg_stat_activity
 WHERE query LIKE '%CREATE INDEX %' AND query_start < now() - interval '1.2 s' AND wait_event_type = 'Lock'"""


@both_versions
def test_rows_that_come_move_and_go_while_the_backfill_waits(walk: Walk):
    """It has planned both tenants, and waits for a lock in the first one's rows."""
    more = SEED.replace(f"'{T1}'", f"'{T2}'").replace("'u' || n", "'v' || n")
    story = walk(mig(USERS, CONTACT), f"{USERS_DDL};{SEED};{more}", looks=None)
    before = story.dump()
    story.upgrade("m_expand")
    done: list[int] = []
    with psycopg.connect(story.url) as holder:
        holder.execute("SELECT FROM users WHERE id = 4 FOR UPDATE")
        job = threading.Thread(target=lambda: done.append(story.job("backfills")))
        job.start()
        eventually(story, WAITS)
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'late'), ('{T2}', 'late')")
        story.execute(f"UPDATE users SET tenant_id = '{T1}' WHERE id IN (8, 14)")
        story.execute(f"UPDATE users SET tenant_id = '{T2}', username = username || '.' WHERE id IN (1, 7)")
        story.execute("UPDATE users SET id = id + 1000, username = username || '!' WHERE id IN (2, 9)")
        story.execute("DELETE FROM users WHERE id IN (5, 12, 13)")
        holder.rollback()
        job.join()
    assert done == [0]
    assert (
        story.rows(
            "SELECT id FROM users WHERE contact_email IS DISTINCT FROM coalesce(email, username || '@example.com')"
        )
        == []
    )
    assert story.rows("SELECT count(*) FROM users") == [(13,)]
    assert story.job("reconcile") == 0
    story.downgrade()
    assert story.dump() == before


@both_versions
def test_a_lock_that_is_never_let_go_of(walk: Walk):
    """Revision and job give up, say why, have changed nothing, and can be run again."""
    patience = "backfill User { retry 2 backoff 100ms..200ms }"
    story = walk(mig(USERS, CONTACT, patience), f"{USERS_DDL};{SEED}", looks=None)
    path = story.folder / "migrations" / "versions" / "m_expand.py"
    text = path.read_text(encoding="utf-8")
    hurried = text.replace("interval '10 seconds'", "interval '0.3 seconds'").replace("range(50)", "range(2)")
    hurried = hurried.replace("attempt == 49", "attempt == 1")
    assert hurried.count("range(2)") == hurried.count("attempt == 1\n") + hurried.count("attempt == 1:") == 1
    path.write_text(hurried, encoding="utf-8")
    before = story.dump()
    with psycopg.connect(story.url) as holder:
        holder.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        with pytest.raises(CommandError, match="m_expand: canceling statement due to lock timeout"):
            story.upgrade("m_expand")
        # The ledger is there, as it is before anything else; the table is as it was.
        assert story.rows(column("contact_email")) == []
    path.write_text(text, encoding="utf-8")
    story.upgrade("m_expand")
    with psycopg.connect(story.url) as holder:
        holder.execute("SELECT FROM users WHERE id = 4 FOR UPDATE")
        assert story.job("backfills") in (1, 3)
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 0
    story.downgrade()
    assert story.dump() == before


@both_versions
def test_a_null_is_a_value_once_the_row_is_filled(walk: Walk):
    """Before, it can't be told from silence: the column of new code is still NULL, and the trigger fills it."""
    text = mig(USERS, change("add note text? { from `email`; back email = `note` }", "drop email after 30d"))
    story = walk(text, f"{USERS_DDL};{SEED}", looks=None)
    both = "SELECT email, note FROM users WHERE id = 1"
    story.upgrade("m_expand")
    story.execute("UPDATE users SET note = NULL WHERE id = 1")
    assert story.rows(both) == [("e1@x", "e1@x")]
    for statement in ("UPDATE users SET note = NULL WHERE id = 1", "UPDATE users SET email = NULL WHERE id = 1"):
        story.execute("UPDATE users SET email = 'e1@x' WHERE id = 1")
        assert story.rows(both) == [("e1@x", "e1@x")]
        story.execute(statement)
        assert story.rows(both) == [(None, None)]
    story.execute(f"INSERT INTO users (id, tenant_id, username, email, note) VALUES (100, '{T1}', 'x', NULL, 'n')")
    assert story.rows("SELECT email, note FROM users WHERE id = 100") == [("n", "n")]


PREPARED = """
PREPARE listed AS SELECT id, username FROM users WHERE tenant_id = $1;
PREPARE star AS SELECT * FROM users WHERE tenant_id = $1;
PREPARE saved (uuid, text) AS INSERT INTO users (tenant_id, username) VALUES ($1, $2) RETURNING id;
PREPARE returned (uuid, text) AS INSERT INTO users (tenant_id, username) VALUES ($1, $2) RETURNING *;
PREPARE renamed (bigint, text) AS UPDATE users SET username = $2 WHERE id = $1"""


@both_versions
def test_prepared_statements_that_list_their_columns_survive(walk: Walk):
    """A pool's connections, prepared before: what names its columns goes on in every phase, `*` fails as the plan says."""
    text = mig(USERS, change("add note text? { from `email`; back email = `note` }", "drop email after 30d"))
    story = walk(text, f"{USERS_DDL};{SEED}", looks=None)

    def check(pool: psycopg.Connection, name: str) -> None:
        assert pool.execute(f"EXECUTE listed ('{T1}')").fetchall()
        assert pool.execute(f"EXECUTE saved ('{T1}', '{name}')").fetchall()
        pool.execute(f"EXECUTE renamed (1, 'first {name}')")
        for star in (f"EXECUTE star ('{T1}')", f"EXECUTE returned ('{T1}', 'r {name}')"):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="cached plan must not change result type"):
                pool.execute(star)

    with psycopg.connect(story.url, autocommit=True) as pool:
        pool.execute(PREPARED)
        pool.execute(f"EXECUTE star ('{T1}')")
        story.upgrade("m_expand")
        check(pool, "expanded")
        assert story.job("backfills") == 0
        story.stage("live")
        story.stage("complete")
        story.upgrade("m_contract")
        check(pool, "contracted")
    runbook = next((story.folder / "docs").rglob("m.md")).read_text(encoding="utf-8")
    assert "xplicit column lists for public.users, or pools reconnect" in runbook
