"""Constraints and indexes to come: there and back on a real PostgreSQL, bound when old code is gone."""

from __future__ import annotations

import psycopg
import pytest

from tests.ops.story import Story, Walk, change, sees
from tests.ops.support import T1, T2, mig

ORGS = f"""
CREATE TABLE orgs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text);
INSERT INTO orgs VALUES (1, '{T1}', 'one'), (2, '{T2}', 'two');
"""
MEMBERS = f"""
CREATE TABLE members (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, org_id bigint, nick text NOT NULL, age int);
INSERT INTO members SELECT n, '{T1}', CASE WHEN n % 2 = 0 THEN 1 END, 'n' || n, n FROM generate_series(1, 9) AS n;
"""
ENTITIES = """
entity Org in app.orgs {
  id        bigint key
  tenant_id uuid   tenant
  name      text?
}
entity Member in app.members {
  id        bigint  key
  tenant_id uuid    tenant
  org_id    bigint?
  nick      text
  age       integer?
}
"""
DDL = ORGS + MEMBERS
INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename = 'members' ORDER BY indexname"


def member(*operations: str) -> str:
    return mig(ENTITIES, change(*operations, entity="Member"))


def test_a_unique_binds_in_enforce_and_not_before(walk: Walk):
    def twice(story: Story) -> None:
        story.execute(f"INSERT INTO members VALUES (100, '{T1}', NULL, 'n1', 1); DELETE FROM members WHERE id = 100")

    def refused(story: Story) -> None:
        with pytest.raises(psycopg.errors.UniqueViolation):
            twice(story)

    walk(member("unique (tenant_id, nick)"), DDL, {"backfill": twice, "enforce": refused, "back enforce": twice})


def test_an_index_with_all_that_it_may_have(walk: Walk):
    wanted = 'index (tenant_id, lower(nick), `age + 1`) include (org_id) where `age > 0` as "nick idx"'
    shown = (
        'CREATE INDEX "nick idx" ON public.members USING btree (tenant_id, lower(nick), ((age + 1)))'
        " INCLUDE (org_id) WHERE (age > 0)"
    )

    def built(story: Story) -> None:
        assert [row[0] for row in story.rows(INDEXES) if "nick idx" in row[0]] == [shown]

    walk(member(wanted), DDL, {"expand": built})


def test_a_check_binds_in_enforce(walk: Walk):
    def negative(story: Story) -> None:
        story.execute(f"INSERT INTO members VALUES (100, '{T1}', NULL, 'x', -1); DELETE FROM members WHERE id = 100")

    def refused(story: Story) -> None:
        with pytest.raises(psycopg.errors.CheckViolation):
            negative(story)

    walk(
        member("check `age >= 0` as age_known"),
        DDL,
        {"backfill": negative, "enforce": refused, "back enforce": negative},
    )


def test_a_foreign_key_is_indexed_first_and_binds_in_enforce(walk: Walk):
    def orphan(story: Story) -> None:
        story.execute(f"INSERT INTO members VALUES (100, '{T1}', 77, 'x', 1); DELETE FROM members WHERE id = 100")

    def refused(story: Story) -> None:
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            orphan(story)

    walk(
        member("org_id -> Org.id on delete set null"),
        DDL,
        {
            "backfill": orphan,
            "enforce": refused,
            "back enforce": orphan,
            "expand": sees(f"SELECT count(*) FROM ({INDEXES}) AS i WHERE indexdef LIKE '%(org_id)'", (1,)),
        },
    )
