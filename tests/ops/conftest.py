"""Gives each test a database on PostgreSQL 18 and on 16, the oldest of the two that everything must hold on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

from migdsl.rehearsal.server import Server, start_server
from tests.ops.support import USERS_DDL, Connection, Migration, ledger, lowered

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "60"}


@pytest.fixture(scope="session")
def pg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of PostgreSQL 16, beside the default one."""
    with start_server(tmp_path_factory.mktemp("pg16"), version=16, settings=_SETTINGS) as server:
        yield server


@pytest.fixture(params=[18, 16])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database, on each version in turn."""
    server: Server = request.getfixturevalue("pg16" if request.param == 16 else "pg")
    name = f"migdsl_test_{uuid.uuid4().hex}"
    try:
        yield server.create_database(name)
    finally:
        server.drop_database(name)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """An autocommit connection to the empty database."""
    with psycopg.connect(url, autocommit=True) as found:
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
