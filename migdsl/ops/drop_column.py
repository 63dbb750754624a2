"""`drop`: new code may leave a column out from expand on; the column itself goes after the soak, and can come back."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import dependents, not_null, returning, standing, twins
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.ops.pairs import one_line
from migdsl.semantics.model import Column, Constraint, DropColumn
from migdsl.semantics.phrases import called


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
        reversible=column.generated is not None or returning.way_back(context, operation) is not None,
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
