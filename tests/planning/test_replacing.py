"""Replacements become plans: type, phases, proofs, ramp and way back are those of the file, in words of the file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from migdsl.plan.model import DataMigrationPlan
from migdsl.workspace import Compilation, compile_files

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# Each example with what makes a sentence its own: the names of its things.
OWN = {
    "12_dependency/python_runtime": ("Python 3.9", "Python 3.11", "billing-lead", "python_runtime", "cron", "checks/"),
    "13_infrastructure/session_cache": ("cache-1", "Valkey", "session", "log in", "checks/"),
    "14_architecture/orders_out": ("monolith", "orders", "order_engine", "checks/"),
}
TYPES = ("dependency_migration", "infrastructure_migration", "architecture_migration")


def compiled(text: str) -> Compilation:
    found = compile_files({"m.mig": text}, "m.mig")
    assert found.ok, [d.title for d in found.diagnostics]
    return found


def source(name: str) -> str:
    return (EXAMPLES / f"{name}.mig").read_text(encoding="utf-8")


def plan(name: str) -> DataMigrationPlan:
    found = compiled(source(name)).plan
    assert found is not None
    return found


def text_of(found: Compilation, path: str) -> str:
    (text,) = (a.text for a in found.artifacts if a.path == path)
    return text


@pytest.mark.parametrize(("name", "type_"), list(zip(OWN, TYPES, strict=True)))
def test_the_type_follows_from_the_kind(name: str, type_: str) -> None:
    assert (plan(name).category, plan(name).migration_type) == (type_, "other")
    assert [phase.id for phase in plan(name).phases] == ["prepare", "expand", "validate", "cutover", "contract"]


@pytest.mark.parametrize("name", OWN)
def test_no_sentence_would_fit_any_other_file(name: str) -> None:
    found = plan(name)
    sentences = [
        found.source_of_truth,
        *found.strategy,
        *found.risks,
        *found.cutover.abort_conditions,
        *found.rollback.data_reconciliation,
        *found.validation.checks,
        *(step for phase in found.phases for step in phase.steps),
        *(text for phase in found.phases for text in phase.exit_criteria),
        *(way.keeps for way in found.rollback.phases),
        *(task.task for task in found.implementation_plan if task.phase != "validate"),
        *(gate.text for gate in found.modernization_gates),
    ]
    own = (*OWN[name], *(check.artifact for check in found.validation.typed_checks), "replace_errors")
    assert [s for s in sentences if not any(word in s for word in own)] == []


@pytest.mark.parametrize("name", OWN)
def test_every_section_is_filled_and_every_phase_can_be_left(name: str) -> None:
    found = plan(name)
    for phase in found.phases:
        assert phase.steps, phase.id
        assert phase.exit_criteria, phase.id
    ways = {way.from_phase: way for way in found.rollback.phases}
    assert set(ways) == {"contract", "cutover", "validate", "expand"}
    assert all(way.commands for way in ways.values())
    assert ways["cutover"].commands[0] == "migdsl rollout m.mig --stage off --for all"
    assert found.validation.typed_checks
    assert found.impact.stakeholders
    assert found.timeline.deploys


def test_owners_of_those_who_are_affected_must_know() -> None:
    found = plan("13_infrastructure/session_cache").impact
    assert found.affected_systems == ("service accounts", "service checkout", "the on-call rota")
    assert found.stakeholders == ("infrastructure", "accounts-team", "checkout-team", "support")


def test_the_owner_of_a_database_that_changes_must_know() -> None:
    text = (EXAMPLES / "users.mig").read_text(encoding="utf-8")
    text = text.replace("env DATABASE_URL", "env DATABASE_URL\n  service accounts")
    found = compiled(f'{text}\nservice accounts {{ owner "accounts-team" }}\n').plan
    assert found is not None
    assert "accounts-team" in found.impact.stakeholders


def test_the_ramp_may_stand_in_the_cutover_and_says_the_same() -> None:
    text = source("12_dependency/python_runtime")
    ramp = "ramp     canary, 10%, 50%, 100% every 24h"
    assert ramp in text
    moved = text.replace(ramp, "").replace("cutover {", f'cutover {{\n  canary "canary"\n  {ramp}')
    assert compiled(moved).plan is not None
    before, after = (compiled(each).plan for each in (text, moved))
    assert before is not None
    assert after is not None
    assert before.cutover == after.cutover
    assert [step.audience for step in before.cutover.rollout] == ["canary", "percent", "percent", "percent"]


def test_without_tenants_clients_are_put_into_buckets_by_their_own_id() -> None:
    found = compiled(source("12_dependency/python_runtime") + "flag python_runtime { stage live for 10% }\n")
    flag = json.loads(text_of(found, "flags/python_runtime.flagd.json"))["flags"]["python_runtime"]
    assert '"targetingKey"' in json.dumps(flag["targeting"])


def test_names_are_written_as_what_they_land_in_needs_them(tmp_path: Path) -> None:
    nasty = 'x """ \\" \\\\ {{ $a }} `b` <b> # é'
    text = source("14_architecture/orders_out").replace("the monolith", nasty.replace('"""', '\\"\\"\\"'))
    text = text.replace('"it is up"', '"it is \\"up\\" \\\\ \'\'\'"')
    found = compiled(text)
    for artifact in found.artifacts:
        if artifact.path.endswith(".py"):
            compile(artifact.text, artifact.path, "exec")
    written = tmp_path / "prometheus"
    written.mkdir()
    for artifact in found.artifacts:
        if artifact.path.startswith("prometheus/"):
            (tmp_path / artifact.path).write_text(artifact.text, encoding="utf-8")
    if shutil.which("promtool"):
        done = subprocess.run(
            ["promtool", "test", "rules", "orders_out.test.json"],
            cwd=written,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_beside_tables_both_go_by_one_flag_and_nobody_is_told_twice() -> None:
    text = (EXAMPLES / "users.mig").read_text(encoding="utf-8")
    replaced = source("12_dependency/python_runtime").partition("replace python_runtime {")[2].partition("\n}")[0]
    lines = [line for line in replaced.splitlines() if "affects" not in line and "ramp" not in line]
    found = compiled(text + "\nreplace runtime {" + "\n".join(lines) + "\n}\n").plan
    assert found is not None
    assert (found.category, [p.id for p in found.phases][-2:]) == ("schema_change", ["enforce", "contract"])
    (cutover,) = (way for way in found.rollback.phases if way.from_phase == "cutover")
    assert [c for c in cutover.commands if "rollout" in c and "--stage" in c] == [
        c for c in cutover.commands if "--stage dualwrite" in c
    ]
    assert "Python 3.11" in found.source_of_truth
