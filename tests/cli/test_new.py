"""`migdsl new`: a first file from options, from answers and from a database; one that checks, and over no other."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import psycopg
import pytest

from migdsl.cli import output
from tests.cli.conftest import Run, tree

SECRET = "s3cr3t"
TABLES = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE orders (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants, note text, total numeric(12,2) NOT NULL
);
CREATE INDEX ON orders (tenant_id, id);
"""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, and no database that a variable of the machine may name."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch):
    """A terminal on which somebody types these lines."""

    def typed(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        monkeypatch.setattr(output, "is_terminal", lambda stream: stream in (sys.stdin, sys.stderr))

    return typed


@pytest.fixture
def url(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two tables, in a variable."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    monkeypatch.setenv("SHOP_URL", database)
    return "env:SHOP_URL"


def test_a_name_is_enough(project: Path, run: Run):
    ran = run("new", "db/Users-Nickname.mig", "--ticket", "MIG-9")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "then: migdsl plan db/Users-Nickname.mig"
    text = (project / "db/Users-Nickname.mig").read_text(encoding="utf-8")
    assert text.startswith('migration users_nickname {\n  ticket "MIG-9"\n}\n')
    assert "# yours" in text
    assert run("check", "--strict", "db/Users-Nickname.mig").code == 0
    assert run("fmt", "--check", "db/Users-Nickname.mig").code == 0
    assert run("plan", "db/Users-Nickname.mig").code == 0


def test_the_name_names_the_file(project: Path, run: Run):
    assert run("new", "--name", "orders_total").code == 0
    assert (project / "orders_total.mig").read_text(encoding="utf-8").startswith("migration orders_total")


def test_tables_and_changes_are_declared(project: Path, run: Run):
    words = ("--table", "app_users", "--table", "shop.order", "--change", "AppUser add nickname text?")
    ran = run("new", "m.mig", *words, "--change", "Order index (tenant_id)", "--change", "AppUser add age int?")
    assert ran.code == 0, ran.err
    text = (project / "m.mig").read_text(encoding="utf-8")
    assert "entity AppUser in app.app_users {" in text
    assert "entity Order in app.shop.order {" in text
    assert "change AppUser {\n  add nickname text?\n  add age int?\n}\n" in text
    assert "change Order {\n  index (tenant_id)\n}\n" in text


def test_an_entity_that_only_a_change_names_is_declared(project: Path, run: Run):
    assert run("new", "m.mig", "--change", "Order add note text?").code == 0
    assert "entity Order in app.orders {" in (project / "m.mig").read_text(encoding="utf-8")


def test_a_change_that_makes_no_sense_is_explained_and_nothing_written(project: Path, run: Run):
    before = tree(project)
    for change, code in (
        ("Order drop total", "MIG102"),
        ("Order add total numeric", "MIG401"),
        ("Order nonsense", "MIG0"),
    ):
        ran = run("new", "m.mig", "--change", change)
        assert ran.code == 1
        assert f"error[{code}" in ran.err
        assert ran.err.endswith("nothing was written: the lines above are those of the file that would have been\n")
    assert tree(project) == before


def test_what_is_there_is_never_overwritten(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    (project / "link.mig").symlink_to("nowhere")
    before = tree(project)
    for path in ("users.mig", "link.mig", "."):
        ran = run("new", path, "--name", "m")
        assert ran.code == 1
        assert "error[MIG702]" in ran.err
    assert tree(project) == before
    assert not (project / "nowhere").exists()
    # Somebody is faster.
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    assert "error[MIG702]" in run("new", "users.mig").err
    assert tree(project) == before


def test_where_nothing_can_be_written_is_a_diagnostic(run: Run):
    ran = run("new", "users.mig/m.mig")
    assert ran.code == 1
    assert "error[MIG705]" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "new needs a file or a name"),
        (("a.mig", "b.mig"), "new takes one file at a time"),
        (("--name", "a b"), "'a b' can't be a migration's name"),
        (("--name", "ä"), "can't be a migration's name"),
        (("---.mig",), "unknown option"),
        (("...mig",), "new needs a file or a name"),
        (("1.mig",), "'1' can't be a migration's name"),
        (("m.mig", "--change", ""), "--change needs a value"),
        (("m.mig", "--table", 'a"\n'), "no name of the language"),
    ],
)
def test_what_is_no_name_is_refused(project: Path, run: Run, words: tuple[str, ...], said: str):
    before = tree(project)
    ran = run("new", *words)
    assert ran.code == 2
    assert said in ran.err
    assert tree(project) == before


def test_a_database_is_declared(url: str, project: Path, run: Run):
    ran = run("new", "m.mig", "--url", url, "--table", "orders", "--ticket", "T-1")
    assert ran.code == 0, ran.err
    text = (project / "m.mig").read_text(encoding="utf-8")
    assert "entity Order in " in text
    assert "entity Tenant" not in text
    assert "url    env SHOP_URL\n" in text
    assert "add note2 text?  # yours" in text, "a column of that name is there"
    assert run("check", "m.mig", "--against", url).code == 0
    changed = run("new", "all.mig", "--url", url, "--change", "Order add kind text?")
    assert changed.code == 0, changed.err
    assert "entity Tenant" in (project / "all.mig").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("env:NO_SUCH_URL", "NO_SUCH_URL is not set"),
        (f"postgresql://me:{SECRET}@localhost:1/db", "can't connect"),
    ],
)
def test_a_database_that_cannot_be_read_is_a_diagnostic(project: Path, run: Run, where: str, said: str):
    before = tree(project)
    ran = run("new", "m.mig", "--url", where)
    assert ran.code == 3
    assert "error[MIG730]" in ran.err
    assert said in ran.err
    assert SECRET not in ran.err
    assert tree(project) == before


def test_an_empty_database_has_nothing_to_change(
    database: str, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMPTY_URL", database)
    ran = run("new", "m.mig", "--url", "env:EMPTY_URL")
    assert ran.code == 1
    assert "error[MIG602]" in ran.err
    assert not (project / "m.mig").exists()


def test_a_terminal_is_asked(project: Path, run: Run, answers):
    answers("orders_note", "MIG-5", "", "orders, users", "Order add note text?")
    ran = run("new")
    assert ran.code == 0
    assert "name of the migration [none]: ticket that asks for it [none]: " in ran.err
    text = (project / "orders_note.mig").read_text(encoding="utf-8")
    assert 'ticket "MIG-5"' in text
    assert "entity Order in app.orders" in text
    assert "entity User in app.users" in text


def test_only_what_is_open_is_asked_and_an_empty_answer_takes_the_usual(project: Path, run: Run, answers):
    answers("", "", "", "")
    ran = run("new", "m.mig", "--ticket", "MIG-5")
    assert ran.code == 0
    assert "[m]: " in ran.err
    assert "ticket" not in ran.err
    answers()
    assert run("new", "n.mig").code == 0, "the end of the input"
