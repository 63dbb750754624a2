"""A migration over several databases: whose revisions stand where, what each asks, and that one database shows nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.executor.conditions import conditions
from migdsl.ops.model import BuildIndex, Gate
from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.workspace import check, compile_files

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "tests/executor/two_databases.mig").read_text(encoding="utf-8")
LATE = SOURCE.replace("stage off for all", "stage complete for all")


def planned(text: str) -> Planned:
    found = check({"m.mig": text}, "m.mig")
    assert found.ok, found.diagnostics
    assert found.module is not None
    return build(found.module, "")


def chains(plan: Planned) -> list[tuple[str, str, str | None]]:
    return [(r.database, r.id, r.after) for r in plan.revisions]


def test_a_chain_a_database_in_the_order_of_phases() -> None:
    assert chains(planned(LATE)) == [
        ("shop", "contact_shop_expand", None),
        ("orders", "contact_orders_expand", None),
        ("shop", "contact_shop_enforce", "contact_shop_expand"),
        ("orders", "contact_orders_enforce", "contact_orders_expand"),
        ("shop", "contact_shop_contract", "contact_shop_enforce"),
        ("orders", "contact_orders_contract", "contact_orders_enforce"),
    ]


def test_what_each_follows() -> None:
    text = LATE.replace("url    env SHOP_URL", 'url env SHOP_URL\n  migrations "shop/versions" after "1f0c2ab"')
    found = planned(text + '\nphase contract { after "9c41d7e" in orders }\n')
    follows = {r.id: r.after for r in found.revisions}
    assert follows["contact_shop_expand"] == "1f0c2ab"
    assert follows["contact_orders_contract"] == "9c41d7e"
    assert follows["contact_shop_contract"] == "contact_shop_enforce"
    folders = {r.database: r.path.rsplit("/", 1)[0] for r in found.revisions}
    assert folders == {"shop": "shop/versions", "orders": "migrations/orders/versions"}


def test_patterns_and_long_names() -> None:
    text = SOURCE.replace("migration contact", f"migration {'long_' * 6}name").replace(
        "flag contact", f"flag {'long_' * 6}name"
    )
    lines = 'migrations "db/{database}"\n  backfills "jobs/{database}/{entity}.py"\n'
    found = planned(f"{text}\noutput {{ {lines} }}\n")
    assert {r.path.rpartition("/")[0] for r in found.revisions} == {"db/shop", "db/orders"}
    assert len({r.id for r in found.revisions}) == len(found.revisions)
    assert max(len(r.id) for r in found.revisions) <= 32
    assert [found.paths.backfill(p.table) for p in found.lowered.tables] == [
        "jobs/shop/user.py",
        "jobs/orders/order.py",
    ]


@pytest.mark.parametrize("phase", ["enforce", "contract"])
def test_a_gate_asks_its_own_ledger_of_its_own_tables(phase: str) -> None:
    found = planned(LATE)
    asked = {
        name: [g.name for s in found.lowered.phase(phase, name) for g in s.up if isinstance(g, Gate)]
        for name in ("shop", "orders")
    }
    assert "reconciled_User" in asked["shop"]
    assert not [name for name in asked["shop"] if name.endswith("_Order")]
    assert "reconciled_Order" in asked["orders"]
    assert not [name for name in asked["orders"] if name.endswith("_User")]
    assert f"stage_{'live' if phase == 'enforce' else 'complete'}" in set(asked["shop"]) & set(asked["orders"])


def test_conditions_say_whose_they_are() -> None:
    found = conditions(planned(LATE))
    whose = {(each.id, each.database) for each in found["cutover"]}
    assert {("stage_live", "shop"), ("stage_live", "orders"), ("reconciled_User", "shop")} <= whose
    assert ("reconciled_User", "orders") not in whose
    assert [(c.id, c.kind, c.database) for c in found["expand"]] == [
        ("old_code_User", "manual", ""),
        ("old_code_Order", "manual", ""),
    ]
    assert [(c.id, c.database) for c in found["backfill"]] == [
        ("backfill_progress", "shop"),
        ("backfill_progress", "orders"),
    ]


def test_what_the_jobs_and_revisions_of_the_other_database_ask() -> None:
    compiled = compile_files({"m.mig": LATE}, "m.mig")
    texts = {a.path: a.text for a in compiled.artifacts}
    for path in ("backfills/contact/order.py", "reconcile/contact/order.py"):
        assert 'database_env="ORDERS_URL"' in texts[path]
        assert 'tenants_env="SHOP_URL"' in texts[path]
    assert "FROM tenants" not in texts["reconcile/contact/order.py"].split("unlisted=")[1]
    assert "tenants_env" not in texts["reconcile/contact/user.py"]
    late = texts["migrations/orders/versions/contact_orders_contract.py"]
    assert "SELECT DISTINCT t.tenant_id" in late
    assert "FROM tenants" not in late
    # The tenants of the rows themselves: the list may leave one out by the time of a way back.
    assert "FROM tenants" not in texts["migrations/shop/versions/contact_shop_contract.py"]
    every = (
        {path for task in compiled.plan.implementation_plan for path in task.files_touched} if compiled.plan else set()
    )
    assert every == set(texts)


def test_the_swap_is_one_in_each_database() -> None:
    retype = "change Order {\n  retype total_cents numeric\n}\n"
    text = SOURCE[: SOURCE.index("change Order {")] + retype + SOURCE[SOURCE.index("cutover {") :]
    text = text.replace("total_cents  bigint", "total_cents  integer")
    found = planned(text)
    procedures = [
        (s.database, s.title)
        for s in found.lowered.steps
        if s.operation == "create_procedures" and "another type" in s.title
    ]
    assert [database for database, _ in procedures] == ["orders"]
    assert not [s for s in found.lowered.phase("cutover", "shop") if s.up]
    assert [r.id for r in found.revisions if r.phase == "cutover"] == ["contact_orders_cutover"]


def test_one_database_shows_nothing_of_it() -> None:
    """A second database that is only declared, or only read for its list, changes no name and no path."""
    text = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
    other = "\ndatabase other { engine postgresql 15; url env OTHER_URL }\n"
    assert chains(planned(text + other)) == chains(planned(text))
    listed = planned(text.replace("list `", "list in other `") + other)
    assert chains(listed) == chains(planned(text))
    assert [r.path for r in listed.revisions] == [r.path for r in planned(text).revisions]
    indexes = [part for s in listed.lowered.steps for part in s.up if isinstance(part, BuildIndex)]
    assert indexes
