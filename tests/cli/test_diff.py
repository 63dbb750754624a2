"""`migdsl diff OLD NEW` from the command line: texts, JSON, standard input, the folder of a compile, and every bad input."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from migdsl.cli import output
from tests.cli.conftest import ROOT, Run, edit, tree

SCHEMA = json.loads((ROOT / "schemas/plan_diff.schema.json").read_text())


@pytest.fixture
def new(project: Path) -> Path:
    """A second version beside the first, still the same."""
    return Path(shutil.copy(project / "users.mig", project / "new.mig"))


def test_the_same_file_changes_nothing(project: Path, run: Run, new: Path):
    before = tree(project)
    ran = run("diff", "users.mig", "users.mig")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "users_email: nothing changes\nhas run: prepare, expand, backfill\n"
    assert run("diff", "users.mig", "new.mig").out == ran.out
    assert tree(project) == before


def test_what_is_allowed_is_told(run: Run, new: Path):
    edit(new, "500k", "600k")
    edit(new, "stage off for all", "stage off for all\n  stage dualwrite for canary")
    ran = run("diff", "users.mig", "new.mig")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("users_email: 1 move of the flag, 1 other change; allowed\n")
    assert "canary 7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11: off → dualwrite\n" in ran.out
    assert "  ~ User rows: 500000 → 600000\n" in ran.out


def test_what_is_refused_is_shown_in_the_newer_version(run: Run, new: Path):
    edit(new, "contact_email text pii", "contact_email citext pii")
    edit(new, "stage off for all", "stage live for all")
    ran = run("diff", "users.mig", "new.mig")
    assert ran.code == 1
    assert "\nexpand (has run)\n  ~ Add User.contact_email (citext)" in ran.out
    assert "everybody: off → live (refused: skips a stage)" in ran.out
    assert "error[MIG707]: expand has run, and 3 of its steps would change" in ran.err
    assert "new.mig:28:3" in ran.err
    assert "error[MIG508]: everybody: from off to live skips dualwrite and shadow" in ran.err
    assert ran.err.endswith("3 errors\n")
    assert max(map(len, ran.out.splitlines())) <= 100


def test_sql_shows_what_each_step_would_do(run: Run, new: Path):
    edit(new, "contact_email text pii", "contact_email citext pii")
    assert "ALTER TABLE" not in run("diff", "users.mig", "new.mig").out
    said = run("diff", "users.mig", "new.mig", "--sql").out
    assert "\n      -ALTER TABLE public.users ADD COLUMN IF NOT EXISTS contact_email text;\n" in said
    assert "\n      +ALTER TABLE public.users ADD COLUMN IF NOT EXISTS contact_email citext;\n" in said
    assert "       -- way back;\n" in said


def test_json_fits_its_schema_and_says_the_same_each_time(run: Run, new: Path):
    edit(new, "contact_email text pii", "contact_email citext pii")
    edit(new, "stage off for all", "stage shadow for 10%")
    edit(new, "every 24h", "every 12h")
    ran = run("diff", "users.mig", "new.mig", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    Draft202012Validator(SCHEMA).validate(found)
    assert found["allowed"] is False
    assert [(p["code"], p["line"], p["column"]) for p in found["problems"]] == [
        ("MIG707", 28, 3),
        ("MIG707", 28, 3),
        ("MIG508", 42, 3),
    ]
    assert found["ran"] == ["prepare", "expand", "backfill"]
    assert found["stages"] == [
        {"audience": "0% to 10%", "before": ["off"], "after": ["shadow"], "verdict": "skips"},
    ]
    assert run("diff", "users.mig", "new.mig", "--json").out == ran.out
    assert json.loads(run("diff", "new.mig", "new.mig", "--json").out)["allowed"] is True


@pytest.mark.parametrize("first", [True, False])
def test_one_version_may_come_from_the_standard_input(
    project: Path, run: Run, new: Path, monkeypatch: pytest.MonkeyPatch, first: bool
):
    edit(new, "500k", "600k")

    class Stdin:
        buffer = io.BytesIO((project / "users.mig").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())
    ran = run("diff", *(["-", "new.mig"] if first else ["new.mig", "-"]))
    assert (ran.code, ran.err) == (0, "")
    assert ("500000 → 600000" if first else "600000 → 500000") in ran.out


def test_a_problem_of_the_standard_input_names_it(run: Run, monkeypatch: pytest.MonkeyPatch):
    class Stdin:
        buffer = io.BytesIO(b"migration m { nonsense }\n")

    monkeypatch.setattr(sys, "stdin", Stdin())
    ran = run("diff", "-", "users.mig")
    assert (ran.code, ran.out) == (1, "")
    assert "<stdin>:1:" in ran.err


def test_revisions_in_a_folder_have_run(project: Path, run: Run, new: Path):
    edit(new, "    unique per tenant\n", "")
    assert run("diff", "users.mig", "new.mig", "--out", "out").code == 0
    assert run("compile", "users.mig", "--out", "out", "--through", "enforce").code == 0
    assert run("diff", "users.mig", "new.mig").code == 0
    ran = run("diff", "users.mig", "new.mig", "--out", "out")
    assert ran.code == 1
    assert "has run: prepare, expand, backfill, enforce\n" in ran.out
    assert "error[MIG707]: enforce has run" in ran.err
    enforce = project / "out/migrations/versions/users_email_enforce.py"
    enforce.write_text("# somebody else's\n")
    assert run("diff", "users.mig", "new.mig", "--out", "out").code == 0


def test_another_name_is_another_migration(run: Run, new: Path):
    edit(new, "migration users_email", "migration users_mail")
    edit(new, "flag users_email", "flag users_mail")
    ran = run("diff", "users.mig", "new.mig")
    assert (ran.code, ran.out) == (1, "")
    assert "`users_email` would become `users_mail`" in ran.err
    assert "new.mig:2:" in ran.err


def test_a_version_with_errors_is_not_compared(run: Run, new: Path):
    edit(new, "text?    pii", "txet?    pii")
    for words in (["users.mig", "new.mig"], ["new.mig", "users.mig"], ["new.mig", "users.mig", "--json"]):
        ran = run("diff", *words)
        assert (ran.code, ran.out) == (1, "")
        assert "new.mig:21:" in ran.err


def test_a_file_without_a_migration_has_nothing_to_compare(project: Path, run: Run):
    (project / "shared.mig").write_text("tenants { key tenant_id uuid; list `SELECT id FROM tenants` }\n")
    ran = run("diff", "shared.mig", "users.mig")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no migration in this file" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["users.mig"], "diff needs two files"),
        (["users.mig", "users.mig", "users.mig"], "diff takes two files at a time"),
        (["users.mig", "users.mig", "--sqll"], "did you mean --sql?"),
        (["-", "-"], "only one of the two can be the standard input"),
    ],
)
def test_a_wrong_command_line(run: Run, words: list[str], said: str):
    ran = run("diff", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("name", ["nothing.mig", ".", "a\0b", "\udcff.mig", "", "latin.mig"])
def test_no_path_and_no_bytes_end_in_a_traceback(project: Path, run: Run, name: str):
    (project / "latin.mig").write_bytes(b"# \xe9\n")
    for words in ([name, "users.mig"], ["users.mig", name]):
        ran = run("diff", *words)
        assert (ran.code, ran.out) == (1, "")
        assert "error[MIG004]" in ran.err


def test_colours_are_for_terminals(run: Run, new: Path, monkeypatch: pytest.MonkeyPatch):
    edit(new, "contact_email text pii", "contact_email citext pii")
    plain = run("diff", "users.mig", "new.mig", "--sql").out
    assert "\x1b" not in plain
    monkeypatch.setattr(output, "is_coloured", lambda _: True)
    assert "\x1b[" in run("diff", "users.mig", "new.mig", "--sql").out


def test_what_the_standard_input_uses_lies_beside_the_other_version(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    text = (project / "users.mig").read_text()
    begin, end = text.index("tenants {"), text.index("entity User")
    (project / "db").mkdir()
    (project / "db/shared.mig").write_text(text[begin:end])
    (project / "db/users.mig").write_text('use "shared.mig"\n\n' + text[:begin] + text[end:])

    class Stdin:
        buffer = io.BytesIO((project / "db/users.mig").read_bytes().replace(b"500k", b"400k"))

    monkeypatch.setattr(sys, "stdin", Stdin())
    ran = run("diff", "-", "db/users.mig")
    assert (ran.code, ran.err) == (0, "")
    assert "~ User rows: 400000 → 500000" in ran.out
