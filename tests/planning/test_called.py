"""Texts tell the two tables of a move apart, by as little as that takes, and speak of tenants only where rows belong to some."""

from __future__ import annotations

import json
import re
from functools import cache

from migdsl.workspace import Compilation, compile_files

SHOP = "database shop { engine postgresql 15; url env SHOP_URL }"
ORDERS = "database orders { engine postgresql 15; url env ORDERS_URL }"
TENANTS = "tenants { key tenant_id uuid; list in shop `SELECT id FROM tenants` }"
ORDER = (
    "entity Order in shop.orders { id bigint key identity; tenant_id uuid tenant; note text?; index (tenant_id, id) }"
)
COPIED = "id = id; tenant_id = tenant_id; note = note"
INSIDE = (SHOP, TENANTS, ORDER, f"move Order to shop.neu.orders {{ {COPIED} }}")
ACROSS = (SHOP, ORDERS, TENANTS, ORDER, f'move Order to orders."My Sales".purchases {{ {COPIED} }}')
JOB = "entity Job in shop.jobs { id bigint key identity; payload jsonb; rows 2M }"
NOBODYS = (
    *(SHOP, ORDERS, 'tenants none because "one customer"', JOB),
    "move Job to orders.jobs { id = id; payload = payload }",
    "sync Job { by cdc logical }",
)
FILLED = (
    *(SHOP, TENANTS, ORDER),
    "create Note in shop.notes { order_id bigint key; tenant_id uuid tenant; note text?; index (tenant_id, order_id)",
    "from Order { order_id = id; tenant_id = tenant_id; note = note } }",
)


@cache
def compiled(*lines: str) -> Compilation:
    found = compile_files({"m.mig": "\n".join(('migration m { ticket "T-1" }', *lines))}, "m.mig", through="contract")
    assert found.plan is not None, found.diagnostics
    return found


def sentences(*lines: str) -> str:
    """The plan and the runbook, without what Markdown needs."""
    found = compiled(*lines)
    assert found.plan is not None
    book = next(a.text for a in found.artifacts if a.kind == "runbook")
    return json.dumps(found.plan.model_dump(mode="json"), ensure_ascii=False) + book.replace("\\", "")


def test_a_table_that_keeps_its_name_is_told_by_its_schemas() -> None:
    said = sentences(*INSIDE)
    assert "Keep public.orders and neu.orders equal from now on" in said
    assert "ode writes public.orders or neu.orders, and not both" in said
    assert "Create the table neu.orders (Order)" in said
    assert "Refuse where public.orders is partitioned" in said
    assert "Refuse where a name that neu.orders is to get is taken" in said
    assert "No old code has written public.orders during the soak" in said
    assert "On the way back: bring the rows of neu.orders home" not in compiled(*INSIDE).plan.title  # type: ignore[union-attr]
    assert not re.findall(r"(?<![\w./\"-])orders(?![\w./\"_-])", said)


def test_of_two_databases_the_schema_is_told_too() -> None:
    said = sentences(*ACROSS).replace('\\"', '"')
    assert 'shop.orders over to orders."My Sales".purchases' in said
    assert 'Order: move to orders."My Sales".purchases' in said
    assert "orders.purchases" not in said


def test_rows_that_are_nobodys_know_of_no_tenant() -> None:
    texts = {a.path: a.text for a in compiled(*NOBODYS).artifacts if a.kind != "revision"}
    texts["plan"] = sentences(*NOBODYS)
    names = r'tenants=None|tenants_in=|tenant=""|no tenants: one|"tenants":|"tenant_scope"|o\.tenant|, tenant\b|_tenant'
    allowed = re.compile(names)
    for path, text in texts.items():
        lines = [line for line in text.splitlines() if "tenant" in line.lower()] if path != "plan" else [text]
        left = [each for line in lines for each in re.findall(r".{0,40}tenant.{0,30}", allowed.sub("", line))]
        left = [each for each in left if not re.search(r":tenants|\btenants\b AS|migdsl\.side", each)]
        assert not left, (path, left[:3])
    said = texts["plan"]
    assert "move everybody to complete" in said
    assert "turn all writes over with migdsl rollout m.mig --record" in said
    assert "A switch of all that is refused changes nothing, with the reason" in said


def test_what_a_table_is_filled_from_is_what_old_code_writes() -> None:
    said = sentences(*FILLED)
    assert "No old code has written what Note takes from Order during the soak" in said
    assert "No client of Note fails since contract" in said
    assert "the rows that were inserted into Note stay there and do no harm" in said
