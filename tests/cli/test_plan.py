"""`migdsl plan`: every phase, step, deploy and wait is told, in plain text, by rich on a terminal, and as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from migdsl.cli import output, plan_rich, plan_text
from migdsl.plan import DataMigrationPlan
from migdsl.workspace import compile_files
from tests.cli.conftest import Run, edit, tree

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def plan_of(project: Path) -> DataMigrationPlan:
    text = (project / "users.mig").read_text()
    plan = compile_files({"users.mig": text}, "users.mig").plan
    assert plan is not None
    return plan


def flat(text: str) -> str:
    return re.sub(r"[\s│╭╮╰╯─━]+", " ", ESCAPE.sub("", text))


def overview(said: str) -> dict[str, list[str]]:
    """The first table, by phase."""
    table = said.split("\n\n")[1].splitlines()[1:]
    return {row.split()[0]: row.split()[1:] for row in table}


def test_it_shows_every_phase_with_its_steps(project: Path, run: Run):
    before = tree(project)
    ran = run("plan", "users.mig")
    assert (ran.code, ran.err) == (0, "")
    plan: dict[str, Any] = json.loads(run("plan", "users.mig", "--json").out)
    said = flat(ran.out)
    for number, phase in enumerate(plan["phases"], 1):
        assert f"{number}. {phase['name']}" in ran.out
        assert f"stage at most: {phase['flag_stage']}" in ran.out
        for criterion in phase["exit_criteria"]:
            assert f"- {criterion}" in said
        for step in phase["typed_steps"]:
            first = " ".join(step["title"].split()[:4])
            (row,) = [line for line in ran.out.splitlines() if re.match(rf" +\d+  {re.escape(first)}", line)][:1]
            time = r"~\S+" if step["estimate_seconds"] else "-"
            assert re.search(rf"  {re.escape(step['lock'] or '-')} +{step['cost']} +{time}$", row)
    assert "begins after a soak of 30d" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert tree(project) == before


def test_it_counts_deploys_and_days(project: Path, run: Run):
    said = run("plan", "users.mig").out
    assert "3 deploys of the schema, 2 of the application" in flat(said)
    # Four pauses before everybody, then the soak; 500k rows at 10k a second, and two scans and an index beside.
    assert "at least 34d 51s in all: 34d of waiting, about 54s of work" in said
    table = overview(said)
    assert table["expand"] == ["dualwrite", "-", "1", "-", "-", "written"]
    assert table["backfill"] == ["dualwrite", "-", "-", "~50s", "-", "written"]
    assert table["cutover"] == ["rampdown", "1", "-", "-", "5d", "later"]
    assert table["contract"] == ["complete", "1", "1", "-", "30d", "later"]
    assert "deploy first: code that can read and write User.contact_email" in said


def test_what_the_flag_has_left_behind_has_run(project: Path, run: Run):
    edit(project / "users.mig", "stage off for all", "stage dualwrite for all")
    rows = overview(run("plan", "users.mig").out)
    assert rows["expand"][-2:] == ["has", "run"]
    assert rows["enforce"][-1] == "later"


def test_unknown_rows_are_said_to_be_unknown(project: Path, run: Run):
    edit(project / "users.mig", "  rows 500k\n", "")
    said = run("plan", "users.mig").out
    assert re.search(r"batches  \?$", said, re.MULTILINE)
    assert "and what is unknown, since no rows are declared for public.users" in flat(said)
    plan = json.loads(run("plan", "users.mig", "--json").out)
    assert plan["timeline"]["unknown"] == ["public.users"]
    assert {p["id"]: p["estimate_seconds"] for p in plan["phases"]}["backfill"] is None


@pytest.mark.parametrize("width", [30, 60, 100])
def test_plain_text_keeps_to_the_width(project: Path, width: int):
    said = plan_text.render_plan(plan_of(project), colour=False, width=width)
    # The overview needs 60 columns; everything else gets along with fewer, except words that are wider.
    assert all(len(line) <= max(width, 60) for line in said.splitlines())
    if width == 30:  # no columns between the words
        assert all(step.title in flat(said) for phase in plan_of(project).phases for step in phase.typed_steps)
    assert "\x1b" not in said
    coloured = plan_text.render_plan(plan_of(project), colour=True, width=width)
    assert coloured != said
    assert ESCAPE.sub("", coloured) == said


def test_rich_says_the_same(project: Path):
    plan = plan_of(project)
    for width in (60, 100, 180):
        said = plan_rich.render_plan(plan, colour=True, width=width)
        assert said == plan_rich.render_plan(plan, colour=True, width=width)
        assert all(len(ESCAPE.sub("", line)) <= width for line in said.splitlines())
    assert "\x1b[" in said
    wide = flat(said)
    for phase in plan.phases:
        assert phase.name in wide
        for step in phase.typed_steps:
            assert step.title in wide
        for criterion in phase.exit_criteria:
            assert criterion in wide
    bare = plan_rich.render_plan(plan, colour=False, width=100)
    assert not re.search(r"\x1b\[[0-9;]*3\dm", bare)


def test_a_files_words_are_no_markup_and_no_escapes(project: Path):
    edit(project / "users.mig", 'ticket   "MIG-77"', 'ticket "MIG-77"\n  title "[red]a[/red] \\u001b[31mb [link=x]c"')
    for said in (
        plan_rich.render_plan(plan_of(project), colour=True, width=120),
        plan_text.render_plan(plan_of(project), colour=True, width=120),
    ):
        assert "[red]a[/red] \\x1b[31mb [link=x]c" in said


def test_rich_is_for_terminals(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    plain = run("plan", "users.mig").out
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    assert "╭─" in run("plan", "users.mig").out
    monkeypatch.setattr("migdsl.cli.plan.find_spec", lambda _: None)
    monkeypatch.setattr(output, "is_coloured", lambda _: False)
    assert run("plan", "users.mig").out == plain


def test_it_says_the_same_whatever_hash_seed_and_terminal(project: Path):
    said = set()
    for seed, columns in (("1", "40"), ("2", "200")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "COLUMNS": columns}
        argv = [sys.executable, "-m", "migdsl", "plan", "users.mig"]
        said.add(subprocess.run(argv, env=env, capture_output=True, check=True).stdout)
    assert len(said) == 1
