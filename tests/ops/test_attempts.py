"""A `from` that fails on a row: old code's writes go on, and reconciliation tells of the rows."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import Story, Walk, both_versions, change, sees
from tests.ops.support import T1, USERS, USERS_DDL, mig

DDL = f"""{USERS_DDL};
INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'good', '12'), ('{T1}', 'bad', 'twelve'), ('{T1}', 'none', NULL)"""
VALUES = "SELECT username, email, age FROM users ORDER BY id"


@both_versions
@pytest.mark.parametrize("nullable", ["?", ""])
def test_rows_that_can_not_be_computed_stay_empty_and_stop_enforce(walk: Walk, nullable: str):
    source = "email::integer" if nullable else "coalesce(email::integer, 0)"
    added = f"add age integer{nullable} {{ from `{source}`; back email = `age::text` }}"
    story = walk(mig(USERS, change(added, "drop email after 30d")), DDL, looks=None)
    before = story.dump()
    story.upgrade("m_expand")
    # Old code goes on, with values that no number is made of, too large for one, and that are mended again.
    story.execute("UPDATE users SET email = 'thirteen' WHERE username = 'good'")
    story.execute("UPDATE users SET email = '99999999999' WHERE username = 'good'")
    story.execute(f"INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'new', 'x')")
    story.execute("UPDATE users SET email = '13' WHERE username = 'good'")
    assert story.job("backfills") == 0
    none = None if nullable else 0
    assert story.rows(VALUES) == [
        ("good", "13", 13),
        ("bad", "twelve", None),
        ("none", None, none),
        ("new", "x", None),
    ]
    assert story.job("reconcile") == 1
    story.execute("INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('m', 'stage', 'all', 'live')")
    with pytest.raises(CommandError, match="reconciliation of User lacks two clean readings"):
        story.upgrade("head")
    story.execute("UPDATE users SET email = '1' WHERE email !~ '^[0-9]+$'")
    assert story.job("reconcile") == 0
    assert story.rows("SELECT count(*) FROM users WHERE age IS NOT DISTINCT FROM coalesce(email::int, age)") == [(4,)]
    _there_and_back(story, before)


def _there_and_back(story: Story, before: list[str]) -> None:
    for revision in story.revisions[1:]:
        story.stage("live" if revision.endswith("enforce") else "complete")
        story.upgrade(revision)
    assert story.rows("SELECT count(*) FROM pg_proc WHERE proname LIKE 'm\\_users%'") == [(0,)]
    for _ in story.revisions:
        story.downgrade()
    assert story.dump() == before


def test_what_is_too_long_is_left_empty_and_not_cut(walk: Walk):
    story = walk(mig(USERS, change("add short varchar(3)? { from `email` }")), DDL, looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE users SET email = 'abcd' WHERE username = 'good'")
    assert story.job("backfills") == 0
    assert story.rows("SELECT short FROM users ORDER BY id") == [(None,), (None,), (None,)]
    assert story.job("reconcile") == 1
    story.execute("UPDATE users SET email = 'abc' WHERE email IS NOT NULL")
    assert story.rows("SELECT short FROM users ORDER BY id") == [("abc",), ("abc",), (None,)]
    assert story.job("reconcile") == 0


def test_generated_inputs_stand_for_what_they_are_generated_from(walk: Walk):
    entity = USERS.replace("email      text?    pii", "email text?; mail text? generated `lower(email)`")
    ddl = DDL.replace("email text,", "email text, mail text GENERATED ALWAYS AS (lower(email)) STORED,")
    walk(
        mig(
            entity,
            change("add age integer? { from `CASE WHEN mail ~ '^[0-9]+$' THEN mail::integer + length(username) END` }"),
        ),
        ddl,
        looks={"backfill": sees("SELECT age FROM users ORDER BY id", (16,), (None,), (None,))},
    )
