"""`drop entity`: writes are counted, the table steps aside when nobody uses it, and goes after the soak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import constraints, memory, names, table_memory
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import DropTable

OBJECTS, LAST = 1, 6  # ranks: the function comes before its trigger, and goes after it


def lower(context: Context, operation: DropTable) -> Iterator[Step]:
    """The steps of a `drop entity`."""
    yield _function_step(context)
    yield _watch(context)
    yield _aside(context)
    yield _drop(context, operation)
    yield _forget(context)


def _function(context: Context) -> tuple[str, ...]:
    counter = names.counter(context.migration, context.table)
    body = f"""
BEGIN
  PERFORM nextval({literal(counter)});
  RETURN NULL;
END
"""
    tag, path = dollar_tag(body, "count"), "SET search_path = pg_catalog, pg_temp"
    called = names.function(context.migration, context.table)
    return (
        f"CREATE SEQUENCE IF NOT EXISTS {counter} AS bigint",
        # Whoever may write the table must be able to count; the ledger's tables stay closed.
        f"GRANT USAGE ON SCHEMA {names.LEDGER} TO PUBLIC",
        f"GRANT USAGE ON SEQUENCE {counter} TO PUBLIC",
        f"CREATE OR REPLACE FUNCTION {called}() RETURNS trigger\n  LANGUAGE plpgsql {path} AS {tag}{body}{tag}",
    )


def _function_step(context: Context) -> Step:
    drop = f"DROP FUNCTION IF EXISTS {names.function(context.migration, context.table)}()"
    ignored = "-- squawk-ignore ban-drop-sequence\n"  # it counts; it gives out no keys
    counter = f"{ignored}DROP SEQUENCE IF EXISTS {names.counter(context.migration, context.table)}"
    return Step(
        "expand",
        "create_function",
        f"Create the counter of writes to {context.table.name}",
        context.table,
        rank=OBJECTS,
        up=(Group((), _function(context)),),
        down=(Group((), (drop, counter)),),
    )


def _trigger(context: Context, table: str) -> tuple[str, ...]:
    name, called = names.trigger(context.migration), names.function(context.migration, context.table)
    when = "AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE"
    return (
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} {when} ON {table}\n  FOR EACH STATEMENT EXECUTE FUNCTION {called}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )


def _watch(context: Context) -> Step:
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    drop = f"DROP TRIGGER IF EXISTS {names.trigger(context.migration)} ON {context.sql}"
    return Step(
        "expand",
        "create_trigger",
        f"Count whoever still writes {context.table.name}; refused while something else depends on it",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_refuse_dependents(context.sql), *_trigger(context, context.sql))),),
        down=(Group(lock, (drop,)),),
    )


def _aside_name(context: Context) -> str:
    return names.aside(context.migration, context.table)


def _aside(context: Context) -> Step:
    table = context.table
    old, new = context.sql, qualified(table.schema, _aside_name(context))
    return Step(
        "enforce",
        "rename_table",
        f"Set {table.name} aside, as {_aside_name(context)}: who still reads it fails now, and one step brings it back",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group((), (_rename(old, new, _aside_name(context), guard(old)),)),),
        down=(Group((), (_rename(new, old, table.name, ""),)),),
    )


def _rename(old: str, new: str, name: str, guard: str) -> str:
    # Run again after a kill, the table may have its new name already: a LOCK of its old one would fail.
    body = f"""
BEGIN
  IF to_regclass({literal(old)}) IS NOT NULL AND to_regclass({literal(new)}) IS NULL THEN
    LOCK TABLE {old} IN ACCESS EXCLUSIVE MODE;
{guard}    ALTER TABLE {old} RENAME TO {quote(name)};
  END IF;
END"""
    tag = dollar_tag(body, "aside")
    return f"DO {tag}{body}\n{tag}"


def _drop(context: Context, operation: DropTable) -> Step:
    table = context.table
    aside = qualified(table.schema, _aside_name(context))
    subject = f"drop {context.sql}"
    own = [c for c in table.constraints if c.kind == "reference"]
    parents = sorted({names.table(constraints.parent_of(context, c)[0]) for c in own} - {context.sql})
    # Gone already where a killed run is repeated, so the table itself can't be locked first.
    locks = tuple((parent, Lock.ACCESS_EXCLUSIVE) for parent in parents)
    drop = f"-- squawk-ignore ban-drop-table\nDROP TABLE IF EXISTS {aside}"
    return Step(
        "contract",
        "drop_table",
        f"Drop {table.name}, its rows and all; refused while something else depends on it",
        table,
        Lock.ACCESS_EXCLUSIVE,
        reversible=False,
        rank=EXPAND_TABLE,
        up=(
            Group(
                locks,
                (_refuse_dependents(aside), table_memory.remember(context.migration, subject, aside), drop),
            ),
        ),
        down=(Group(locks, (memory.restore(context, subject), *_trigger(context, aside))),),
        precondition=f"the rows of {table.name} are kept elsewhere or no longer wanted: {operation.irreversible}",
    )


def _forget(context: Context) -> Step:
    drop = f"DROP FUNCTION IF EXISTS {names.function(context.migration, context.table)}()"
    return Step(
        "contract",
        "drop_function",
        f"Drop the function that counted writes to {context.table.name}; the counter stays in the ledger",
        context.table,
        rank=LAST,
        up=(Group((), (drop,)),),
        down=(Group((), _function(context)),),
    )


def _refuse_dependents(table: str) -> str:
    body = f"""
BEGIN
{guard(table)}END"""
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def guard(table: str, ours: Iterable[tuple[str, str]] = ()) -> str:
    """What DROP TABLE would refuse, or take along without a word; `ours` goes before: as in `_OWN`."""
    place = literal(table)
    found = _dependents(place, ours)
    return f"""    IF EXISTS (SELECT FROM ({found}) AS found) THEN
      RAISE EXCEPTION 'the table % is still used by: %', {place},
        (SELECT string_agg(DISTINCT shown, ', ') FROM ({found}) AS found)
        USING ERRCODE = '55000', HINT = 'drop or change what is named first';
    END IF;
"""


_INDEX_OF_IT = "EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = o.oid AND i.indrelid = c.oid)"
# A catalogue, and the condition under which a row `o` of it is the table's own: it goes with the table, and comes back.
_OWN = (
    ("pg_constraint", "o.conrelid = c.oid"),
    ("pg_attrdef", "o.adrelid = c.oid"),
    (
        "pg_class",
        # Before 15 a generated column depends on others itself, and not by its expression.
        f"(o.oid = c.oid OR o.relkind = 'S' OR {_INDEX_OF_IT})",
    ),
    ("pg_trigger", "o.tgrelid = c.oid"),
    ("pg_policy", "o.polrelid = c.oid"),
    ("pg_rewrite", "o.ev_class = c.oid"),
    ("pg_statistic_ext", "o.stxrelid = c.oid"),
)


def _dependents(place: str, ours: Iterable[tuple[str, str]]) -> str:
    own = "\n".join(
        f"           AND NOT EXISTS (SELECT FROM {catalogue} AS o\n"
        f"                WHERE d.classid = '{catalogue}'::regclass AND o.oid = d.objid AND {condition})"
        for catalogue, condition in (*_OWN, *ours)
    )
    return f"""SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS shown
          FROM pg_class AS c JOIN pg_type AS y ON y.oid = c.reltype JOIN pg_depend AS d
            ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
            OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray))
         WHERE c.oid = to_regclass({place}) AND d.deptype <> 'i'
{own}"""
