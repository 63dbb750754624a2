"""A constraint or an index over a column that goes gets a twin over the one that takes its place, and then its name.

So does one that is dropped, where another of its name is made in the same change.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import derived
from migdsl.ops import constraints, dependents, standing
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import AddConstraint, CheckedModule, Constraint, Table
from migdsl.semantics.phrases import called
from migdsl.semantics.succession import predecessor
from migdsl.values import replace

RENAME = 4  # in contract: when the old one has gone with its column
CARRY = 5  # when the twin stands


def lower(context: Context, operation: AddConstraint) -> Iterator[Step]:
    """The steps of a twin. An index binds nobody, so that it may come early; the rest waits until old code is gone."""
    old, name = operation.replaces, temporary(context, operation)
    assert old is not None
    phase = "enforce" if old.binds else "validate"
    yield _plain(context, old)
    yield from constraints.build(context, operation.constraint, name, phase)
    yield _carry(context, old, name, phase)
    if old.name is not None:
        yield _rename(context, operation.constraint, name, old.name)


def succeed(context: Context, operation: AddConstraint) -> Iterator[Step]:
    """The steps of what takes the name of one that is dropped: both stand until contract."""
    name = temporary(context, operation)
    old = predecessor(context.change, operation)
    rank = dependents.LAST if old is not None and dependents.parts(context, old) else RENAME
    yield from constraints.lower(context, operation, name)
    final = called(context.table, operation.constraint)
    yield replace(_rename(context, operation.constraint, name, final), rank=rank)


def temporary(context: Context, operation: AddConstraint) -> str:
    """What a twin is called while both stand: as PostgreSQL would call it, with a number where that is taken."""
    taken = _taken(context.module, context.table)
    added = [o for o in context.change.operations if isinstance(o, AddConstraint)]
    twins = [o for o in added if o.replaces is not None or predecessor(context.change, o) is not None]
    # Those that keep the name choose first.
    for other in sorted(twins, key=lambda twin: twin.replaces is None or twin.replaces.name is not None):
        name = _free(called(context.table, replace(other.constraint, name=None)), taken)
        if other is operation:
            return name
        taken.add(name)
    raise AssertionError("a twin of another change")


def _taken(module: CheckedModule, table: Table) -> set[str]:
    """The names of all that the file declares in the table's schema, or is to come there."""
    near = [t for t in module.every if (t.database, t.schema) == (table.database, table.schema)]
    found = {t.name for t in near} | {called(t, c) for t in near for c in t.constraints if c.kind != "generated"}
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.replaces is None:
                found.add(called(change.table, operation.constraint))
    return found


def _free(name: str, taken: set[str]) -> str:
    numbered = (derived(f"{name}{number}") for number in range(1, len(taken) + 2))
    return next(n for n in (name, *numbered) if n not in taken)


def _plain(context: Context, old: Constraint) -> Step:
    shown = called(context.table, old)
    return Step(
        "expand",
        "check_twin",
        f"Refuse where {shown} of {context.table.entity} is more than the entity says: its twin would be less",
        context.table,
        rank=dependents.FIRST,
        up=(Group((), (standing.call("refuse_odd", standing.said_whole(context.table, old)),)),),
    )


def _carry(context: Context, old: Constraint, name: str, phase: str) -> Step:
    """Comments, and how expressions are analysed, are said of the twin too; they go with it on the way back."""
    lock = ((context.sql, Lock.SHARE_UPDATE_EXCLUSIVE),)
    title = f"Say of {name} what is said of {called(context.table, old)}: comments, statistics"
    up = (Group(lock, (standing.call("carry_over", standing.said(context.table, old), name),)),)
    return Step(phase, "carry_over", title, context.table, Lock.SHARE_UPDATE_EXCLUSIVE, rank=CARRY, up=up)


def hand_over(context: Context, old: Constraint) -> Iterator[str]:
    """Logical replication and CLUSTER go on by the twin, just before the old one goes; back, it takes over again."""
    for operation in context.change.operations:
        if isinstance(operation, AddConstraint) and operation.replaces is old and old.kind in ("unique", "index"):
            name = temporary(context, operation)
            yield standing.call("hand_over", standing.said(context.table, old), name)


def _rename(context: Context, of: Constraint, name: str, final: str) -> Step:
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    return Step(
        "contract",
        "rename_constraint" if of.kind != "index" else "rename_index",
        f"Give {name} of {context.table.entity} the name of what it replaces: {final}",
        context.table,
        Lock.ACCESS_EXCLUSIVE,
        rank=RENAME,
        up=(Group(lock, (_renamed(context, of, name, final),)),),
        down=(Group(lock, (_renamed(context, of, final, name),)),),
    )


def _renamed(context: Context, of: Constraint, before: str, after: str) -> str:
    return standing.call("rename_standing", context.sql, of.kind == "index", before, after)
