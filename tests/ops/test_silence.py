"""Contract's gate over old code's writes: what moves their counter, and what it says of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migdsl.ops import gates
from migdsl.rehearsal.server import Server, start_server
from tests.conftest import MAJORS
from tests.ops.support import ledger

COUNTER = "migdsl.m_old_writes"
WROTE = "old code still wrote Thing within the last 30 days"


@pytest.fixture(params=MAJORS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of its own, which may crash."""
    with start_server(tmp_path, version=request.param, settings={"fsync": "off", "max_connections": "20"}) as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    """Two writes of old code, and a reconciliation that has read them before the soak."""
    found = server.create_database("silence")
    with psycopg.connect(found, autocommit=True) as connection:
        ledger(connection)
        connection.execute(f"CREATE SEQUENCE {COUNTER}; SELECT nextval('{COUNTER}'), nextval('{COUNTER}')".encode())
        connection.execute(
            "INSERT INTO migdsl.event (migration, kind, subject, value, at)"
            " VALUES ('m', 'stage', 'all', 'live', now() - interval '40 days'),"
            "        ('m', 'reading', 'old_writes:Thing', '2', now() - interval '35 days')"
        )
    return found


def refusal(url: str) -> str | None:
    """What the gate says, in a session of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        sql = gates.silent("m", "Thing", COUNTER, 30 * 86_400, "Thing").unmet
        return next((str(said) for (said,) in connection.execute(sql.encode()) if said is not None), None)


def write(url: str, times: int = 1) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT nextval('{COUNTER}') FROM generate_series(1, {times})".encode())


def read(url: str, value: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO migdsl.event (migration, kind, subject, value, at)"
            " VALUES ('m', 'reading', 'old_writes:Thing', %s, now() - interval '31 days')",
            (str(value),),
        )


def test_a_crash_is_named_and_not_excused(server: Server, url: str):
    """What is replayed of a sequence stands ahead, on a standby that takes over as after a crash."""
    assert refusal(url) is None
    server.restart("immediate")
    said = refusal(url)
    assert said is not None
    assert said.startswith(WROTE)
    assert "failover or a crash of the server moved their counter (from 2 to 33)" in said
    assert "30 days after the first reconciliation since then" in said
    # Whoever writes after that leaves no doubt.
    write(url)
    assert refusal(url) == WROTE
    # A reading since then is where the soak begins anew.
    read(url, 34)
    assert refusal(url) is None


def test_what_old_code_writes_is_nothing_else(url: str):
    write(url)
    assert refusal(url) == WROTE
    write(url, 100)
    assert refusal(url) == WROTE


def test_a_first_write_is_one(url: str, server: Server):
    """A counter that nobody had moved is replayed as it was: what stands further has been written."""
    read(url, 0)
    server.restart("immediate")
    assert refusal(url) == WROTE
