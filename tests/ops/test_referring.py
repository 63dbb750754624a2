"""Foreign keys to what the same migration makes: there and back on a real PostgreSQL, in an order in which they can be made."""

from __future__ import annotations

import psycopg
import pytest

from tests.ops.story import Story, Walk, change
from tests.ops.support import T1, mig

DDL = f"""
CREATE TABLE orgs (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, code text NOT NULL);
CREATE TABLE members (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, org text, code varchar(9));
INSERT INTO orgs VALUES (1, '{T1}', 'one', 'a'), (2, '{T1}', 'two', 'b');
INSERT INTO members VALUES (1, '{T1}', 'one', 'b'), (2, '{T1}', NULL, NULL);
"""
ENTITIES = """
entity Org in app.orgs { id bigint key; tenant_id uuid tenant; name text; code text }
entity Member in app.members { id bigint key; tenant_id uuid tenant; org text?; code varchar(9)? }
"""
KEYS = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY conname"
KNOWN = 'complies because "the importer looks it up"'


def keys(*names: str):
    def look(story: Story) -> None:
        assert [row[0] for row in story.rows(KEYS)] == list(names)

    return look


def test_a_unique_comes_before_what_points_at_it_and_goes_after(walk: Walk):
    def refused(story: Story) -> None:
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            story.execute(f"INSERT INTO members VALUES (9, '{T1}', 'three', NULL)")

    # The one that points is declared first: the order of the file isn't that of the steps.
    pointing = change("org -> Org.name", f"code -> Org.code {{ {KNOWN} }}", entity="Member")
    unique = change("unique (name)", f"unique (code) {{ {KNOWN} }}", entity="Org")
    both = keys("members_code_fkey", "members_org_fkey")

    def bound(story: Story) -> None:
        both(story)
        refused(story)

    seen = {
        "backfill": keys(),
        "validate": keys("members_code_fkey"),
        "enforce": bound,
        "back enforce": keys("members_code_fkey"),
        "back validate": keys(),
    }
    walk(mig(ENTITIES, pointing, unique), DDL, seen)


def test_a_new_table_comes_after_the_one_that_it_points_at(walk: Walk):
    made = """
create Seat in app.seats {
  id bigint key
  tenant_id uuid tenant
  room text -> Room.name
  near bigint? -> Seat.id
  index (tenant_id, id)
}
create Room in app.rooms { id bigserial key; tenant_id uuid tenant; name text unique; index (tenant_id, id) }
"""
    both = keys("seats_near_fkey", "seats_room_fkey")
    walk(mig(ENTITIES, made), DDL, {"expand": both, "back expand": keys()})
