"""`compile` with the real compiler: what is written, said, compared, and that the second time it does nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Run, edit, tree

MANIFEST = ".migdsl/users_email.manifest.json"
EXPAND = "migrations/versions/users_email_expand.py"
FLAGS = "flags/users_email.flagd.json"
RUNBOOK = "docs/migrations/users_email.md"


def test_all_files_of_the_plan_are_written(project: Path, run: Run):
    ran = run("compile", "users.mig", "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    plan = json.loads((project / "out/plan/users_email.plan.json").read_text())
    promised = {path for task in plan["implementation_plan"] for path in task["files_touched"]}
    assert set(tree(project / "out")) == promised | {MANIFEST}
    lines = ran.out.splitlines()
    assert lines[0] == f"users_email: {len(promised)} files in out ({len(promised)} new)"
    assert lines[2].split() == ["revision", "new", EXPAND]
    assert all(path in ran.out for path in promised)
    later = {path for task in plan["implementation_plan"] for path in task["files_later"]}
    assert later
    assert all(path in ran.out.partition("\nlater")[2] for path in later)
    assert (
        lines[-1]
        == f"next: commit the files, then alembic upgrade users_email_expand (out/{RUNBOOK} tells what comes when)"
    )


def test_what_comes_next_can_be_pasted(project: Path, run: Run):
    (project / "m y.mig").write_text((project / "users.mig").read_text())
    told = run("compile", "m y.mig", "--out", "o ut", "--through", "contract").out.splitlines()[-1]
    assert told.startswith("next: commit the files, then alembic upgrade users_email_expand (o ut/")
    text = (project / "m y.mig").read_text().replace("rows 500k", "rows 600k")
    (project / "m y.mig").write_text(text)
    told = run("compile", "m y.mig", "--out", "o ut", "--through", "contract").out.splitlines()[-1]
    assert told.startswith("next: commit the files; migdsl plan 'm y.mig' --through contract shows every phase")
    drift = run("compile", "--check", "m y.mig", "--out", "o ut")
    assert drift.code == 2
    assert "migdsl compile 'm y.mig' --out 'o ut'" in drift.out + drift.err


def test_the_manifest_says_nothing_of_this_machine(project: Path, run: Run, tmp_path: Path):
    run("compile", "users.mig", "--out", "out")
    other = tmp_path / "elsewhere"
    (other / "deep").mkdir(parents=True)
    shutil.copy("users.mig", other / "deep")
    os.chdir(other)
    assert run("compile", str(other / "deep/users.mig"), "--out", str(other / "target")).code == 0
    first, second = tree(project / "out"), tree(other / "target")
    assert {name: data for name, (data, _) in first.items()} == {name: data for name, (data, _) in second.items()}
    manifest = json.loads((project / "out" / MANIFEST).read_text())
    assert manifest["main"] == "users.mig"
    assert list(manifest["sources"]) == ["users.mig"]
    assert manifest["files"][EXPAND]["kind"] == "revision"
    assert str(project) not in (project / "out" / MANIFEST).read_text()


def test_a_changed_source_changes_what_depends_on_it(project: Path, run: Run):
    run("compile", "users.mig")
    before = tree(project)
    edit(project / "users.mig", "500k", "600k")
    ran = run("compile", "users.mig")
    assert "2 changed" in ran.out
    after = tree(project)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"users.mig", MANIFEST, RUNBOOK, "plan/users_email.plan.json"}


def test_errors_write_nothing(project: Path, run: Run):
    edit(project / "users.mig", "text?    pii", "txet?    pii")
    ran = run("compile", "users.mig", "--out", "out")
    assert ran.code == 1
    assert "users.mig:21:" in ran.err
    assert "1 error" in ran.err
    assert not (project / "out").exists()


def test_one_bad_file_of_two_stops_both(project: Path, run: Run):
    (project / "bad.mig").write_text("migration { }\n")
    assert run("compile", "users.mig", "bad.mig", "--out", "out").code == 1
    assert not (project / "out").exists()


def test_two_files_with_one_migration_would_write_twice(project: Path, run: Run):
    shutil.copy("users.mig", "again.mig")
    ran = run("compile", "users.mig", "again.mig", "--out", "out")
    assert ran.code == 1
    assert "MIG703" in ran.err
    assert not (project / "out").exists()


def test_two_migrations_share_a_folder(project: Path, run: Run):
    shutil.copy("users.mig", "more.mig")
    for old, new in (("migration users_email", "migration users_more"), ("flag users_email", "flag users_more")):
        edit(project / "more.mig", old, new)
    after = 'migrations "migrations/versions" after "users_email_expand"'
    edit(project / "more.mig", "app.users", "app.members")
    edit(project / "more.mig", "env DATABASE_URL", f"env DATABASE_URL\n  {after}")
    assert run("compile", "users.mig", "more.mig", "--out", "out").code == 0
    assert (project / "out/.migdsl/users_more.manifest.json").is_file()
    ran = run("compile", "users.mig", "more.mig", "--out", "out")
    assert ran.out.count("up to date") == 2


def test_a_persons_file_is_named_and_kept(project: Path, run: Run):
    (project / FLAGS).parent.mkdir()
    (project / FLAGS).write_text("mine\n")
    ran = run("compile", "users.mig")
    assert ran.code == 1
    assert "MIG702" in ran.err
    assert FLAGS in ran.err
    assert set(tree(project)) == {"users.mig", FLAGS}
    assert run("compile", "users.mig", "--force").code == 0
    assert (project / FLAGS).read_text() != "mine\n"


def test_an_edited_file_is_kept(project: Path, run: Run):
    run("compile", "users.mig")
    with (project / RUNBOOK).open("a") as file:
        file.write("mine\n")
    before = tree(project)
    ran = run("compile", "users.mig")
    assert ran.code == 1
    assert f"`{RUNBOOK}` was changed by hand" in ran.err
    assert tree(project) == before


def test_a_released_revision_is_not_taken_away(project: Path, run: Run):
    run("compile", "users.mig", "--through", "enforce")
    enforce = project / "migrations/versions/users_email_enforce.py"
    assert enforce.is_file()
    ran = run("compile", "users.mig")
    assert ran.code == 1
    assert "was released, and this compile would take it away" in ran.err
    assert "downgrade the database first" in ran.err
    assert enforce.is_file()
    ran = run("compile", "users.mig", "--force")
    assert ran.code == 0
    assert "1 removed" in ran.out
    assert not enforce.exists()


def test_check_is_quiet_where_all_is_fresh_and_shows_what_is_not(project: Path, run: Run):
    ran = run("compile", "users.mig", "--out", "out", "--check")
    assert ran.code == 2
    assert f"missing: {EXPAND}\n" in ran.out
    assert not (project / "out").exists()
    run("compile", "users.mig", "--out", "out")
    (project / "out/notes").write_text("mine\n")
    before = tree(project)
    assert run("compile", "users.mig", "--out", "out", "--check").code == 0
    edit(project / "users.mig", "500k", "600k")
    with (project / "out" / FLAGS).open("a") as file:
        file.write("\x1b[31mmine")
    ran = run("compile", "users.mig", "--out", "out", "--check")
    assert ran.code == 2
    assert "\n-| Data | User (public.users), ~500k rows, pii |\n+| Data | User (public.users), ~600k rows" in ran.out
    assert "\n-\\x1b[31mmine\\ No newline at end of file\n" in ran.out
    assert "MIG704" in ran.err
    assert f"{FLAGS} (changed by hand)" in ran.err
    assert "help: migdsl compile users.mig --out out" in ran.err
    assert "notes" not in ran.out + ran.err
    edit(project / "users.mig", "600k", "500k")
    run("compile", "users.mig", "--out", "out", "--force")
    assert tree(project).keys() == before.keys()


def test_check_names_what_is_stale(project: Path, run: Run):
    run("compile", "users.mig", "--through", "enforce")
    before = tree(project)
    ran = run("compile", "users.mig", "--check")
    assert ran.code == 2
    assert "stale: migrations/versions/users_email_enforce.py\n" in ran.out
    assert tree(project) == before


def test_json_says_it_all(project: Path, run: Run):
    said = json.loads(run("compile", "users.mig", "--format", "json").out)
    assert (said["ok"], said["written"], said["diagnostics"]) == (True, True, [])
    assert {"migration": "users_email", "path": EXPAND, "kind": "revision", "state": "new"} in said["files"]
    assert {each["phase"] for each in said["later"]} == {"enforce", "contract"}
    again = json.loads(run("compile", "users.mig", "--format", "json").out)
    assert {each["state"] for each in again["files"]} == {"unchanged"}
    (project / FLAGS).write_text("mine\n")
    ran = run("compile", "users.mig", "--format", "json", "--check")
    said = json.loads(ran.out)
    assert (ran.code, said["ok"], said["written"]) == (2, False, False)
    assert [each["code"] for each in said["diagnostics"]] == ["MIG704"]
    assert [each["path"] for each in said["files"] if each["state"] != "unchanged"] == [FLAGS]


def test_a_warning_is_said_each_time_and_stops_the_strict(project: Path, run: Run):
    edit(project / "users.mig", '  ticket   "MIG-77"\n', "")
    ran = run("compile", "users.mig")
    assert ran.code == 0
    assert "warning[" in ran.err
    assert "1 warning: migdsl check users.mig" in run("compile", "users.mig").out
    assert run("compile", "users.mig", "--strict").code == 1
    assert run("check", "users.mig", "--strict").code == 1
    assert run("check", "users.mig").code == 0


def test_a_folder_that_is_a_file_is_a_diagnostic(project: Path, run: Run):
    (project / "out").write_text("mine\n")
    ran = run("compile", "users.mig", "--out", "out")
    assert ran.code == 1
    assert "MIG705" in ran.err
    (project / "docs").write_text("mine\n")
    before = tree(project)
    ran = run("compile", "users.mig")
    assert ran.code == 1
    assert "MIG705" in ran.err
    assert "Nothing was changed." in ran.err
    assert tree(project) == before


HEAVY = (
    "lark",
    "pydantic",
    "jinja2",
    "postgast",
    "black",
    "json",
    "re",
    "pathlib",
    "typing",
    "dataclasses",
    "argparse",
)
BLOCKED = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from migdsl.cli import main
sys.exit(main(sys.argv[1:]))
"""


