"""PostgreSQL's own subscribers of what a migration changes: expand refuses, says what they need, and with that they go on."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from alembic.util import CommandError

from migdsl.introspect.connect import address, asking
from migdsl.introspect.refusals import refusals
from migdsl.rehearsal.server import Server, start_server
from migdsl.workspace import check
from tests.ops.story import Story, compiled
from tests.ops.support import (
    CONTACT,
    T1,
    USERS,
    USERS_DDL,
    Connection,
    Migration,
    all_rows,
    ledger,
    lowered,
    mig,
    one,
)

TEXT = mig(USERS, CONTACT)
SEED = f"INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'bob', 'b@x')"
RETYPE = mig(USERS.replace("bigint   key", "integer  key"), "change User { retype id bigint }")
INTEGER = USERS_DDL.replace("id bigint", "id integer")
LACK = "ALTER TABLE public.users ADD COLUMN IF NOT EXISTS contact_email text"


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "30"}
    settings |= {"wal_retrieve_retry_interval": "100ms"}
    with start_server(tmp_path_factory.mktemp("logical"), settings=settings) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Both:
    """The database that is migrated, and the one that subscribes to its tables."""

    server: Server
    url: str
    here: Connection
    there: Connection

    def subscribe(self, publication: str, slot: str = "reader") -> None:
        """`publication` is what stands behind CREATE PUBLICATION."""
        name = publication.split(maxsplit=1)[0]
        self.here.execute(f"CREATE PUBLICATION {publication}".encode())
        self.here.execute(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')".encode())
        way = f"(create_slot = false, slot_name = '{slot}', copy_data = false)"
        self.there.execute(f"CREATE SUBSCRIPTION s CONNECTION '{self.url}' PUBLICATION {name} WITH {way}".encode())
        wait_for(lambda: one(self.here, f"SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'")[0])

    def expanding(self, text: str = TEXT, phase: str = "expand") -> Migration:
        migration = Migration(self.here, lowered(text))
        if phase == "expand":
            ledger(self.here)
        migration.up(phase)
        return migration

    def refused(self, text: str = TEXT, phase: str = "expand") -> tuple[str, str]:
        """What a phase says, before it has written a row."""
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
            self.expanding(text, phase)
        return raised.value.diag.message_primary or "", raised.value.diag.message_hint or ""

    def written(self, query: str, expected: object) -> None:
        """Waits until the subscriber has it."""
        wait_for(lambda: all_rows(self.there, query) == expected)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def both(logical: Server) -> Iterator[Both]:
    with made(logical, f"{USERS_DDL};{SEED}") as found:
        yield found


@contextmanager
def made(server: Server, ddl: str) -> Iterator[Both]:
    names = [f"migdsl_{uuid.uuid4().hex}" for _ in range(2)]
    urls = [server.create_database(name) for name in names]
    try:
        with psycopg.connect(urls[0], autocommit=True) as here, psycopg.connect(urls[1], autocommit=True) as there:
            for connection in (here, there):
                connection.execute(ddl.encode())
            yield Both(server, urls[0], here, there)
            if all_rows(there, "SELECT FROM pg_subscription WHERE subname = 's'"):
                there.execute("ALTER SUBSCRIPTION s DISABLE")
                there.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
                there.execute("DROP SUBSCRIPTION s")
            slots = "FROM pg_replication_slots WHERE database = current_database()"
            wait_for(lambda: not all_rows(here, f"SELECT {slots} AND active"))
            here.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}".encode())
    finally:
        for name in names:
            server.drop_database(name)


def test_a_subscriber_that_lacks_a_column_keeps_expand_from_it(both: Both):
    both.subscribe("warehouse FOR TABLE users")
    message, hint = both.refused()
    assert message == (
        "native subscribers of publication warehouse (slot reader) would stand still: they lack what expand changes"
    )
    assert hint == (
        f"first, where they are: {LACK}. Then say that they are ready, for this run: "
        "PGOPTIONS='-c migdsl.subscribers=ready' before the command"
    )
    assert all_rows(both.here, "SELECT FROM migdsl.event") == []
    both.there.execute(LACK.encode())
    both.here.execute("SET migdsl.subscribers = 'ready'")
    both.expanding()
    both.here.execute("UPDATE users SET contact_email = 'c@x'")
    both.written("SELECT email, contact_email FROM users", [("c@x", "c@x")])


def test_where_all_tables_are_published_the_ledger_is_too(both: Both):
    both.subscribe("everything FOR ALL TABLES")
    text = mig(USERS, "change User { index (username) }")
    _, hint = both.refused(text)
    assert "alembic_version" in hint
    assert "pg_dump --schema-only --schema=migdsl" in hint
    assert all_rows(both.here, "SELECT FROM migdsl.event") == []
    tool = both.server.bin / "pg_dump"
    dumped = subprocess.run(
        [tool, "--schema-only", "--schema=migdsl", both.url], capture_output=True, text=True, check=True
    )
    both.there.execute(re.sub(r"(?m)^(\\|SET ).*$", "", dumped.stdout).encode())
    both.there.execute("SET search_path = public")
    both.here.execute("SET migdsl.subscribers = 'ready'")
    both.expanding(text)
    both.here.execute("UPDATE users SET email = 'c@x'")
    both.written("SELECT email FROM users", [("c@x",)])


def test_a_schema_that_is_published_has_the_tables_to_come(both: Both):
    if both.here.info.server_version < 15_00_00:
        pytest.skip("schemas are published from PostgreSQL 15 on")
    both.subscribe("everything FOR TABLES IN SCHEMA public")
    note = 'create Note in app.notes { id bigint key; tenant_id uuid tenant; mood enum mood("sad", "ok") }'
    _, hint = both.refused(mig(USERS, note))
    assert hint.startswith(
        "first, where they are: CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE IF NOT EXISTS public.notes "
        "(id bigint, tenant_id uuid, mood mood, PRIMARY KEY (id)); CREATE TABLE IF NOT EXISTS alembic_version "
    )
    assert "migdsl --schema" not in hint
    elsewhere = note.replace("app.notes", "app.apart.notes")
    both.here.execute("CREATE SCHEMA apart")
    _, hint = both.refused(mig(USERS, elsewhere))
    assert hint.startswith("first, where they are: CREATE TABLE IF NOT EXISTS alembic_version ")


@pytest.mark.parametrize(
    ("operation", "lack"),
    [
        ('drop username irreversible because "unread"', "ALTER TABLE public.users ALTER COLUMN username DROP NOT NULL"),
        ("optional username", "ALTER TABLE public.users ALTER COLUMN username DROP NOT NULL"),
        (
            "rename table to people",
            "ALTER TABLE public.users RENAME TO people, but when it stands still for want of people",
        ),
        ('add mood enum mood("sad", "ok")?', "CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TABLE public.users ADD"),
    ],
)
def test_what_else_a_subscriber_can_not_apply(both: Both, operation: str, lack: str):
    both.here.execute("CREATE PUBLICATION warehouse FOR TABLE users")
    both.here.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
    users = USERS.replace("  unique (tenant_id, username)\n", "") if "username" in operation else USERS
    assert f"first, where they are: {lack}" in both.refused(mig(users, f"change User {{ {operation} }}"))[1]


@pytest.mark.parametrize(
    ("column", "operation", "phase", "lack"),
    [
        (
            "varchar(20)",
            "retype username varchar(40)",
            "expand",
            "ALTER TABLE public.users ALTER COLUMN username TYPE character varying(40)",
        ),
        ('enum mood("sad")', 'enum username add "ok"', "expand", "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok'"),
        ("text", "key (tenant_id, id)", "cutover", "the same key of public.users, but when it stands still"),
    ],
)
def test_types_and_keys_that_change(both: Both, column: str, operation: str, phase: str, lack: str):
    both.here.execute("CREATE PUBLICATION warehouse FOR TABLE users")
    both.here.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
    users = USERS.replace("username   text", f"username   {column}").replace("  unique (tenant_id, username)\n", "")
    assert f"first, where they are: {lack}" in both.refused(mig(users, f"change User {{ {operation} }}"), phase)[1]


def test_a_swap_is_asked_for_again(logical: Server):
    with made(logical, f"{INTEGER};{SEED}") as both:
        both.subscribe("warehouse FOR TABLE users")
        assert "ADD COLUMN IF NOT EXISTS id_migdsl_new bigint. " in both.refused(RETYPE)[1]
        both.there.execute("ALTER TABLE users ADD COLUMN id_migdsl_new bigint")
        both.here.execute("SET migdsl.subscribers = 'ready'")
        migration = both.expanding(RETYPE)
        migration.backfill()
        migration.up("validate")
        both.here.execute("RESET migdsl.subscribers")
        _, hint = both.refused(RETYPE, "cutover")
        lack = "ALTER TABLE public.users ADD COLUMN IF NOT EXISTS id_migdsl_old integer, ALTER COLUMN id TYPE bigint"
        assert f"first, where they are: {lack}. Then" in hint
        both.there.execute(lack.encode())
        both.here.execute("SET migdsl.subscribers = 'ready'")
        migration.up("cutover")
        both.here.execute(
            SEED.replace("'bob'", "'eve'").replace("(tenant_id", "(id, tenant_id").replace("('", "(5000000000, '")
        )
        both.written("SELECT id FROM users WHERE username = 'eve'", [(5_000_000_000,)])


@pytest.mark.parametrize(
    ("publication", "slot"),
    [
        ("warehouse FOR TABLE users", ""),
        ("", "reader"),
        ("migdsl_other_stream FOR TABLE users", "reader"),
        ("warehouse FOR TABLE users", "migdsl_other_stream"),
        ("warehouse FOR TABLE users (id, tenant_id, username)", "reader"),
        ("warehouse FOR TABLE lists", "reader"),
    ],
)
def test_whoever_is_not_concerned_is_not_refused(both: Both, publication: str, slot: str):
    if "(" in publication and both.here.info.server_version < 15_00_00:
        pytest.skip("column lists are known from PostgreSQL 15 on")
    both.here.execute("CREATE TABLE lists (id bigint PRIMARY KEY)")
    if publication:
        both.here.execute(f"CREATE PUBLICATION {publication}".encode())
    if slot:
        both.here.execute(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')".encode())
    both.expanding(mig(USERS, "change User { add nick text? }"))


def test_debezium_copes_with_columns_as_they_come(both: Both):
    both.here.execute("CREATE PUBLICATION warehouse FOR TABLE users")
    both.here.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
    both.refused()
    with reading(both.server, both.url, "Debezium Streaming"):
        wait_for(lambda: one(both.here, "SELECT active FROM pg_replication_slots WHERE slot_name = 'reader'")[0])
        both.expanding()


@contextmanager
def reading(server: Server, url: str, name: str) -> Iterator[None]:
    """Somebody who reads a slot, as PostgreSQL's own program does it."""
    command = [str(server.bin / "pg_recvlogical"), "--slot=reader", "--start", "--file=-", f"--dbname={url}"]
    command += ["-o", "proto_version=1", "-o", "publication_names=warehouse"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PGAPPNAME": name})
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_what_one_says_reaches_the_revision(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    both.subscribe("warehouse FOR TABLE users")
    story = Story(both.server, both.url, tmp_path, both.here, compiled(TEXT, tmp_path))
    with pytest.raises(CommandError, match="would stand still") as raised:
        story.upgrade(story.revisions[0])
    assert LACK in str(raised.value)
    ((name, said),) = re.findall(r"(PGOPTIONS)='([^']*)'", str(raised.value))
    both.there.execute(LACK.encode())
    monkeypatch.setenv(name, said)
    story.upgrade(story.revisions[0])
    both.here.execute("UPDATE users SET contact_email = 'c@x'")
    both.written("SELECT email, contact_email FROM users", [("c@x", "c@x")])


def test_it_is_told_beforehand(both: Both):
    both.subscribe("warehouse FOR TABLE users")
    found = check({"m.mig": TEXT}, "m.mig")
    assert found.module is not None
    with asking(address(both.url)) as session:
        (told,) = refusals(found.module, found.module.databases[0], session)
    assert told.title.startswith("expand would refuse: native subscribers of publication warehouse (slot reader) ")
    assert told.help is not None
    assert LACK in told.help


def test_it_comes_before_all_that_writes():
    for phase in ("expand", "cutover"):
        steps = lowered(RETYPE).phase(phase)
        asks = [n for n, step in enumerate(steps) if "native subscribers" in step.title]
        writes = [n for n, step in enumerate(steps) for part in step.up if "INSERT INTO migdsl." in str(part)]
        assert asks
        assert asks[0] < min(writes, default=99)
