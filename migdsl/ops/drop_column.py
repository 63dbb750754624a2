"""`drop`: new code may leave a column out from expand on; the column itself goes after the soak, and can come back."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import dependents, listing, not_null, standing, twins
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Cost, Group, Lock, Part, Refill, Step
from migdsl.ops.pairs import assigned, compared, one_line, over
from migdsl.semantics.model import Column, Constraint, DropColumn
from migdsl.semantics.phrases import called

# Undone after all that stands under the table's lock, since ways back run from the highest rank down.
REFILL = 0


def lower(context: Context, operation: DropColumn) -> Iterator[Step]:
    """The steps of a `drop`."""
    column = operation.column
    yield _guard(context, column.name)
    kept = context.is_target(column.name) is not None or operation.back is not None
    if not column.nullable and (column.generated is not None or not kept):
        title = f"Let new code leave {context.table.entity}.{column.name} out: it may be NULL from now on"
        if column.generated is not None:
            title = f"Let {context.table.entity}.{column.name} be NULL, as it may be on the way back until its inputs are there"
        yield not_null.restore(context, column.name, "expand", title, EXPAND_TABLE)
    yield _drop(context, operation)
    returning = [
        (o.column, back) for o in context.change.operations if isinstance(o, DropColumn) if (back := _back(context, o))
    ]
    if returning and returning[0][0] is column:
        yield _way_home(context, returning)


def _guard(context: Context, column: str) -> Step:
    """Nobody should learn only when the soak is over that something still needs the column."""
    return Step(
        "expand",
        "check_dependents",
        f"Refuse where anything that the entity doesn't declare depends on {context.table.entity}.{column}; views have time "
        "until contract",
        context.table,
        rank=dependents.FIRST,
        up=(Group((), (dependents.refuse(context, column, views=False),)),),
    )


def _drop(context: Context, operation: DropColumn) -> Step:
    column = operation.column
    gone = dependents.replaced(context, column.name)
    lock = dependents.locks(context, gone)
    keep = standing.call("keep_column", context.migration, _subject(context), context.sql, column.name)
    up = [dependents.refuse(context, column.name, views=True), keep, *(dependents.keep(context, c) for c in gone)]
    up += [statement for c in gone for statement in twins.hand_over(context, c)]
    return Step(
        "contract",
        "drop_column",
        _title(context, column.name, gone),
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        reversible=column.generated is not None or _back(context, operation) is not None,
        rank=EXPAND_TABLE,
        up=(Group(lock, (*up, f"ALTER TABLE {context.sql} DROP COLUMN IF EXISTS {quote(column.name)}")),),
        down=(Group(lock, (_restore(context, operation),)),),
        precondition=f"explicit column lists for {context.sql}, or pools reconnect: prepared SELECT * and COPY without columns "
        f"miss {column.name}",
    )


def _title(context: Context, column: str, gone: tuple[Constraint, ...]) -> str:
    along = ", ".join(called(context.table, c) for c in gone)
    with_ = f"; {along} {'goes' if len(gone) == 1 else 'go'} with it" if gone else ""
    found = context.table.column(column)
    back = "; on the way back it is generated again, which rewrites the table under its lock"
    refused = f"refused while anything{' else' if gone else ''} still depends on it"
    return f"Drop {context.table.entity}.{column}{with_}; {refused}{back if found and found.generated else ''}"


def _way_home(context: Context, returning: list[tuple[Column, Expression]]) -> Step:
    """What the way back does last, when the columns and the trigger are there again: compute the dropped values.

    All of a table's in one UPDATE: one after the other, the first would be for the trigger an old writer's half of a pair.
    """
    down = _refilled(context, returning)
    for column, _ in returning:
        if not column.nullable:
            down += not_null.restore(context, column.name, "contract", "", EXPAND_TABLE).down
    title = f"On the way back: compute {_listed(context, returning)} from `back`, in batches"
    return Step("contract", "refill", title, context.table, cost=Cost.BATCHES, rank=REFILL, down=down)


def _listed(context: Context, returning: list[tuple[Column, Expression]]) -> str:
    return ", ".join(f"{context.table.entity}.{column.name}" for column, _ in returning)


def _back(context: Context, operation: DropColumn) -> Expression | None:
    if operation.column.generated is not None:
        return None  # PostgreSQL computes it, and takes no other value
    if operation.back is not None:
        return operation.back.expression
    pair = context.is_target(operation.column.name)
    return next((b.expression for b in pair.backs if b.column == operation.column.name), None) if pair else None


def _subject(context: Context) -> str:
    """The name of a table's own part of the snapshot: columns are numbered per table."""
    return f"contract {context.sql}"


def _restore(context: Context, operation: DropColumn) -> str:
    """Replays what was remembered; where nothing was, the column comes back as the entity declares it."""
    column, subject = operation.column, literal(_subject(context))
    body = f"""
DECLARE
  saved text;
BEGIN
  FOR saved IN SELECT sql FROM migdsl.snapshot
                WHERE migration = {literal(context.migration)} AND revision = {subject} ORDER BY seq LOOP
    EXECUTE saved;
  END LOOP;
  DELETE FROM migdsl.snapshot WHERE migration = {literal(context.migration)} AND revision = {subject};
  ALTER TABLE {context.sql} ADD COLUMN IF NOT EXISTS {quote(column.name)} {column.type.sql}{_computed(column)};
END"""
    tag = dollar_tag(body, "restore")
    return f"DO {tag}{body}\n{tag}"


def _computed(column: Column) -> str:
    return f" GENERATED ALWAYS AS ({one_line(column.generated.text)}) STORED" if column.generated is not None else ""


def _refilled(context: Context, returning: list[tuple[Column, Expression]]) -> tuple[Part, ...]:
    table = context.table
    walk = Walk(table)
    found = [(quote(column.name), over(table, back, "t"), table.type_of(column.name)) for column, back in returning]
    values = ", ".join(f"{name} = {assigned(sql, type_)}" for name, sql, type_ in found)
    apart = " OR ".join(f"t.{name} IS DISTINCT FROM {compared(sql, type_)}" for name, sql, type_ in found)
    wanted = apart if len(found) == 1 else f"({apart})"
    batch = walk.update(values, wanted)
    title = f"{_listed(context, returning)} from `back`"
    part = Refill(title, listing.of_revision(context), walk.upper(), walk.bound(), batch, table.key)
    return part, *listing.reached(context, title, wanted)
