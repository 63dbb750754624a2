"""A late revision that broke off: nothing below it goes, it can be ended days later, and taken back once it is marked as run."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.killing import killed_after
from tests.ops.story import SEED, Story, Walk, both_versions
from tests.ops.support import USERS, USERS_DDL, mig

# No index serves the batches: contract drops its own one CONCURRENTLY, after the column.
TEXT = mig(
    """change User {
  add contact_email text pii { from `coalesce(email, username || '@x')`; back email = `contact_email`; unique per tenant }
  drop email
}
gate calm when rows_mismatched = 0 for 24h""",
    USERS.replace("  index  (tenant_id, id)\n", ""),
)
DDL = USERS_DDL.replace("CREATE INDEX ON users (tenant_id, id)", "")
VERSION = "SELECT version_num FROM alembic_version"
COLUMNS = """SELECT count(*) FILTER (WHERE attname = 'email'), count(*) FILTER (WHERE attname = 'contact_email')
  FROM pg_attribute WHERE attrelid = 'users'::regclass AND NOT attisdropped"""


def expanded(walk: Walk) -> Story:
    story = walk(TEXT, f"{DDL}{SEED}", looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == 0
    return story


def broken_off(story: Story, revision: str, spared: int) -> None:
    """The revision dies after so many statements that change something."""
    with killed_after(story.folder / "migrations" / "versions" / f"{revision}.py", spared), pytest.raises(RuntimeError):
        story.upgrade(revision)


def contracted_by_half(walk: Walk) -> Story:
    """The column is gone, and neither its index is nor has Alembic heard of it."""
    story = expanded(walk)
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    at = next(n for n in range(1, 20) if dropped(story, n))
    assert at > 0
    assert story.rows(VERSION) == [("m_enforce",)]
    return story


def dropped(story: Story, spared: int) -> bool:
    broken_off(story, "m_contract", spared)
    return story.rows(COLUMNS) == [(0, 1)]


@both_versions
def test_contract_that_broke_off_can_be_ended_days_later(walk: Walk) -> None:
    story = contracted_by_half(walk)
    # Nothing can be compared any more, so that no reading of today can come.
    story.wait("3 days")
    story.upgrade("m_contract")
    assert story.rows(VERSION) == [("m_contract",)]
    assert story.rows("SELECT to_regclass('users_m_batch_idx')") == [(None,)]


@both_versions
def test_contract_that_broke_off_comes_first_on_the_way_back(walk: Walk) -> None:
    story = contracted_by_half(walk)
    kept = story.rows("SELECT id, contact_email FROM users ORDER BY id")
    for target in ("m_expand", "m_expand@base"):
        with pytest.raises(CommandError, match="m_enforce: not yet: contract of m has begun and was not taken back"):
            story.downgrade(target)
    assert story.rows(VERSION) == [("m_enforce",)]
    # Where somebody told Alembic that enforce isn't there either, expand still asks.
    story.execute("UPDATE alembic_version SET version_num = 'm_expand'")
    with pytest.raises(CommandError, match=r"enforce of m has begun.*; contract of m has begun"):
        story.downgrade("m_expand@base")
    assert story.rows("SELECT id, contact_email FROM users ORDER BY id") == kept
    story.stamp("m_contract")
    story.downgrade("m_expand")
    assert story.rows("SELECT id, email FROM users ORDER BY id") == kept
    story.downgrade("m_expand@base")
    assert story.rows(COLUMNS) == [(1, 0)]
    assert story.rows("SELECT to_regnamespace('migdsl')") == [(None,)]


@both_versions
def test_a_column_that_a_person_dropped_takes_no_question_away(walk: Walk) -> None:
    story = expanded(walk)
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.execute('DROP TRIGGER "~migdsl_m" ON users; ALTER TABLE users DROP COLUMN email')
    story.wait("3 days")
    with pytest.raises(CommandError, match="lacks two clean readings") as refused:
        story.upgrade("m_contract")
    assert "calm" in str(refused.value)


@both_versions
def test_a_contract_that_was_refused_has_not_begun(walk: Walk) -> None:
    story = expanded(walk)
    story.stage("live")
    story.upgrade("m_enforce")
    story.stage("complete")
    story.execute("CREATE VIEW readers AS SELECT email FROM users")
    rows = "SELECT id, email FROM users ORDER BY id"
    before = story.rows(rows)
    with pytest.raises(CommandError, match="readers"):
        story.upgrade("m_contract")
    story.downgrade("m_expand")
    assert story.rows(rows) == before


@both_versions
def test_enforce_that_broke_off_is_taken_back_once_it_is_marked_as_run(walk: Walk) -> None:
    story = expanded(walk)
    before = story.dump()
    story.stage("live")
    seen = set()
    for spared in range(1, 9):
        broken_off(story, "m_enforce", spared)
        seen.add(tuple(story.dump()))
        story.stamp("m_enforce")
        story.downgrade("m_expand")
        assert story.dump() == before, f"killed after {spared}"
    assert len(seen) > 3
    broken_off(story, "m_enforce", 8)
    with pytest.raises(CommandError, match="m_expand: not yet: enforce of m has begun"):
        story.downgrade("m_expand@base")
    story.stamp("m_enforce")
    story.downgrade("m_expand@base")
    assert story.rows("SELECT to_regnamespace('migdsl')") == [(None,)]
