"""A database with a schema that has grown for years, on the newest PostgreSQL and on an older one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psycopg
import pytest

from migdsl.introspect.connect import address, reading
from migdsl.introspect.model import Catalog
from migdsl.introspect.read import read
from migdsl.introspect.render import render
from migdsl.rehearsal.server import Server, start_server
from tests.conftest import MAJORS

HERE = Path(__file__).parent
NASTY = (HERE / "nasty.sql").read_text(encoding="utf-8")
FRESH = (HERE / "nasty_18.sql").read_text(encoding="utf-8")
TYPES = (
    "text|varchar(40)|integer[]|numeric(12,2)|timestamptz(3)|interval day to second(2)|bit varying(9)|bytea|jsonb|tsvector|"
    "daterange|money|app.state|app.email|app.pair|mood[]|inet|uuid|double precision|time with time zone|char(2)|xml"
).split("|")


def filler() -> Iterator[str]:
    """Seventy tables more: each type in each position, keys of one and of two columns, references in chains."""
    yield "CREATE SCHEMA filler"
    for number in range(70):
        columns = [f"c{at} {TYPES[(number + at) % len(TYPES)]}{' NOT NULL' * (at % 3 == 0)}" for at in range(6)]
        key = "PRIMARY KEY (tenant_id, id)" if number % 2 else "PRIMARY KEY (id)"
        back = [f"FOREIGN KEY (tenant_id, up) REFERENCES filler.t{number - 2}"] if number % 2 and number > 2 else []
        lines = ["id bigint NOT NULL", "tenant_id uuid NOT NULL", "up bigint", *columns, key, *back]
        yield f"CREATE TABLE filler.t{number} ({', '.join(lines)})"
        yield f"CREATE INDEX ON filler.t{number} (tenant_id, up) WHERE up > {number}"


@pytest.fixture(scope="session")
def pg16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_server(tmp_path_factory.mktemp("pg16"), version=16, settings={"fsync": "off"}) as server:
        yield server


def nasty_of(version: int) -> str:
    """The schema, without what came with 15."""
    if version >= 15:
        return NASTY
    without = NASTY.replace("SET NULL (parent)", "SET NULL").replace("NULLS NOT DISTINCT ", "")
    return without.replace("numeric(3,-2)", "numeric(3,2)")


@pytest.fixture(scope="session", params=["pg", "pg16"][: len(MAJORS)])
def nasty(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the grown database."""
    server = cast("Server", request.getfixturevalue(request.param))
    name = f"migdsl_test_{uuid.uuid4().hex}"
    url = server.create_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        fresh = FRESH if connection.info.server_version >= 180000 else ""
        for statement in (nasty_of(connection.info.server_version // 10000), fresh, *filler(), "ANALYZE"):
            if statement:
                connection.execute(statement.encode())
    yield url
    server.drop_database(name)


@pytest.fixture(scope="session")
def catalog(nasty: str) -> Catalog:
    return catalog_of(nasty)


@pytest.fixture(scope="session")
def text(catalog: Catalog) -> str:
    return render(catalog, None)


def catalog_of(url: str) -> Catalog:
    with reading(address(url)) as session:
        return read(session)
