"""An API alone, and an API beside a table that changes: what each section of the plan says of it, and what the flag means."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from typing import Any

import pytest

from migdsl.executor.conditions import conditions
from migdsl.folding.stages import Audience, moved
from migdsl.plan import DataMigrationPlan
from migdsl.planning.build import build
from migdsl.planning.compare import compare
from migdsl.planning.model import Planned
from migdsl.planning.next_move import next_move
from migdsl.planning.verdict import problems
from migdsl.planning.works import works
from migdsl.source import SourceFile
from migdsl.workspace import Compilation, check, compile_files
from tests.cli.conftest import ROOT

ORDERS = (ROOT / "examples/11_api_retirement/orders_v2.mig").read_text(encoding="utf-8")
USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
GRACED = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
API = re.search(r"^api .*?^}", ORDERS, re.MULTILINE | re.DOTALL)
assert API is not None
BOTH = f"{USERS}\n{API[0]}\n"


@cache
def compiled(text: str) -> Compilation:
    found = compile_files({"orders_v2.mig": text}, "orders_v2.mig")
    assert found.ok, found.diagnostics
    return found


def plan_of(text: str) -> DataMigrationPlan:
    plan = compiled(text).plan
    assert plan is not None
    return plan


def planned(text: str) -> Planned:
    found = check({"orders_v2.mig": text}, "orders_v2.mig")
    assert found.ok, found.diagnostics
    assert found.module is not None
    return build(found.module, "0" * 64)


def steps(plan: DataMigrationPlan) -> dict[str, list[str]]:
    return {phase.id: [step.operation for step in phase.typed_steps] for phase in plan.phases}


def test_an_api_alone_is_a_whole_plan() -> None:
    plan = plan_of(ORDERS)
    assert (plan.category, plan.migration_type, plan.impact.rollback_complexity) == (
        "api_migration",
        "other",
        "moderate",
    )
    found = steps(plan)
    assert list(found) == ["prepare", "expand", "validate", "cutover", "contract"]
    assert "announce_api" in found["prepare"]
    assert {"serve_version", "deploy_middleware"} <= set(found["expand"])
    assert found["cutover"] == ["ramp_clients", "deprecate_version", "sunset_version"]
    assert found["contract"] == ["remove_version"]
    assert [each.audience for each in plan.cutover.rollout] == ["canary", "percent", "percent", "percent"]
    lists = plan.model_dump()
    empty = {name for name, value in lists.items() if value in ((), "", None)}
    assert empty <= {"data_domains", "ticket", "integration", "prd"}
    assert all(phase.exit_criteria for phase in plan.phases)


def test_its_files_are_those_that_it_names_and_none_is_of_a_database() -> None:
    found = compiled(ORDERS)
    assert found.plan is not None
    paths = {a.path for a in found.artifacts}
    assert {"api/orders_v2.py", "docs/api/orders_v2.md", "flags/orders_v2.flagd.json"} <= paths
    assert not [p for p in paths if p.startswith(("migrations", "backfills", "reconcile"))]
    runbook = next(a.text for a in found.artifacts if a.kind == "runbook")
    for word in ("alembic", "DATABASE_URL", "migdsl apply", "--record", "INSERT INTO"):
        assert word not in runbook, word
    assert "```sh\n```" not in runbook


def test_exits_of_the_cutover_are_the_day_the_silence_and_the_gate_of_the_file() -> None:
    cutover = next(phase for phase in plan_of(ORDERS).phases if phase.id == "cutover")
    assert [each.id for each in cutover.exit_conditions] == ["day_orders_http", "quiet_orders_http", "nobody_asks"]
    assert "2027-04-01" in cutover.exit_criteria[0]  # the grace, which is later than the sunset


def test_every_way_back_says_what_to_do_and_the_flag_comes_first() -> None:
    ways = {way.from_phase: way for way in plan_of(ORDERS).rollback.phases}
    assert ways["cutover"].commands[0] == "migdsl rollout orders_v2.mig --stage off --for all"
    assert all(way.keeps for way in ways.values())
    assert "probe" in " ".join(plan_of(ORDERS).rollback.data_reconciliation)


def test_the_calendar_is_as_long_as_the_dates_say() -> None:
    wait = max(plan_of(ORDERS).timeline.waits, key=lambda each: each.seconds)
    assert wait.seconds == (date(2027, 4, 1) - date(2026, 12, 1)).days * 86_400


def test_beside_a_table_both_are_done() -> None:
    plan, found = plan_of(BOTH), steps(plan_of(BOTH))
    assert plan.category == "schema_change"
    assert {"backfill", "enforce"} <= set(found)
    assert {"announce_api", "deploy_flag"} <= set(found["prepare"])
    assert {"drop_column", "remove_version"} <= set(found["contract"])
    assert "database app" in plan.impact.affected_systems
    assert any(system.startswith("API orders_http") for system in plan.impact.affected_systems)
    runbook = next(a.text for a in compiled(BOTH).artifacts if a.kind == "runbook")
    assert "INSERT INTO migdsl.event" in runbook
    assert "api/users_email.py probe" in runbook


def test_what_is_only_shown_is_in_the_runbook_and_nobody_asks_for_it() -> None:
    for phase in ("expand", "validate", "cutover"):
        found = [work for work in works(planned(BOTH), phase) if "probe" in work.command]
        assert [work.kind for work in found] == ["told"], phase


def test_the_silence_before_contract_is_asked_of_monitoring_once() -> None:
    asked = conditions(planned(ORDERS))["cutover"]
    assert [(each.id, each.kind) for each in asked] == [
        ("day_orders_http", "manual"),
        ("quiet_orders_http", "monitored"),
    ]
    assert "migdsl_api_deprecated_requests_total" in asked[1].question  # the gate of the file asks the same


def walk(text: str) -> list[str]:
    found = []
    while (move := next_move(planned(text).module, pairs=False, ramps=True)) is not None:
        stage, who = move
        found.append(f"{stage} {who}")
        audience = Audience("percent", who) if who.endswith("%") else Audience(who)
        before, text = text, moved(SourceFile("orders_v2.mig", text), "orders_v2", stage, audience)
        verdicts = {each.move.verdict for each in compare(planned(before), planned(text)).moves}
        assert verdicts <= {"forward"}, (stage, who)
        assert len(found) < 20
    return found


def test_its_flag_goes_to_live_step_by_step_and_then_to_complete() -> None:
    assert walk(ORDERS) == ["live canary", "live 10%", "live 50%", "live all", "complete all"]


def test_a_moved_day_is_a_difference_that_is_allowed() -> None:
    old, new = planned(ORDERS), planned(ORDERS.replace("v1 on 2027-03-01", "v1 on 2027-03-15"))
    found = compare(old, new)
    assert [(d.section, d.subject, d.before, d.after) for d in found.changes] == [
        ("apis", "orders_http sunset v1", "2027-03-01", "2027-03-15")
    ]
    assert not found.steps


@pytest.mark.parametrize(
    ("edits", "refused"),
    [
        ((("v1 on 2027-03-01", "v1 on 2027-02-01"),), ["clients of `v1` of `orders_http` were told 2027-03-01"]),
        ((("until 2027-04-01", "until 2027-03-20"),), [f"tenant {GRACED} of `orders_http` were told 2027-04-01"]),
        (((f'  grace "{GRACED}" until 2027-04-01\n', ""),), [f"tenant {GRACED} of `orders_http` were told 2027-04-01"]),
        ((("v1 on 2027-03-01", "v1 on 2027-03-15"),), []),
        ((("v1 on 2027-03-01", "v1 on 2027-02-01"), ("announce  2026-12-01", "announce  2026-12-02")), []),
    ],
)
def test_a_day_that_was_told_does_not_come_earlier(edits: tuple[tuple[str, str], ...], refused: list[str]) -> None:
    text = ORDERS
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    old, new = planned(ORDERS), planned(text)
    found = problems(old, new, compare(old, new))
    assert [d.title.partition(",")[0] for d in found] == refused
    assert {d.code for d in found} <= {"MIG809"}


def test_risk_has_its_reasons() -> None:
    impact = plan_of(ORDERS).impact
    assert impact.risk == "medium"
    assert "2 breaking changes" in " ".join(impact.reasons)
    soon = plan_of(re.sub(r"sunset    v1 on .*", "sunset    v1 on 2026-12-20", ORDERS)).impact
    assert soon.risk != "low"
    assert "19 days from the announcement to the sunset" in " ".join(soon.reasons)


@pytest.mark.parametrize(
    ("metric", "fine"), [("deprecated_requests = 0 for 7d", True), ("deprecated_requests < 5%", False)]
)
def test_its_metric_has_a_unit(metric: str, fine: bool) -> None:
    found = check({"a.mig": ORDERS.replace("deprecated_requests = 0 for 7d", metric)}, "a.mig")
    assert found.ok is fine


def test_the_rules_speak_of_what_the_middleware_exports() -> None:
    from migdsl.emit import telemetry
    from migdsl.runtime.api import meters

    exported = {(spec.name, spec.labels) for spec in meters.API_METRICS}
    assert {(each.name, each.labels) for each in telemetry.API_METRICS} == exported
    rules: Any = json.loads(next(a.text for a in compiled(ORDERS).artifacts if a.kind == "prometheus_rules"))
    named = {name for rule in rules["groups"][0]["rules"] for name in re.findall(r"migdsl_api_\w+", rule["expr"])}
    assert named == {name for name, _ in exported} - {"migdsl_api_requests_total"}


def test_the_probe_is_told_each_parameter_that_it_asks_with() -> None:
    (runbook,) = [a.text for a in compiled(ORDERS).artifacts if a.kind == "runbook"]
    probes = re.findall(r"^python .* probe .*$", runbook, re.MULTILINE)
    assert set(probes) == {"python api/orders_v2.py probe --api orders_http --fill id=VALUE https://HOST"}
