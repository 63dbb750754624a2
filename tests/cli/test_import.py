"""`migdsl import` and `migdsl check --against`: files, exit codes, and a URL that is never shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from migdsl.cli import main
from tests.cli.conftest import Run, edit, tree

SECRET = "s3cr3t"
UNREACHABLE = f"postgresql://user:{SECRET}@localhost:1/db"
TABLES = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE users (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, username text NOT NULL, email text, UNIQUE (tenant_id, username)
);
CREATE INDEX ON users (tenant_id, id);
"""


@pytest.fixture
def url(database: str, project: Path) -> str:
    """The example's database, with a password in its URL, which the server doesn't ask for; the example says its version."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        edit(project / "users.mig", "postgresql 15", f"postgresql {connection.info.server_version // 10000}")
    parts = urlsplit(database)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:{SECRET}@{host}"))


def test_the_file_is_printed_and_checks(url: str, project: Path, run: Run):
    ran = run("import", url)
    assert ran.code == 0
    assert "2 entities, 6 lines to look at (`# guess`)" in ran.err
    assert SECRET not in ran.out + ran.err
    (project / "found.mig").write_text(ran.out, encoding="utf-8")
    assert run("check", "--strict", "found.mig", "--against", url).code == 0
    assert run("fmt", "--check", "found.mig").code == 0


def test_it_is_written_to_a_new_file_and_over_none(url: str, project: Path, run: Run):
    ran = run("import", url, "--out", "db/found.mig")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("db/found.mig: 2 entities")
    assert SECRET not in (project / "db/found.mig").read_text(encoding="utf-8")
    before = tree(project)
    again = run("import", url, "--out", "db/found.mig")
    assert again.code == 1
    assert "MIG702" in again.err
    assert tree(project) == before
    assert run("import", url, "--out", "db/found.mig", "--force", "--table", "tenants").code == 0
    assert "entity User" not in (project / "db/found.mig").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_a_diagnostic(url: str, project: Path, run: Run):
    ran = run("import", url, "--out", "users.mig/x.mig")
    assert ran.code == 1
    assert "MIG705" in ran.err


def test_the_url_may_stand_in_a_variable(url: str, run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_URL", url)
    ran = run("import", "env:SHOP_URL", "--schema", "public", "--table", "users", "--table", "public.tenants")
    assert ran.code == 0
    assert "url    env SHOP_URL\n" in ran.out
    assert run("check", "users.mig", "--against", "env:SHOP_URL").code == 0


def test_a_name_that_the_migration_gives_and_that_is_taken_is_told(url: str, project: Path, run: Run):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ADD contact_email text DEFAULT 'precious'")
    ran = run("check", "users.mig", "--against", url)
    assert ran.code == 1
    assert "error[MIG737]: the migration would make the column contact_email of public.users" in ran.out + ran.err


@pytest.mark.parametrize("words", [("import", UNREACHABLE), ("check", "users.mig", "--against", UNREACHABLE)])
def test_a_database_that_cannot_be_read_is_a_diagnostic(run: Run, words: tuple[str, ...]):
    ran = run(*words)
    assert (ran.code, ran.out) == (3, "")
    assert "error[MIG730]: the database can't be read: can't connect" in ran.err
    assert SECRET not in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "env:NO_SUCH_URL"), "NO_SUCH_URL is not set"),
        (("import", "nonsense"), "it should look like postgresql://"),
        (("check", "users.mig", "--against", "env:NO_SUCH_URL"), "NO_SUCH_URL is not set"),
    ],
)
def test_a_url_that_is_none_is_a_diagnostic(run: Run, words: tuple[str, ...], said: str):
    ran = run(*words)
    assert ran.code == 3
    assert said in ran.err


def test_without_a_driver_it_is_said_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch):
    for name in [
        name for name in sys.modules if name.split(".")[0] == "psycopg" or name.startswith("migdsl.introspect")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "migdsl.runtime.database", raising=False)
    monkeypatch.delitem(sys.modules, "migdsl.runtime.errors", raising=False)
    for words in (("import", UNREACHABLE), ("check", "users.mig", "--against", UNREACHABLE)):
        ran = run(*words)
        assert ran.code == 3
        assert "pip install 'migdsl[runtime]'" in ran.err


def test_a_difference_is_an_error_at_its_place(url: str, run: Run):
    assert run("check", "users.mig", "--against", url).out == "users.mig: no problems\n"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ALTER username TYPE varchar(20), ADD extra integer")
    ran = run("check", "users.mig", "--against", url)
    assert ran.code == 1
    assert "error[MIG732]: `User.username` is otherwise in the database" in ran.err
    assert "users.mig:20:3" in ran.err
    assert "warning[MIG734]" in ran.err
    found = json.loads(run("check", "users.mig", "--against", url, "--format", "json").out)
    assert [each["code"] for each in found] == ["MIG734", "MIG732"]


def test_a_warning_is_no_error_unless_it_is_to_be_one(url: str, run: Run):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ADD extra integer")
    assert run("check", "users.mig", "--against", url).code == 0
    assert run("check", "users.mig", "--against", url, "--strict").code == 1


def test_a_file_with_errors_is_not_compared(project: Path, run: Run):
    edit(project / "users.mig", "bigint   key", "bigit    key")
    ran = run("check", "users.mig", "--against", UNREACHABLE)
    assert ran.code == 1
    assert "MIG730" not in ran.err


def test_of_several_databases_one_is_named(url: str, project: Path, run: Run):
    with (project / "users.mig").open("a", encoding="utf-8") as file:
        file.write("\ndatabase other { url env OTHER_URL }\n")
    said = run("check", "users.mig", "--against", url).err
    assert "say it, once for each: --against app=URL (there is: app, other)" in said
    assert run("check", "users.mig", "--against", f"app={url}").code == 0


def test_fixes_and_a_database_do_not_go_together(run: Run):
    ran = run("check", "users.mig", "--fix", "--against", UNREACHABLE)
    assert ran.code == 2
    assert "--against goes with no fixes" in ran.err


def test_options_that_may_be_repeated(capsys: pytest.CaptureFixture[str]):
    assert main(["import"]) == 2
    assert "import needs a URL" in capsys.readouterr().err
    assert main(["import", "a", "b"]) == 2
    assert "import takes one URL at a time" in capsys.readouterr().err
