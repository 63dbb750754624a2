"""What a plan says of tables that go to another database: what is run when, how one gets back, and what is asked before."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from migdsl.emit.runbook_phases import preconditions
from migdsl.executor.conditions import conditions
from migdsl.ops.model import Alone, Gate, Group
from migdsl.planning.build import build
from migdsl.planning.model import Planned
from migdsl.planning.works import works
from migdsl.workspace import check

ROOT = Path(__file__).resolve().parents[2]
OUTBOX = ROOT / "examples/16_extraction_outbox/orders_extraction.mig"
CDC = ROOT / "examples/17_extraction_cdc/orders_cdc.mig"


@cache
def planned(path: Path) -> Planned:
    found = check({path.name: path.read_text(encoding="utf-8")}, path.name)
    assert found.module is not None, found.diagnostics
    return build(found.module, "", "contract")


@cache
def of_text(text: str) -> Planned:
    found = check({"m.mig": text}, "m.mig")
    assert found.module is not None, found.diagnostics
    return build(found.module, "", "contract")


def kinds(path: Path, phase: str) -> list[tuple[str, str, str]]:
    return [(w.kind, w.subject, w.database) for w in works(planned(path), phase)]


def test_what_runs_in_which_phase_and_where() -> None:
    assert kinds(OUTBOX, "backfill") == [
        ("carry", "Order", "monolith"),
        ("look", "Order", "monolith"),
        ("look", "OrderLine", "monolith"),
        ("backfill", "Order", "monolith"),
        ("backfill", "OrderLine", "monolith"),
        ("drain", "Order", "monolith"),
        ("sequences", "Order", "monolith"),
    ]
    assert [kind for kind, _, _ in kinds(OUTBOX, "expand")] == ["upgrade", "upgrade"]
    validate = [kind for kind, _, _ in kinds(OUTBOX, "validate")]
    assert validate == ["carry", "reconcile", "reconcile", "upgrade", "reconcile", "reconcile"]
    assert [kind for kind, _, _ in kinds(CDC, "expand")] == ["upgrade", "upgrade", "slot"]
    assert kinds(CDC, "contract") == [
        ("reconcile", "Order", "monolith"),
        ("drain", "Order", "monolith"),
        ("upgrade", "orders_cdc_monolith_contract", "monolith"),
        ("upgrade", "orders_cdc_orders_contract", "orders"),
    ]


def test_statements_over_several_tenants_are_spoken_of_once() -> None:
    """What held for a statement as a whole holds no more once its tenants write on two sides."""
    rows = "writes rows of Order and OrderLine of one tenant alone, and none is a TRUNCATE"
    said = preconditions(planned(OUTBOX).plan.phases)
    assert [rows in each for each in said].count(True) == 1
    text = CDC.read_text(encoding="utf-8")
    whole = preconditions(of_text(text).plan.phases)
    assert [
        each.startswith("From the first switch on each statement of code writes rows of Order of") for each in whole
    ].count(True) == 1


def test_each_database_has_its_part_of_the_steps() -> None:
    of = {r.id: [s.operation for s in r.steps if s.up and s.operation != "check_names"] for r in planned(CDC).revisions}
    assert of["orders_cdc_monolith_expand"] == [
        "check_table",
        "create_ledger",
        "check_table",
        "check_table",
        "create_outbox",
        "create_trigger",
        "create_publication",
    ]
    assert of["orders_cdc_orders_expand"] == [
        "check_table",
        "create_ledger",
        "create_outbox",
        "create_table",
        "create_trigger",
    ]
    assert of["orders_cdc_monolith_contract"] == ["gate", "drop_publication", "drop_table"]
    assert of["orders_cdc_orders_contract"] == ["gate", "drop_trigger"]


def test_the_way_back_turns_writes_first() -> None:
    ways = {way.from_phase: way.commands for way in planned(CDC).plan.rollback.phases}
    job = "python sync/orders_cdc/order.py"
    assert ways["expand"][-6:] == (
        f"{job} switch --all --to old",
        f"{job} drain",
        "# end the sync job of Order",
        f"{job} slot --drop",
        "alembic --name orders downgrade orders_cdc_orders_expand@base",
        "alembic --name monolith downgrade orders_cdc_monolith_expand@base",
    )
    # Readers follow when what was written has come home: the flag comes third.
    first = next(n for n, command in enumerate(ways["cutover"]) if not command.startswith("#"))
    assert ways["cutover"][first : first + 2] == (f"{job} status", f"{job} drain")
    assert next(c for c in ways["cutover"] if c.startswith("migdsl rollout")) not in ways["cutover"][: first + 2]
    # A downgrade of what broke off would do nothing: Alembic stands below it.
    broke_off = "# only where the upgrade to orders_cdc_{0}_contract broke off: alembic --name {0} stamp orders_cdc_{0}_contract"
    assert ways["contract"][:5] == (
        broke_off.format("orders"),
        "alembic --name orders downgrade orders_cdc_orders_expand",
        broke_off.format("monolith"),
        "alembic --name monolith downgrade orders_cdc_monolith_expand",
        f"{job} slot --create",
    )


@pytest.mark.parametrize("path", [OUTBOX, CDC], ids=["outbox", "cdc"])
def test_each_ledger_is_asked_what_it_knows(path: Path) -> None:
    asked = {(c.id, c.database) for c in conditions(planned(path))["backfill"] if c.kind == "ledger"}
    assert {("backfill_progress", "monolith"), ("sync_lag", "monolith"), ("dead_letters", "monolith")} <= asked
    last = planned(path).plan.phases[-2].id
    gates = {(c.id, c.database) for c in conditions(planned(path))[last]}
    assert {("carried_Order", "monolith"), ("written_new_Order", "monolith"), ("written_new_Order", "orders")} <= gates
    assert {("reconciled_Order", "monolith"), ("reconciled_Order", "orders"), ("backfilled_Order", "monolith")} <= gates
    assert not {("carried_Order", "orders"), ("backfilled_Order", "orders")} & gates


def test_a_condition_on_the_lag_is_a_gate_of_the_chain_that_contracts_first() -> None:
    """In the other one nobody would tell of it any more."""
    found = planned(CDC)
    for revision, asked in zip(found.revisions[-2:], ([True], []), strict=True):
        assert revision.phase == "contract"
        gates = [part for step in revision.steps for part in step.up if isinstance(part, Gate)]
        assert ["sync_lag:Order" in gate.unmet for gate in gates if gate.name == "kept_up"] == asked


def test_what_nobody_measures_any_more_opens_no_gate() -> None:
    """In the chain that contracts last, what stands beside it in an `or` is asked alone."""
    gate = "gate calm when rows_mismatched = 0 for 2h or sync_lag < 1m"
    text = CDC.read_text(encoding="utf-8").replace("gate kept_up", f"{gate}; gate kept_up")
    old, new = (r for r in of_text(text).revisions if r.phase == "contract")
    for revision, joined in ((old, True), (new, False)):
        gates = [part for step in revision.steps for part in step.up if isinstance(part, Gate)]
        (unmet,) = (gate.unmet for gate in gates if gate.name == "calm")
        assert "rows_mismatched" in unmet
        assert (" OR " in unmet.partition("WHERE NOT")[2], " OR TRUE" in unmet) == (joined, False)


def test_nothing_that_reads_goes_before_the_gates_have_been_asked() -> None:
    """The slot is the revision's to drop, at its end; a connector is deleted by people, right before it."""
    old, _ = (r for r in planned(CDC).revisions if r.phase == "contract")
    parts = [part for step in old.steps for part in step.up]
    asked = [n for n, part in enumerate(parts) if isinstance(part, Gate)]
    (dropped,) = (n for n, p in enumerate(parts) if isinstance(p, Alone) and "pg_drop_replication_slot" in p.statement)
    assert max(asked) < dropped
    debezium = of_text(CDC.read_text(encoding="utf-8").replace("cdc logical", "cdc debezium"))
    posted = "curl -fsS -X POST -H 'Content-Type: application/json' --data @cdc/orders_cdc.order.debezium.json "
    posted += '"$KAFKA_CONNECT_URL/connectors"'
    (deleted,) = (w.command for w in works(debezium, "contract") if "-X DELETE" in w.command)
    assert deleted.endswith('&& curl -fsS -X DELETE "$KAFKA_CONNECT_URL/connectors/orders_cdc-Order"')
    assert [w.command for w in works(debezium, "expand")][-1] == posted
    assert [w.command for w in works(debezium, "contract")][1:] == [
        "python sync/orders_cdc/order.py drain",
        deleted,
        "alembic --name monolith upgrade orders_cdc_monolith_contract",
        "alembic --name orders upgrade orders_cdc_orders_contract",
    ]
    ways = {way.from_phase: way.commands for way in debezium.plan.rollback.phases}
    assert deleted in ways["expand"]
    assert posted in ways["contract"]
    expand, _ = (r for r in debezium.revisions if r.phase == "expand")
    going = [s for step in expand.steps for p in step.down if isinstance(p, Group) for s in p.statements]
    (published,) = (n for n, s in enumerate(going) if s.startswith("DROP PUBLICATION"))
    assert all("RAISE" in statement for statement in going[published - 2 : published])


