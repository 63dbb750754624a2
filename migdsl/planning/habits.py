"""What code must have unlearnt before the late phases, and what contract takes away: phrases from the operations."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops import key
from migdsl.ops.context import Context
from migdsl.ops.model import TablePlan
from migdsl.planning.facts import Facts
from migdsl.planning.words import listed
from migdsl.semantics import model
from migdsl.semantics.model import Operation, Table
from migdsl.semantics.phrases import described, followed, sides


def old_habits(facts: Facts) -> tuple[str, ...]:
    """What old code does and must stop doing, as verbs: `reads or writes User.email`."""
    found = [habit for p in facts.tables for o in facts.change(p).operations for habit in _habit(p.table, o)]
    return tuple(dict.fromkeys(found))


def habits(plan: TablePlan, facts: Facts) -> Iterator[str]:
    """The same of one table."""
    return (habit for o in facts.change(plan).operations for habit in _habit(plan.table, o))


def bound_habits(facts: Facts) -> tuple[str, ...]:
    """Those that don't go with the flag, from an old side to a new one: what enforce binds, and tables that move nowhere."""
    found = []
    for plan in facts.tables:
        apart = not (plan.switched or plan.swapped)
        for each in facts.change(plan).operations:
            if apart or isinstance(each, model.RequireColumn | model.AddConstraint):
                found += list(_habit(plan.table, each))
    return tuple(dict.fromkeys(found))


def _habit(table: Table, operation: Operation) -> Iterator[str]:
    if isinstance(operation, model.DropColumn):
        yield f"reads or writes {table.entity}.{operation.column.name}"
    elif isinstance(operation, model.RequireColumn):
        yield f"writes NULL into {table.entity}.{operation.column.name}"
    elif isinstance(operation, model.DropTable):
        yield f"uses the table {table.name}"
    elif isinstance(operation, model.CreateTable) and operation.move is not None:
        yield f"uses the table {sides(operation.move.table, operation.move.target)[0]}"
    elif isinstance(operation, model.RenameTable):
        yield f"calls the table {table.name}"
    elif _binds(operation):
        assert isinstance(operation, model.AddConstraint)
        yield f"writes what breaks {described(operation.constraint)} of {table.entity}"


def _binds(operation: Operation) -> bool:
    """Whether it is a constraint that old code needn't keep yet."""
    return (
        isinstance(operation, model.AddConstraint)
        and operation.replaces is None
        and operation.complies is None
        and operation.constraint.binds
    )


def gone(facts: Facts) -> tuple[str, ...]:
    """What contract takes away: columns, constraints, tables, old names."""
    every = [(p.table, facts.change(p).operations) for p in facts.tables]
    keys = [p.table.entity for p in facts.tables if _old_key_goes(facts, p)]
    every = [(t, tuple(o for o in all_ if not _goes_early(facts, o))) for t, all_ in every]
    found = [what for table, all_ in every for o in all_ if not followed(all_, o) for what in _gone(table, o)]
    return tuple(dict.fromkeys([*found, *(f"what keeps the old key of {entity} unique" for entity in keys)]))


def _old_key_goes(facts: Facts, plan: TablePlan) -> bool:
    change = facts.change(plan)
    anew = any(isinstance(o, model.AddConstraint) and o.constraint.kind == "key" for o in change.operations)
    return anew and key.leaves(Context(facts.migration, change, facts.module, (), ()))


def _goes_early(facts: Facts, operation: Operation) -> bool:
    return isinstance(operation, model.DropConstraint) and facts.module.crossed(operation.constraint)


def _gone(table: Table, operation: Operation) -> Iterator[str]:
    if isinstance(operation, model.DropColumn):
        yield f"{table.entity}.{operation.column.name}"
    elif isinstance(operation, model.RetypeColumn) and not operation.in_place:
        yield f"the old values of {table.entity}.{operation.column.name}"
    elif isinstance(operation, model.DropTable):
        yield f"the table {table.name}"
    elif isinstance(operation, model.CreateTable) and operation.move is not None:
        yield f"the table {sides(operation.move.table, operation.move.target)[0]}"
    elif isinstance(operation, model.RenameTable):
        yield f"the old name {table.name}"
    elif isinstance(operation, model.DropConstraint):
        yield f"{described(operation.constraint)} of {table.entity}"


def taken_away(facts: Facts) -> str:
    """The same as one phrase; where nothing was asked for it is the trigger."""
    return listed(list(gone(facts))) or f"the trigger of {listed([p.table.entity for p in facts.tables])}"


def unlearnt(facts: Facts) -> str:
    """The old habits as one clause."""
    habits = old_habits(facts)
    return one_clause(habits) or f"depends on the old shape of {listed([p.table.entity for p in facts.tables])}"


_BREAKS = "writes what breaks "


def one_clause(habits: tuple[str, ...]) -> str:
    """Habits as a clause, in which what is broken is listed behind one verb."""
    broken = [habit.removeprefix(_BREAKS) for habit in habits if habit.startswith(_BREAKS)]
    others = [habit for habit in habits if not habit.startswith(_BREAKS)]
    return listed([*others, *([_BREAKS + listed(broken, "or")] if broken else [])], "or")
