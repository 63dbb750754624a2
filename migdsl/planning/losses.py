"""The way back out of a phase becomes what it can't keep, so that whoever takes it says so first."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import TablePlan
from migdsl.planning.facts import Facts, sides
from migdsl.semantics.model import AddColumn, CreateTable


def losses(facts: Facts, phase: str) -> tuple[str, ...]:
    """A sentence for all that is lost when a phase is left backwards; none where all data is kept."""
    if phase == "expand":
        return tuple(_of_expand(facts))
    steps = (step for step in facts.lowered.phase(phase) if step.up and not step.reversible)
    return tuple(f"{step.title.split(';')[0]}: its way back can't bring back what was there" for step in steps)


def of_a_move(plan: TablePlan) -> Iterator[str]:
    """The columns that only the target has."""
    given = {column for column, _ in plan.origin.values} if plan.origin is not None else set()
    own = [c.name for c in plan.table.columns if c.name not in given and c.generated is None]
    yield from (f"What was written to {sides(plan)[1]}.{name} is lost with the table" for name in own)


def of_a_new_table(facts: Facts, plan: TablePlan) -> Iterator[str]:
    """What is in a table that nothing leads back from."""
    if any(isinstance(o, CreateTable) for o in facts.change(plan).operations):
        alone = " alone" if plan.origin is not None else ""
        yield f"{plan.table.entity} is dropped with all that was written there{alone}"


def _of_expand(facts: Facts) -> Iterator[str]:
    for plan in facts.tables:
        entity = plan.table.entity
        if plan.move is not None:
            yield from of_a_move(plan)
            continue
        if new := tuple(of_a_new_table(facts, plan)):
            yield from new
            continue
        lost = [f"{entity}.{c.column}" for c in plan.switched if c.lossy is None]
        added = (o for o in facts.column_operations(plan) if isinstance(o, AddColumn) and o.source is None)
        lost += [f"{entity}.{operation.column.name}" for operation in added]
        yield from (f"What was written to {name} is lost with the column" for name in dict.fromkeys(lost))
