"""`add`: a new column beside the old ones, filled in batches, bound to its constraints once nobody old writes any more."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.ops import claims, constraints, names, not_null, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import AddColumn, Constraint

EXPAND_TABLE = 2  # the rank of what expand does under the table's lock


def lower(context: Context, operation: AddColumn) -> Iterator[Step]:
    """The steps of an `add`."""
    filled = operation.filled
    # Old code knows none of the new constraints; only one that it is known to keep may bind it before it is gone.
    phase = "validate" if operation.complies else "enforce"
    yield _add(context, operation, filled)
    if operation.like is not None:
        yield _copy(context, operation.like, operation.column.name)
    if filled and not operation.column.nullable:
        yield from not_null.steps(context, operation.column.name, phase)
    for unique in operation.uniques:
        found = Constraint("unique", unique.columns, frozenset(unique.columns), unique.name, unique.span)
        yield from constraints.build(context, found, names.constraint(context.table, found), phase)
    if filled and operation.column.default is not None:
        yield _default(context, operation)


def _add(context: Context, operation: AddColumn, filled: bool) -> Step:
    column = operation.column
    definition = f"{quote(column.name)} {column.type.sql}"
    if not filled:
        definition += f" DEFAULT {column.default}" if column.default is not None else ""
        definition += "" if column.nullable else " NOT NULL"
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    how = (
        "nullable and without a default, so that old code never notices"
        if filled
        else "old rows get its default at once"
    )
    if not filled and column.default is None:
        how = "nullable"
    return Step(
        "expand",
        "add_column",
        f"Add {context.table.entity}.{column.name} ({column.type.sql}), {how}",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (f"ALTER TABLE {context.sql} ADD COLUMN IF NOT EXISTS {definition}",)),),
        down=(Group(lock, (f"ALTER TABLE {context.sql} DROP COLUMN IF EXISTS {quote(column.name)}",)),),
        precondition=f"explicit column lists for {context.sql}, or pools reconnect: prepared SELECT * and COPY without columns "
        f"see {column.name}",
        makes=(claims.column(context, column.name),),
    )


def _copy(context: Context, old: str, new: str) -> Step:
    """What the file doesn't say of a column that only gets another name."""
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    title = f"Copy collation, comment, grants, storage and statistics of {context.table.entity}.{old} to {new}"
    up = (Group(lock, (standing.call("copy_column", context.sql, old, new),)),)
    return Step("expand", "copy_column", title, context.table, Lock.ACCESS_EXCLUSIVE, rank=EXPAND_TABLE, up=up)


def _default(context: Context, operation: AddColumn) -> Step:
    column = quote(operation.column.name)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    alter = f"ALTER TABLE {context.sql} ALTER COLUMN {column}"
    return Step(
        "contract",
        "set_default",
        f"Give {context.table.entity}.{operation.column.name} its default: no trigger has to tell silence from a value any more",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (f"{alter} SET DEFAULT {operation.column.default}",)),),
        # The linter's rule thinks of code that relies on a default; before contract none could.
        down=(Group(lock, (f"-- squawk-ignore ban-drop-default\n{alter} DROP DEFAULT",)),),
    )
