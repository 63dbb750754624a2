"""The standards that a result meets (modernization gates) become parts of the plan, each with what shows that it does."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import BuildIndex, TablePlan
from migdsl.plan.model import ModernizationGate
from migdsl.planning import demands
from migdsl.planning.beside import each
from migdsl.planning.facts import Facts
from migdsl.planning.impact import belonging, quoted
from migdsl.planning.model import Revision
from migdsl.planning.words import listed


def modernization_gates(facts: Facts, revisions: tuple[Revision, ...]) -> tuple[ModernizationGate, ...]:
    """All of them: of each table, of the revisions, of what is no table, and the file's own."""
    tables = [gate for plan in facts.tables for gate in _of_table(facts, plan)]
    own = demands.modernization_gates(facts)
    return (*tables, *_of_revisions(facts, revisions), *each(facts.beside, lambda b: b.gates), *own)


def _of_table(facts: Facts, plan: TablePlan) -> Iterator[ModernizationGate]:
    table, entity = plan.table, plan.table.entity
    if table.owned:
        text = f"Every row of {entity} belongs to one tenant"
        of = facts.shown(table)
        met = f"{belonging(table).removeprefix('tenant ')} of {of}, and the proof for each statement on it"
    else:
        text, met = f"{entity} is shared by all, for a reason", table.scope_reason or ""
    yield ModernizationGate(
        id=f"tenancy.{entity}",
        text=text,
        met_by=met,
        checks=(f"{entity}.tenants",) if table.owned and not plan.leaves else (),
    )
    if plan.fills:
        path = facts.paths.backfill(table)
        found = "are NULL" if plan.origin is None else "are not there"
        met = f"{path} touches only rows that {found}"
        if plan.moved is not None:
            met = (
                f"{path} puts keys of {plan.moved.old.name} into its outbox, and rows are carried over as they are then"
            )
        yield ModernizationGate(
            id=f"replay.{entity}",
            text=f"The backfill of {entity} can be replayed without effect",
            met_by=f"{met}; {facts.paths.reconcile(table)} compares all of them afterwards",
            checks=("backfill_progress", f"{entity}.checksum" if plan.switched else f"{entity}.counts"),
        )
    if plan.violations:
        yield ModernizationGate(
            id=f"constraints.{entity}",
            text=f"The database itself keeps the new rules of {entity}",
            met_by=f"constraints made in enforce against: {quoted(plan.violations, 'and')}",
            checks=tuple(f"{entity}.constraint.{violation.title}" for violation in plan.violations),
        )


def _of_revisions(facts: Facts, revisions: tuple[Revision, ...]) -> Iterator[ModernizationGate]:
    if revisions:
        ids = [revision.id for revision in revisions]
        steps = [step for revision in revisions for step in revision.steps]
        indexes = [part.name for step in steps for part in step.up if isinstance(part, BuildIndex)]
        undone = f"each step of {facts.migration} ({len(steps)} in all) is undone as a whole"
        yield ModernizationGate(
            id="idempotency",
            text=f"{listed(ids)} can be run again after breaking off half-way",
            met_by=f"{undone}, and what a build of {listed(indexes)} leaves behind goes first" if indexes else undone,
            checks=tuple(ids),
        )