def blocked(*words: str, project: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that can import nothing heavy."""
    environment = {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    return subprocess.run(
        [sys.executable, "-S", "-c", BLOCKED, ",".join(HEAVY), *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def unblocked(*words: str, project: Path, cache: Path) -> None:
    """The same process with nothing in its way, so that it leaves the record that the blocked one looks for."""
    environment = {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    program = "import sys; from migdsl.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-S", "-c", program, *words], cwd=project, env=environment, check=True)


def test_with_nothing_to_do_the_compiler_is_not_loaded(project: Path, cache: Path):
    words = ("compile", "users.mig", "--out", "out")
    assert "internal error" in blocked(*words, project=project, cache=cache).stderr
    unblocked(*words, project=project, cache=cache)
    before = tree(project)
    for more in ((), ("--check",), ("--strict",)):
        done = blocked(*words, *more, project=project, cache=cache)
        assert (done.returncode, done.stdout) == (0, "users_email: up to date (10 files in out)\n"), done.stderr
    assert tree(project) == before
    assert blocked("--version", project=project, cache=cache).stdout.startswith("migdsl ")


def source(project: Path) -> None:
    edit(project / "users.mig", "500k", "600k")


def artifact(project: Path) -> None:
    (project / FLAGS).write_text("{}\n")


def missing(project: Path) -> None:
    (project / RUNBOOK).unlink()


def manifest(project: Path) -> None:
    edit(project / MANIFEST, "users.mig", "usrs.mig")


@pytest.mark.parametrize("change", [source, artifact, missing, manifest])
def test_what_has_changed_is_seen(project: Path, run: Run, change):
    run("compile", "users.mig")
    assert run("compile", "users.mig", "--check").code == 0
    change(project)
    assert run("compile", "users.mig", "--check").code == 2


def test_other_options_are_other_work(run: Run):
    run("compile", "users.mig")
    assert run("compile", "users.mig", "--check", "--through", "enforce").code == 2


@pytest.mark.parametrize("content", [b"", b"\0", b"migdsl record 1", b"migdsl record 1\0a\0b\0c\0d\0e", b"\xff" * 99])
def test_a_broken_record_is_no_record(run: Run, cache: Path, content: bytes):
    run("compile", "users.mig")
    records = list((cache / "migdsl").glob("*/fresh/*"))
    assert records
    for record in records:
        record.write_bytes(content)
    ran = run("compile", "users.mig")
    assert (ran.code, "up to date" in ran.out) == (0, True)


def test_another_compiler_looks_again(run: Run, monkeypatch: pytest.MonkeyPatch):
    run("compile", "users.mig")
    compiled: list[object] = []

    def build(options: object, _: object) -> int:
        compiled.append(options)
        return 0

    monkeypatch.setattr("migdsl.cli.build.build", build)
    run("compile", "users.mig")
    assert compiled == []
    monkeypatch.setattr("migdsl.cli.fresh.fingerprint", lambda: "another")
    run("compile", "users.mig")
    assert len(compiled) == 1


@pytest.mark.parametrize("trouble", ["file", "writable"])
def test_trouble_with_the_cache_is_no_trouble(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str):
    cache = tmp_path / "cache"
    if trouble == "file":
        cache.write_text("mine\n")
    else:
        (cache / "migdsl").mkdir(parents=True)
        (cache / "migdsl").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert run("compile", "users.mig").code == 0
    assert "up to date" in run("compile", "users.mig").out
    assert list(tmp_path.rglob("fresh/*")) == []
