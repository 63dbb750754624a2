"""What is asked before enforce and contract becomes the gates of their revisions, each of the ledger of its own database."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops import begun, demands, gates, listing, names
from migdsl.ops.model import Gate, Step, TablePlan
from migdsl.semantics.model import CheckedModule
from migdsl.values import replace


def step(
    module: CheckedModule, phase: str, plans: tuple[TablePlan, ...], demanded: tuple[Gate, ...], database: str
) -> Step:
    """The step that refuses a phase in a database while a gate is unmet; `demanded` are those of the file."""
    assert module.header is not None
    migration = module.header.name
    found: list[Gate] = [gates.stage(migration, "live" if phase == "enforce" else "complete")]
    soaks = [plan.soak_seconds for plan in plans if plan.soak_seconds is not None]
    if phase == "contract":
        found.append(gates.soaked(migration, max(soaks)))
    if phase == "contract" and any(plan.swapped for plan in plans):
        found.append(gates.swapped(migration, max(soaks)))
    if any(plan.switched and plan.moved is None for plan in plans):
        found.append(gates.repaired(migration))
    closed = demands.closed_in(plans, database) if phase == "contract" else ()
    for plan in plans:
        going = _going(plan, database) if phase == "contract" else ()
        gone = begun.gone(migration, begun.going(module, plan)) if phase == "contract" else ""
        asked = _of_table(module, phase, plan, soaks, closed=plan.table.entity in closed)
        found += [replace(gate, needs=going, gone=gone) for gate in asked]
    if phase == "contract" and any(plan.moved for plan in plans):
        from migdsl.ops import streams  # most migrations stay in one database

        found += streams.gates(module, plans, database, max(soaks))
    return demands.step(phase, (*found, *demanded))


def _going(plan: TablePlan, database: str) -> tuple[str, ...]:
    """The table without which nothing can be compared any more."""
    return (names.table(plan.move.table),) if plan.move is not None and plan.home == database else ()


def _of_table(module: CheckedModule, phase: str, plan: TablePlan, soaks: list[int], *, closed: bool) -> Iterator[Gate]:
    assert module.header is not None
    migration, entity = module.header.name, plan.table.entity
    if plan.fills:
        yield gates.backfilled(migration, demands.backfill_name(plan))
    if plan.fills or plan.comparisons or plan.violations:
        if plan.table.owned:
            table = plan.move.table if plan.moved is not None and plan.move is not None else plan.table
            yield gates.listed(migration, entity, listing.elsewhere(module, table), closed=closed)
        if plan.fills or plan.violations or plan.moved:
            yield gates.clean(migration, entity, closed=closed)
    if phase == "contract" and plan.counter:
        yield gates.silent(migration, entity, plan.counter, max(soaks), plan.written)
