"""A folder with users.mig becomes what a team runs: compile, Alembic, the jobs, and what is pasted from the runbook."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

from migdsl.rehearsal.server import Server
from migdsl.workspace import compile_files
from tests.forked import run_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "users.mig"

# Alembic's own template, as far as a transaction is concerned: Alembic opens it.
ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

settings = context.config.attributes
engine = create_engine(settings["url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, **settings["configure"])
    with context.begin_transaction():
        context.run_migrations()
"""
# What some projects do: then no step of a migration can commit by itself.
OWNING_ENV = ENV.replace("engine.connect()", "engine.begin()")
# The same for the command line, which has nothing but the environment.
SHELL_ENV = ENV.replace('settings["url"]', '__import__("os").environ["ALEMBIC_URL"]').replace(
    '**settings["configure"]', ""
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: its exit code and all that it said."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Project:
    """A project in `folder` whose migrations run on the database at `url`, with this driver and env.py of Alembic."""

    folder: Path
    url: str
    server: Server
    driver: str = "psycopg"
    env: str = ENV
    configure: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source.parent.mkdir(parents=True, exist_ok=True)
        self.source.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
        (self.folder / "alembic").mkdir(exist_ok=True)
        self.use_env(self.env)

    @property
    def source(self) -> Path:
        return self.folder / "users.mig"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def versions(self) -> Path:
        return self.out / "migrations" / "versions"

    def use_env(self, text: str) -> None:
        """Another env.py."""
        self.env = text
        (self.folder / "alembic" / "env.py").write_text(text, encoding="utf-8")

    def connect(self, **settings: str) -> psycopg.Connection:
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return psycopg.connect(self.url, autocommit=True, options=options)

    def one(self, sql: str, *values: object):
        """The one value that a question answers."""
        with self.connect() as connection:
            row = connection.execute(sql, values or None).fetchone()
        return row[0] if row else None

    def all(self, sql: str, *values: object) -> list[tuple]:
        with self.connect() as connection:
            return connection.execute(sql, values or None).fetchall()

    def run(self, sql: str, *values: object) -> None:
        with self.connect() as connection:
            connection.execute(sql, values or None)

    # ---------------------------------------------------------------- compile

    def stage(self, *lines: str) -> None:
        """Edits the flag block, as the one-line pull request of a rollout does."""
        text = self.source.read_text(encoding="utf-8")
        block = "flag users_email {\n" + "".join(f"  stage {line}\n" for line in lines) + "}"
        changed, found = re.subn(r"flag users_email \{[^}]*\}", block, text)
        assert found == 1
        self.source.write_text(changed, encoding="utf-8")

    def compile(self, *options: str) -> None:
        """`migdsl compile` into the same folder as before."""
        done = self.shell(sys.executable, "-m", "migdsl", "compile", "users.mig", "--out", "out", *options)
        assert done.code == 0, done

    def write(self, text: str, through: str = "contract") -> None:
        """The files of another .mig text, all revisions released; what `compile` writes, without its second."""
        for path, content in _compiled(text, through):
            target = self.out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")

    def shell(self, *argv: str, **more: str) -> Ran:
        if argv[0] == sys.executable and argv[1].endswith(".py"):
            job = run_file([*argv], env=self.environment(**more), cwd=self.folder)
            return Ran(job.returncode, job.stdout, job.stderr)
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "DATABASE_URL": self.url, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **more}

    # ---------------------------------------------------------------- alembic

    def upgrade(self, revision: str = "head") -> str:
        return self._alembic("upgrade", revision)

    def downgrade(self, revision: str) -> str:
        """Where it is `base` the flag stands at off by then, as expand's gate demands."""
        if revision == "base" and self.one("SELECT to_regclass('migdsl.event')") is not None:
            self.run(
                "INSERT INTO migdsl.event (migration, kind, subject, value)"
                " SELECT DISTINCT migration, 'stage', 'all', 'off' FROM migdsl.event WHERE kind = 'stage' AND value <> 'off'"
            )
        return self._alembic("downgrade", revision)

    def _alembic(self, name: str, revision: str) -> str:
        """Runs Alembic in this process and returns what it printed. Raises CommandError as it does."""
        said = io.StringIO()
        config = Config(stdout=said)
        config.set_main_option("script_location", str(self.folder / "alembic"))
        config.set_main_option("version_locations", str(self.versions))
        config.set_main_option("path_separator", "os")
        config.attributes["url"] = self.url.replace("postgresql://", f"postgresql+{self.driver}://")
        config.attributes["configure"] = self.configure
        with contextlib.redirect_stdout(said):
            getattr(command, name)(config, revision)
        return said.getvalue()

    def alembic_shell(self, *arguments: str) -> Ran:
        """The command line as a person types it."""
        self.use_env(SHELL_ENV)
        (self.folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = alembic\nversion_locations = {self.versions}\npath_separator = os\n",
            encoding="utf-8",
        )
        url = self.url.replace("postgresql://", f"postgresql+{self.driver}://")
        done = self.shell(sys.executable, "-m", "alembic", *arguments, ALEMBIC_URL=url)
        self.use_env(ENV)
        return done

    def revision(self) -> str | None:
        """Where alembic_version stands."""
        if self.one("SELECT to_regclass('alembic_version')") is None:
            return None
        return self.one("SELECT version_num FROM alembic_version")

    # ---------------------------------------------------------------- jobs and runbook

    def backfill(self, *options: str) -> Ran:
        return self.shell(sys.executable, "out/backfills/users_email/user.py", "--duty", "1", *options)

    def start_backfill(self) -> subprocess.Popen[str]:
        """In batches of a fixed size, so that a tenant is several of them on any machine."""
        return subprocess.Popen(
            [sys.executable, "out/backfills/users_email/user.py", "--duty", "1", "--batch", "100"],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def reconcile(self, *options: str) -> Ran:
        return self.shell(sys.executable, "out/reconcile/users_email/user.py", *options)

    def record_stage(self) -> None:
        """Pastes the INSERT of the runbook into psql, as the person does who has deployed the flag."""
        runbook = (self.out / "docs" / "migrations" / "users_email.md").read_text(encoding="utf-8")
        moving = runbook.split("\n## Moving the flag\n", 1)[1].split("\n## ", 1)[0]
        (pasted,) = re.findall(r"^```sql\n(.*?)^```$", moving, re.MULTILINE | re.DOTALL)
        done = self.shell(str(self.server.bin / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", pasted)
        assert done.code == 0, done
        assert done.out.startswith("INSERT 0 "), done

    def pass_time(self, interval: str) -> None:
        """Makes everything in the ledger older; its append-only triggers sleep where the session is a replica's."""
        with self.connect(session_replication_role="replica") as connection:
            connection.execute("UPDATE migdsl.event SET at = at - %s::interval", (interval,))
            connection.execute("UPDATE migdsl.reconciliation SET at = at - %s::interval", (interval,))

    # ---------------------------------------------------------------- what is there

    def dump(self) -> str:
        """The schema as pg_dump shows it, without ours, Alembic's table, and the order of columns."""
        argv = ("--schema-only", "--exclude-schema=migdsl", "--exclude-table=alembic_version", "--dbname", self.url)
        done = self.shell(str(self.server.bin / "pg_dump"), *argv)
        assert done.code == 0, done
        return _without_order(done.out)


@lru_cache
def _compiled(text: str, through: str) -> tuple[tuple[str, str], ...]:
    compilation = compile_files({"users.mig": text}, "users.mig", through=through)
    assert compilation.ok, compilation.diagnostics
    return tuple((artifact.path, artifact.text) for artifact in compilation.artifacts)


def _without_order(dump: str) -> str:
    lines: list[str] = []
    columns: list[str] | None = None
    for line in dump.splitlines():
        if columns is not None and line.startswith(")"):
            lines += [*sorted(columns), line]
            columns = None
        elif columns is not None:
            columns.append(line.rstrip(","))
        elif line.startswith("CREATE TABLE "):
            columns = []
            lines.append(line)
        elif not line.startswith(("\\restrict", "\\unrestrict")) and line:
            lines.append(line)
    return "\n".join(lines)
