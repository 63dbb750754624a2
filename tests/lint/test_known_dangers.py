"""Every danger that other linters know of PostgreSQL migrations is refused, or its SQL can't come out of the compiler.

The names are those of strong_migrations (sm), squawk (sq) and eugene (eu). docs/safety.md has a line for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from migdsl.ops.lower import lower
from migdsl.ops.model import Alone, BuildIndex, Group, Lowered, Part
from tests.ops.story import change
from tests.ops.support import checked, mig

ENTITIES = """
entity Org in app.orgs { id bigint key; tenant_id uuid tenant }
entity Thing in app.things {
  id        bigint  key
  tenant_id uuid    tenant
  org_id    bigint?
  name      text
  code      varchar(10)
  small     integer
  mood      enum mood("sad", "ok")
  data      json?
  index (name) as by_name
  unique (tenant_id, code) as one_code
  index (tenant_id, id)
}
"""

# What must not be in any statement, but for the phases in which nobody old is left.
EARLY = ("expand", "backfill", "validate")
# danger → the operation, and either the code that refuses it or the patterns that its SQL must (+) and must not (-) have
REFUSED = {
    "a column with a volatile default": ("add token uuid default `gen_random_uuid()`", "MIG408"),
    "a stored generated column": ("add twice integer generated `small * 2`", "MIG426"),
    "an auto-incrementing column": ("add seq bigint identity", "MIG426"),
    "a serial column": ("add seq bigserial", "MIG426"),
    "an exclusion constraint on a table that is used": ('exclude using gist (name with "=")', "MIG427"),
    "a required column without a value": ("add must text", "MIG401"),
    "a column that is dropped with no way back": ("drop small after 30d", "MIG404"),
    "a column that is dropped while a constraint needs it": ('drop code irreversible because "x"', "MIG402"),
    "a json column, which has no equality": ("add extra json? { from `name::json` }", "MIG109"),
    "VACUUM FULL and CLUSTER": (
        'sql "x" { up `VACUUM FULL things`; back `SELECT 1`; lock access exclusive }',
        "MIG419",
    ),
    "an index under a lock": (
        'sql "x" { up `CREATE INDEX i ON things (name)`; back `DROP INDEX CONCURRENTLY i`; lock share }',
        "MIG419",
    ),
    "a statement that locks more than it says": (
        'sql "x" { up `ALTER TABLE things DROP COLUMN data`; back `SELECT 1` }',
        "MIG418",
    ),
    "a type that is changed under a lock": (
        'sql "x" { up `ALTER TABLE things ALTER small TYPE bigint`; back `SELECT 1`; lock access exclusive }',
        "MIG419",
    ),
    "NOT NULL under a lock": (
        'sql "x" { up `ALTER TABLE things ALTER data SET NOT NULL`; back `SELECT 1`; lock access exclusive }',
        "MIG419",
    ),
    "transaction control in a migration": ('sql "x" { up `COMMIT`; back `SELECT 1` }', "MIG421"),
    "an UPDATE of the whole table": ("sql \"x\" { up `UPDATE things SET name = ''`; back `SELECT 1` }", "MIG303"),
    "a rename of the tenant column": ("rename tenant_id to owner_id", "MIG414"),
    "a narrowing type": ("retype code varchar(5)", "MIG422"),
}
SAFE: dict[str, tuple[str, tuple[str, ...]]] = {
    "an index": ("index (org_id)", (r"+CREATE INDEX CONCURRENTLY IF NOT EXISTS", r"-CREATE INDEX (?!CONCURRENTLY)")),
    "dropping an index": (
        "drop index by_name",
        (r"+DROP INDEX CONCURRENTLY IF EXISTS", r"-DROP INDEX (?!CONCURRENTLY)"),
    ),
    "a unique constraint": (
        "unique (tenant_id, name)",
        (
            r"+CREATE UNIQUE INDEX CONCURRENTLY",
            r"+ADD CONSTRAINT \S+ UNIQUE USING INDEX",
            r"-ADD (CONSTRAINT \S+ )?UNIQUE \(",
        ),
    ),
    "a foreign key": (
        "org_id -> Org.id",
        (
            r"+FOREIGN KEY .* NOT VALID",
            r"+VALIDATE CONSTRAINT",
            r"+CREATE INDEX CONCURRENTLY",
            r"-FOREIGN KEY (?!.*NOT VALID)",
        ),
    ),
    "a reference on a new column": (
        "add boss_id bigint? -> Org.id",
        (r"+FOREIGN KEY .* NOT VALID", r"+CREATE INDEX CONCURRENTLY"),
    ),
    "a check": ("check `small > 0` as positive", (r"+CHECK \(small > 0\) NOT VALID", r"+VALIDATE CONSTRAINT positive")),
    "a required column": (
        "require org_id { from `0` }",
        (r"+CHECK \(org_id IS NOT NULL\) NOT VALID", r"+VALIDATE CONSTRAINT", r"+SET NOT NULL"),
    ),
    "a column with a constant default": (
        'add state text default "new"',
        (r"+ADD COLUMN IF NOT EXISTS state text DEFAULT",),
    ),
    "a column with a computed value": (
        "add upper text { from `upper(name)` }",
        (r"-DEFAULT", r"-^UPDATE"),
    ),
    "another type": ("retype small bigint", (r"-ALTER COLUMN small TYPE", r"-SET DATA TYPE")),
    "a column that gets another name": ("rename name to title", (r"-RENAME COLUMN",)),
    "a table that gets another name": (
        "rename table to stuff",
        (r"+CREATE VIEW public\.things WITH \(security_invoker = true\)",),
    ),
    "a label of an enum": ('enum mood add "fine"', (r"+ADD VALUE IF NOT EXISTS", r"-RENAME VALUE")),
    "a default that goes away": ('default name "x"', (r"+SET DEFAULT 'x'",)),
}


def statements(part: Part) -> Iterator[str]:
    if isinstance(part, Group):
        yield from part.statements
    elif isinstance(part, Alone):
        yield part.statement
    elif isinstance(part, BuildIndex):
        yield part.create


def sql_of(lowered: Lowered) -> list[str]:
    """What runs against the tables; functions that a migration brings along are judged by what they are called for, and what a
    refusal says to subscribers runs where they are."""
    found = [" ".join(text.split()) for step in lowered.steps for part in step.up for text in statements(part)]
    return [text for text in found if "CREATE OR REPLACE" not in text and not text.startswith("DO $subscribed$")]


@pytest.mark.parametrize("danger", REFUSED)
def test_what_is_dangerous_is_refused(danger: str):
    operation, code = REFUSED[danger]
    _, found = checked(mig(ENTITIES, change(operation, entity="Thing")))
    assert code in [line.split()[0] for line in found], found


@pytest.mark.parametrize("danger", SAFE)
def test_what_can_be_done_safely_is(danger: str):
    operation, patterns = SAFE[danger]
    module, found = checked(mig(ENTITIES, change(operation, entity="Thing")))
    assert [line for line in found if not line.startswith("MIG413")] == []
    lowered = lower(module)
    sql = sql_of(lowered)
    for pattern in patterns:
        hits = [text for text in sql if re.search(pattern[1:], text)]
        assert bool(hits) == (pattern[0] == "+"), f"{pattern}\n" + "\n".join(sql)


@pytest.mark.parametrize("danger", SAFE)
def test_no_lock_that_blocks_is_held_while_anything_scans(danger: str):
    """A group is one transaction under locks: nothing in it may read a table as a whole."""
    operation, _ = SAFE[danger]
    module, _ = checked(mig(ENTITIES, change(operation, entity="Thing")))
    for step in lower(module).steps:
        for part in (*step.up, *step.down):
            if isinstance(part, Group) and any(lock.strength > 1 for _, lock in part.tables):
                text = " ".join(part.statements)
                assert not re.search(r"VALIDATE CONSTRAINT|CONCURRENTLY|VACUUM|CREATE (UNIQUE )?INDEX", text), text


@pytest.mark.parametrize("danger", ["a unique constraint", "a foreign key", "a check", "a required column"])
def test_what_binds_old_code_waits_until_it_is_gone(danger: str):
    module, _ = checked(mig(ENTITIES, change(SAFE[danger][0], entity="Thing")))
    early = [
        s.title
        for s in lower(module).steps
        if s.phase in EARLY and s.operation in ("add_constraint", "add_unique", "add_check")
    ]
    assert early == []


def test_the_page_has_a_line_for_each():
    page = (Path(__file__).resolve().parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| ([^|]+?) \|", page, flags=re.MULTILINE)) - {"danger", "---"}
    assert told == {*REFUSED, *SAFE}
