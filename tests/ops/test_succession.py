"""A constraint or an index that takes the name of one dropped in the same change: both stand until contract, there and back."""

from __future__ import annotations

import pytest

from tests.ops.story import Story, Walk, change, sees
from tests.ops.support import T2, codes, mig
from tests.ops.test_constraints import DDL as MEMBERS
from tests.ops.test_constraints import ENTITIES

DECLARED = ENTITIES.replace(
    "  age       integer?\n",
    """  age       integer?
  check `age > 0` as age_ck
  index (tenant_id, nick) as nick_ix
  unique (tenant_id, nick, age) as nick_uq
  (org_id) -> Org (id) on delete set null
  index (org_id)
""",
)
DDL = f"""{MEMBERS}
ALTER TABLE members ADD CONSTRAINT age_ck CHECK (age > 0), ADD CONSTRAINT nick_uq UNIQUE (tenant_id, nick, age);
ALTER TABLE members ADD FOREIGN KEY (org_id) REFERENCES orgs (id) ON DELETE SET NULL;
CREATE INDEX nick_ix ON members (tenant_id, nick);
CREATE INDEX ON members (org_id);
"""
STANDS = (
    """SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'members'::regclass AND conname = '{}'"""
)
SPANS = "SELECT substring(indexdef FROM '[(].*') FROM pg_indexes WHERE tablename = 'members' AND indexname = '{}'"
CASES = {
    "check": (
        "drop constraint age_ck; check `age >= 0` as age_ck",
        STANDS.format("age_ck"),
        "CHECK ((age > 0))",
        "CHECK ((age >= 0))",
    ),
    "index": (
        "drop index nick_ix; index (tenant_id, nick, org_id) as nick_ix",
        SPANS.format("nick_ix"),
        "(tenant_id, nick)",
        "(tenant_id, nick, org_id)",
    ),
    "unique": (
        "drop constraint nick_uq; unique (tenant_id, nick) as nick_uq",
        STANDS.format("nick_uq"),
        "UNIQUE (tenant_id, nick, age)",
        "UNIQUE (tenant_id, nick)",
    ),
    "index after unique": (
        "drop constraint nick_uq; index (age) as nick_uq",
        SPANS.format("nick_uq"),
        "(tenant_id, nick, age)",
        "(age)",
    ),
    "reference": (
        "drop constraint members_org_id_fkey; org_id -> Org.id on delete cascade",
        STANDS.format("members_org_id_fkey"),
        "FOREIGN KEY (org_id) REFERENCES orgs(id) ON DELETE SET NULL",
        "FOREIGN KEY (org_id) REFERENCES orgs(id) ON DELETE CASCADE",
    ),
}


def text(*operations: str) -> str:
    return mig(DECLARED, change(*operations, entity="Member"))


@pytest.mark.parametrize("kind", CASES)
def test_the_new_one_has_the_name_from_contract_on(walk: Walk, kind: str):
    operations, asked, before, after = CASES[kind]
    looks = {
        "before": sees(asked, (before,)),
        "enforce": sees(asked, (before,)),
        "contract": sees(asked, (after,)),
        "back contract": sees(asked, (before,)),
    }
    walk(text(operations), DDL, looks)


@pytest.mark.parametrize("kind", ["check", "index", "reference"])
def test_contract_run_again_after_the_new_one_has_the_name_leaves_it(walk: Walk, kind: str):
    operations, asked, before, after = CASES[kind]

    def killed_late(story: Story) -> None:
        earlier = story.revisions[-2]
        story.execute(f"UPDATE alembic_version SET version_num = '{earlier}'")
        story.upgrade()
        assert story.rows(asked) == [(after,)]

    walk(text(operations), DDL, {"contract": killed_late, "back contract": sees(asked, (before,))})


def test_the_temporary_name_is_free_of_all_that_is_declared():
    taken = DECLARED.replace("as age_ck", "as members_age_check")
    same = "drop constraint members_age_check; check `age >= 0` as members_age_check"
    assert codes(mig(taken, change(same, entity="Member"))) == []


def test_what_the_old_foreign_key_keeps_the_new_one_is_not_asked(walk: Walk):
    """A row may point at another tenant's: the old key lets it, and so will the new one."""
    operations, asked, _, after = CASES["reference"]
    other = DDL + f"INSERT INTO members VALUES (50, '{T2}', 1, 'other', 1);"
    walk(text(operations), other, {"contract": sees(asked, (after,))})


def test_a_new_foreign_key_says_whose_rows_it_was_asked_of(walk: Walk):
    bare = DECLARED.replace("  (org_id) -> Org (id) on delete set null\n", "")
    ddl = f"{DDL} ALTER TABLE members DROP CONSTRAINT members_org_id_fkey; UPDATE members SET org_id = 2 WHERE id = 2"
    story = walk(mig(bare, change("org_id -> Org.id", entity="Member")), ddl, looks=None)
    story.upgrade("m_expand")
    assert story.job("reconcile") == 1
    (found,) = story.rows("SELECT found::text FROM migdsl.reconciliation WHERE violations > 0")
    assert "org_id points at no Org of its tenant" in found[0]
