"""`--ticket`, `--integration-plan` and `ticket file` on the command line: what they change, and what notices."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from migdsl.cli import main

ROOT = Path(__file__).resolve().parents[2]
TICKETS = ROOT / "tests/cases/tickets"
Said = tuple[int, str, str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """A project with the example, a ticket and an integration plan; the command line in it."""
    project = tmp_path / "project"
    shutil.copytree(TICKETS, project / "tickets")
    shutil.copy(ROOT / "examples/users.mig", project)
    (project / "pyproject.toml").touch()
    plan = project / "tickets/contacts.json"
    plan.write_text(plan.read_text(encoding="utf-8").replace("MIG-90", "MIG-77"), encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words: str) -> Said:
        code = main(words)
        said = capsys.readouterr()
        assert "internal error" not in said.err
        return code, said.out, said.err

    return call


GIVEN = ("--ticket", "tickets/MIG-77.json", "--integration-plan", "tickets/contacts.json")


def test_what_is_given_is_compiled_in_and_remembered(run: Callable[..., Said]) -> None:
    assert run("compile", "users.mig", *GIVEN)[0] == 0
    plan = json.loads(Path("plan/users_email.plan.json").read_text(encoding="utf-8"))
    assert plan["ticket"]["id"] == "MIG-77"
    assert plan["integration"]["systems"][0]["service"] == "newsletter"
    manifest = json.loads(Path(".migdsl/users_email.manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["sources"]) == {"users.mig", "tickets/MIG-77.json", "tickets/contacts.json"}
    assert manifest["options"] == {
        "through": None,
        "ticket": "tickets/MIG-77.json",
        "integration": "tickets/contacts.json",
    }
    assert "up to date" in run("compile", "users.mig", *GIVEN)[1]
    assert run("compile", "users.mig", "--check", *GIVEN)[0] == 0


def test_a_change_of_a_document_is_a_change_of_the_source(run: Callable[..., Said]) -> None:
    assert run("compile", "users.mig", *GIVEN)[0] == 0
    ticket = Path("tickets/MIG-77.json")
    ticket.write_text(ticket.read_text(encoding="utf-8").replace("P2", "P1"), encoding="utf-8")
    code, out, err = run("compile", "users.mig", "--check", *GIVEN)
    assert code == 2
    assert '-    "priority": "P2",' in out
    assert "migdsl compile users.mig --ticket tickets/MIG-77.json --integration-plan tickets/contacts.json" in err
    assert "up to date" not in run("compile", "users.mig", *GIVEN)[1]
    assert run("compile", "users.mig", "--check", *GIVEN)[0] == 0


def test_without_what_it_was_compiled_with_it_differs(run: Callable[..., Said]) -> None:
    assert run("compile", "users.mig", *GIVEN)[0] == 0
    assert run("compile", "users.mig", "--check")[0] == 2


def test_uncovered_criteria_are_warnings_and_strict_makes_them_errors(run: Callable[..., Said]) -> None:
    code, _, err = run("check", "users.mig", *GIVEN[:2])
    assert code == 0
    assert err.count("warning[MIG603]") == 3
    assert "tickets/MIG-77.json:13:5" in err
    assert run("check", "users.mig", "--strict", *GIVEN[:2])[0] == 1
    assert run("compile", "users.mig", "--strict", *GIVEN[:2])[0] == 1
    assert not Path("plan").exists()


def test_the_plan_command_takes_them_too(run: Callable[..., Said]) -> None:
    code, out, _ = run("plan", "users.mig", "--json", *GIVEN)
    assert code == 0
    assert json.loads(out)["integration"]["stack"] == "generic"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tickets/MIG-7.json", "can't be read: there is no such file"),
        ("../outside.json", "can't be read: leaves the project"),
        ("tickets", "it is a folder"),
        ("tickets/comma.json", "MIG018"),
        ("tickets/contacts.json", "`ticket` is missing here"),
    ],
)
def test_what_can_not_be_read_is_said(run: Callable[..., Said], path: str, said: str) -> None:
    Path("../outside.json").write_text("{}", encoding="utf-8")
    code, _, err = run("compile", "users.mig", "--ticket", path)
    assert code == 1
    assert said in err
    assert not Path("plan").exists()


def test_documents_go_with_one_migration(run: Callable[..., Said]) -> None:
    code, _, err = run("check", "users.mig", "other.mig", *GIVEN)
    assert code == 2
    assert "go with one migration" in err


def test_without_a_document_nothing_of_this_is_loaded(run: Callable[..., Said]) -> None:
    """Cold start: models and scanner are for those who have a ticket."""
    program = (
        "import sys; from migdsl.cli import main; main(sys.argv[1:]);"
        "print(*(name for name in ('pydantic', 'migdsl.semantics.tickets', 'migdsl.syntax.json_text') if name in sys.modules))"
    )

    def loaded(*words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", program, "check", "users.mig", *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert loaded() == ""
    assert loaded(*GIVEN) == "pydantic migdsl.semantics.tickets migdsl.syntax.json_text"


def test_a_difference_between_two_tickets_is_shown(run: Callable[..., Said]) -> None:
    for name, priority in (("old", "Every user has an address"), ("new", "Every user has two addresses")):
        ticket = Path("tickets/MIG-77.json").read_text(encoding="utf-8").replace("Every user has an address", priority)
        Path(f"{name}.json").write_text(ticket, encoding="utf-8")
        text = Path("users.mig").read_text(encoding="utf-8").replace('ticket   "MIG-77"', f'ticket file "{name}.json"')
        Path(f"{name}.mig").write_text(text, encoding="utf-8")
    code, out, _ = run("diff", "old.mig", "new.mig")
    assert code == 0
    assert "criterion AC-1" in out
    assert "Every user has two addresses" in out


def test_finishing_takes_the_ticket_for_no_source(run: Callable[..., Said]) -> None:
    source = Path("users.mig")
    text = source.read_text(encoding="utf-8").replace('ticket   "MIG-77"', 'ticket file "tickets/MIG-77.json"')
    source.write_text(text.replace("stage off", "stage complete"), encoding="utf-8")
    before = {path: path.read_bytes() for path in Path("tickets").iterdir()}
    code, _, err = run("finish", "users.mig", "--into", "schema.mig", "--date", "2027-02-01")
    assert code == 0, err
    assert "tickets" not in Path("schema.mig").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in Path("tickets").iterdir()} == before
    assert "finished 2027-02-01" in run("compile", "users.mig")[1]


def test_a_ticket_that_the_file_names_moves_along_with_the_flag(run: Callable[..., Said]) -> None:
    source = Path("users.mig")
    text = source.read_text(encoding="utf-8").replace('ticket   "MIG-77"', 'ticket file "tickets/MIG-77.json"')
    source.write_text(text, encoding="utf-8")
    assert run("compile", "users.mig", *GIVEN[2:])[0] == 0
    code, _, err = run("rollout", "users.mig", "--stage", "dualwrite", "--for", "all", *GIVEN[2:])
    assert code == 0, err
    assert "stage dualwrite for all" in source.read_text(encoding="utf-8")
    plan = json.loads(Path("plan/users_email.plan.json").read_text(encoding="utf-8"))
    assert plan["ticket"]["priority"] == "P2"
    assert plan["integration"] is not None
