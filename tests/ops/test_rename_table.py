"""`rename table`: old code goes on under the old name, new code under the new one, there and back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from alembic.util import CommandError

from migdsl.ops.rename_table import SECURITY_INVOKER
from tests.conftest import ENGINE
from tests.ops.story import Story, Walk, change, older_version
from tests.ops.support import T1, T2, codes, mig
from tests.ops.test_constraints import DDL, ENTITIES

ROLES = """
DO $$ BEGIN CREATE ROLE renamed_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT, UPDATE ON members TO renamed_reader;
GRANT USAGE ON SCHEMA public TO renamed_reader;
CREATE VIEW grown AS SELECT id FROM members WHERE age > 3;
CREATE UNIQUE INDEX ON members (tenant_id, nick);
"""
POLICIES = """
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON members USING (tenant_id = current_setting('app.tenant', true)::uuid);
"""


@pytest.fixture
def text() -> Iterator[str]:
    return iter([mig(ENTITIES, change('rename table to "my people"', entity="Member"))])


def both_names(story: Story) -> None:
    """Old and new code write, read and upsert."""
    for number, name in enumerate(("members", '"my people"')):
        story.execute(f"INSERT INTO {name} (id, tenant_id, nick) VALUES ({50 + number}, '{T1}', 'w{number}')")
        story.execute(
            f"INSERT INTO {name} AS t (id, tenant_id, nick) VALUES ({60 + number}, '{T1}', 'w{number}') "
            "ON CONFLICT (tenant_id, nick) DO UPDATE SET age = 1"
        )
        assert story.rows(f"SELECT age FROM {name} WHERE nick = 'w{number}'") == [(1,)]
        story.execute(f"DELETE FROM {name} WHERE nick = 'w{number}'")


def policies_hold(story: Story) -> None:
    for name in ("members", '"my people"'):
        story.execute("BEGIN")
        story.execute(f"SET LOCAL app.tenant = '{T2}'; SET LOCAL ROLE renamed_reader")
        assert story.rows(f"SELECT id FROM {name}") == []
        story.execute("ROLLBACK")


def test_both_names_work_until_contract(walk: Walk, text: Iterator[str]):
    hidden = ENGINE >= SECURITY_INVOKER

    def look(story: Story) -> None:
        both_names(story)
        if hidden:
            policies_hold(story)

    def gone(story: Story) -> None:
        assert story.rows("SELECT to_regclass('members')::text, count(*) FROM \"my people\"") == [(None, 9)]

    walk(next(text), DDL + ROLES + POLICIES * hidden, {"expand": look, "contract": gone, "back contract": look})


def test_before_15_a_table_with_policies_keeps_its_name(walk: Walk, text: Iterator[str]):
    """Whose file says 14 gets a view that asks with its owner's rights, on whichever version."""
    story = walk(re.sub(r"postgresql \d+", "postgresql 14", next(text)), DDL + ROLES + POLICIES, None)
    before = story.dump()
    with pytest.raises(CommandError, match="has row-level security, which a view of PostgreSQL 14 would pass by"):
        story.upgrade("m_expand")
    assert story.dump() == before


@older_version
def test_the_same_on_an_older_version(walk: Walk, text: Iterator[str], version: int):
    walk(next(text), DDL + ROLES + POLICIES, {"expand": both_names, "back contract": both_names})


def test_nothing_else_beside_it():
    assert codes(mig(ENTITIES, change("rename table to people", "index (nick)", entity="Member"))) == ["MIG425"]


def test_a_name_that_another_table_has():
    assert codes(mig(ENTITIES, change("rename table to orgs", entity="Member"))) == ["MIG104"]
