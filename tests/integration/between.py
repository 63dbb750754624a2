"""An example whose tables move to another database becomes two databases with its compiled files: both chains, and all jobs."""

from __future__ import annotations

import contextlib
import io
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.rehearsal.server import Server
from migdsl.runtime.cli import main as run_job
from migdsl.runtime.stream.cli import main as run_stream
from migdsl.workspace import Compilation, compile_files
from tests.integration.project import ENV
from tests.ops.declared import ddl

SIDES = ("old", "new")


@dataclass
class Between:
    """Two databases, and what a file was compiled to."""

    folder: Path
    server: Server
    urls: dict[str, str]
    names: dict[str, str]
    planned: Planned

    @property
    def migration(self) -> str:
        return self.planned.plan.migration

    def all(self, side: str, sql: str, *values: object) -> list[tuple]:
        with psycopg.connect(self.urls[side], autocommit=True) as connection:
            found = connection.execute(sql.encode(), values or None)
            return found.fetchall() if found.description else []

    def one(self, side: str, sql: str, *values: object):
        return self.all(side, sql, *values)[0][0]

    # ---------------------------------------------------------------- chains

    def ids(self, side: str) -> dict[str, str]:
        """The revision of each phase."""
        return {r.phase: r.id for r in self.planned.revisions if r.database == self.names[side]}

    def upgrade(self, side: str, phase: str) -> None:
        """Raises CommandError as Alembic does."""
        self._alembic(side, "upgrade", self.ids(side)[phase])

    def downgrade(self, side: str, phase: str) -> None:
        """Back to before the phase."""
        ids = list(self.ids(side).values())
        at = ids.index(self.ids(side)[phase])
        if phase == "expand" and self.one(side, "SELECT to_regclass('migdsl.event')") is not None:
            # The flag stands at off by then, as expand's gate demands.
            sql = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'stage', 'all', 'off')"
            self.all(side, sql, self.migration)
        self._alembic(side, "downgrade", ids[at - 1] if at else f"{ids[0]}@base")

    def unwritten(self, side: str, phase: str) -> None:
        """Alembic knows nothing of the phase, whose revision has run."""
        ids = list(self.ids(side).values())
        before = ids[ids.index(self.ids(side)[phase]) - 1]
        self.all(side, "UPDATE alembic_version SET version_num = %s", before)

    def _alembic(self, side: str, name: str, revision: str) -> None:
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", str(self.folder / "alembic"))
        config.set_main_option("version_locations", str(self.folder / f"migrations/{self.names[side]}/versions"))
        config.set_main_option("path_separator", "os")
        config.attributes["url"] = self.urls[side].replace("postgresql://", "postgresql+psycopg://")
        config.attributes["configure"] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(command, name)(config, revision)

    def dump(self, side: str) -> list[str]:
        """What pg_dump shows of the schema, ours and Alembic's apart, line by line in alphabetical order."""
        argv = [str(self.server.bin / "pg_dump"), "-s", "-N", "migdsl", "-T", "alembic_version", self.urls[side]]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return sorted(line.rstrip(",") for line in done.stdout.splitlines() if line and "restrict" not in line)

    def dumps(self) -> dict[str, list[str]]:
        return {side: self.dump(side) for side in SIDES}

    # ---------------------------------------------------------------- jobs

    def _space(self, kind: str, entity: str) -> dict[str, object]:
        """What a generated job's file defines."""
        path = self.folder / kind / self.migration / f"{entity}.py"
        space: dict[str, object] = {"__name__": "generated"}
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
        return space

    @property
    def job_of_the_stream(self) -> str:
        """The bare name of its file."""
        (path,) = (self.folder / "sync" / self.migration).glob("*.py")
        return path.stem

    @property
    def slotted(self) -> bool:
        """Whether a replication slot is read."""
        return self._space("sync", self.job_of_the_stream)["STREAM"].slot is not None  # type: ignore[attr-defined]

    def sync(self, *words: str, code: int = 0) -> str:
        """A command of the sync job; what it said."""
        return self._said(lambda: run_stream(self._space("sync", self.job_of_the_stream)["STREAM"], words), code)  # type: ignore[arg-type]

    def job(self, kind: str, entity: str, *words: str, code: int = 0) -> str:
        """A backfill or a reconciliation; what it said."""
        return self._said(lambda: run_job(self._space(kind, entity)["JOB"], words), code)  # type: ignore[arg-type]

    def _said(self, run, code: int) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            done = run()
        assert done == code, (done, said.getvalue())
        return said.getvalue()

    # ---------------------------------------------------------------- the ledger

    def stage(self, stage: str) -> None:
        """What `rollout --record` writes."""
        for side in SIDES:
            sql = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'stage', 'all', %s)"
            self.all(side, sql, self.migration, stage)

    def told(self) -> None:
        """What a sync job that runs writes once a minute."""
        for side in SIDES:
            sql = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (%s, 'reading', 'sync_lag:Order', '0.1')"
            self.all(side, sql, self.migration)

    def pass_time(self, interval: str) -> None:
        """Makes everything in the ledgers older; their append-only triggers sleep where the session is a replica's."""
        for side in SIDES:
            with psycopg.connect(
                self.urls[side], autocommit=True, options="-c session_replication_role=replica"
            ) as connection:
                for table, column in (("event", "at"), ("reconciliation", "at"), ("side", "since")):
                    connection.execute(
                        f"UPDATE migdsl.{table} SET {column} = {column} - interval '{interval}'".encode()
                    )


@cache
def _compiled(name: str, text: str) -> tuple[Compilation, Planned]:
    found = compile_files({name: text}, name, through="contract")
    assert found.ok, found.diagnostics
    assert found.module is not None
    return found, build(found.module, "", "contract")


@contextlib.contextmanager
def between(example: Path, server: Server, folder: Path, seed: str, before: str = "") -> Iterator[Between]:
    """An example's files in a folder, all phases released, and its databases; `seed` fills the old one, and `before` is
    run before its tables are made."""
    text = example.read_text(encoding="utf-8")
    compiled, planned = _compiled(example.name, text)
    for artifact in compiled.artifacts:
        path = folder / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.text, encoding="utf-8")
    (folder / "alembic").mkdir()
    (folder / "alembic/env.py").write_text(ENV, encoding="utf-8")
    names = dict(zip(SIDES, planned.lowered.databases, strict=True))
    made = {side: f"migdsl_{side}_{uuid.uuid4().hex}" for side in SIDES}
    urls = {side: server.create_database(name) for side, name in made.items()}
    found = Between(folder, server, urls, names, planned)
    try:
        with psycopg.connect(urls["old"], autocommit=True) as old:
            old.execute("CREATE TABLE tenants (id uuid PRIMARY KEY)")
            old.execute(f"{before}{ddl(text, rows=0)}".encode())
            old.execute(seed.encode())
        yield found
    finally:
        found.all(
            "old",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
        )
        for name in made.values():
            server.drop_database(name)