def test_the_sync_job_ends_when_the_revisions_have_run() -> None:
    (contract,) = (phase for phase in planned(CDC).plan.phases if phase.id == "contract")
    operations = [step.operation for step in contract.typed_steps]
    assert operations.index("drain") < operations.index("drop_table") < operations.index("end_sync_job")
    assert "drop_slot" not in operations


def test_a_copy_is_filled_by_somebody_before_the_backfill() -> None:
    copy = """entity Customer in monolith.customers { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
entity CustomerCopy in orders.copies { id bigint key; tenant_id uuid tenant; index (tenant_id, id) }
"""
    text = OUTBOX.read_text(encoding="utf-8")
    text = text.replace("entity Order in", copy + "entity Order in")
    text = text.replace("  number       text?\n", "  number       text?\n  customer_id  bigint? -> Customer.id\n")
    text = text.replace(
        "  index  (tenant_id, id)\n", "  index  (tenant_id, id)\n  index  (tenant_id, customer_id)\n", 1
    )
    copied = "  number    = number\n  customer_id = customer_id\n  (customer_id) -> CustomerCopy\n"
    text = text.replace("  number    = number\n", copied)
    found = of_text(text)
    phases = {phase.id: phase for phase in found.plan.phases}
    named = "orders.copies (CustomerCopy)"
    assert [c.kind for c in phases["expand"].exit_conditions if c.id == "copy_CustomerCopy"] == ["manual"]
    assert any(named in step.title and step.operation == "manual" for step in phases["expand"].typed_steps)
    (told,) = (w for w in works(found, "expand") if w.kind == "told")
    assert "SELECT DISTINCT customer_id FROM public.orders" in told.command
    assert "SELECT id FROM public.copies" in told.command
    assert [c.threshold for c in found.plan.validation.typed_checks if c.id == "Order.CustomerCopy"] == ["= 0"]
    assert any(named in part for b in found.beside for part in b.before)
