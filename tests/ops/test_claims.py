"""What somebody else made under a name that the migration gives is refused, and neither adopted nor dropped."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import SEED, Walk, change
from tests.ops.support import USERS, USERS_DDL, codes, mig

TAKEN = "these names are taken, and what is there was not made by this migration: "
DDL = f"{USERS_DDL};{SEED}"
PRECIOUS = "ALTER TABLE users ADD legacy text DEFAULT 'precious'"
NAMED = "ALTER TABLE users ADD CONSTRAINT named CHECK (email <> 'x')"
INDEX = "CREATE INDEX named ON users (email)"
LATER = "SELECT count(*) FROM pg_constraint WHERE conname = 'named' AND pg_get_constraintdef(oid) LIKE '%email%'"
CASES = {
    "column": ("add legacy text?", PRECIOUS, "column legacy of public.users"),
    "column and back": (
        "add legacy text { from `username`; back username = `legacy` }",
        PRECIOUS,
        "column legacy of public.users",
    ),
    "shadow": (
        "retype id numeric(20)",
        "ALTER TABLE users ADD id_migdsl_new text",
        "column id_migdsl_new of public.users",
    ),
    "check": ("check `username <> ''` as named", NAMED, "constraint named of public.users"),
    "unique": ("unique (tenant_id, email) as named", INDEX, "public.named"),
    "unique under a check": ("unique (tenant_id, email) as named", NAMED, "constraint named of public.users"),
    "index": ("index (username) as named", INDEX, "public.named"),
    "index of another table": ("index (username) as named", "CREATE TABLE named ()", "public.named"),
    "NOT NULL": (
        "require email { from `''` }",
        "ALTER TABLE users ADD CONSTRAINT users_email_filled CHECK (email <> 'x')",
        "constraint users_email_filled of public.users",
    ),
}


def text(operation: str) -> str:
    return mig(USERS, change(operation))


@pytest.mark.parametrize("case", CASES)
def test_expand_refuses_before_anything_has_changed(walk: Walk, case: str):
    operation, ddl, shown = CASES[case]
    story = walk(text(operation), f"{DDL};{ddl}", looks=None)
    before = story.dump()
    with pytest.raises(CommandError) as refused:
        story.upgrade("m_expand")
    assert f"{TAKEN}{shown}\n" in str(refused.value)
    assert story.dump() == before
    assert story.rows("SELECT count(*) FROM migdsl.snapshot") == [(0,)]


@pytest.mark.parametrize(
    "operation", ["add legacy text?", "index (username) as named", "add legacy text { from `username` }"]
)
def test_expand_run_again_knows_its_own(walk: Walk, operation: str):
    story = walk(text(operation).replace("username` }", "username`; back username = `legacy` }"), DDL, looks=None)
    before = story.dump()
    story.upgrade("m_expand")
    made = story.dump()
    story.execute("DELETE FROM alembic_version")
    story.upgrade("m_expand")
    assert story.dump() == made
    story.downgrade("base")
    assert story.dump() == before


def test_an_index_that_a_killed_run_left_invalid_is_built_again(walk: Walk):
    story = walk(text("index (username) as named"), DDL, looks=None)
    story.upgrade("m_expand")
    story.execute("DELETE FROM alembic_version")
    story.execute("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'named'::regclass")
    story.upgrade("m_expand")
    assert story.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'named'::regclass") == [(True,)]


def test_a_name_taken_since_expand_is_refused_by_the_phase_that_gives_it(walk: Walk):
    story = walk(text("check `username <> ''` as named"), DDL, looks=None)
    story.upgrade("m_expand")
    assert story.job("reconcile") == 0
    story.stage("live")
    story.execute(NAMED)
    with pytest.raises(CommandError, match=f"{TAKEN}constraint named of public.users"):
        story.upgrade("m_enforce")
    assert story.rows(LATER) == [(1,)]
    story.execute("ALTER TABLE users DROP CONSTRAINT named")
    story.upgrade("m_enforce")
    story.execute("UPDATE alembic_version SET version_num = 'm_expand'")
    story.upgrade("m_enforce")
    story.downgrade("m_expand")
    story.execute(NAMED)
    with pytest.raises(CommandError, match=f"{TAKEN}constraint named of public.users"):
        story.upgrade("m_enforce")
    assert story.rows(LATER) == [(1,)]


def test_a_declared_name_is_refused_by_the_compiler():
    declared = USERS.replace("  unique (", "  check `username <> ''` as named\n  unique (")
    assert codes(mig(declared, change("check `username <> 'x'` as named"))) == ["MIG104"]
    assert codes(mig(declared, change("drop constraint named; check `username <> 'x'` as named"))) == []
    assert codes(mig(declared, change("index (email) as named"))) == []
