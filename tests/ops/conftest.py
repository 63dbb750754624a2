"""Gives each test a database on PostgreSQL 18 and on 16, the versions that are always at hand, or on the one that was chosen."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from migdsl.rehearsal.server import Server, start_server
from tests.conftest import MAJORS
from tests.ops.story import NOTHING, SEED, TENANTS_DDL, Look, Story, Walk, compiled
from tests.ops.support import CONTACT, USERS, USERS_DDL, Connection, Migration, ledger, lowered, mig

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "60"}


@pytest.fixture(scope="session")
def pg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of PostgreSQL 16, beside the default one."""
    assert 16 in MAJORS
    with start_server(tmp_path_factory.mktemp("pg16"), version=16, settings=_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def common(pg: Server) -> Iterator[str]:
    """One database for all tests here, since making one takes longer than most of them."""
    yield from _database(pg)


@pytest.fixture(scope="session")
def common16(pg16: Server) -> Iterator[str]:
    """The same on PostgreSQL 16."""
    yield from _database(pg16)


def _database(server: Server) -> Iterator[str]:
    name = f"migdsl_test_{uuid.uuid4().hex}"
    try:
        yield server.create_database(name)
    finally:
        server.drop_database(name)


@pytest.fixture(params=MAJORS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with nothing in it, on each version in turn."""
    return emptied(request, request.param)


def emptied(request: pytest.FixtureRequest, version: int) -> str:
    """The session's database on that version, after everything in it was dropped."""
    found: str = request.getfixturevalue("common" if version == MAJORS[0] else "common16")
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(_WIPE)
    return found


def serving(request: pytest.FixtureRequest, version: int) -> Server:
    """The session's server of that version."""
    found: Server = request.getfixturevalue("pg" if version == MAJORS[0] else "pg16")
    return found


_WIPE = """
DO $$
DECLARE
  left_over text;
BEGIN
  FOR left_over IN SELECT pubname FROM pg_publication LOOP
    EXECUTE format('DROP PUBLICATION %I', left_over);
  END LOOP;
  FOR left_over IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', left_over);
  END LOOP;
  CREATE SCHEMA public;
END $$"""


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """An autocommit connection to the empty database."""
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=warning") as found:
        yield found


@pytest.fixture
def expanded(connection: Connection) -> Callable[..., Migration]:
    """`expanded(text, ddl)`: tables made by `ddl`, then the migration's expand phase on them."""

    def make(text: str, ddl: str = USERS_DDL) -> Migration:
        migration = Migration(connection, lowered(text))
        if ddl:
            connection.execute(ddl.encode())
        ledger(connection)
        migration.up("expand")
        return migration

    return make


@pytest.fixture
def users(expanded: Callable[..., Migration]) -> Migration:
    """The example, expanded."""
    return expanded(mig(USERS, CONTACT))


@pytest.fixture
def version() -> int:
    """Stories are long: the default version alone, unless a test asks for others."""
    return MAJORS[0]


@pytest.fixture
def walk(request: pytest.FixtureRequest, version: int, tmp_path: Path) -> Iterator[Walk]:
    """`walk(text, ddl, looks)`: the whole story of a migration, there and back; without `looks` only its beginning."""
    server = serving(request, version)
    url = emptied(request, version)
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=warning") as connection:

        def make(text: str, ddl: str = f"{USERS_DDL};{SEED}", looks: Mapping[str, Look] | None = NOTHING) -> Story:
            connection.execute((TENANTS_DDL + ddl).encode())
            story = Story(server, url, tmp_path, connection, compiled(text, tmp_path))
            if looks is not None:
                story.there_and_back(looks)
            return story

        yield make
