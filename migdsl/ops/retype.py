"""`retype`: in place where nothing is rewritten; else a shadow column of the new type, kept equal until the swap."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import conforming, dollar_tag, literal, quote
from migdsl.ops import claims, conversion, in_place, listing, names
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Comparison, Cost, Fill, Group, Lock, Part, Refill, Step, Violation
from migdsl.ops.pairs import column_name
from migdsl.semantics.model import RetypeColumn

OBJECTS, REFILL, LAST = 1, 0, 6


def shadowed(context: Context) -> tuple[RetypeColumn, ...]:
    """The columns of a table that get their new type by a shadow."""
    return tuple(o for o in context.change.operations if isinstance(o, RetypeColumn) and not o.in_place)


def lower(context: Context, operation: RetypeColumn) -> Iterator[Step]:
    """The steps of a `retype`, but for the swap, which is one for all tables."""
    if operation.in_place:
        yield from in_place.lower(context, operation)
        return
    yield _add(context, operation)
    yield _drop(context, operation)


def around(context: Context) -> Iterator[Step]:
    """What serves all shadows of a table: functions and the trigger."""
    columns = shadowed(context)
    if not columns:
        return
    shown = ", ".join(o.column.name for o in columns)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    yield Step(
        "expand",
        "create_trigger",
        f"Keep the shadow of {context.table.entity}.{shown} filled from now on, whoever writes",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (*_functions(context, before=True), *_trigger(context))),),
        down=(Group(lock, (_drop_trigger(context), *_drop_functions(context))),),
    )
    yield Step(
        "contract",
        "drop_trigger",
        f"Drop the trigger of {context.table.entity} that kept the old {shown} filled, and its functions",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_drop_trigger(context), *_drop_functions(context))),),
        down=(Group(lock, (*_functions(context, before=False), *_trigger(context))),),
    )


def function(context: Context, *, before: bool) -> str:
    """The trigger function: it fills the shadow before the swap, and the old column after it, whatever was written there."""
    lines = ["BEGIN"]
    for operation in shadowed(context):
        name = operation.column.name
        if before:
            lines.append(f"  NEW.{column_name(names.incoming(name))} := {conversion.into(context, operation, 'NEW')};")
        else:
            lines += _follow(context, operation)
    body = "\n".join([*lines, "  RETURN NEW;", "END"])
    tag = dollar_tag(body, "shadow")
    name = names.retyping(context.migration, context.table, "shadow")
    path = ", ".join(dict.fromkeys(["pg_catalog", quote(context.table.schema), "public", "pg_temp"]))
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SET search_path = {path}{conforming(body)} AS {tag}\n{body}\n{tag}"
    )


def _follow(context: Context, operation: RetypeColumn) -> list[str]:
    """After the swap: the old value, or where nothing leads back the one that is there, until the new one changes."""
    new, old = column_name(operation.column.name), column_name(names.outgoing(operation.column.name))
    back = conversion.back(context, operation, "NEW")
    line = f"  NEW.{old} := {back};"
    if operation.back is not None:
        left, right = f"NEW.{old}", back
        if not operation.column.type.comparable:
            left, right = f"CAST({left} AS text)", f"CAST({right} AS text)"
        # An INSERT without a list of columns puts into the old one what was meant for the new: it must not pass unseen.
        return [
            f"  IF TG_OP = 'INSERT' AND NEW.{old} IS NOT NULL AND {left} IS DISTINCT FROM {right} THEN",
            "    RAISE EXCEPTION 'INSERT and COPY must name their columns: % took the place of %',",
            f"      {literal(operation.column.name)}, {literal(names.outgoing(operation.column.name))} USING ERRCODE = '55000';",
            "  END IF;",
            line,
        ]
    # On INSERT there is no OLD, whose fields then are NULL.
    return [f"  IF NEW.{new} IS DISTINCT FROM OLD.{new} THEN", f"  {line}", "  END IF;"]


def _functions(context: Context, *, before: bool) -> Iterator[str]:
    # Whoever may write the table must be able to convert; the ledger's tables stay closed.
    yield f"GRANT USAGE ON SCHEMA {names.LEDGER} TO PUBLIC"
    for operation in shadowed(context):
        name = operation.column.name
        sides = (name, names.incoming(name)) if before else (names.outgoing(name), name)
        yield from conversion.create(context, operation, *sides)
        if before:
            yield conversion.proof(context, operation, sides[1])
    yield function(context, before=before)


def _drop_functions(context: Context) -> Iterator[str]:
    yield f"DROP FUNCTION IF EXISTS {names.retyping(context.migration, context.table, 'shadow')}()"
    for operation in shadowed(context):
        yield from conversion.drop(context, operation)


def _trigger(context: Context) -> tuple[str, ...]:
    name = quote(names.retype_trigger(context.migration))
    made = names.retyping(context.migration, context.table, "shadow")
    return (
        _drop_trigger(context),
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {context.sql}\n  FOR EACH ROW EXECUTE FUNCTION {made}()",
        # Or a replica that applies changes would skip it.
        f"ALTER TABLE {context.sql} ENABLE ALWAYS TRIGGER {name}",
    )


def _drop_trigger(context: Context) -> str:
    return f"DROP TRIGGER IF EXISTS {quote(names.retype_trigger(context.migration))} ON {context.sql}"


def _add(context: Context, operation: RetypeColumn) -> Step:
    column = operation.column
    new = names.incoming(column.name)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    because = f", since {operation.follows} is retyped, which it references" if operation.follows else ""
    return Step(
        "expand",
        "add_shadow",
        f"Add the shadow of {context.table.entity}.{column.name} ({operation.to.type.sql}), which no code need know{because}",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_add_column(context, operation),)),),
        down=(Group(lock, (f"ALTER TABLE {context.sql} DROP COLUMN IF EXISTS {quote(new)}",)),),
        precondition=f"explicit column lists for {context.sql}, or pools reconnect: prepared SELECT * and COPY without columns "
        f"see {new}",
        makes=(claims.column(context, new),),
    )


def _add_column(context: Context, operation: RetypeColumn) -> str:
    """A text keeps its collation, which the file doesn't say."""
    new, type_ = quote(names.incoming(operation.column.name)), operation.to.type.sql
    body = f"""
DECLARE
  collated text := (SELECT ' COLLATE ' || c.oid::regcollation
                      FROM pg_attribute AS a
                      JOIN pg_collation AS c ON c.oid = a.attcollation
                      JOIN pg_type AS y ON y.oid = a.atttypid AND y.typcollation <> a.attcollation
                     WHERE a.attrelid = {literal(context.sql)}::regclass AND a.attname = {literal(operation.column.name)}
                       AND (SELECT typcollation FROM pg_type WHERE oid = {literal(type_)}::regtype) <> 0);
BEGIN
  EXECUTE {literal(f"ALTER TABLE {context.sql} ADD COLUMN IF NOT EXISTS {new} {type_}")} || coalesce(collated, '');
END"""
    tag = dollar_tag(body, "shadow")
    return f"DO {tag}{body}\n{tag}"


