"""`key (…)`: other columns become the primary key, with what points at the old ones, there and back."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import Story, Walk, both_versions, change, sees
from tests.ops.support import T1, mig

ENTITIES = """
entity Thing in app.things {
  id         bigint key
  tenant_id  uuid   tenant
  number     integer?
  index (tenant_id, id)
}
entity Part in app.parts {
  id         bigint key
  tenant_id  uuid   tenant
  thing_id   bigint -> Thing.id on delete cascade
  index (tenant_id, id)
}
"""
DDL = f"""
CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, number integer);
CREATE INDEX ON things (tenant_id, id);
CREATE TABLE parts (id bigint PRIMARY KEY, tenant_id uuid NOT NULL,
                    thing_id bigint NOT NULL REFERENCES things ON DELETE CASCADE INITIALLY DEFERRED);
CREATE INDEX ON parts (tenant_id, id);
COMMENT ON CONSTRAINT things_pkey ON things IS 'the key';
COMMENT ON CONSTRAINT parts_thing_id_fkey ON parts IS 'whose';
INSERT INTO things SELECT n, '{T1}', n FROM generate_series(1, 9) AS n;
INSERT INTO parts SELECT id, tenant_id, id FROM things"""
ALONE = ";".join(part for part in DDL.split(";") if "parts" not in part)
KEY = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = 'things'::regclass"
)


@both_versions
def test_a_key_with_the_tenant_and_what_points_at_the_old_one(walk: Walk):
    def upsert(story: Story) -> None:
        assert story.rows(KEY) == [("things_pkey", "PRIMARY KEY (tenant_id, id)")]
        for target in ("id", "tenant_id, id"):
            story.execute(
                f"INSERT INTO things VALUES (1, '{T1}', 7) ON CONFLICT ({target}) DO UPDATE SET number = excluded.number"
            )
        story.execute("DELETE FROM things WHERE id = 9")
        assert story.rows("SELECT count(*), (SELECT bool_and(convalidated) FROM pg_constraint) FROM parts") == [
            (8, True)
        ]

    story = walk(mig(ENTITIES, change("key (tenant_id, id)", entity="Thing")), DDL, looks={"cutover": upsert})
    # Something points at the old key, which so stays unique: nothing is left to take away.
    assert story.revisions == ["m_expand", "m_cutover"]


@both_versions
def test_a_key_of_other_columns_altogether(walk: Walk):
    text = ENTITIES.split("entity Part", maxsplit=1)[0]
    story = walk(
        mig(text, change("key (tenant_id, number)", entity="Thing")),
        ALONE,
        looks={
            "enforce": sees(KEY, ("things_pkey", "PRIMARY KEY (tenant_id, number)")),
            "contract": sees("SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 'things'::regclass"),
            "back enforce": sees(KEY, ("things_pkey", "PRIMARY KEY (id)")),
        },
    )
    assert story.revisions == ["m_expand", "m_enforce", "m_contract"]


def test_what_is_not_unique_or_null_is_reported_and_stops_the_key(walk: Walk):
    text = ENTITIES.split("entity Part", maxsplit=1)[0]
    story = walk(mig(text, change("key (tenant_id, number)", entity="Thing")), ALONE, looks=None)
    story.execute(f"INSERT INTO things VALUES (10, '{T1}', NULL), (11, '{T1}', 4), (12, '{T1}', 4)")
    story.upgrade("m_expand")
    assert story.job("reconcile") == 1
    assert story.rows("SELECT sum(violations) FROM migdsl.reconciliation") == [(4,)]
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    with pytest.raises(CommandError, match="reconciliation of Thing"):
        story.upgrade("m_enforce")


def test_a_key_that_is_another_than_the_entity_says_and_one_that_strangers_point_at(walk: Walk):
    story = walk(mig(ENTITIES, change("key (tenant_id, id)", entity="Thing")), DDL, looks=None)
    story.execute("CREATE TABLE strangers (thing bigint REFERENCES things)")
    with pytest.raises(CommandError, match="strangers_thing_fkey on table public"):
        story.upgrade("m_expand")
    story.execute("DROP TABLE strangers; DROP TABLE parts; ALTER TABLE things DROP CONSTRAINT things_pkey")
    with pytest.raises(CommandError, match=r"the key of public.things is not \(id\)"):
        story.upgrade("m_expand")
