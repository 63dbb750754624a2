"""Columns that no trigger fills for old code: the plan says how they converge, and the walk fills them before it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.planning.works import works
from tests.planning.test_compare import planned

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CASES = {
    "01_required_column/invoices_due": ("due_on",),
    "10_python_backfill/customers_search_key": ("search_key",),
    "03_bigint_keys/orders_bigint": (),
    "07_new_table/addresses_table": (),
    "users": (),
}


@pytest.mark.parametrize("name", CASES)
def test_who_fills_what_no_trigger_fills(name: str):
    found = planned((EXAMPLES / f"{name}.mig").read_text(encoding="utf-8"))
    columns = CASES[name]
    assert {column for plan in found.lowered.tables for column in plan.unfollowed} == set(columns)
    kinds = [work.kind for work in works(found, "validate")]
    # Before it is looked at, since nothing else would ever fill what old code has left empty.
    assert kinds[: kinds.index("reconcile")].count("again") == len(columns)
    (validate,) = [phase for phase in found.plan.phases if phase.id == "validate"]
    said = [step.precondition for step in validate.typed_steps if step.operation == "reconcile" and step.precondition]
    assert len(said) == len(columns)
    assert all(f".{column} empty any more" in text for column, text in zip(columns, said, strict=True))