def _drop(context: Context, operation: RetypeColumn) -> Step:
    column = operation.column
    old = names.outgoing(column.name)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    alter = f"ALTER TABLE {context.sql}"
    add = f"{alter} ADD COLUMN IF NOT EXISTS {quote(old)} {column.type.sql}"
    return Step(
        "contract",
        "drop_column",
        f"Drop {context.table.entity}.{old}, what {column.name} was before the swap; refused while anything depends on it",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        reversible=operation.back is not None,
        rank=EXPAND_TABLE + 1,
        up=(Group(lock, (_refuse(context, old), f"{alter} DROP COLUMN IF EXISTS {quote(old)}")),),
        down=(Group(lock, (add,)),),
        precondition=f"explicit column lists for {context.sql}, or pools reconnect: prepared SELECT * and COPY without columns "
        f"miss {old}",
    )


def _refuse(context: Context, column: str) -> str:
    body = f"""
DECLARE
  dependents text;
BEGIN
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO dependents
    FROM pg_attribute AS a JOIN pg_depend AS d
      ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   WHERE a.attrelid = {literal(context.sql)}::regclass AND a.attname = {literal(column)} AND NOT a.attisdropped;
  IF dependents IS NOT NULL THEN
    RAISE EXCEPTION 'column % of % is still used by: %', {literal(column)}, {literal(context.sql)}, dependents
      USING ERRCODE = '55000', HINT = 'drop or change what is named first: DROP COLUMN would take it along without a word';
  END IF;
END"""
    tag = dollar_tag(body, "guard")
    return f"DO {tag}{body}\n{tag}"


def way_home(context: Context) -> Iterator[Step]:
    """What the way back of contract does last: the trigger computes the old values, row by row."""
    for operation in shadowed(context):
        if operation.back is not None:
            old, new = quote(names.outgoing(operation.column.name)), quote(operation.column.name)
            walk = Walk(context.table)
            tenants = listing.of_revision(context)
            wanted = f"t.{old} IS NULL AND t.{new} IS NOT NULL"
            batch = walk.update(f"{old} = NULL", wanted)
            title = (
                f"On the way back: compute {context.table.entity}.{names.outgoing(operation.column.name)}, in batches"
            )
            part = Refill(title, tenants, walk.upper(), walk.bound(), batch, context.table.key)
            down: tuple[Part, ...] = part, *listing.reached(context, f"the old value of {new}", wanted)
            yield Step("contract", "refill", title, context.table, cost=Cost.BATCHES, rank=REFILL, down=down)


def fills(context: Context) -> Iterator[Fill]:
    """The shadows of rows from before."""
    for operation in shadowed(context):
        new, source = names.incoming(operation.column.name), conversion.into(context, operation, "t")
        wanted = f"t.{quote(new)} IS NULL"
        sure = operation.plain and not operation.column.nullable
        yield Fill(new, source, wanted if sure else f"({wanted} AND {source} IS NOT NULL)")


def comparisons(context: Context) -> Iterator[Comparison]:
    """Both sides of a retyped column, whichever has its name."""
    for operation in shadowed(context):
        was, is_ = (conversion.side(context, operation, what) for what in ("was", "is"))
        strays = conversion.side(context, operation, "strays")
        differs = f"{is_} IS DISTINCT FROM {was}"
        private = operation.column.pii or operation.column.phi
        # Before the swap; afterwards no column has that name, and nothing can be mended by it.
        mended = (names.incoming(operation.column.name), conversion.into(context, operation, "t"))
        apart = f"({differs} AND {strays})"
        # What new code wrote since the swap, and the way back can't keep: the old side has no value for it.
        lost = conversion.side(context, operation, "lost")
        name = operation.column.name
        yield Comparison(name, private, was, is_, differs, apart, lost, swapped=True, mended_old=(mended,))


def violations(context: Context) -> Iterator[Violation]:
    """Values that can't be converted."""
    for operation in shadowed(context):
        if not operation.plain:
            title = f"{operation.column.name} is no {operation.to.type.sql}"
            unfit = conversion.over_row(context, operation, "unfit")
            yield Violation(title, f"{unfit}(t)", (), unfit)
