"""`migdsl report PLAN --html FILE`: one page from a plan and the files beside it, and nothing of others is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

PLAN = "plan/users_email.plan.json"


@pytest.fixture
def compiled(project: Path, run: Run) -> Path:
    assert run("compile", "users.mig").code == 0
    return project


def test_it_writes_a_page_with_the_sql_of_the_files_beside_the_plan(compiled: Path, run: Run):
    ran = run("report", PLAN, "--html", "page.html")
    assert (ran.code, ran.out, ran.err) == (0, "page.html: written\n", "")
    page = (compiled / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n")
    assert "CREATE" in page.partition("SQL of the expand revision")[2]
    assert "migdsl apply users.mig --to expand" in page
    again = run("report", PLAN, "--html", "-")
    assert (again.code, again.out) == (0, page)


def test_it_finds_the_files_from_anywhere(compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    run("report", PLAN, "--html", "page.html")
    monkeypatch.chdir(compiled / "plan")
    assert run("report", "users_email.plan.json", "--html", "../other.html").code == 0
    assert (compiled / "other.html").read_bytes() == (compiled / "page.html").read_bytes()


def test_without_the_files_the_page_says_so(compiled: Path, run: Run):
    Path(PLAN).rename("alone.json")
    assert run("report", "alone.json", "--html", "page.html").code == 0
    page = (compiled / "page.html").read_text(encoding="utf-8")
    assert "weren't found beside the plan" in page
    assert "SQL of the" not in page


def test_a_page_is_overwritten_and_nothing_else(compiled: Path, run: Run):
    assert run("report", PLAN, "--html", "page.html").code == 0
    assert run("report", PLAN, "--html", "page.html").code == 0
    mine = compiled / "mine.html"
    mine.write_text("<p>mine</p>")
    ran = run("report", PLAN, "--html", "mine.html")
    assert (ran.code, mine.read_text()) == (1, "<p>mine</p>")
    assert "error[MIG702]: `mine.html` is here, and is no page that migdsl wrote" in ran.err
    assert run("report", PLAN, "--html", "plan").code == 1
    assert run("report", PLAN, "--html", "plan", "--force").code == 1
    assert run("report", PLAN, "--html", "mine.html", "--force").code == 0
    assert mine.read_bytes() == (compiled / "page.html").read_bytes()


def test_a_folder_that_is_missing_is_made(compiled: Path, run: Run):
    assert run("report", PLAN, "--html", "out/deep/page.html").code == 0
    assert (compiled / "out/deep/page.html").is_file()


def test_a_file_in_the_way_of_a_folder_is_said(compiled: Path, run: Run):
    ran = run("report", PLAN, "--html", "users.mig/page.html")
    assert ran.code == 1
    assert "error[MIG705]" in ran.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be"),
        ("{}", "Field required"),
        ('{"migration": "sec\\u001bret-value"}', "Field required"),
        ("", "Invalid JSON"),
    ],
)
def test_what_is_no_plan_is_said(project: Path, run: Run, text: str, said: str):
    (project / "x.json").write_text(text)
    ran = run("report", "x.json", "--html", "page.html")
    assert ran.code == 1
    assert "error[MIG710]: `x.json` is no plan" in ran.err
    assert said in ran.err
    assert "secret-value" not in ran.err
    assert not (project / "page.html").exists()


def test_a_value_of_a_wrong_plan_is_not_shown(compiled: Path, run: Run):
    plan = json.loads(Path(PLAN).read_text())
    plan["impact"]["risk"] = "anna@example.com"
    Path("x.json").write_text(json.dumps(plan))
    ran = run("report", "x.json", "--html", "page.html")
    assert "impact.risk: " in ran.err
    assert "anna@example.com" not in ran.err


def test_a_source_a_missing_file_and_a_missing_option(project: Path, run: Run):
    assert "It is the source" in run("report", "users.mig", "--html", "page.html").err
    assert "error[MIG004]" in run("report", "nothing.json", "--html", "page.html").err
    ran = run("report", "users.mig")
    assert (ran.code, ran.err) == (
        2,
        "migdsl: report needs a file to write: migdsl report PLAN --html FILE [--force]\n",
    )


def test_links_out_of_the_folder_are_not_followed(compiled: Path, run: Run, tmp_path: Path):
    revision = compiled / "migrations/versions/users_email_expand.py"
    outside = tmp_path / "outside.py"
    outside.write_text(revision.read_text())
    revision.unlink()
    revision.symlink_to(outside)
    assert run("report", PLAN, "--html", "page.html").code == 0
    page = (compiled / "page.html").read_text(encoding="utf-8")
    assert "SQL of the expand revision" not in page
    assert "<code>migrations/versions/users_email_expand.py</code></li>" in page
