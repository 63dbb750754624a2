"""`retype` of columns of all kinds, in place and by a shadow, there and back on a real PostgreSQL."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import Story, Walk, change, sees
from tests.ops.support import T1, T2, mig

both_versions = pytest.mark.parametrize("version", [18, 16])

ENTITY = """
entity Thing in app.things {{
  id         bigint  key
  tenant_id  uuid    tenant
  {column}
  {more}
  index (tenant_id, id)
}}"""
DDL = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE things (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, {column} {more});
CREATE INDEX ON things (tenant_id, id);
INSERT INTO things (id, tenant_id, c) SELECT n, '{tenant}', {value} FROM generate_series(1, 9) AS n"""
TYPE = """SELECT format_type(atttypid, atttypmod) FROM pg_attribute
          WHERE attrelid = 'things'::regclass AND attname = 'c'"""

# what the entity says, what is there, a value for row n, the operation, the type then, and a value that comes after the swap
SHADOWS = {
    "smallint": ("c smallint", "c smallint NOT NULL", "n", "c integer", "integer", "7"),
    "nullable": ("c integer?", "c integer", "nullif(n, 4)", "c bigint", "bigint", "7"),
    "integer to numeric": ("c integer", "c integer NOT NULL", "n", "c numeric(12,2)", "numeric(12,2)", "7"),
    "numeric": ("c numeric(10,2)", "c numeric(10,2) NOT NULL", "n / 4.0", "c numeric(12,4)", "numeric(12,4)", "7.25"),
    "text to enum": (
        "c text",
        "c text NOT NULL",
        "(ARRAY['sad', 'ok'])[n % 2 + 1]",
        'c "mood" { from `c::mood` }',
        "mood",
        "'ok'",
    ),
    "text to integer": ("c text?", "c text", "nullif(n, 3)::text", "c integer { from `c::integer` }", "integer", "7"),
    "text cut short": (
        "c text",
        "c text NOT NULL",
        "'x' || n",
        "c varchar(4) { from `left(c, 4)` }",
        "character varying(4)",
        "'abc'",
    ),
    "timestamp": (
        "c timestamp",
        "c timestamp NOT NULL",
        "timestamp '2026-01-01' + n * interval '1 hour'",
        "c timestamptz { from `c AT TIME ZONE 'UTC'`; back `c AT TIME ZONE 'UTC'` }",
        "timestamp with time zone",
        "'2026-05-05 12:00+02'",
    ),
    "json": ("c json", "c json NOT NULL", "json_build_object('n', n)", "c jsonb { from `c::jsonb` }", "jsonb", "'{}'"),
    "default": ("c integer default 5", "c integer NOT NULL DEFAULT 5", "n", "c bigint", "bigint", "DEFAULT"),
    "default of another kind": (
        "c text default \"1\"",
        "c text NOT NULL DEFAULT '1'",
        "n::text",
        "c integer { from `c::integer` }",
        "integer",
        "DEFAULT",
    ),
    "array": ("c integer[]", "c integer[] NOT NULL", "ARRAY[n]", "c bigint[] { from `c::bigint[]` }", "bigint[]", "'{7}'"),
    "money": ("c money", "c money NOT NULL", "n::numeric::money", "c numeric(12,2) { from `c::numeric` }", "numeric(12,2)", "7"),
}


@pytest.mark.parametrize("kind", SHADOWS)
def test_shadows_of_all_kinds(walk: Walk, kind: str):
    declared, column, value, operation, type_, later = SHADOWS[kind]
    before = DDL.format(column=column, more="", tenant=T1, value=value)
    old = declared.split()[1].strip("?")

    def swapped(story: Story) -> None:
        assert story.rows(TYPE) == [(type_,)]
        story.execute(f"INSERT INTO things (id, tenant_id, c) VALUES (100, '{T2}', {later})")
        assert story.rows("SELECT c IS NULL OR c_migdsl_old IS NULL FROM things WHERE id = 100") == [(False,)]

    walk(
        mig(ENTITY.format(column=declared, more=""), change(f"retype {operation}", entity="Thing")),
        before,
        looks={
            "backfill": sees("SELECT count(*) FROM things WHERE (c IS NULL) <> (c_migdsl_new IS NULL)", (0,)),
            "cutover": swapped,
            "contract": sees(TYPE, (type_,)),
            "back contract": sees("SELECT count(*) FROM things WHERE (c IS NULL) <> (c_migdsl_old IS NULL)", (0,)),
            "back cutover": sees(f"SELECT count(*) FROM things WHERE id = 100 AND c::text = (CAST({later if later != 'DEFAULT' else repr(declared.split()[-1].strip(chr(34)))} AS {old}))::text", (1,)) if kind != "timestamp" else sees(TYPE, ("timestamp without time zone",)),
        },
    )
