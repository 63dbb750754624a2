"""Compiles `.mig` text into a folder and walks a real database through its revisions and jobs, there and back."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from migdsl.rehearsal.server import Server
from migdsl.runtime import main
from migdsl.workspace import Compilation, compile_files
from tests.conftest import MAJORS
from tests.ops.support import T1, T2

ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
LATE = MappingProxyType({"cutover": "live", "enforce": "live", "contract": "complete"})
# Stories on the oldest version too take minutes more: MIGDSL_LONG=1.
both_versions = pytest.mark.parametrize(
    "version", [MAJORS[0], *(pytest.param(older, marks=pytest.mark.long("MIGDSL_LONG")) for older in MAJORS[1:])]
)
older_version = pytest.mark.parametrize("version", MAJORS[1:])
Look = Callable[["Story"], None]
NOTHING: Mapping[str, Look] = MappingProxyType({})
Walk = Callable[..., "Story"]
TENANTS_DDL = f"""
CREATE TABLE tenants (id uuid PRIMARY KEY);
INSERT INTO tenants VALUES ('{T1}'), ('{T2}');
"""
SEED = f"""
INSERT INTO users (tenant_id, username, email)
SELECT '{T1}', 'u' || n, CASE WHEN n % 3 > 0 THEN 'e' || n || '@x' END FROM generate_series(1, 7) AS n"""


@dataclass(frozen=True, slots=True)
class Story:
    """A compiled migration in `folder`, and the database at `url` on which it runs."""

    server: Server
    url: str
    folder: Path
    connection: psycopg.Connection
    name: str

    @property
    def revisions(self) -> list[str]:
        """The ids of all revisions, first to last."""
        return [r.revision for r in ScriptDirectory.from_config(self._config()).walk_revisions()][::-1]

    def execute(self, statement: str) -> psycopg.Cursor:
        return self.connection.execute(statement.encode())

    def rows(self, query: str) -> list:
        return self.execute(query).fetchall()

    def upgrade(self, revision: str = "head") -> None:
        command.upgrade(self._config(), revision)

    def downgrade(self, revision: str = "-1", *, lowered: bool = True) -> None:
        """Where expand is taken back the flag is `lowered` to off first, as its gate demands."""
        last = revision == "base" or self.rows("SELECT version_num FROM alembic_version") == [(self.revisions[0],)]
        if lowered and last and self.rows("SELECT to_regclass('migdsl.event')") != [(None,)]:
            self.execute(
                "INSERT INTO migdsl.event (migration, kind, subject, value) "
                f"SELECT '{self.name}', 'stage', 'all', 'off' WHERE (SELECT value FROM migdsl.event WHERE kind = 'stage' "
                f"AND subject = 'all' AND migration = '{self.name}' ORDER BY id DESC LIMIT 1) <> 'off'"
            )
        command.downgrade(self._config(), revision)

    def stamp(self, revision: str) -> None:
        command.stamp(self._config(), revision)

    def job(self, kind: str, *arguments: str) -> int:
        """Runs all generated jobs of a kind (`backfills`, `reconcile`); the highest exit code."""
        found = [self._run(path, *arguments) for path in sorted((self.folder / kind).rglob("*.py"))]
        return max(found, default=0)

    def _run(self, path: Path, *arguments: str) -> int:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return main(module.JOB, ["--url", self.url, *arguments])

    def wait(self, interval: str) -> None:
        """Time passes: what the ledger recorded is that much older."""
        with psycopg.connect(self.url, options="-c session_replication_role=replica") as clock:
            clock.execute(
                f"UPDATE migdsl.event SET at = at - interval '{interval}';"
                f"UPDATE migdsl.reconciliation SET at = at - interval '{interval}'".encode()
            )

    def stage(self, stage: str) -> None:
        """Everybody's flag is raised, and enough time passes between two clean reconciliations."""
        self.execute(
            "INSERT INTO migdsl.event (migration, kind, subject, value) "
            f"VALUES ('{self.name}', 'stage', 'all', '{stage}')"
        )
        assert self.job("reconcile") == 0
        self.wait("40 days")
        assert self.job("reconcile") == 0

    def dump(self) -> list[str]:
        """What pg_dump shows of the schema, in alphabetical order, a table's lines too, since a column comes back last."""
        done = subprocess.run(
            [str(self.server.bin / "pg_dump"), "-s", "-N", "migdsl", "-T", "public.alembic_version", self.url],
            capture_output=True,
            text=True,
            check=True,
        )
        text = re.sub(r"^\\(?:un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
        return sorted(_sorted(part) for part in re.split(r"\n{2,}|\n(?=ALTER TABLE ONLY )", text))

    def there_and_back(self, looks: Mapping[str, Look] = NOTHING) -> None:
        """Up through all revisions with the jobs in between, and down again: every dump must be what it was.

        `looks` are called at `before`, after each phase (`expand`, `backfill` …), and after each way back
        (`back contract`).
        """
        dumps = []
        self._look(looks, "before")
        for revision in self.revisions:
            phase = revision.removeprefix(f"{self.name}_")
            dumps.append((phase, self.dump()))
            if phase in LATE:
                self.stage(LATE[phase])
            self.upgrade(revision)
            self._look(looks, phase)
            if phase == "expand":
                assert self.job("backfills") == 0
                self._look(looks, "backfill")
                assert self.job("reconcile") == 0
        for phase, dump in reversed(dumps):
            self.downgrade()
            assert self.dump() == dump, _apart(f"the way back from {phase}", dump, self.dump())
            self._look(looks, f"back {phase}")
        assert self.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'migdsl'") == []

    def _look(self, looks: Mapping[str, Look], name: str) -> None:
        if name in looks:
            looks[name](self)

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(self.folder / "alembic"))
        config.set_main_option("version_locations", str(self.folder / "migrations" / "versions"))
        config.set_main_option("path_separator", "os")
        url = self.url.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%")
        config.set_main_option("sqlalchemy.url", url)
        return config


