"""A migration without a database, from the first command to the last: each says what it can, and none asks for a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from migdsl.cli import bare
from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.workspace import check
from tests.cli.conftest import ROOT, Run

pytest.importorskip("psycopg", reason="status is of the extra `apply`")
pytest.importorskip("alembic", reason="status is of the extra `apply`")
STATUS = Draft202012Validator(json.loads((ROOT / "schemas/status.schema.json").read_text(encoding="utf-8")))
SOURCE = (ROOT / "examples/11_api_retirement/orders_v2.mig").read_text(encoding="utf-8")


@pytest.fixture
def orders(project: Path) -> Path:
    path = project / "orders_v2.mig"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def report(text: str, day: datetime) -> dict:
    found = check({"orders_v2.mig": text}, "orders_v2.mig")
    assert found.ok, found.diagnostics
    assert found.module is not None
    told = bare.report(Project(build(found.module, "0" * 64), "orders_v2.mig", ".", {}), day.timestamp())
    STATUS.validate(told)
    return told


def test_status_reads_the_dates_and_says_who_knows_the_rest() -> None:
    told = report(SOURCE, datetime(2026, 12, 14, tzinfo=UTC))
    assert told["phase"] == "prepare"
    assert {(each["day"], each["days"]) for each in told["dates"]} == {
        ("2026-12-01", -13),
        ("2026-12-15", 1),
        ("2027-03-01", 77),
        ("2027-04-01", 108),
    }
    reasons = {c["id"]: c["reason"] for c in told["conditions"]}
    assert reasons["day_orders_http"] == "today is 2026-12-14"
    assert reasons["told_orders_http"] == bare.NOBODY
    assert told["next"]["command"] == "migdsl rollout orders_v2.mig --stage live --for canary"
    assert [text.split(":")[0] for text in told["next"]["waits_for"]] == [
        "told_orders_http",
        "beside_orders_http_v1",
        "alike_orders_http",
    ]
    assert bare.code(told) == 4


def test_status_follows_the_flag_and_the_day() -> None:
    live = SOURCE.replace("stage off for all", "stage live for all")
    before = report(live, datetime(2027, 3, 31, 23, 59, tzinfo=UTC))
    after = report(live, datetime(2027, 4, 1, tzinfo=UTC))
    assert before["phase"] == after["phase"] == "cutover"
    assert [c["met"] for c in before["conditions"] if c["id"] == "day_orders_http"] == [False]
    assert [c["met"] for c in after["conditions"] if c["id"] == "day_orders_http"] == [True]
    assert "day_orders_http" in " ".join(before["next"]["waits_for"])
    assert "day_orders_http" not in " ".join(after["next"]["waits_for"])
    assert after["next"]["command"] == "migdsl rollout orders_v2.mig --stage complete --for all"
    done = report(live.replace("live for all", "complete for all"), datetime(2027, 4, 2, tzinfo=UTC))
    assert (done["phase"], done["next"]["command"]) == ("contract", "migdsl finish orders_v2.mig")


def test_from_compile_to_finish(orders: Path, run: Run) -> None:
    assert run("compile", "orders_v2.mig").code == 0
    shown = run("status", "orders_v2.mig")
    assert shown.code == 4
    assert "v1 of orders_http answers 410" in shown.out
    assert "there is no database to ask" in shown.out
    STATUS.validate(json.loads(run("status", "orders_v2.mig", "--json").out))
    for words in (("apply", "--to", "expand"), ("rollback", "--to", "prepare"), ("rollout", "--record")):
        refused = run(words[0], "orders_v2.mig", *words[1:])
        assert refused.code == 2, refused
        assert "changes no database" in refused.err
    for stage, who in (("live", "canary"), ("live", "all"), ("complete", "all")):
        assert run("rollout", "orders_v2.mig", "--stage", stage, "--for", who).code == 0
    assert run("compile", "orders_v2.mig", "--check").code == 0
    assert run("finish", "orders_v2.mig", "--date", "2027-04-02").code == 0
    assert "finished 2027-04-02" in orders.read_text(encoding="utf-8")


def test_a_stage_that_is_skipped_is_refused(orders: Path, run: Run) -> None:
    refused = run("rollout", "orders_v2.mig", "--stage", "complete", "--for", "all")
    assert refused.code == 1
    assert "MIG508" in refused.err
    assert orders.read_text(encoding="utf-8") == SOURCE


def test_a_plan_is_shown(orders: Path, run: Run) -> None:
    shown = run("plan", "orders_v2.mig")
    assert shown.code == 0
    assert "api_migration" in shown.out
    assert "0 deploys of the schema" in shown.out
    new = orders.with_name("new.mig")
    new.write_text(SOURCE.replace("v1 on 2027-03-01", "v1 on 2027-03-15"), encoding="utf-8")
    compared = run("diff", "orders_v2.mig", "new.mig")
    assert compared.code == 0
    assert "2027-03-01 → 2027-03-15" in compared.out
    assert run("summary", "orders_v2.mig", "new.mig").code == 0
