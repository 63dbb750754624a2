"""Reconciliation of tables without two sides walks nothing, and rows of unlisted tenants are found from tenant to tenant."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from migdsl.runtime import ReconcileJob
from tests.ops.story import Story, Walk, both_versions
from tests.ops.support import T1, T2, mig

THING = "entity Thing in app.things { id bigint key; tenant_id uuid tenant; n integer? }"
INDEX = mig(THING, "change Thing { index (n) }")
CHECK = mig(THING, "change Thing { check `n > 0` }")
DDL = f"""
CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid, n integer);
INSERT INTO tenants SELECT lpad(g::text, 32, '7')::uuid FROM generate_series(1, 30) AS g;
INSERT INTO things SELECT g, ('{{{T1},{T2}}}'::uuid[])[1 + g % 2], g FROM generate_series(1, 2000) AS g;
INSERT INTO things SELECT 10000 + g, lpad((g % 40)::text, 32, '7')::uuid, g FROM generate_series(1, 4000) AS g"""
LEFT_OUT = 10 * 100  # the tenants 0 and 31 to 39


def analyzed(walk: Walk, text: str, ddl: str = DDL) -> Story:
    story = walk(text, ddl, looks=None)
    story.execute("ANALYZE things")
    story.upgrade("m_expand")
    return story


def job(story: Story) -> ReconcileJob:
    """The reconciliation of a story with one table."""
    (path,) = (story.folder / "reconcile").rglob("*.py")
    found: ReconcileJob = runpy.run_path(str(path))["JOB"]
    return found


def scans(plan: dict[str, Any]) -> Iterator[float]:
    """How many of the table's rows each scan has read."""
    if plan.get("Relation Name") == "things":
        yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for part in plan.get("Plans", []):
        yield from scans(part)


def unlisted(story: Story) -> tuple[int, float]:
    """What the job's statement counts, and the part of the table that it reads for that."""
    sql = job(story).unlisted or ""
    ((number,),) = story.rows(sql)
    (([found],),) = story.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
    ((rows,),) = story.rows("SELECT count(*) FROM things")
    return int(number), sum(scans(found["Plan"])) / max(rows, 1)


@both_versions
def test_what_has_one_side_is_not_walked(walk: Walk):
    """Without an index on the tenant each look of a walk would read the whole table, twice a tenant."""
    story = analyzed(walk, INDEX, f"{DDL};\nDELETE FROM things WHERE tenant_id NOT IN (SELECT id FROM tenants)")
    assert (job(story).next_bound, job(story).compare_old) == (None, None)
    assert story.job("reconcile") == 0
    assert story.rows("SELECT count(*), sum(rows), sum(mismatched) FROM migdsl.reconciliation") == [(32, 0, 0)]
    last = "SELECT value FROM migdsl.event WHERE kind = 'reading' AND subject = '{}:Thing' ORDER BY id DESC LIMIT 1"
    assert [story.rows(last.format(name)) for name in ("problems", "tenants_unlisted")] == [[("0",)], [("0",)]]


def test_what_would_break_a_constraint_is_still_found(walk: Walk, capsys: pytest.CaptureFixture[str]):
    story = analyzed(walk, CHECK, f"{DDL};\nDELETE FROM things WHERE tenant_id NOT IN (SELECT id FROM tenants)")
    assert story.job("reconcile") == 0
    story.execute("UPDATE things SET n = -1 WHERE id IN (7, 8)")
    capsys.readouterr()
    assert story.job("reconcile", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["totals"]["violations"] == 2
    assert [row["key"] for tenant in found["tenants"] for row in tenant["violating"]] == [["8"], ["7"]]


@both_versions
@pytest.mark.parametrize(
    ("index", "whole"),
    [
        ("(tenant_id, id)", False),
        ("(tenant_id DESC)", False),
        ("(id, tenant_id)", True),
        ("(tenant_id) WHERE n > 5", True),
        ("(tenant_id NULLS FIRST)", True),
        ("USING hash (tenant_id)", True),
        (None, True),
    ],
)
def test_an_index_leads_from_tenant_to_tenant(walk: Walk, index: str | None, whole: bool):
    story = analyzed(walk, INDEX)
    if index is not None:
        story.execute(f"CREATE INDEX ON things {index}")
        story.execute("VACUUM ANALYZE things")
    number, part = unlisted(story)
    assert number == LEFT_OUT
    assert part == 1 if whole else part < 0.2
    # Rows of nobody are left out as well.
    story.execute("UPDATE things SET tenant_id = NULL WHERE id BETWEEN 1 AND 9")
    assert unlisted(story)[0] == LEFT_OUT + 9
    story.execute("DELETE FROM things")
    assert unlisted(story)[0] == 0


def test_an_index_that_sorts_otherwise_leads_nowhere(walk: Walk):
    """The next tenant by the column's own order isn't the next one in such an index."""
    text = mig(THING.replace("uuid", "text"), "change Thing { index (n) }").replace(
        "key tenant_id uuid", "key tenant_id text"
    )
    ddl = """
CREATE TABLE listed (name text PRIMARY KEY); INSERT INTO listed VALUES ('a'), ('B');
CREATE TABLE things (id bigint PRIMARY KEY, tenant_id text NOT NULL COLLATE "C", n integer);
CREATE INDEX ON things (tenant_id COLLATE "POSIX", id);
INSERT INTO things SELECT g, ('{a,B,c,D}'::text[])[1 + g % 4], g FROM generate_series(1, 4000) AS g"""
    story = analyzed(walk, text.replace("SELECT id FROM tenants ORDER BY id", "SELECT name FROM listed"), ddl)
    assert unlisted(story) == (2000, 1)
    story.execute("CREATE INDEX ON things (tenant_id, id)")
    story.execute("VACUUM ANALYZE things")
    assert unlisted(story)[1] < 0.6  # the rows of c and D
