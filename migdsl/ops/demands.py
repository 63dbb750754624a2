"""What a file demands before a phase becomes gates of that phase's revision, as far as the ledger can tell."""

from __future__ import annotations

from collections.abc import Mapping

from migdsl.ops import begun, conditions, names
from migdsl.ops.gates import refusal
from migdsl.ops.model import Gate, Step, TablePlan
from migdsl.semantics.model import PHASES, CheckedModule
from migdsl.semantics.policy import Condition, PhaseNote, Policy
from migdsl.values import replace


def backfill_name(plan: TablePlan) -> str:
    """What the ledger calls the backfill of a table."""
    return plan.table.entity


def step(phase: str, gates: tuple[Gate, ...]) -> Step:
    """The step that refuses while a gate is unmet."""
    return Step(phase, "gate", refusal(phase, gates), None, rank=-1, up=gates)


def gates(
    module: CheckedModule, plans: tuple[TablePlan, ...], used: frozenset[str], database: str
) -> Mapping[str, tuple[Gate, ...]]:
    """Phase → the gates that the file demands of its revision in a database; `used` are the phases that have one."""
    found: dict[str, list[Gate]] = {}
    about, late = subjects(module, plans), subjects(module, plans, closed_in(plans, database))
    going = tuple(names.table(p.move.table) for p in plans if p.move is not None and p.home == database)
    columns = [column for p in plans if p.home == database for column in begun.going(module, p)]
    assert module.header is not None
    gone = begun.gone(module.header.name, columns)
    for name, condition, phases in demanded(module.policy, used):
        inside, _ = conditions.split(condition)
        for phase in phases:
            if inside is None or (phase == "contract" and not late.measured(inside)):
                continue
            gate = conditions.gate(name, inside, late if phase == "contract" else about)
            last = replace(gate, needs=going, gone=gone) if phase == "contract" else gate
            found.setdefault(phase, []).append(last)
    invariants = (i for v in module.policy.validations for i in v.invariants if i.entity in about.entities)
    proofs = [conditions.invariant(about, i.entity, i.text) for i in invariants]
    for phase in _late(used):
        found.setdefault(phase, []).extend(proofs)
    return {phase: tuple(each) for phase, each in found.items() if each}


def demanded(policy: Policy, used: frozenset[str]) -> list[tuple[str, Condition, tuple[str, ...]]]:
    """Each condition that the file demands, what it is called, and the phases whose revision can ask for it."""
    late = _late(used)
    found = [(_numbered("slo", n), condition, late) for n, condition in enumerate(policy.slos, 1)]
    found += [(gate.name, gate.condition, late) for gate in policy.gates]
    for note in policy.notes:
        phases = _next(policy, note, used)
        found += [(_numbered(f"exit_{note.name}", n), c, phases) for n, c in enumerate(note.exits, 1)]
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _late(used: frozenset[str]) -> tuple[str, ...]:
    return tuple(phase for phase in ("enforce", "contract") if phase in used)


def _next(policy: Policy, note: PhaseNote, used: frozenset[str]) -> tuple[str, ...]:
    """The next phase with a revision that the ledger is there for; none where a phase has none behind it."""
    behind = PHASES.index(derived(policy, note))
    later = [p for p in PHASES[behind + 1 :] if p in used and p not in ("prepare", "expand")]
    return tuple(later[:1])


def derived(policy: Policy, note: PhaseNote) -> str:
    """The derived phase that a phase is, or stands behind."""
    places = {n.name: n.place for n in policy.notes}
    name = note.name
    while (place := places.get(name)) is not None:
        name = place
    return name


def closed_in(plans: tuple[TablePlan, ...], database: str) -> tuple[str, ...]:
    """Entities that another database has been left for when this one contracts: that one went first."""
    return tuple(p.table.entity for p in plans if p.moved is not None and p.home != database)


def subjects(module: CheckedModule, plans: tuple[TablePlan, ...], closed: tuple[str, ...] = ()) -> conditions.Subjects:
    """What the metrics of a migration are measured of."""
    assert module.header is not None
    return conditions.Subjects(
        module.header.name,
        tuple(p.table.entity for p in plans),
        tuple(p.table.entity for p in plans if p.table.owned),
        tuple(backfill_name(p) for p in plans if p.fills),
        tuple(p.table.entity for p in plans if p.moved is not None),
        closed,
    )
