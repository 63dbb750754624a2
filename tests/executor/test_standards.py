"""Modernization gates are answered by what the ledger, the revisions and the files have shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.executor.asking import answers
from migdsl.executor.conditions import conditions
from migdsl.executor.model import Answer, Condition, Wishes
from migdsl.executor.standards import Evidence, standards
from migdsl.plan import DataMigrationPlan
from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.workspace import compile_files

ROOT = Path(__file__).resolve().parents[2]
MORE = """
gate clean when drift_rate < 0.1% for 24h
validate User {
  invariant "every address has an @" `SELECT id FROM users WHERE tenant_id = :tenant_id AND contact_email NOT LIKE '%@%'`
}
"""
CLEAN: dict[str, object] = {"problems": 0, "rows_mismatched": 0, "tenants_unlisted": 0}


@pytest.fixture(scope="module")
def plan() -> DataMigrationPlan:
    found = compile_files({"users.mig": (ROOT / "examples/users.mig").read_text(encoding="utf-8") + MORE}, "users.mig")
    assert found.plan is not None
    return found.plan


def known(reading: dict[str, object] | None = None, *unmet: str, ran: str = "", broken: str = "") -> Evidence:
    open_ = tuple(Answer(Condition(name, "cutover", name, "ledger"), False, f"{name} is open") for name in unmet)
    readings = {"User": reading} if reading is not None else {}
    return Evidence(open_, readings, frozenset(ran.split()), frozenset(broken.split()))


def met(plan: DataMigrationPlan, evidence: Evidence) -> dict[str, bool | None]:
    return {each["id"]: each["met"] for each in standards(plan, evidence)}


def test_every_gate_refers_to_what_the_plan_has(plan: DataMigrationPlan) -> None:
    conditions_ = {c.id for phase in plan.phases for c in phase.exit_conditions}
    there = {check.id for check in plan.validation.typed_checks} | conditions_
    there |= {f"users_email_{phase}" for phase in ("expand", "enforce", "contract")}
    assert {gate.id.split(".")[0] for gate in plan.modernization_gates} == {
        *("tenancy", "replay", "constraints", "idempotency", "gate", "invariant"),
    }
    for gate in plan.modernization_gates:
        assert set(gate.checks) <= there, gate.id
        assert gate.checks, gate.id


def test_what_was_never_measured_is_not_met(plan: DataMigrationPlan) -> None:
    found = met(plan, known())
    assert [name for name, yes in found.items() if yes] == ["idempotency", "gate.clean"]
    reasons = {each["id"]: each["reason"] for each in standards(plan, known())}
    assert reasons["tenancy.User"] == "reconciliation of User has not been run"


def test_a_clean_reconciliation_meets_them(plan: DataMigrationPlan) -> None:
    assert all(met(plan, known(CLEAN)).values())


@pytest.mark.parametrize(
    ("reading", "unmet"),
    [
        ({"tenants_unlisted": 2}, {"tenancy.User"}),
        ({"rows_mismatched": 1, "problems": 1}, {"replay.User", "constraints.User", "invariant.User.1"}),
        ({"problems": 3}, {"constraints.User", "invariant.User.1"}),
    ],
)
def test_each_reading_tells_of_its_own_gates(
    plan: DataMigrationPlan, reading: dict[str, object], unmet: set[str]
) -> None:
    assert {name for name, yes in met(plan, known(CLEAN | reading)).items() if not yes} == unmet


def test_a_condition_that_is_open_says_why(plan: DataMigrationPlan) -> None:
    found = {each["id"]: each for each in standards(plan, known(CLEAN, "clean", "backfill_progress"))}
    assert found["gate.clean"]["reason"] == "clean is open"
    assert found["replay.User"]["reason"] == "backfill_progress is open"


def test_what_enforce_has_made_the_database_keeps(plan: DataMigrationPlan) -> None:
    bad = CLEAN | {"problems": 3}
    assert met(plan, known(bad, ran="users_email_expand"))["constraints.User"] is False
    assert met(plan, known(bad, ran="users_email_expand users_email_enforce"))["constraints.User"] is True


def test_a_revision_that_broke_off_is_told(plan: DataMigrationPlan) -> None:
    found = {each["id"]: each for each in standards(plan, known(CLEAN, broken="users_email_expand"))}
    assert found["idempotency"]["reason"] == "users_email_expand has broken off: run it again"


def planned() -> Planned:
    text = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    text = text.replace("rows 500k", 'rows 500k\n  legacy email unclear "blank and null both occur"')
    found = compile_files({"users.mig": text}, "users.mig")
    assert found.module is not None
    return build(found.module, "")


class NoLedger:
    """What a database without a ledger knows."""

    there = False

    def unmet(self, _condition: Condition) -> str:
        return "nothing yet"


def test_prepare_is_left_once_the_old_system_is_pinned(tmp_path: Path) -> None:
    def asked() -> Answer:
        found = answers(conditions(planned(), str(tmp_path))["prepare"], NoLedger(), {}, Wishes())  # type: ignore[arg-type]
        return next(each for each in found if each.condition.id == "pinned_User")

    folder = tmp_path / "tests/characterization"
    folder.mkdir(parents=True)
    test = folder / "test_users_email_user.py"
    assert asked().reason == f"nothing is recorded yet: python {test}, then commit it"
    snapshot = test.with_suffix(".snapshot.json")
    snapshot.write_text("<<<<<<< HEAD\n", encoding="utf-8")
    assert "was a merge left unfinished?" in asked().reason
    seen = '{"rows": 1, "tenants": 1, "classes": {"NULL": 1}, "values": null, "triggers": {}}'
    snapshot.write_text(f'{{"version": 1, "columns": {{"email": {seen}}}}}', encoding="utf-8")
    assert asked().met