def _sorted(part: str) -> str:
    if part.startswith("CREATE TYPE") and " AS ENUM (" in part:
        return part.split("\n", maxsplit=1)[0]  # PostgreSQL can't take a label away
    if not part.startswith("CREATE TABLE"):
        return part
    head, *columns, tail = part.split("\n")
    return "\n".join([head, *sorted(line.rstrip(",") for line in columns), tail])


def _apart(what: str, wanted: list[str], found: list[str]) -> str:
    lines = unified_diff("\n".join(wanted).split("\n"), "\n".join(found).split("\n"), "wanted", "found", n=1)
    return "\n".join([what, *lines])


def compiled(text: str, folder: Path) -> str:
    """Writes what the file compiles to, all phases released; the migration's name."""
    found = _compilation(text)
    # Some of these expressions may fail on a row, as the warning says; here none does. Nor does code leave out what stays.
    told = [f"{d.code} {d.title}" for d in found.diagnostics if d.code not in ("MIG413", "MIG435")]
    assert told == [], told
    assert found.migration is not None
    for artifact in found.artifacts:
        path = folder / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.text, encoding="utf-8")
    (folder / "alembic").mkdir()
    (folder / "alembic" / "env.py").write_text(ENV)
    return found.migration


@lru_cache(maxsize=8)  # tests of several versions of PostgreSQL have one file
def _compilation(text: str) -> Compilation:
    return compile_files({"m.mig": text}, "m.mig", through="contract")


def sees(query: str, *expected: tuple[object, ...]) -> Look:
    """A look that runs a query."""

    def look(story: Story) -> None:
        assert story.rows(query) == list(expected)

    return look


def column(name: str, table: str = "users") -> str:
    """Asks for a column: whether it may be NULL, and its default."""
    return (
        "SELECT is_nullable, column_default FROM information_schema.columns "
        f"WHERE (table_name, column_name) = ('{table}', '{name}')"
    )


def change(*operations: str, entity: str = "User") -> str:
    return f"change {entity} {{\n" + "\n".join(operations) + "\n}"
