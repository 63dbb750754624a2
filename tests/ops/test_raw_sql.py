"""SQL of the user's own: there and back on a real PostgreSQL; what locks too much is refused."""

from __future__ import annotations

import pytest

from tests.ops.story import Walk, change, sees
from tests.ops.support import checked, mig
from tests.ops.test_constraints import DDL, ENTITIES


def member(*operations: str) -> str:
    return mig(ENTITIES, change(*operations, entity="Member"))


def test_statements_run_in_their_phase_and_back(walk: Walk):
    statistics = "SELECT stxname::text FROM pg_statistic_ext"
    walk(
        member("""sql "planner's statistics" {
              up   `CREATE STATISTICS members_st ON tenant_id, nick FROM members`
              up   `ALTER TABLE members SET (fillfactor = 70)`
              up   `ANALYZE members`
              up   `SELECT set_config('a.b', 'c % d', false)`
              back `DROP STATISTICS members_st`
              back `ALTER TABLE members RESET (fillfactor)`
              phase validate
              lock access exclusive
            }"""),
        DDL,
        {"validate": sees(statistics, ("members_st",)), "back validate": sees(statistics)},
    )


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("up `CREATE INDEX i ON members (nick)`; back `DROP INDEX CONCURRENTLY i`; lock access exclusive", "MIG419"),
        ("up `ALTER TABLE members ALTER nick SET NOT NULL`; back `SELECT 1`; lock access exclusive", "MIG419"),
        ("up `ALTER TABLE members ADD UNIQUE (nick)`; back `SELECT 1`; lock access exclusive", "MIG419"),
        ("up `VACUUM FULL members`; back `SELECT 1`; lock access exclusive", "MIG419"),
        ("up `ALTER TABLE members DROP COLUMN nick`; back `SELECT 1`", "MIG418"),
        ("up `TRUNCATE members`; back `SELECT 1`; lock share", "MIG418"),
        ("up `ALTER TABLE members SET (fillfactor = 70)`", "MIG420"),
        ("back `SELECT 1`", "MIG420"),
        ("up `COMMIT`; back `SELECT 1`", "MIG421"),
        ("up `DO $$ BEGIN END $$`; back `SELECT 1`", "MIG421"),
        ("up `SET search_path = x`; back `SELECT 1`", "MIG421"),
        ("up `COPY members TO PROGRAM 'cat'`; back `SELECT 1`", "MIG421"),
        ("up `UPDATE members SET nick = ''`; back `SELECT 1`", "MIG303"),
        ("up `UPDATE members SET nick = '' WHERE tenant_id = :tenant_id`; back `SELECT 1`", "MIG421"),
        ("up `SELECT 1; SELECT 2`; back `SELECT 1`", "MIG201"),
    ],
)
def test_what_can_not_be_proven_safe_is_refused(block: str, code: str):
    _, found = checked(member(f'sql "why" {{ {block} }}'))
    assert [line.split()[0] for line in found] == [code], found
