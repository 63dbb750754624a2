"""What stands on a column or a constraint that goes: refused where nobody declared it, remembered where it goes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.ops import names, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Cost, Group, Lock, Replay, Step
from migdsl.semantics.model import AddConstraint, Constraint, DropColumn, DropConstraint, Table
from migdsl.semantics.phrases import called
from migdsl.values import replace

# Undone after the values are there again (rank 0), since they go the lowest rank last; keys before what points at them.
REBUILD, REFER = -2, -3
FIRST = 0  # in expand: before anything has changed
LAST = 40  # in contract: the old tables of moves go, in one transaction with the ranks just before


def dropped(context: Context) -> tuple[Constraint, ...]:
    """The constraints and indexes that the file drops, under the names that it calls them by."""
    found = (o.constraint for o in context.change.operations if isinstance(o, DropConstraint))
    return tuple(named(context.table, c) for c in found)


def replaced(context: Context, column: str | None = None) -> tuple[Constraint, ...]:
    """What has a twin over other columns, and goes with its own; that on a column, or all."""
    found = (o.replaces for o in context.change.operations if isinstance(o, AddConstraint) and o.replaces is not None)
    return tuple(c for c in found if column is None or column in c.uses)


def named(table: Table, constraint: Constraint) -> Constraint:
    """The same under the name that it was dropped by."""
    return replace(constraint, name=called(table, constraint))


def referring(context: Context) -> Iterator[tuple[Table, Constraint]]:
    """Foreign keys of other tables that point here and are dropped by this migration, with their tables."""
    for change in context.module.changes:
        for operation in change.operations:
            if not isinstance(operation, DropConstraint) or change is context.change:
                continue
            target = operation.constraint.target
            if target is not None and target.entity == context.table.entity:
                yield change.table, named(change.table, operation.constraint)


def refuse(context: Context, column: str, *, views: bool) -> str:
    """DROP COLUMN takes indexes, constraints and statistics along without a word: what nobody declared is refused.

    `views` have until then to be made again, over a column that isn't there before expand.
    """
    declared = (c for c in (*dropped(context), *replaced(context), *_generated(context)) if column in c.uses)
    expected = [standing.said(context.table, c) for c in declared]
    expected += [standing.said(table, c) for table, c in referring(context)]
    return standing.call("refuse_dependents", context.sql, column, expected, views)


def _generated(context: Context) -> Iterator[Constraint]:
    """Generated columns that go in the same change, as what stands on the columns that they are computed from."""
    gone = {o.column.name for o in context.change.operations if isinstance(o, DropColumn)}
    yield from (c for c in context.table.constraints if c.kind == "generated" and c.name in gone)


def parts(context: Context, found: Constraint) -> bool:
    """Whether it is a foreign key to a table whose rows go to another one: with that table it goes."""
    target = found.target
    return target is not None and any(m.table.entity == target.entity for m in context.module.moves)


def keep(context: Context, constraint: Constraint) -> str:
    """Keeps, in the snapshot, what makes a constraint or an index again."""
    return standing.call("keep", context.migration, standing.said(context.table, constraint))


def subject(context: Context, constraint: Constraint) -> str:
    """What the procedure calls the snapshot of a constraint's table: foreign keys are a part of their own."""
    return f"{'refer' if constraint.kind == 'reference' else 'rebuild'} {context.sql}"


def rebuild(context: Context) -> Iterator[Step]:
    """The way back of all that goes: built again, and proven again, when the values are there."""
    late = (c for c in dropped(context) if not context.module.crossed(c))
    gone = [*replaced(context), *(c for c in late if not forgotten(context, c))]
    table = context.table
    for rank, kinds in ((REBUILD, ("unique", "index", "check")), (REFER, ("reference",))):
        found = [c for c in gone if c.kind in kinds]
        if found:
            listed = ", ".join(called(table, c) for c in found)
            title = f"On the way back: make {listed} of {table.entity} again, while reads and writes go on"
            down = (Replay(context.migration, subject(context, found[0]), locks(context, found)),)
            yield Step("contract", "rebuild", title, table, cost=Cost.SCAN, rank=rank, down=down)


def forgotten(context: Context, constraint: Constraint) -> bool:
    """Whether the file says that nobody will want it back."""
    return any(
        isinstance(o, DropConstraint) and o.irreversible is not None and o.constraint.span == constraint.span
        for o in context.change.operations
    )


def locks(context: Context, constraints: Iterable[Constraint]) -> tuple[tuple[str, Lock], ...]:
    """A foreign key has triggers on both tables: who drops or adds it locks both, in one order.

    One that moves may be gone already, where a killed run is repeated.
    """
    targets = {c.target.entity for c in constraints if c.target is not None}
    moved = [m.table for m in context.module.moves]
    tables = {names.table(t) for t in context.module.every if t.entity in targets and t not in moved}
    return tuple((sql, Lock.ACCESS_EXCLUSIVE) for sql in sorted({context.sql, *tables}))


def step(migration: str) -> Step:
    """The procedures that all of this calls, beside the ledger."""
    title = f"Create the procedures by which {migration} finds, keeps and brings back what stands on columns"
    return Step("expand", "create_procedures", title, None, rank=FIRST, up=(Group((), standing.procedures()),))
