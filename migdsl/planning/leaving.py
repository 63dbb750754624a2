"""A phase becomes what must hold before it is left: its own criteria, and what the next phase's revisions ask."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.gates import WINDOW_SECONDS
from migdsl.ops.model import Gate, TablePlan
from migdsl.ops.pins import pinned, pinned_tables
from migdsl.plan.phases import ExitCondition, PhaseId
from migdsl.planning import demands
from migdsl.planning.facts import Facts, sides, summary
from migdsl.planning.habits import gone, taken_away
from migdsl.planning.impact import quoted
from migdsl.planning.words import first_upper, listed
from migdsl.semantics.model import AddColumn, CreateTable


def exits(facts: Facts, phase: PhaseId, following: PhaseId | None) -> Iterator[ExitCondition]:
    """When a phase is done; `following` is the one that comes next, None behind the last."""
    yield from _own(facts, phase, last=following is None) if facts.tables else ()
    # Contract itself begins with the move to complete.
    gates = [(name, gate) for name, gate in _gates(facts, following) if gate.name != "stage_complete"]
    yield from (_gate(gate, name) for name, gate in gates)
    if phase == "cutover" and not gates and facts.tables:
        tables = listed([p.table.entity for p in facts.tables])
        yield _metric("drift", f"Reconciliation of {tables} has found nothing since the last step", "= 0")
    yield from (condition for part in facts.beside for of, condition in part.exits if of == phase)
    yield from demands.exits(facts, phase)


def _own(facts: Facts, phase: PhaseId, *, last: bool) -> Iterator[ExitCondition]:
    if phase == "prepare":
        yield from _prepared(facts)
    elif phase == "expand":
        yield from (_expanded(facts, plan) for plan in facts.tables)
    elif phase == "backfill":
        for entity in (plan.table.entity for plan in facts.tables if plan.fills):
            yield _metric("backfill_progress", f"Backfill progress of {entity} is 100%", "= 100%")
    elif phase == "validate":
        for plan in facts.tables:
            yield from _validated(plan)
    elif phase == "contract":
        missed = (
            f"No client misses {taken_away(facts)}"
            if gone(facts)
            else f"No client of {facts.subjects} fails since contract"
        )
        yield ExitCondition(id="gone", text=missed, kind="manual")
    elif phase == "enforce" and last:
        yield from _bound(facts)


def _gates(facts: Facts, phase: str | None) -> list[tuple[str, Gate]]:
    """What a phase's revisions ask. Databases mostly ask the same of their ledgers, which is one; else with whose it is."""
    steps = facts.lowered.phase(phase or "")
    found = [(step.place or "", g) for step in steps for g in step.up if isinstance(g, Gate)]
    if len(facts.lowered.databases) < 2:
        return [("", gate) for _, gate in found]
    titles: dict[str, set[str]] = {}
    once: dict[tuple[str, str], tuple[str, Gate]] = {}
    for place, gate in found:
        titles.setdefault(gate.name, set()).add(gate.title)
        once.setdefault((gate.name, gate.title), (place, gate))
    return [(place if len(titles[gate.name]) > 1 else "", gate) for place, gate in once.values()]


def _bound(facts: Facts) -> Iterator[ExitCondition]:
    """What ends enforce where nothing follows it."""
    for plan in (p for p in facts.tables if p.violations):
        name, refused = plan.table.entity, quoted(plan.violations, "or")
        text = f"No client of {name} fails now that rows with {refused} are refused"
        yield ExitCondition(id=f"bound_{name}", text=text, kind="manual")
    if not any(p.violations for p in facts.tables):
        text = f"No client of {listed([p.table.entity for p in facts.tables])} fails since enforce"
        yield ExitCondition(id="bound", text=text, kind="manual")


def _prepared(facts: Facts) -> Iterator[ExitCondition]:
    # Nothing runs yet that could show data, or fire an alert.
    text = f"The dashboard of {facts.migration} opens, its alerts are loaded, and its jobs know where to send metrics"
    yield ExitCondition(id="watched", text=text, kind="manual")
    for table in pinned_tables(facts.lowered):
        snapshot = facts.paths.snapshot(table)
        text = f"What {table.entity}.{listed([p.column for p in pinned(table)])} does is recorded in {snapshot}"
        yield ExitCondition(id=f"pinned_{table.entity}", text=text, kind="manual")


def _expanded(facts: Facts, plan: TablePlan) -> ExitCondition:
    """Whether old code goes on as before; of a table that it doesn't know, whether new code may begin."""
    table = plan.table
    if _is_new(facts, plan):
        text = f"The roles of new code have their grants on {table.schema}.{table.name} ({table.entity})"
        return ExitCondition(id=f"grants_{table.entity}", text=text, kind="manual")
    added = [o.column.name for o in facts.column_operations(plan) if isinstance(o, AddColumn)]
    there = f"with {listed(added)} there" if added else f"once expand has run ({summary(facts.change(plan))})"
    there = "while those who write it are counted" if plan.leaves else there
    written = table.entity
    if plan.origin is not None:
        written, there = sides(plan)[0], f"with {'the trigger' if plan.moved is None else 'trigger and fence'} there"
    text = f"Old code writes {written} without a new error, {there}"
    return ExitCondition(id=f"old_code_{table.entity}", text=text, kind="manual")


def _is_new(facts: Facts, plan: TablePlan) -> bool:
    """A table that old code doesn't know, and that no row comes into from elsewhere."""
    return plan.origin is None and any(isinstance(o, CreateTable) for o in facts.change(plan).operations)


def _validated(plan: TablePlan) -> Iterator[ExitCondition]:
    # Nobody counts the rows of a table that goes away as a whole.
    entity, tenants = plan.table.entity, plan.table.owned and not plan.leaves
    if plan.origin is not None:
        yield _metric("rows_missing", f"Reconciliation of {entity} misses 0 rows", "= 0")
        yield _metric("rows_extra", f"Reconciliation of {entity} finds 0 rows too many", "= 0")
    if plan.leaves:
        text = f"Reconciliation of {entity} has read who still writes {plan.table.name}"
        yield _metric("rows_mismatched", text, "= 0")
    elif plan.comparisons or plan.origin is not None:
        yield _metric("rows_mismatched", f"Reconciliation of {entity} finds 0 rows that differ", "= 0")
    elif not (tenants or plan.violations):
        yield _metric("rows_mismatched", f"Reconciliation of {entity} has run, which has nothing to compare", "= 0")
    if tenants:
        yield _metric("tenants_unlisted", f"0 rows of {entity} belong to a tenant that the list leaves out", "= 0")
    if plan.violations:
        yield _metric("violations", f"0 rows of {entity} would break a constraint to come", "= 0")


def _metric(name: str, text: str, threshold: str) -> ExitCondition:
    return ExitCondition(id=name, text=text, kind="metric", metric=name, threshold=threshold)


def _gate(gate: Gate, whose: str) -> ExitCondition:
    window = WINDOW_SECONDS if gate.name.startswith("reconciled_") else None
    text = first_upper(gate.title) + (f", as {whose} asks" if whose else "")
    return ExitCondition(id=gate.name, text=text, kind="gate", window_seconds=window)
