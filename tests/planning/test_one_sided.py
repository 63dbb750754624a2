"""Tables that only get constraints: the plan says what is asked of them, and what that costs without an index."""

from __future__ import annotations

import pytest

from migdsl.plan.phases import TypedStep
from tests.ops.support import mig
from tests.planning.test_compare import planned

THING = "entity Thing in app.things {{ id bigint key; tenant_id uuid tenant; n integer? {} }}"
CHECK = "change Thing { check `n > 0` }"
WANTED = "an index of public.things begins with tenant_id"


def reconciling(*declarations: str) -> TypedStep:
    """The step of validate that reconciles."""
    phases = planned(mig(*declarations)).plan.phases
    (found,) = [s for p in phases if p.id == "validate" for s in p.typed_steps if s.operation == "reconcile"]
    return found


@pytest.mark.parametrize(
    ("index", "led"),
    [
        ("", False),
        ("; index (tenant_id)", True),
        ("; unique (tenant_id, n)", True),
        ("; index (n, tenant_id)", False),
        ("; index (tenant_id) where `n > 5`", False),
        ("; index (tenant_id) using hash", False),
    ],
)
def test_what_is_asked_of_a_tenant_wants_an_index(index: str, led: bool):
    said = reconciling(THING.format(index), CHECK).precondition
    assert (said is None) == led
    assert said is None or said.startswith(WANTED)


def test_where_batches_walk_there_is_one():
    assert (
        reconciling(
            THING.format(""), "change Thing { add m integer { from `coalesce(n, 1)`; back n = `m` } }"
        ).precondition
        is None
    )


def test_nothing_is_asked_of_rows_where_an_index_is_all():
    found = planned(mig(THING.format(""), "change Thing { index (n) }"))
    (step,) = [s for p in found.plan.phases for s in p.typed_steps if s.operation == "reconcile"]
    assert (step.precondition, step.title) == (None, "Reconcile Thing: count the rows whose tenant the list leaves out")
    assert found.plan.validation.sampling == ("Thing: no row is compared, since nothing of it has two sides",)
    assert [check.kind for check in found.plan.validation.typed_checks] == ["coverage"]
