"""`add`: a new column beside the old ones, filled in batches, bound to its constraints once nobody old writes any more."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops import names, not_null
from migdsl.ops.context import Context
from migdsl.ops.model import BuildIndex, Cost, Group, Lock, Step
from migdsl.semantics.model import AddColumn, UniqueSet

EXPAND_TABLE = 2  # the rank of what expand does under the table's lock
BUILD, ATTACH = 3, 4


def lower(context: Context, operation: AddColumn) -> Iterator[Step]:
    """The steps of an `add`."""
    filled = operation.source is not None
    # Old code knows none of the new constraints; only one that it is known to keep may bind it before it is gone.
    phase = "validate" if operation.complies else "enforce"
    yield _add(context, operation, filled)
    if filled and not operation.column.nullable:
        yield from not_null.steps(context, operation.column.name, phase)
    for unique in operation.uniques:
        yield from _unique(context, unique, phase)
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
        precondition="explicit column lists, or pools reconnect: prepared SELECT * and COPY without columns see a new column",
    )


def _unique(context: Context, unique: UniqueSet, phase: str) -> Iterator[Step]:
    table = context.table
    name = unique.name or names.unique(table, unique.columns)
    columns = ", ".join(quote(c) for c in unique.columns)
    index = qualified(table.schema, name)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    shown = f"{table.entity} ({', '.join(unique.columns)})"
    yield Step(
        phase,
        "build_unique_index",
        f"Build the unique index of {shown} while reads and writes go on",
        table,
        Lock.SHARE_UPDATE_EXCLUSIVE,
        Cost.SCAN,
        rank=BUILD,
        up=(
            BuildIndex(
                table.schema,
                name,
                f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {context.sql} ({columns})",
                f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
            ),
        ),
    )
    yield Step(
        phase,
        "add_unique",
        f"Make {shown} unique, on the index that is there",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=ATTACH,
        up=(Group(lock, (_attach(context, name),)),),
        down=(Group(lock, (f"ALTER TABLE {context.sql} DROP CONSTRAINT IF EXISTS {quote(name)}",)),),
    )


def _attach(context: Context, name: str) -> str:
    # Run again after a kill, the constraint may be there; ADD CONSTRAINT knows no IF NOT EXISTS.
    body = f"""
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint
                  WHERE conrelid = {literal(context.sql)}::regclass AND conname = {literal(name)}) THEN
    ALTER TABLE {context.sql} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)};
  END IF;
END"""
    tag = dollar_tag(body, "attach")
    return f"DO {tag}{body}\n{tag}"


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
