"""What a file demands and promises reaches the plan, the paths and the jobs; what it leaves out changes nothing."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from migdsl.emit import proof
from migdsl.plan import DataMigrationPlan
from migdsl.semantics import check
from migdsl.source import SourceFile
from migdsl.syntax.parser import parse
from migdsl.workspace import Compilation, compile_files
from tools import refresh_cases

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
EVERYTHING = refresh_cases.source((refresh_cases.CASES / "fine_policy.mig").read_text(encoding="utf-8"))


def compiled(text: str, **more: str) -> Compilation:
    found = compile_files({"users.mig": text}, "users.mig", **more)
    assert found.ok, found.diagnostics
    return found


def plan_of(text: str) -> DataMigrationPlan:
    found = compiled(text).plan
    assert found is not None
    return found


@pytest.fixture(scope="module")
def everything() -> DataMigrationPlan:
    return plan_of(EVERYTHING)


def phase(plan: DataMigrationPlan, name: str):
    return next(p for p in plan.phases if p.id == name)


def test_the_files_go_where_the_file_says(everything: DataMigrationPlan) -> None:
    files = {f for task in everything.implementation_plan for f in (*task.files_touched, *task.files_later)}
    assert {
        "plans/users_email.json",
        "db/app/versions/users_email_expand.py",
        "db/app/versions/users_email_contract.py",
        "jobs/users_email/fill_user.py",
        "reconcile/users_email/user.py",
        "flags/users_email.flagd.json",
    } <= files
    steps = [s for p in everything.phases for s in p.typed_steps]
    assert {s.artifact for s in steps if s.operation == "backfill"} == {"jobs/users_email/fill_user.py"}


def test_entities_whose_names_are_alike_have_files_of_their_own() -> None:
    twin = EXAMPLE.replace("entity User in app.users", "entity user in app.others").split("change User")[0]
    entity = twin[twin.index("entity user") :]
    change = "change user {\n  add nick text { from `username` }\n}\n"
    output = 'output { backfills "jobs/{entity}/fill.py" }\n'
    paths = [a.path for a in compiled(EXAMPLE + entity + change + output).artifacts if a.kind == "backfill"]
    assert len({p.lower() for p in paths}) == 2
    assert all(p.startswith("jobs/user") and p.endswith("/fill.py") for p in paths)


def test_a_phase_of_ones_own_stands_behind_the_one_it_follows(everything: DataMigrationPlan) -> None:
    names = [p.id for p in everything.phases]
    assert names == ["prepare", "expand", "smoke_test", "backfill", "validate", "cutover", "enforce", "contract"]
    own = phase(everything, "smoke_test")
    assert own.steps == ("click through the checkout",)
    assert own.flag_stage == "dualwrite"
    (leave,) = own.exit_conditions
    assert (leave.kind, leave.metric, leave.threshold, leave.window_seconds) == (
        "metric",
        "checkout_errors",
        "< 1%",
        3600,
    )
    # It has no revision, so that there is no way back out of it either.
    assert {w.from_phase for w in everything.rollback.phases} == {n for n in names if n != "smoke_test"} - {"prepare"}


def test_phases_of_ones_own_follow_each_other_and_what_is_left_out() -> None:
    more = """
