"""`retype` of columns of all kinds, in place and by a shadow, there and back on a real PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest
from alembic.util import CommandError

from migdsl.ops.stream_slot import COLUMN_LISTS
from tests.conftest import ENGINE
from tests.ops.story import LATE, Story, Walk, both_versions, change, sees
from tests.ops.support import T1, T2, mig

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
        'c text default "1"',
        "c text NOT NULL DEFAULT '1'",
        "n::text",
        "c integer { from `c::integer` }",
        "integer",
        "DEFAULT",
    ),
    # In its old type the default is 1.3, and 'ab': `from` goes over that, and not over what is written.
    "default that the old type rounds": (
        "c numeric(4,1) default 1.26",
        "c numeric(4,1) NOT NULL DEFAULT 1.26",
        "n",
        "c integer { from `trunc(c * 10)::integer -- tenths`; back `c / 10.0` }",
        "integer",
        "DEFAULT",
    ),
    "default that the old type cuts": (
        "c date default `now()`",
        "c date NOT NULL DEFAULT now()",
        "date '2026-01-01' + n",
        "c timestamp",
        "timestamp without time zone",
        "DEFAULT",
    ),
    "default of the session's zone": (
        "c timestamp default `now()`",
        "c timestamp NOT NULL DEFAULT now()",
        "timestamp '2026-01-01' + n * interval '1 hour'",
        "c timestamptz { from `c AT TIME ZONE 'UTC'`; back `c AT TIME ZONE 'UTC'` }",
        "timestamp with time zone",
        "DEFAULT",
    ),
    "array": (
        "c integer[]",
        "c integer[] NOT NULL",
        "ARRAY[n]",
        "c bigint[] { from `c::bigint[]` }",
        "bigint[]",
        "'{7}'",
    ),
    "money": (
        "c money",
        "c money NOT NULL",
        "n::numeric::money",
        "c numeric(12,2) { from `c::numeric` }",
        "numeric(12,2)",
        "7",
    ),
}


@pytest.mark.parametrize("kind", SHADOWS)
def test_shadows_of_all_kinds(walk: Walk, kind: str):
    declared, column, value, operation, type_, later = SHADOWS[kind]

    def swapped(story: Story) -> None:
        assert story.rows(TYPE) == [(type_,)]
        story.execute(f"INSERT INTO things (id, tenant_id, c) VALUES (100, '{T2}', {later})")
        assert story.rows("SELECT c IS NULL OR c_migdsl_old IS NULL FROM things WHERE id = 100") == [(False,)]

    old: dict[str, list] = {}
    # A jsonb doesn't know how a json was spaced.
    text = "c::jsonb::text" if kind == "json" else "c::text"
    values = f"SELECT id, {text} FROM things WHERE id < 100 ORDER BY id"

    def note(story: Story) -> None:
        old["type"], old["values"] = story.rows(TYPE), story.rows(values)

    def back(story: Story) -> None:
        assert (story.rows(TYPE), story.rows(values)) == (old["type"], old["values"])
        assert story.rows("SELECT c IS NULL FROM things WHERE id = 100") == [(False,)]

    walk(
        mig(ENTITY.format(column=declared, more=""), change(f"retype {operation}", entity="Thing")),
        DDL.format(column=column, more="", tenant=T1, value=value),
        looks={
            "before": note,
            "backfill": sees("SELECT count(*) FROM things WHERE (c IS NULL) <> (c_migdsl_new IS NULL)", (0,)),
            "cutover": swapped,
            "contract": sees(TYPE, (type_,)),
            "back contract": sees("SELECT count(*) FROM things WHERE (c IS NULL) <> (c_migdsl_old IS NULL)", (0,)),
            "back cutover": back,
        },
    )


# what the default is worth after the swap
DEFAULTS = {
    "default": "c = 5",
    "default of another kind": "c = 1",
    "default that the old type rounds": "c = 13",
    "default that the old type cuts": "c = date_trunc('day', c)",
    "default of the session's zone": "c = (now()::timestamp AT TIME ZONE 'UTC')",
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_default_is_worth_after_the_swap_what_its_value_before_leads_to(walk: Walk, kind: str):
    declared, column, value, operation, *_ = SHADOWS[kind]
    text = mig(ENTITY.format(column=declared, more=""), change(f"retype {operation}", entity="Thing"))
    story = walk(text, DDL.format(column=column, more="", tenant=T1, value=value), looks=None)
    _upto(story, "cutover")
    with story.connection.transaction():
        story.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        story.execute(f"INSERT INTO things (id, tenant_id) VALUES (100, '{T1}')")
        assert story.rows(f"SELECT {DEFAULTS[kind]} FROM things WHERE id = 100") == [(True,)]


IN_PLACE = {
    "longer": ("c varchar(20)", "c varchar(20) NOT NULL", "varchar(30)", "character varying(30)"),
    "text": ("c varchar(20)?", "c varchar(20)", "text", "text"),
    "more digits": ("c numeric(6,2)", "c numeric(6,2) NOT NULL", "numeric(10,2)", "numeric(10,2)"),
    "any digits": ("c numeric(6,2)", "c numeric(6,2) NOT NULL", "numeric", "numeric"),
    "more bits": ("c varbit(8)", "c varbit(8) NOT NULL", "varbit(16)", "bit varying(16)"),
}
MORE = "unique (tenant_id, c) as things_c_key\n  index (c)\n  check `c IS NOT NULL` as things_c_check"
MORE_DDL = ", CONSTRAINT things_c_key UNIQUE (tenant_id, c), CONSTRAINT things_c_check CHECK (c IS NOT NULL)"


@both_versions
@pytest.mark.parametrize("kind", IN_PLACE)
def test_in_place_nothing_is_written_again(walk: Walk, kind: str):
    declared, column, operation, type_ = IN_PLACE[kind]
    files = (
        "SELECT relname, relfilenode FROM pg_class WHERE relname ~ '^things' AND relkind IN ('r', 'i') ORDER BY relname"
    )
    seen: dict[str, list] = {}
    value = "n::bit(8)::varbit" if "bit" in column else "n"
    ddl = DDL.format(column=column, more=MORE_DDL, tenant=T1, value=value) + "; CREATE INDEX ON things (c)"

    def note(story: Story) -> None:
        seen["files"] = story.rows(files)

    def compare(story: Story) -> None:
        assert story.rows(files) == seen["files"]
        assert story.rows(TYPE) == [(type_,)]
        assert story.rows("SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'things'::regclass") == [
            (True,)
        ]

    story = walk(
        mig(ENTITY.format(column=declared, more=MORE), change(f"retype c {operation}", entity="Thing")),
        ddl,
        looks={"before": note, "expand": compare},
    )
    assert story.revisions == ["m_expand"]


def test_in_place_does_not_go_back_over_what_has_come_since(walk: Walk):
    text = mig(ENTITY.format(column="c varchar(5)", more=""), change("retype c text", entity="Thing"))
    story = walk(text, DDL.format(column="c varchar(5) NOT NULL", more="", tenant=T1, value="n"), looks=None)
    story.upgrade()
    story.execute("UPDATE things SET c = 'too long' WHERE id < 4")
    with pytest.raises(CommandError, match=r"Thing.c has values that character varying\(5\) can not hold: 3 rows"):
        story.downgrade()
    story.execute("UPDATE things SET c = 'fits' WHERE id < 4")
    story.downgrade()
    assert story.rows(TYPE) == [("character varying(5)",)]


STRANGERS = {
    "index": ("CREATE INDEX strange ON things (c)", "index public.strange"),
    "constraint": ("ALTER TABLE things ADD CONSTRAINT strange CHECK (c > 0)", "constraint strange"),
    "generated": (
        "ALTER TABLE things ADD COLUMN twice int GENERATED ALWAYS AS (c * 2) STORED",
        "column twice of table",
    ),
    "trigger": (
        """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TRIGGER strange BEFORE UPDATE OF c ON things FOR EACH ROW EXECUTE FUNCTION f()""",
        "trigger strange",
    ),
    "materialized": ("CREATE MATERIALIZED VIEW strange AS SELECT c FROM things", "materialized view"),
    "view": (
        "CREATE VIEW strange AS SELECT c FROM things; CREATE RULE r AS ON INSERT TO strange DO INSTEAD NOTHING",
        "strange",
    ),
    "columns": ("CREATE PUBLICATION strange FOR TABLE things (id, c)", "strange"),
    "function": ("CREATE FUNCTION strange(t things) RETURNS int LANGUAGE sql RETURN (t).c", "function public.strange"),
    "type": ("ALTER TABLE things ALTER c TYPE text", "is of type text, and not integer"),
    "child": ("CREATE TABLE strange () INHERITS (things)", "inherited"),
    "ordered": ("DROP INDEX things_c_idx; CREATE INDEX things_c_idx ON things (c DESC)", "another order"),
}


@pytest.mark.parametrize("kind", [kind for kind in STRANGERS if kind != "columns" or ENGINE >= COLUMN_LISTS])
def test_what_can_not_go_along_is_refused_before_anything_changes(walk: Walk, kind: str):
    ddl, said = STRANGERS[kind]
    text = mig(ENTITY.format(column="c integer", more="index (c)"), change("retype c bigint", entity="Thing"))
    before = DDL.format(column="c integer NOT NULL", more="", tenant=T1, value="n") + "; CREATE INDEX ON things (c)"
    story = walk(text, f"{before}; {ddl}", looks=None)
    dump = story.dump()
    with pytest.raises(CommandError, match=said):
        story.upgrade("m_expand")
    story.execute("DROP SCHEMA IF EXISTS migdsl CASCADE")
    assert story.dump() == dump


def test_a_view_is_refused_where_the_type_changes_in_place(walk: Walk):
    text = mig(ENTITY.format(column="c varchar(5)", more=""), change("retype c text", entity="Thing"))
    ddl = DDL.format(column="c varchar(5) NOT NULL", more="", tenant=T1, value="n")
    story = walk(text, ddl + "; CREATE VIEW strange AS SELECT c FROM things", looks=None)
    with pytest.raises(CommandError, match="rule _RETURN on view public"):
        story.upgrade("m_expand")


def _upto(story: Story, last: str) -> None:
    for revision in story.revisions:
        phase = revision.removeprefix("m_")
        if phase in LATE:
            story.stage(LATE[phase])
        story.upgrade(revision)
        if phase == "expand":
            assert story.job("backfills") == 0
            assert story.job("reconcile") == 0
        if phase == last:
            return


def test_the_way_back_of_the_swap_waits_for_values_that_the_old_type_can_not_hold(walk: Walk):
    text = mig(ENTITY.format(column="c integer?", more="unique (c)"), change("retype c bigint", entity="Thing"))
    ddl = DDL.format(column="c integer UNIQUE", more="", tenant=T1, value="n")
    story = walk(text, ddl, looks=None)
    _upto(story, "cutover")
    dump = story.dump()
    story.execute("UPDATE things SET c = 3000000000 WHERE id = 2")
    assert story.rows("SELECT c_migdsl_old FROM things WHERE id = 2") == [(None,)]
    assert _lossy(story) == 0
    # It differs from nothing, and is counted apart: what bars the way back shows before anybody wants to take it.
    assert story.job("reconcile") == 0
    assert _lossy(story) == 1
    with pytest.raises(CommandError, match=r"Thing\.c has values that integer can not hold: 1 rows"):
        story.downgrade()
    assert story.dump() == dump
    story.execute("UPDATE things SET c = 30 WHERE id = 2")
    assert story.job("reconcile") == 0
    assert _lossy(story) == 0
    story.downgrade()
    assert story.rows("SELECT c FROM things ORDER BY id LIMIT 2") == [(1,), (30,)]


def _lossy(story: Story) -> int:
    """How many rows the newest reconciliation of the tenant found that the old side can't give back."""
    told = f"SELECT lossy FROM migdsl.reconciliation WHERE tenant = '{T1}' ORDER BY id DESC LIMIT 1"
    return story.rows(told)[0][0]


