"""Files that use others, as they stand on a disk: what is read, what is refused, and what a compile remembers of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from migdsl.cli import build
from migdsl.cli import files as disk_files
from tests.cli.conftest import Run, edit, tree


@pytest.fixture
def shared(project: Path) -> Path:
    """`users.mig` uses `shared/schema.mig`, which has all that several migrations need."""
    text = (project / "users.mig").read_text(encoding="utf-8")
    begin, end = text.index("database app"), text.index("change User")
    (project / "shared").mkdir()
    (project / "shared/schema.mig").write_text(text[begin:end].rstrip() + "\n", encoding="utf-8")
    (project / "users.mig").write_text('use "shared/schema.mig"\n\n' + text[:begin] + text[end:], encoding="utf-8")
    return project


def test_check_reads_what_is_used(shared: Path, run: Run):
    assert run("check", "users.mig").out == "users.mig: no problems\n"
    edit(shared / "shared/schema.mig", "bigint ", "bigit ")
    ran = run("check", "users.mig")
    assert ran.code == 1
    assert "┌─ shared/schema.mig:12:14" in ran.err


def test_a_file_without_a_migration_checks_and_formats_and_doesn_t_compile(shared: Path, run: Run):
    assert run("check", "shared/schema.mig").code == 0
    assert run("fmt", "--check", "users.mig", "shared/schema.mig").code == 0
    ran = run("compile", "shared/schema.mig")
    assert ran.code == 1
    assert "MIG005" in ran.err


def test_a_file_that_only_declares_is_never_out_of_date(shared: Path, run: Run):
    assert run("compile", "users.mig").code == 0
    ran = run("compile", "--check", "users.mig", "shared/schema.mig")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("shared/schema.mig: migrates nothing; nothing to compile\n")
    edit(shared / "shared/schema.mig", "500k", "600k")
    assert run("compile", "--check", "users.mig", "shared/schema.mig").code == 2
    (shared / "empty.mig").write_text("# nothing\n", encoding="utf-8")
    assert "MIG005" in run("compile", "--check", "empty.mig").err


@pytest.mark.parametrize("folder", [".", "shared", "elsewhere/deep"])
def test_it_doesn_t_matter_where_the_command_is_run(
    shared: Path, run: Run, folder: str, monkeypatch: pytest.MonkeyPatch
):
    (shared / "pyproject.toml").touch()
    assert run("compile", "users.mig", "--out", "one").code == 0
    (shared / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(shared / folder)
    main = os.path.relpath(shared / "users.mig")
    assert run("compile", main, "--out", str(shared / "two")).code == 0
    one, two = tree(shared / "one"), tree(shared / "two")
    assert {path: data for path, (data, _) in one.items()} == {path: data for path, (data, _) in two.items()}


def test_a_compile_is_up_to_date_until_a_used_file_changes(shared: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    # A byte order mark is no part of the text, but it is one of the file.
    path = shared / "shared/schema.mig"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run("compile", "users.mig").code == 0
    manifest = json.loads((shared / ".migdsl/users_email.manifest.json").read_text(encoding="utf-8"))
    assert manifest["sources"] == {
        name: hashlib.sha256((shared / name).read_bytes()).hexdigest() for name in ("shared/schema.mig", "users.mig")
    }
    before = tree(shared)
    with monkeypatch.context() as patch:
        patch.setattr(build, "build", None)  # nobody asks the compiler
        assert "up to date" in run("compile", "users.mig").out
    assert tree(shared) == before
    assert run("compile", "--check", "users.mig").code == 0
    edit(path, "rows 500k", "rows 600k")
    ran = run("compile", "--check", "users.mig")
    assert ran.code == 2
    assert "plan/users_email.plan.json" in ran.err
    assert run("compile", "users.mig").code == 0
    assert run("compile", "--check", "users.mig").code == 0
    path.unlink()
    assert "MIG014" in run("compile", "users.mig").err


def test_no_artifact_replaces_a_used_file(shared: Path, run: Run):
    (shared / "plan").mkdir()
    (shared / "shared/schema.mig").rename(shared / "plan/users_email.plan.json")
    edit(shared / "users.mig", "shared/schema.mig", "plan/users_email.plan.json")
    ran = run("compile", "users.mig", "--force")
    assert ran.code == 1
    assert "source of this compile" in ran.err


def outside(folder: Path) -> Path:
    """A schema beside the project."""
    target = folder.parent / "schema.mig"
    (folder / "shared/schema.mig").rename(target)
    return target


def test_nothing_outside_the_project_is_read(shared: Path, run: Run):
    outside(shared)
    edit(shared / "users.mig", "shared/schema.mig", "../schema.mig")
    ran = run("check", "users.mig")
    assert ran.code == 1
    assert "leaves the project" in ran.err
    assert f"The project is {shared.resolve()}." in ran.err.replace("\n", "")
    assert "MIG015" in ran.err
    assert "entity" not in ran.err


def test_no_link_leads_out_of_the_project(shared: Path, run: Run):
    (shared / "shared/schema.mig").symlink_to(outside(shared))
    assert "through a symbolic link" in run("check", "users.mig").err
    (shared / "shared/schema.mig").unlink()
    (shared / "link").symlink_to(shared.parent)
    edit(shared / "users.mig", "shared/schema.mig", "link/schema.mig")
    assert "through a symbolic link" in run("check", "users.mig").err


def test_a_link_within_the_project_is_the_file_that_it_leads_to(shared: Path, run: Run):
    (shared / "link.mig").symlink_to("shared/schema.mig")
    edit(
        shared / "users.mig", 'use "shared/schema.mig"', 'use "shared/schema.mig"\nuse "link.mig"\nuse "x/../link.mig"'
    )
    assert run("check", "users.mig").code == 0
    (shared / "self.mig").symlink_to("users.mig")
    edit(shared / "users.mig", 'use "link.mig"', 'use "self.mig"')
    assert "this file uses itself" in run("check", "users.mig").err


@pytest.mark.parametrize("marker", ["pyproject.toml", ".git", "migdsl.toml"])
def test_the_project_is_the_nearest_folder_with_a_marker(shared: Path, run: Run, marker: str):
    outside(shared)
    edit(shared / "users.mig", "shared/schema.mig", "../schema.mig")
    (shared.parent / marker).touch()
    assert run("check", "users.mig").code == 0
    (shared / "migdsl.toml").touch()
    assert run("check", "users.mig").code == 1


def test_the_root_can_be_said(shared: Path, run: Run):
    outside(shared)
    edit(shared / "users.mig", "shared/schema.mig", "../schema.mig")
    for command in ("check", "compile", "plan"):
        assert run(command, "users.mig", "--root", "..").code == 0
    assert run("check", "users.mig", "--root", ".").code == 1


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ("shared/shema.mig", 'did you mean "shared/schema.mig"?'),
        ("nowhere/schema.mig", "there is no such file"),
        ("shared", "it is a folder"),
    ],
)
def test_what_is_not_there_is_said_once(shared: Path, run: Run, used: str, said: str):
    edit(shared / "users.mig", "shared/schema.mig", used)
    ran = run("check", "users.mig")
    assert said in ran.err
    assert ran.err.endswith("\n1 error\n")


def test_what_is_no_text_is_refused(shared: Path, run: Run):
    (shared / "shared/schema.mig").write_bytes(b"# caf\xe9\n")
    ran = run("check", "users.mig")
    assert "is not UTF-8 text" in ran.err
    assert "0xe9" in ran.err


def test_there_is_an_end_to_how_much_is_read(shared: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk_files, "MOST_BYTES", 500)
    assert "all files together are larger" in run("check", "users.mig").err


def test_two_open_migrations_on_one_column_are_an_error_of_both_commands(shared: Path, run: Run):
    text = (shared / "users.mig").read_text(encoding="utf-8")
    head = text[: text.index("change User")].replace("users_email", "users_require").replace("MIG-77", "MIG-78")
    more = head + "change User {\n  require email { from `coalesce(email, '')` }\n}\n" + text[text.index("cutover") :]
    (shared / "more.mig").write_text(more.replace("flag users_email", "flag users_require"), encoding="utf-8")
    for name in ("users.mig", "more.mig"):
        assert run("check", name).code == 0
    before = tree(shared)
    for command in ("check", "compile"):
        ran = run(command, "users.mig", "more.mig")
        assert ran.code == 1
        assert "error[MIG430]: `User.email` is changed by two migrations that are open" in ran.err
        assert "┌─ users.mig:" in ran.err
        assert "┌─ more.mig:" in ran.err
    assert tree(shared) == before
    found = json.loads(run("check", "--format", "json", "users.mig", "more.mig").out)
    assert [each["code"] for each in found] == ["MIG430"]


def test_a_finished_migration_is_passed_over(shared: Path, run: Run):
    assert run("compile", "users.mig", "--out", "out").code == 0
    before = tree(shared / "out")
    edit(shared / "users.mig", "migration users_email", "finished 2027-02-01\n\nmigration users_email")
    edit(shared / "users.mig", "shared/schema.mig", "shared/gone.mig")
    for words in (("compile", "users.mig"), ("compile", "--check", "users.mig")):
        ran = run(*words, "--out", "out")
        assert (ran.code, ran.out) == (0, "users.mig: finished 2027-02-01; nothing to compile\n")
    assert tree(shared / "out") == before
    assert run("check", "users.mig").code == 0
    assert run("plan", "users.mig").out == "users.mig: finished 2027-02-01; nothing will happen\n"
