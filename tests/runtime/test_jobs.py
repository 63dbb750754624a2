"""A job whose SQL isn't confined to the tenant at hand can't be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.runtime.samples.backfill_user import JOB as BACKFILL
from tests.runtime.samples.reconcile_user import JOB as RECONCILE

PREDICATE = "t.tenant_id = :tenant_id"


@pytest.mark.parametrize("name", ["upper", "next_bound", "batch", "count", "remaining"])
def test_every_statement_of_a_backfill_names_the_tenant(name: str):
    sql = getattr(BACKFILL, name)
    assert PREDICATE in sql
    with pytest.raises(ValueError, match=name):
        replace(BACKFILL, **{name: sql.replace(PREDICATE, "true")})


@pytest.mark.parametrize("name", ["compare_old", "compare_new", "differing_old", "differing_new", "violating"])
def test_every_statement_of_a_reconciliation_names_the_tenant(name: str):
    sql = getattr(RECONCILE, name)
    with pytest.raises(ValueError, match=name):
        replace(RECONCILE, **{name: sql.replace(":tenant_id", "tenant_id")})


@pytest.mark.parametrize("name", ["next_bound", "batch", "count"])
def test_every_batch_names_both_bounds(name: str):
    sql = getattr(BACKFILL, name)
    with pytest.raises(ValueError, match=":upto"):
        replace(BACKFILL, **{name: sql.replace("t.id <= :upto", "true")})
    with pytest.raises(ValueError, match=":after_2"):
        replace(BACKFILL, key=("id", "part"))


def test_a_job_without_tenants_may_not_name_one():
    with pytest.raises(ValueError, match="upper"):
        replace(BACKFILL, tenants=None)
