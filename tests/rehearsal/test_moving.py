"""A table that moves within a database: the example passes, and edits of its files are caught by the right verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.rehearsal.conftest import SHORT, Edit, Rehearse

NAME = "15_move_table/purchases"
EXPAND, BACKFILL, CONTRACT = "purchases_expand.py", "backfills/purchases/order.py", "purchases_contract.py"
BOTH = "AFTER INSERT OR UPDATE OR DELETE ON"
FAULTS: dict[str, tuple[str, str, Edit]] = {
    "a trigger that doesn't carry DELETE over": (
        "acknowledged_writes",
        "validate",
        (EXPAND, f"{BOTH} public.orders", "AFTER INSERT OR UPDATE ON public.orders"),
    ),
    "a trigger that carries nothing home": (
        "acknowledged_writes",
        "validate",
        (EXPAND, f"{BOTH} sales.purchases", "AFTER DELETE ON sales.purchases"),
    ),
    "a way there that is wrong in the trigger": (
        "both_sides",
        "backfill",
        (
            EXPAND,
            "gives.state := CASE stands.status WHEN 0 THEN 'open'",
            "gives.state := CASE stands.status WHEN 0 THEN 'new'",
        ),
    ),
    "a way home that is wrong in the trigger": (
        "acknowledged_writes",
        "validate",
        (EXPAND, "gives.total_cents := CAST((stands.total * 100)", "gives.total_cents := CAST((stands.total * 10)"),
    ),
    # Its rows are refused, since on the other side there are others of that key: none is filled.
    "a way there that is wrong in the backfill": (
        "backfill",
        "backfill",
        (BACKFILL, "CAST(t.total_cents * 0.01 AS numeric), t.note", "CAST(t.total_cents * 0.1 AS numeric), t.note"),
    ),
}
ALWAYS = "a trigger that doesn't carry DELETE over"


def caught(rehearse: Rehearse, what: str) -> None:
    """Rehearse with the fault, as far as it takes to see it."""
    verdict, to, edit = FAULTS[what]
    report = rehearse(NAME, replace(SHORT, to=to), edit)
    failed = {v.id: v.findings for v in report.verdicts if v.state == "failed"}
    assert verdict in failed, failed


def test_a_fault_is_caught_by_its_verdict(rehearse: Rehearse):
    caught(rehearse, ALWAYS)


@pytest.mark.long("MIGDSL_ALL_FAULTS")
@pytest.mark.parametrize("what", FAULTS)
def test_all_faults_are_caught(rehearse: Rehearse, what: str):
    caught(rehearse, what)


@pytest.mark.long("MIGDSL_LONG")
def test_the_example_passes_whole(rehearse: Rehearse):
    report = rehearse(NAME, replace(SHORT, back=True, hold_s=1.0))
    assert {v.id: v.findings for v in report.verdicts if v.state == "failed"} == {}
    passed = {v.id for v in report.verdicts if v.state == "passed"}
    assert passed >= {"acknowledged_writes", "both_sides", "gates", "catalog_back", "catalog_target", "reconciliation"}