phase b after a { step "second" run "make b" }
phase a after backfill { step "first" }
phase contract { step "say thanks" }
"""
    plan = plan_of(
        EXAMPLE.split("change User")[0] + "change User { add nick text? }\n" + more.replace("contract", "expand")
    )
    assert [p.id for p in plan.phases] == ["prepare", "expand", "a", "b", "validate"]
    assert phase(plan, "expand").steps[-1] == "say thanks"
    runbook = next(a.text for a in compiled(EXAMPLE + more).artifacts if a.kind == "runbook")
    assert "1. second: make b\n\n```sh\nmake b\n```" in runbook


def test_gates_say_who_keeps_them(everything: DataMigrationPlan) -> None:
    met = {g.id: g.met_by for g in everything.modernization_gates}
    assert met["gate.clean"] == (
        "the revisions of enforce and contract, which refuse until it holds and people, who look at it before they go on: "
        "checkout_errors < 1% for 3d"
    )
    assert met["gate.slo"] == "people, who look at it before they go on: cutover_errors < 1% for 10m"
    kinds = [
        (c.kind, c.text)
        for c in phase(everything, "cutover").exit_conditions
        if "checkout" in c.text or "clean" in c.text
    ]
    assert kinds == [
        ("gate", "The condition clean holds: drift_rate < 0.1% for 24h"),
        ("metric", "checkout_errors < 1% for 3d (your monitoring tells; no revision can)"),
    ]


def test_criteria_and_their_proofs(everything: DataMigrationPlan) -> None:
    assert {a.criterion: a.proven_by for a in everything.acceptance} == {
        "every user has an address": ("invariant: every address has an @", "gate clean", "gate soak"),
        "support knows the change": ("a person says so: support lead",),
        "the checkout goes on": ("metric: checkout_errors < 1% for 7d",),
    }


def test_impact_is_raised_and_keeps_what_was_derived(everything: DataMigrationPlan) -> None:
    impact, derived = everything.impact, plan_of(EXAMPLE).impact
    assert (derived.risk, impact.risk) == ("medium", "high")
    assert impact.reasons == (*derived.reasons, "the file says high")
    assert impact.affected_systems == (*derived.affected_systems, "service checkout", "the newsletter")
    assert impact.breaking_changes == (*derived.breaking_changes, "exports name the column contact_email")
    assert impact.stakeholders == ("checkout-team", "marketing", "support")
    raised = plan_of(EXAMPLE.replace("downtime none", "downtime window 5m") + "impact { downtime 90s }")
    assert raised.impact.downtime_minutes == 1.5


def test_the_way_back_stays_open_for_as_long_as_the_file_says(everything: DataMigrationPlan) -> None:
    assert phase(everything, "contract").soak_seconds == 60 * 86_400
    assert "drift_rate > 0.5% for 10m" in everything.rollback.conditions
    assert "tell support: make announce" in everything.rollback.steps
    assert "cutover_errors > 3% for 5m" in everything.cutover.abort_conditions
    # A shorter time than that of a drop changes nothing.
    assert phase(plan_of(EXAMPLE + "rollback { keep 3d }"), "contract").soak_seconds == 30 * 86_400
    text = next(a.text for a in compiled(EVERYTHING, through="contract").artifacts if a.path.endswith("_contract.py"))
    assert f"interval '{60 * 86_400} seconds'" in text
    assert f"interval '{30 * 86_400} seconds'" not in text


def test_samples_invariants_and_pace_are_in_the_plan(everything: DataMigrationPlan) -> None:
    (sampling,) = everything.validation.sampling
    assert sampling.endswith("and so the sample that is asked for: 1% of the rows and the top 100 by length(username)")
    assert [c.text for c in everything.validation.typed_checks if c.kind == "invariant"] == ["every address has an @"]
    assert "every address has an @" in everything.data_domains[0].invariants
    assert any(
        "about 20 ms a batch, working 50% of the time, waiting while replication_lag > 10s or lock_wait > 2s" in s
        for s in everything.strategy
    )


def test_the_job_has_the_pace_that_the_file_says() -> None:
    text = next(a.text for a in compiled(EVERYTHING).artifacts if a.kind == "backfill")
    (call,) = [
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "BackfillJob"
    ]
    said = {k.arg: ast.unparse(k.value) for k in call.keywords if k.arg in ("pace", "retry")}
    assert said == {"pace": "Pace(target_ms=20.0, duty=0.5)", "retry": "Retry(attempts=5, first_s=1, longest_s=60)"}
    plain = next(a.text for a in compiled(EXAMPLE).artifacts if a.kind == "backfill")
    assert "Pace" not in plain
    # Where the file doesn't say when to wait, the usual reasons hold.
    assert "replication lag is" in plain


def test_dates_and_requirements_are_constraints(everything: DataMigrationPlan) -> None:
    assert {
        "At all times cutover_errors < 1% for 10m",
        "The requirements are in docs/prd/addresses.md",
        "It starts on 2026-12-01",
        "Cutover is over by 2027-01-15",
    } <= set(everything.constraints)


@pytest.mark.parametrize(
    ("promise", "kept"),
    [
        *(("due cutover 2026-12-05", True), ("due cutover 2026-12-04", False)),
        *(("due enforce 2026-12-06", True), ("due enforce 2026-12-05", False)),
        *(("due contract 2027-01-04", True), ("due contract 2027-01-03", False)),
        *(("due expand 2026-12-01", True), ("due expand 2026-11-30", False)),
    ],
)
def test_the_sum_of_all_waits_fits_before_the_day_that_is_promised(promise: str, kept: bool) -> None:
    """Canary and four steps, a day apart: everybody is live on the fifth day; a clean day; 30 days of soak."""
    text = EXAMPLE.replace("downtime none", f"downtime none; start 2026-12-01; {promise}")
    found = compile_files({"users.mig": text}, "users.mig").diagnostics
    assert [d.code for d in found] == ([] if kept else ["MIG510"])


def test_an_invariant_that_is_not_confined_never_leaves_the_compiler() -> None:
    found = compiled(EVERYTHING)
    job = next(a for a in found.artifacts if a.kind == "reconcile")
    loose = job.text.replace("WHERE tenant_id = :tenant_id AND contact_email NOT", "WHERE contact_email NOT")
    assert loose != job.text
    module, _ = check(parse(SourceFile("users.mig", EVERYTHING)))
    known = proof.boundary(module, "app")
    proof.prove(job, ast.parse(job.text), known)
    with pytest.raises(proof.UnprovenError, match="invariants"):
        proof.prove(job, ast.parse(loose), known)


def test_the_plan_says_the_same_as_json(everything: DataMigrationPlan) -> None:
    text = next(a.text for a in compiled(EVERYTHING).artifacts if a.kind == "plan")
    assert DataMigrationPlan.model_validate(json.loads(text)) == everything
