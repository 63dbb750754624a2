"""What other projects take from here for their reviews: pre-commit's hooks and the GitHub Action, run as their hosts run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from migdsl.cli import main as migdsl
from migdsl.cli.arguments import Options, parse
from tests.cli.conftest import edit

ROOT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/reviewing.md").read_text(encoding="utf-8")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
SHARED = "database other {\n  engine postgresql 15\n  url    env OTHER_URL\n}\n"


def program(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A Python program of the test extra."""
    return subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_hooks_are_what_pre_commit_takes() -> None:
    ran = program("pre_commit", "validate-manifest", ".pre-commit-hooks.yaml")
    assert ran.returncode == 0, ran.stdout
    assert [hook["id"] for hook in HOOKS] == ["migdsl-check", "migdsl-fmt", "migdsl-compile-check"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_command_that_there_is(hook: dict) -> None:
    assert isinstance(parse([*shlex.split(hook["entry"])[1:], "a.mig", "b.mig"]), Options)
    assert re.search(hook["files"], "db/a.mig")
    assert not re.search(hook["files"], "a.mig.orig")


def test_the_action_has_the_shape_that_github_wants() -> None:
    ran = program("check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml")
    assert ran.returncode == 0, ran.stdout


def test_nothing_from_outside_is_expanded_in_a_script() -> None:
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert len(scripts) == 6
    for script in scripts:
        assert "${{" not in script
        assert script.startswith("set -euo pipefail\n")


def test_every_variable_that_a_script_takes_is_given() -> None:
    for name, step in STEPS.items():
        used = set(re.findall(r"\$\{?(MIGDSL_\w+)", step.get("run", "")))
        assert used == set(step.get("env", {})), name


def block(language: str, number: int = 0) -> str:
    """A block of docs/reviewing.md."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)[number]


def test_the_page_tells_every_input_with_its_default() -> None:
    told = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| (.*?) \|", PAGE.partition("| input |")[2]))
    assert told.pop("old-ref") == "the pull request's base"
    assert told == {name: f"`{said['default']}`" for name, said in ACTION["inputs"].items() if name != "old-ref"}


def test_the_page_shows_what_there_is() -> None:
    hooks = yaml.safe_load(block("yaml"))["repos"][0]["hooks"]
    assert {hook["id"] for hook in hooks} == {hook["id"] for hook in HOOKS}
    steps = yaml.safe_load(block("yaml", 1))["jobs"]["migdsl"]["steps"]
    assert set(steps[1]["with"]) <= set(ACTION["inputs"])


def test_the_attributes_cover_every_compiled_file(job: Job) -> None:
    (job.repository / ".gitattributes").write_text(block("gitattributes"), encoding="utf-8")
    compiled = [path for path in job.git("ls-files").splitlines() if not path.endswith(".mig")]
    assert len(compiled) > 10
    found = job.git("check-attr", "merge", "linguist-generated", "--", *compiled).splitlines()
    assert [line for line in found if ": merge: " in line and not line.endswith(": unset")] == []
    folded = {line.partition(": ")[0] for line in found if line.endswith("linguist-generated: true")}
    assert not any(path.endswith((".py", ".md")) for path in folded)
    assert "plan/users_email.plan.json" in folded


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step went, with what it put into the job's files."""

    code: int
    out: str
    outputs: str
    summary: str


class Job:
    """A runner's environment and a checkout, in which the action's scripts run with the values of inputs."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.temporary = folder / "temporary"
        binaries = self.temporary / "migdsl/bin"
        binaries.mkdir(parents=True)
        self.repository.mkdir()
        launcher = binaries / "migdsl"
        launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m migdsl "$@"\n', encoding="utf-8")
        launcher.chmod(0o755)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "somebody@example.com")
        self.git("config", "user.name", "Somebody")

    def git(self, *words: str) -> str:
        """Run git in the checkout."""
        return subprocess.run(
            ["git", *words], cwd=self.repository, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self) -> str:
        """Everything that is there becomes a commit."""
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "x", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def run(self, name: str, **inputs: str) -> Ran:
        """Run the script of a step; inputs without a value here have their default."""
        outputs, summary = self.temporary / "outputs", self.temporary / "summary"
        for path in (outputs, summary):
            path.write_text("", encoding="utf-8")
        values = {f"inputs.{each}": said.get("default", "") for each, said in ACTION["inputs"].items()}
        values |= {f"inputs.{each.replace('_', '-')}": value for each, value in inputs.items()}
        step = STEPS[name]
        given = {key: values[value.strip("${ }")] for key, value in step.get("env", {}).items()}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.temporary), "PYTHONPATH": str(ROOT), **given}
        environment |= {"RUNNER_TEMP": str(self.temporary), "GITHUB_OUTPUT": str(outputs)}
        environment |= {"GITHUB_STEP_SUMMARY": str(summary), "XDG_CACHE_HOME": str(self.temporary / "cache")}
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ran.stderr
        found = [path.read_text(encoding="utf-8") for path in (outputs, summary)]
        return Ran(ran.returncode, ran.stdout + ran.stderr, *found)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example and all its files, made once."""
    folder = tmp_path_factory.mktemp("compiled")
    shutil.copy(ROOT / "examples/users.mig", folder)
    assert migdsl(("compile", str(folder / "users.mig"), "--out", str(folder))) == 0
    return folder


@pytest.fixture
def job(tmp_path: Path, compiled: Path) -> Job:
    """A repository with the example, compiled, and a file that others may use."""
    made = Job(tmp_path)
    shutil.copytree(compiled, made.repository, dirs_exist_ok=True)
    (made.repository / "shared.mig").write_text(SHARED, encoding="utf-8")
    made.commit()
    return made


def test_all_is_well(job: Job) -> None:
    assert job.run("Files").out == "2 files\n"
    sarif = job.run("SARIF")
    assert (sarif.code, sarif.outputs) == (0, "path=migdsl.sarif\n"), sarif.out
    log = json.loads((job.repository / "migdsl.sarif").read_text(encoding="utf-8"))
    assert (log["version"], log["runs"][0]["results"]) == ("2.1.0", [])
    assert job.run("Check").code == 0
    drift = job.run("Drift")
    assert drift.code == 0, drift.out
    assert "shared.mig: migrates nothing" in drift.out


def test_a_pull_request_is_told_and_refused(job: Job) -> None:
    old = job.git("rev-parse", "HEAD")
    edit(job.repository / "users.mig", "stage off for all", "stage live for all")
    job.commit()
    job.run("Files")
    summary = job.run("Summary", old_ref=old)
    assert (summary.code, summary.outputs) == (0, "path=migdsl-summary.md\n"), summary.out
    body = (job.repository / "migdsl-summary.md").read_text(encoding="utf-8")
    assert body == summary.summary
    assert "`MIG508` `users.mig:42`" in body
    assert body.count("## `") == 1, "a file that is the same is not told"
    drift = job.run("Drift")
    assert drift.code == 2
    token = re.findall(r"(?m)^::stop-commands::([0-9a-f]{32})$", drift.out)
    assert drift.out.index(f"::{token[0]}::") < drift.out.index("::error title=Compiled files are out of date::")
    assert job.git("worktree", "list").count("\n") == 0
    # Run again, as a job is: nothing is in the way.
    assert job.run("Summary", old_ref=old).summary == body


def test_files_that_come_and_go_are_told(job: Job) -> None:
    old = job.git("rev-parse", "HEAD")
    (job.repository / "users.mig").rename(job.repository / "a file; $(touch pwned) `x`.mig")
    edit(job.repository / "a file; $(touch pwned) `x`.mig", "users_email", "users_mail")
    job.commit()
    job.run("Files")
    summary = job.run("Summary", old_ref=old)
    assert summary.code == 0, summary.out
    assert "## `users_mail`" in summary.summary
    assert "**The file is gone.**" in summary.summary
    assert job.run("Check").code == 0
    assert not (job.repository / "pwned").exists()


def test_problems_are_annotated_in_place(job: Job) -> None:
    edit(job.repository / "users.mig", "email      text?    pii", "email      text?    pii\n  nonsense")
    edit(job.repository / "users.mig", '  ticket   "MIG-77"\n', "")
    job.commit()
    job.run("Files")
    check = job.run("Check")
    assert check.code == 1
    assert "::error file=users.mig,line=" in check.out
    sarif = job.run("SARIF", sarif="out.sarif")
    assert (sarif.code, sarif.outputs) == (0, "path=out.sarif\n")
    assert json.loads((job.repository / "out.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]


def test_warnings_fail_where_they_shall(job: Job) -> None:
    edit(job.repository / "users.mig", '  ticket   "MIG-77"\n', "")
    job.commit()
    job.run("Files")
    assert job.run("Check").code == 0
    assert job.run("Check", strict="true").code == 1


def test_a_link_out_of_the_repository_is_not_followed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t here\n", encoding="utf-8")
    (job.repository / "link.mig").symlink_to(tmp_path / "secret")
    old = job.git("rev-parse", "HEAD")
    job.commit()
    assert job.run("Files").out == "2 files\n"
    said = [job.run("Check"), job.run("Summary", old_ref=old), job.run("Drift")]
    assert [each.code for each in said] == [0, 0, 0]
    assert not any("s3cr3t" in each.out + each.summary for each in said)
    assert said[1].summary == "No migration changes.\n"


def test_what_a_comment_cannot_hold_is_in_the_summary_of_the_job(job: Job) -> None:
    old = job.git("rev-parse", "HEAD")
    text = (job.repository / "users.mig").read_text(encoding="utf-8")
    names = [f"users_email_{number}" for number in range(3)]
    for name in names:
        risks = "".join(f'  risk "number {number} {"x" * 900}"\n' for number in range(30))
        text_of = text.replace("users_email", name).replace('  ticket   "MIG-77"\n', f'  ticket "MIG-77"\n{risks}')
        (job.repository / f"{name}.mig").write_text(text_of, encoding="utf-8")
    job.commit()
    job.run("Files", files="users_email_*.mig")
    ran = job.run("Summary", old_ref=old, files="users_email_*.mig")
    body = (job.repository / "migdsl-summary.md").read_text(encoding="utf-8")
    assert ran.code == 0, ran.out
    assert len(body) < 65_536 < len(ran.summary)
    assert body.endswith("There is more than a comment can hold: the job has the whole summary.\n\n")
    assert body.count("<details>") == body.count("</details>")
    assert all(f"## `{name}`" in ran.summary for name in names)


def test_a_repository_without_files_has_nothing_to_say(job: Job) -> None:
    old = job.git("rev-parse", "HEAD")
    job.run("Files", files="nowhere/*.mig")
    assert job.run("Check").code == job.run("Drift").code == 0
    assert job.run("SARIF").outputs == ""
    assert job.run("Summary", old_ref=old, files="nowhere/*.mig").summary == "No migration changes.\n"


@pytest.mark.parametrize("ref", ["--upload-pack=touch pwned", "no-such-ref", "$(touch pwned)"])
def test_what_is_no_commit_is_refused(job: Job, ref: str) -> None:
    job.run("Files")
    assert job.run("Summary", old_ref=ref).code != 0
    assert not (job.repository / "pwned").exists()


def test_a_commit_that_a_shallow_clone_lacks_is_fetched(job: Job, tmp_path: Path) -> None:
    old = job.git("rev-parse", "HEAD")
    edit(job.repository / "users.mig", "500k", "600k")
    job.commit()
    origin = job.repository.rename(tmp_path / "origin")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{origin}", str(job.repository)], check=True)
    subprocess.run(["git", "-C", str(origin), "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    job.run("Files")
    ran = job.run("Summary", old_ref=old)
    assert ran.code == 0, ran.out
    assert "`500000` | `600000`" in ran.summary
