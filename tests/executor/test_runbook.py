"""A person who has the runbook and nothing else: its own commands, in its order, on a real database, with a way back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from migdsl.cli import main
from migdsl.rehearsal.server import Server
from tests.executor.conftest import ROOT, Home
from tests.ops.declared import ddl
from tests.ops.support import T1, T2

TENANTS = f"CREATE TABLE tenants (id uuid PRIMARY KEY); INSERT INTO tenants VALUES ('{T1}'), ('{T2}');"
# What a project has that was begun with `alembic init`, and its URL from the environment.
INI = """[alembic]
script_location = alembic
version_locations = alembic/versions:migrations/versions
path_separator = os
"""
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

url = os.environ["{}"].replace("postgresql://", "postgresql+psycopg://")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
THEIRS = 'revision = "theirs"\ndown_revision = None\ndef upgrade(): ...\ndef downgrade(): ...\n'


@dataclass(frozen=True, slots=True)
class Person:
    """Who reads the runbook of a migration anew whenever something is to be done."""

    home: Home
    name: str
    variable: str
    beside: bool

    @property
    def runbook(self) -> str:
        return (self.home.folder / f"docs/migrations/{self.name}.md").read_text(encoding="utf-8")

    def block(self, heading: str, language: str = "sh") -> str:
        """The commands under a heading. As the runbook says: with the project's own Alembic, `--alembic-config`."""
        section = re.split(r"^##+ ", self.runbook.split(heading, 1)[1], flags=re.MULTILINE)[0]
        found = re.search(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert found, f"{heading} has no commands"
        return re.sub(
            r"(--url \S+)$", r"\1 --alembic-config alembic.ini" if self.beside else r"\1", found[1], flags=re.M
        )

    def does(self, heading: str, *, refused: str = "") -> None:
        """Runs the commands under a heading in a shell that stops at the first that fails."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        argv = ["bash", "-eu", "-c", self.block(heading)]
        done = subprocess.run(argv, cwd=self.home.folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == bool(refused), done.stdout + done.stderr
        assert refused in done.stdout + done.stderr

    def moves_the_flag(self, stage: str) -> None:
        """The three things, in this order."""
        text = self.home.source.read_text(encoding="utf-8")
        self.home.source.write_text(re.sub(r"stage \w+ for all", f"stage {stage} for all", text), encoding="utf-8")
        assert main(["compile", "users.mig"]) == 0
        self.home.all(self.block("## Moving the flag", "sql"))
        command = re.search(r"^3\. Reconcile: `([^`]+)`", self.runbook, re.MULTILINE)
        assert command
        done = subprocess.run([sys.executable, *command[1].split()[1:]], cwd=self.home.folder, check=False)
        assert done.returncode == 0

    def goes_to_live(self) -> None:
        for phase in ("Expand", "Backfill", "Validate"):
            self.does(f"### {phase}:")
        for stage in ("dualwrite", "shadow", "live"):
            self.moves_the_flag(stage)

    def goes_back(self, *phases: str) -> None:
        for start, end in pairwise(phases):
            self.does(f"### From {start} back to {end}")


EXAMPLES = ("users.mig", "02_rename_column/customers_full_name.mig")


@pytest.fixture
def person(
    tmp_path: Path,
    cache: Path,
    database: str,
    pg: Server,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Person:
    """A project with Alembic and tables as the file has them; of the second a chain of its own has run."""
    text = (ROOT / "examples" / request.param).read_text(encoding="utf-8")
    name, variable = re.search(r"^migration (\w+)", text, re.M)[1], re.search(r"url +env (\w+)", text)[1]  # type: ignore[index]
    beside = request.param != EXAMPLES[0]
    for folder in ("alembic/versions", "migrations/versions"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "users.mig").write_text(text, encoding="utf-8")
    (tmp_path / "alembic.ini").write_text(INI, encoding="utf-8")
    (tmp_path / "alembic/env.py").write_text(ENV.format(variable), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv(variable, database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute((TENANTS + ddl(text)).encode())
        table, column = ("customers", "name") if beside else ("users", "username")
        rows = f"SELECT n, '{T1}', 'n' || n FROM generate_series(1001, 1050) AS n"
        connection.execute(f"INSERT INTO {table} (id, tenant_id, {column}) {rows}".encode())
        if beside:
            (tmp_path / "alembic/versions/theirs.py").write_text(THEIRS, encoding="utf-8")
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
            connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
    assert main(["compile", "users.mig"]) == 0
    return Person(Home(tmp_path, database, pg), name, variable, beside)


BESIDE = pytest.mark.parametrize("person", EXAMPLES[1:], ids=["beside another chain"], indirect=True)
ALONE = pytest.mark.parametrize("person", EXAMPLES[:1], ids=["alone"], indirect=True)


@pytest.mark.slow
@BESIDE
def test_there_and_back(person: Person) -> None:
    home = person.home
    before = home.dump()
    person.goes_to_live()
    person.goes_back("cutover", "validate")
    person.goes_back("validate", "backfill", "expand", "prepare")
    assert home.dump() == before
    assert home.all("SELECT version_num FROM alembic_version") == [("theirs",)]
    assert "stage off for all" in home.source.read_text(encoding="utf-8")
    assert not (home.folder / f"migrations/versions/{person.name}_enforce.py").exists()


@pytest.mark.slow
@pytest.mark.long("MIGDSL_LONG")
@ALONE
def test_to_the_end_and_a_step_back_from_there(person: Person) -> None:
    home = person.home
    person.goes_to_live()
    person.does("### Enforce:", refused="lacks two clean readings 24 hours apart")
    home.pass_time("25 hours")
    person.does("### Enforce:")
    person.goes_back("enforce", "cutover")
    home.pass_time("25 hours")
    person.does("### Enforce:")
    person.moves_the_flag("rampdown")
    person.moves_the_flag("complete")
    person.does("### Contract:", refused="the soak of 30 days lasts until")
    home.pass_time("31 days")
    person.does("### Contract:")
    person.goes_back("contract", "enforce")
    person.does("### Contract:")
    assert home.head() == f"{person.name}_contract"


@pytest.mark.parametrize("person", EXAMPLES, indirect=True)
def test_every_way_that_the_diagram_has_is_told(person: Person) -> None:
    """Each arrow has its commands, each phase its heading, each file its line."""
    for start, end in re.findall(r"^    (\w+) --> (\w+): roll back$", person.runbook, re.MULTILINE):
        assert person.block(f"### From {start} back to {end}")
    for path in re.findall(r"^\| \w+ \| `([^`]+)` \| now \|$", person.runbook, re.MULTILINE):
        assert (person.home.folder / path).is_file()
