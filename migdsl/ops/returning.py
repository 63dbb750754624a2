"""What new code alone has written since contract becomes the old columns' values again, on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.ops import attempts, listing, not_null
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.batches import Walk
from migdsl.ops.context import Context
from migdsl.ops.model import Cost, Part, Refill, Step
from migdsl.ops.pairs import Pair, Sibling, assigned, column_name, compared, over
from migdsl.semantics.model import Column, DropColumn
from migdsl.values import Value

# Undone after all that stands under the table's lock, since ways back run from the highest rank down.
REFILL = 0


class Returning(Value):
    """An old column and what computes it back; `when` says of which rows `t`, where it has values of its own all along."""

    column: Column
    back: Expression
    when: str | None


def lower(context: Context) -> Iterator[Step]:
    """What the way back does last, when the columns and the trigger are there again.

    All of a table's in one UPDATE: one after the other, the first would be for the trigger an old writer's half of a pair.
    """
    found = (*_dropped(context), *_staying(context))
    if not found:
        return
    down = _refilled(context, found)
    for each in found:
        if each.when is None and not each.column.nullable:
            down += not_null.restore(context, each.column.name, "contract", "", EXPAND_TABLE).down
    title = f"On the way back: compute {_listed(context, found)} from `back`, in batches"
    yield Step("contract", "refill", title, context.table, cost=Cost.BATCHES, rank=REFILL, down=down)


def way_back(context: Context, operation: DropColumn) -> Expression | None:
    """What computes a dropped column back, whoever says so."""
    if operation.column.generated is not None:
        return None  # PostgreSQL computes it, and takes no other value
    if operation.back is not None:
        return operation.back.expression
    pair = context.is_target(operation.column.name)
    return next((b.expression for b in pair.backs if b.column == operation.column.name), None) if pair else None


def _dropped(context: Context) -> Iterator[Returning]:
    for operation in context.change.operations:
        if isinstance(operation, DropColumn) and (back := way_back(context, operation)) is not None:
            yield Returning(operation.column, back, None)


def staying(context: Context) -> tuple[str, ...]:
    """The columns that a `back` keeps until contract, and that nothing drops."""
    return tuple(each.column.name for each in _staying(context))


def _staying(context: Context) -> Iterator[Returning]:
    """Left as they are, they would be old code's truth: its next write would give the new column what they hold."""
    gone = {o.column.name for o in context.change.operations if isinstance(o, DropColumn)}
    for pair in context.pairs:
        for back in pair.backs:
            column = context.table.column(back.column)
            if column is not None and column.name not in gone:
                yield Returning(column, back.expression, _apart(context, pair))


def _apart(context: Context, pair: Pair) -> str:
    """Of which rows the two sides of a pair don't agree; what `from` gives anyway stays as old code had it."""
    found = []
    sides: tuple[Pair | Sibling, ...] = (pair, *pair.siblings)
    for each in sides:
        name = f"t.{column_name(each.column)}"
        if each.source is None:
            found.append(f"{name} IS NOT NULL")
        else:
            found.append(f"{name} IS DISTINCT FROM {attempts.held(context.migration, context.table, each, 't')}")
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _listed(context: Context, returning: Iterable[Returning]) -> str:
    return ", ".join(f"{context.table.entity}.{each.column.name}" for each in returning)


def _refilled(context: Context, returning: tuple[Returning, ...]) -> tuple[Part, ...]:
    walk = Walk(context.table)
    values, apart = zip(*(_written(context, each) for each in returning), strict=True)
    wanted = apart[0] if len(apart) == 1 else f"({' OR '.join(apart)})"
    batch = walk.update(", ".join(values), wanted)
    title = f"{_listed(context, returning)} from `back`"
    part = Refill(title, listing.of_revision(context), walk.upper(), walk.bound(), batch, context.table.key)
    return part, *listing.reached(context, title, wanted)


def _written(context: Context, each: Returning) -> tuple[str, str]:
    """What is assigned to a column, and of which rows."""
    name, type_ = quote(each.column.name), context.table.type_of(each.column.name)
    sql = over(context.table, each.back, "t")
    value, apart = assigned(sql, type_), f"t.{name} IS DISTINCT FROM {compared(sql, type_)}"
    if each.when is None:
        return f"{name} = {value}", apart
    return f"{name} = CASE WHEN {each.when} THEN {value} ELSE t.{name} END", f"({each.when} AND {apart})"
