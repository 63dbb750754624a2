"""users.mig in a folder, a database with users, and the command line called in this process or in one of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from migdsl.cli import main
from migdsl.rehearsal.server import Server
from tests.integration.world import build

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command went."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@dataclass(frozen=True, slots=True)
class Home:
    """A project in the current folder, and its database."""

    folder: Path
    url: str
    server: Server

    @property
    def source(self) -> Path:
        return self.folder / "users.mig"

    def all(self, sql: str, *values: object) -> list[tuple]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, sql: str, *values: object):
        found = self.all(sql, *values)
        return found[0][0] if found else None

    def head(self) -> str | None:
        """Where alembic_version stands."""
        there = self.one("SELECT to_regclass('alembic_version')::text")
        return self.one("SELECT version_num FROM alembic_version") if there else None

    def pass_time(self, interval: str) -> None:
        """All that the ledger has seen is that much older."""
        with psycopg.connect(self.url, options="-c session_replication_role=replica") as clock:
            clock.execute(f"UPDATE migdsl.event SET at = at - interval '{interval}'".encode())
            clock.execute(f"UPDATE migdsl.reconciliation SET at = at - interval '{interval}'".encode())

    def events(self, kind: str) -> list[tuple[str, str]]:
        """Subject and value of all events of a kind, in order."""
        return self.all("SELECT subject, value FROM migdsl.event WHERE kind = %s ORDER BY id", kind)

    def dump(self) -> list[str]:
        """What pg_dump shows of the schema, line by line, in alphabetical order."""
        argv = [str(self.server.bin / "pg_dump"), "-s", "-N", "migdsl", "-T", "alembic_version", self.url]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return sorted(line.rstrip(",") for line in done.stdout.splitlines() if "restrict" not in line)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, database: str, pg: Server, monkeypatch: pytest.MonkeyPatch) -> Home:
    """7 tenants, 300 users, no address twice; compiled, and nothing run."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "examples/users.mig", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("NO_COLOR", "1")
    with psycopg.connect(database, autocommit=True) as connection:
        build(connection, tenants=7, rows=300)
        connection.execute("UPDATE users SET email = id || email WHERE email LIKE 'shared%'")
    assert main(["compile", "users.mig"]) == 0
    return Home(folder, database, pg)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Call the command line with words."""

    def call(*words: str) -> Ran:
        capfd.readouterr()
        code = main(words)
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        assert "internal error" not in said.err, said.err
        return Ran(code, said.out, said.err)

    return call
