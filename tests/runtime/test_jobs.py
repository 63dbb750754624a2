"""A job whose SQL isn't confined to the tenant at hand can't be made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runtime.samples.backfill_user import JOB as BACKFILL
from tests.runtime.samples.reconcile_user import JOB as RECONCILE

SAMPLES = Path(__file__).parent / "samples"
PREDICATE = "t.tenant_id = :tenant_id"


@pytest.mark.parametrize("name", ["upper", "next_bound", "batch", "count", "remaining"])
def test_every_statement_of_a_backfill_names_the_tenant(name: str):
    sql = getattr(BACKFILL, name)
    assert PREDICATE in sql
    with pytest.raises(ValueError, match=name):
        replace(BACKFILL, **{name: sql.replace(PREDICATE, "true")})


@pytest.mark.parametrize(
    "name",
    [
        "next_bound",
        "compare_old",
        "compare_new",
        "differing_old",
        "differing_new",
        "violated",
        "violating",
        "repair_old",
        "repair_new",
    ],
)
def test_every_statement_of_a_reconciliation_names_the_tenant(name: str):
    sql = getattr(RECONCILE, name)
    with pytest.raises(ValueError, match=name):
        replace(RECONCILE, **{name: sql.replace(":tenant_id", "tenant_id")})


def test_what_is_asked_beside_the_rows_names_nothing_else():
    with pytest.raises(ValueError, match="hold"):
        replace(BACKFILL, hold="SELECT :tenant_id")
    replace(RECONCILE, invariants=(("shared", "SELECT count(*) FROM currencies"), ("own", "SELECT :tenant_id")))
    with pytest.raises(ValueError, match="the invariant 'odd'"):
        replace(RECONCILE, invariants=(("odd", "SELECT :tenant_id, :other"),))


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


def test_without_a_driver_a_job_says_what_to_install():
    code = "import sys; sys.path.insert(0, '.'); sys.modules['psycopg'] = None; import runpy; sys.argv = ['user.py', '--url', 'postgresql:///x'];"
    code += f"runpy.run_path({str(SAMPLES / 'backfill_user.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=SAMPLES.parents[2]
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: psycopg is not installed here: install migdsl with its extra `runtime`\n"
