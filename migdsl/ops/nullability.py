"""`require` and `optional`: a column becomes NOT NULL once no old code writes NULLs, or may be NULL from now on."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.ops import listing, not_null
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Part, Refill, Step
from migdsl.ops.pairs import assigned, over
from migdsl.semantics.model import OptionalColumn, RequireColumn


def require(context: Context, operation: RequireColumn) -> Iterator[Step]:
    """The steps of a `require`: the fill is the backfill's, the constraint comes last."""
    yield from not_null.steps(context, operation.column.name, "validate" if operation.complies else "enforce")


def optional(context: Context, operation: OptionalColumn) -> Iterator[Step]:
    """The steps of an `optional`: at once, and back by what a NULL is to become."""
    column = operation.column.name
    title = f"Let {context.table.entity}.{column} be NULL"
    step = not_null.restore(context, column, "expand", title, EXPAND_TABLE)
    if operation.back is None:
        yield step
        return
    down = (*_refilled(context, operation), *step.down)
    yield Step(step.phase, step.operation, title, step.table, step.lock, rank=step.rank, up=step.up, down=down)


def _refilled(context: Context, operation: OptionalColumn) -> tuple[Part, ...]:
    assert operation.back is not None
    walk = Walk(context.table)
    column = quote(operation.column.name)
    value = assigned(over(context.table, operation.back.expression, "t"), operation.column.type)
    title, wanted = f"{context.table.entity}.{operation.column.name} where it is NULL", f"t.{column} IS NULL"
    batch = walk.update(f"{column} = {value}", wanted)
    part = Refill(title, listing.of_revision(context), walk.upper(), walk.bound(), batch, context.table.key)
    return part, *listing.reached(context, f"a value of {column}", wanted)