@both_versions
def test_values_that_can_not_be_converted_are_told_beside_those_that_are_there_twice(walk: Walk):
    text = mig(
        ENTITY.format(column="c text\n  d text\n  e smallint", more=""),
        change(
            "retype c integer { from `c::integer` }",
            "retype e integer",
            "unique (tenant_id, d) as things_d_uq",
            entity="Thing",
        ),
    )
    column = "c text NOT NULL, d text NOT NULL DEFAULT random()::text, e smallint NOT NULL DEFAULT 1"
    story = walk(text, DDL.format(column=column, more="", tenant=T1, value="n"), looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE things SET c = 'x' WHERE id = 3; UPDATE things SET d = 'same' WHERE id IN (3, 4, 5)")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 1
    told = f"SELECT violations FROM migdsl.reconciliation WHERE tenant = '{T1}' ORDER BY id DESC LIMIT 1"
    assert story.rows(told) == [(3,)]
    story.execute("UPDATE things SET d = id::text")
    assert story.job("reconcile") == 1
    assert story.rows(told) == [(1,)]
    story.execute("UPDATE things SET c = '3' WHERE id = 3")
    assert story.job("reconcile") == 0


def test_a_job_that_is_run_after_the_swap_says_that_it_is_past_it(walk: Walk, capsys: pytest.CaptureFixture[str]):
    text = mig(ENTITY.format(column="c integer", more=""), change("retype c bigint", entity="Thing"))
    story = walk(text, DDL.format(column="c integer NOT NULL", more="", tenant=T1, value="n"), looks=None)
    _upto(story, "cutover")
    capsys.readouterr()
    assert story.job("backfills", "--again") == 3
    said = capsys.readouterr().err
    assert "expand has run" in said
    assert "alembic upgrade" not in said


def test_values_that_can_not_be_converted_fail_nobody_and_hold_the_swap_up(walk: Walk):
    text = mig(
        ENTITY.format(column="c text", more=""), change("retype c integer { from `c::integer` }", entity="Thing")
    )
    story = walk(text, DDL.format(column="c text NOT NULL", more="", tenant=T1, value="n"), looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE things SET c = 'x' WHERE id = 3")
    story.execute(f"INSERT INTO things (id, tenant_id, c) VALUES (50, '{T2}', 'y')")
    assert story.job("backfills") == 0
    assert story.job("reconcile") == 1
    assert story.rows("SELECT sum(violations) FROM migdsl.reconciliation") == [(2,)]
    with pytest.raises(CommandError, match="the last two reconciliations of Thing must have found nothing"):
        story.upgrade("m_cutover")
    story.execute("UPDATE things SET c = '7' WHERE id IN (3, 50)")
    story.stage("live")
    story.upgrade("m_cutover")
    assert story.rows("SELECT sum(c) FROM things") == [(56,)]


@both_versions
def test_names_of_every_kind(walk: Walk):
    long = "n" * 63
    names = ("select", 'a"b', "Ünï cödé", "a%b:c$d", long)
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    columns = "\n".join(f"  {q} integer? default 1" for q in quoted)
    uniques = "\n".join(f'  unique (tenant_id, {q}) as "uq{n} ""x"' for n, q in enumerate(quoted))
    checks = "\n".join(f'  check `{q} > 0` as "ck{n} %"' for n, q in enumerate(quoted))
    ddl = ", ".join(f"{q} integer DEFAULT 1" for q in quoted)
    ddl += "".join(f', CONSTRAINT "uq{n} ""x" UNIQUE (tenant_id, {q})' for n, q in enumerate(quoted))
    ddl += "".join(f', CONSTRAINT "ck{n} %%" CHECK ({q} > 0)'.replace("%%", "%") for n, q in enumerate(quoted))
    text = mig(
        f'entity Order in app."Odd schema"."order" {{ id bigint key; tenant_id uuid tenant\n{columns}\n{uniques}\n{checks}\n}}',
        change(*(f"retype {q} bigint" for q in quoted), entity="Order"),
    )
    tables = f"""CREATE SCHEMA "Odd schema";
      CREATE TABLE "Odd schema"."order" (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, {ddl});
      INSERT INTO "Odd schema"."order" SELECT n, '{T1}', n, n, n, n, n FROM generate_series(1, 5) AS n"""
    total = "SELECT " + " + ".join(f"sum({q})" for q in quoted) + ' FROM "Odd schema"."order"'
    walk(text, tables, looks={"cutover": sees(total, (75,)), "contract": sees(total, (75,))})


@pytest.mark.parametrize("tenants", ["tenants", "none"])
def test_tables_of_no_row(walk: Walk, tenants: str):
    entity = ENTITY.format(column="c integer", more="")
    text = mig(entity, change("retype c bigint", entity="Thing"))
    if tenants == "none":
        text = mig(
            entity.replace("uuid    tenant", "uuid"),
            change("retype c bigint", entity="Thing"),
            tenants='tenants none because "one customer"',
        )
    ddl = DDL.format(column="c integer NOT NULL", more="", tenant=T1, value="n").replace(
        "generate_series(1, 9)", "generate_series(1, 0)"
    )
    walk(text, ddl)


def test_prepared_statements_fail_once_where_they_return_the_column_and_only_there(walk: Walk):
    text = mig(ENTITY.format(column="c integer", more=""), change("retype c bigint", entity="Thing"))
    story = walk(text, DDL.format(column="c integer NOT NULL", more="", tenant=T1, value="n"), looks=None)
    _upto(story, "validate")
    with psycopg.connect(story.url, autocommit=True, prepare_threshold=0) as client:
        returns, writes = "SELECT c FROM things WHERE id = %s", "UPDATE things SET c = %s WHERE id = %s"
        for _ in range(2):
            client.execute(returns, (1,))
            client.execute(writes, (5, 1))
        _upto_only(story, "cutover")
        client.execute(writes, (6, 1))
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="cached plan must not change result type"):
            client.execute(returns, (1,))
    with psycopg.connect(story.url, autocommit=True) as again:
        assert again.execute("SELECT c FROM things WHERE id = 1").fetchall() == [(6,)]


def _upto_only(story: Story, phase: str) -> None:
    story.stage(LATE[phase])
    story.upgrade(f"m_{phase}")


def test_without_a_way_back_the_old_values_stay_until_new_ones_come(walk: Walk):
    text = mig(
        ENTITY.format(column="c text", more=""),
        change('retype c integer irreversible because "nobody reads the texts" { from `length(c)` }', entity="Thing"),
    )
    story = walk(text, DDL.format(column="c text NOT NULL", more="", tenant=T1, value="repeat('x', n)"), looks=None)
    _upto(story, "cutover")
    story.execute("UPDATE things SET tenant_id = tenant_id; UPDATE things SET c = 50 WHERE id = 2")
    old = "SELECT id, c, c_migdsl_old FROM things ORDER BY id LIMIT 3"
    assert story.rows(old) == [(1, 1, "x"), (2, 50, None), (3, 3, "xxx")]
    with pytest.raises(CommandError, match=r"Thing\.c has values that text can not hold: 1 rows"):
        story.downgrade()


def test_an_insert_that_names_no_columns_does_not_pass_unseen(walk: Walk):
    text = mig(ENTITY.format(column="c integer?", more=""), change("retype c bigint", entity="Thing"))
    story = walk(text, DDL.format(column="c integer", more="", tenant=T1, value="n"), looks=None)
    _upto(story, "cutover")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="INSERT and COPY must name their columns"):
        story.execute(f"INSERT INTO things VALUES (70, '{T1}', 7)")
    # Rows that are copied as they are agree.
    story.execute(
        "CREATE TABLE copied AS SELECT * FROM things; DELETE FROM things; INSERT INTO things SELECT * FROM copied"
    )
    assert story.rows("SELECT sum(c), sum(c_migdsl_old) FROM things") == [(45, 45)]
