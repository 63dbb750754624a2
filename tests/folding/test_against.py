"""After contract, a real PostgreSQL has what the folded entity says: `check --against` finds nothing."""

from __future__ import annotations

import pytest

from migdsl.cli.against import differences
from migdsl.semantics.model import PHASES
from migdsl.semantics.phrases import called
from migdsl.workspace import check
from tests.folding.support import finished
from tests.ops import moves
from tests.ops.story import SEED, Look, Story, Walk, change
from tests.ops.support import CONTACT, USERS, USERS_DDL, mig

DDL = f"""
CREATE TYPE mood AS ENUM ('sad', 'ok');
{USERS_DDL};
ALTER TABLE users ADD age integer, ADD state mood, ADD note varchar(20) DEFAULT 'x' NOT NULL,
                  ADD price numeric(4,1) DEFAULT 1.26 NOT NULL, ADD boss bigint;
ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age > 0);
CREATE INDEX users_note_idx ON users (note);
{SEED}"""
ENTITY = USERS.replace("bigint   key", "bigint   key identity").replace(
    "  unique (tenant_id",
    """  age        integer?
  state      enum mood("sad", "ok")?
  note       varchar(20) default "x"
  price      numeric(4,1) default 1.26
  boss       bigint?
  check `age > 0`
  index (note)
  unique (tenant_id""",
)
# An entity says nothing of comments; labels, and tables that no entity speaks of, are not compared.
UNSEEN = ("what is said", "a label", "a new table")
CHANGES = {
    "a pair": (CONTACT,),
    "columns": (
        "add nick text? pii",
        'add region text default "eu"',
        "add code integer? { unique per tenant }",
        "drop age after 30d { back `1` }\n  drop constraint users_age_check",
    ),
    "nulls": ("require email { from `username || '@x'` }", "optional note { back `'x'` }"),
    "types": ("retype age bigint", "retype note text"),
    "a default of another type": ("retype price integer { from `trunc(price * 10)::integer`; back `price / 10.0` }",),
    "defaults": ('default email "none"', "drop default note"),
    "constraints": (
        "index (lower(email))",
        'check `length(note) > 0` as note_ck { complies because "x" }',
        "unique (id, note)",
        "drop index users_note_idx",
    ),
    "a foreign key": ("boss -> User.id on delete set null",),
    "foreign keys": (
        "add owner bigint? -> User.id",
        "add first bigint? -> User.id",
        "index (first, age)",
        "(boss) -> User (id)",
        "(boss, tenant_id) -> User (id, tenant_id)",
        "unique (id, tenant_id)",
    ),
    "unique indexes": (
        "unique (tenant_id, lower(email)) where `age > 1` as users_email_ux",
        "index (tenant_id, age desc nulls last) as users_age_ix",
        "drop index users_note_idx",
    ),
    "a rename": ("rename username to login",),
    "renames": ("rename note to remark", 'rename age to "Age"'),
    "a split": (
        "split email into head text?, rest text? { head = `left(email, 1)`; rest = `substr(email, 2)`; back `head || rest` }",
    ),
    "a new table": (
        """create Note in app.notes {
  id bigint key
  tenant_id uuid tenant
  body text?
  index (tenant_id, id)
  from User { id = id; tenant_id = tenant_id; body = `note` }
}""",
    ),
    "a label": ('enum mood add "fine" after "sad"',),
    "a table": ("rename table to people",),
    "what is said": ('comment "people"', 'comment age "years"'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_entity_is_what_the_catalogue_shows(walk: Walk, name: str):
    operations = CHANGES[name]
    text = mig(
        ENTITY, operations[0] if operations[0].lstrip().startswith(("change", "create")) else change(*operations)
    )
    before = check({"m.mig": text}, "m.mig")
    if any(d.code == "MIG007" for d in before.diagnostics):
        pytest.skip("of a later release")
    after, before_ = _at_the_end(walk, text, DDL, ENTITY)
    assert after == []
    assert before_ != [] or name in UNSEEN, "the comparison sees nothing"


@pytest.mark.parametrize("kept", [True, False], ids=["with an index", "without one"])
def test_who_points_at_what_moves_is_what_the_catalogue_shows(walk: Walk, kept: bool):
    """The key that follows brings its index along, where there was none."""
    entities, ddl = moves.ORDER, moves.SEED
    if not kept:
        entities, ddl = entities.replace("\n  index (order_id)", ""), ddl.replace(
            "CREATE INDEX ON lines (order_id);", ""
        )
        assert "(order_id)" not in entities + ddl
    after, _ = _at_the_end(walk, mig(entities, moves.MOVE), ddl, entities)
    assert after == []


def _at_the_end(walk: Walk, text: str, ddl: str, entities: str) -> tuple[list[str], list[str]]:
    """What differs after the last phase: from what is declared then, and from what was declared before."""
    before = mig(entities).split("\n", 1)[1]  # without the migration
    schema = finished({"m.mig": text}, into="schema.mig").get("schema.mig", before)
    seen: list[list[str]] = []

    def look_after(phase: str) -> Look:
        def look(story: Story) -> None:
            if story.revisions[-1] == f"m_{phase}":
                seen.extend(([*told(story, schema), *_unnamed(story, schema)], told(story, before)))

        return look

    walk(text, ddl, looks={phase: look_after(phase) for phase in PHASES})
    return seen[0], seen[1]


def _unnamed(story: Story, schema: str) -> list[str]:
    """What is declared under a name that nothing in the database has: a later `drop` goes by it."""
    module = check({"schema.mig": schema}, "schema.mig").module
    assert module is not None
    there = {name for (name,) in story.rows("SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class")}
    return [
        called(t, c)
        for t in module.tables
        for c in t.constraints
        if c.kind != "generated" and called(t, c) not in there
    ]


PHASES_BEFORE = PHASES[: PHASES.index("contract")]


@pytest.mark.parametrize("name", CHANGES)
def test_until_contract_what_the_migration_does_is_no_difference(walk: Walk, name: str):
    operations = CHANGES[name]
    text = mig(
        ENTITY, operations[0] if operations[0].lstrip().startswith(("change", "create")) else change(*operations)
    )
    seen: dict[str, list[str]] = {}

    def look_after(phase: str) -> Look:
        def look(story: Story) -> None:
            seen[phase] = told(story, text)

        return look

    walk(text, DDL, looks={phase: look_after(phase) for phase in ("before", *PHASES_BEFORE)})
    assert len(seen) > 1
    assert {phase: found for phase, found in seen.items() if found} == {}


def told(story: Story, schema: str) -> list[str]:
    """What differs between a schema and the database, but for the server's version."""
    assert check({"schema.mig": schema}, "schema.mig").ok
    found = differences((story.url,), {"schema.mig": schema})
    return [f"{d.code} {d.title}" for d in found if "the server is PostgreSQL" not in d.title]
