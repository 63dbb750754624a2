"""Defaults, comments, replica identity and enum labels: there and back on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.ops.story import Story, Walk, change, column, sees
from tests.ops.support import T1, mig
from tests.ops.test_constraints import DDL, ENTITIES

NASTY = f"""
{DDL}
ALTER TABLE members ALTER COLUMN nick SET DEFAULT 'it''s {{x}} \\ %s';
COMMENT ON TABLE members IS 'who''s in';
COMMENT ON COLUMN members.age IS E'line\\nbreak';
CREATE UNIQUE INDEX by_nick ON members (nick);
ALTER TABLE members REPLICA IDENTITY USING INDEX by_nick;
CREATE TYPE mood AS ENUM ('sad', 'ok');
ALTER TABLE members ADD COLUMN feels mood NOT NULL DEFAULT 'ok';
"""
MOOD = ENTITIES.replace("age       integer?", 'age       integer?\n  feels     "mood" default "ok"')


def member(*operations: str) -> str:
    return mig(MOOD, change(*operations, entity="Member"))


def test_a_default_comes_and_the_old_one_comes_back(walk: Walk):
    walk(
        member('default nick "n/a"', "default age 7", "drop default feels"),
        NASTY,
        {
            "expand": sees(column("age", "members"), ("YES", "7")),
            "back expand": sees(column("age", "members"), ("YES", None)),
        },
    )


def test_comments_come_and_the_old_ones_come_back(walk: Walk):
    says = "SELECT obj_description('members'::regclass, 'pg_class'), col_description('members'::regclass, 2)"
    walk(
        member(
            r'comment "it\'s ours \\ %s {x}"'.replace(r"\'", "'"), 'comment tenant_id "whose"', 'comment age "in years"'
        ),
        NASTY,
        {"expand": sees(says, ("it's ours \\ %s {x}", "whose")), "back expand": sees(says, ("who's in", None))},
    )


def test_the_replica_identity_comes_back_as_it_was(walk: Walk):
    kind = "SELECT relreplident::text FROM pg_class WHERE oid = 'members'::regclass"
    walk(member("replica identity full"), NASTY, {"expand": sees(kind, ("f",)), "back expand": sees(kind, ("i",))})


def test_a_label_can_be_used_after_expand_and_stays(walk: Walk):
    labels = "SELECT enumlabel::text FROM pg_enum ORDER BY enumsortorder"

    def used(story: Story) -> None:
        story.execute(f"INSERT INTO members (id, tenant_id, nick, feels) VALUES (50, '{T1}', 'x', 'it''s so-so')")

    story = walk(member('enum feels add "it\'s so-so" after "sad"'), NASTY, None)
    story.upgrade()
    used(story)
    assert story.rows(labels) == [("sad",), ("it's so-so",), ("ok",)]
    story.downgrade()
    assert story.rows(labels) == [("sad",), ("it's so-so",), ("ok",)]
    story.upgrade()


TYPES = "SELECT typname::text FROM pg_type WHERE typtype = 'e' ORDER BY 1"


def test_an_enum_type_comes_with_the_column_that_spells_it_out(walk: Walk):
    added = "add \"how it's\" enum \"so so\"(\"it's\", \"%s\") { from `CASE WHEN age > 3 THEN 'it''s' ELSE '%s' END` }"
    table = 'create Log in app.logs { id bigint key; tenant_id uuid tenant; kind enum kinds("a", "b") default "a" }'
    looks = {
        "expand": sees(TYPES, ("kinds",), ("mood",), ("so so",)),
        "backfill": sees('SELECT count(*), min("how it\'s")::text FROM members', (9, "it's")),
        "back expand": sees(TYPES, ("mood",)),
    }
    walk(mig(MOOD, change(added, entity="Member"), table), NASTY, looks)


def test_a_type_that_is_there_stays_and_must_have_the_same_labels(walk: Walk):
    same = walk(member('add felt enum mood("sad", "ok")?'), NASTY, None)
    same.upgrade()
    same.downgrade()
    assert same.rows(TYPES) == [("mood",)]


def test_a_type_with_other_labels_is_refused(walk: Walk):
    other = walk(member('add felt enum mood("sad", "fine")?'), NASTY, None)
    with pytest.raises(Exception, match="with other labels: sad, ok"):
        other.upgrade()
