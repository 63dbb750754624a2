"""What a file demands and promises becomes parts of the plan: constraints, gates, steps and exits of phases."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops import conditions
from migdsl.ops.demands import demanded, derived
from migdsl.plan.model import ModernizationGate
from migdsl.plan.phases import ExitCondition, Phase, TypedStep
from migdsl.planning.facts import Facts
from migdsl.planning.words import listed
from migdsl.semantics.model import PHASES
from migdsl.semantics.policy import Condition, Held, ManualStep, PhaseNote, comparisons, spoken


def constraints(facts: Facts) -> Iterator[str]:
    """What the file holds the migration to."""
    policy = facts.module.policy
    yield from (f"At all times {spoken(slo)}" for slo in policy.slos)
    if policy.prd:
        yield f"The requirements are in {policy.prd}"
    if policy.start:
        yield f"It starts on {policy.start}"
    yield from (f"{due.phase.capitalize()} is over by {due.date}" for due in policy.dues)
    if policy.one_way is not None:
        yield "Nothing is written twice"


def external(facts: Facts) -> list[tuple[str, Condition]]:
    """What is demanded and no revision can tell: whoever goes on asks the monitoring system."""
    found = []
    for name, condition, phases in demanded(facts.module.policy, frozenset(facts.phases)):
        rest = conditions.split(condition)[1] if phases else condition
        if rest is not None:
            found.append((name, rest))
    return found


def modernization_gates(facts: Facts) -> Iterator[ModernizationGate]:
    """The gates that the file names, and who keeps them."""
    policy, outside = facts.module.policy, dict(external(facts))
    named = [("slo", slo) for slo in policy.slos] + [(g.name, g.condition) for g in policy.gates]
    for name, condition in named:
        rest = outside.get(name)
        parts = [] if rest is condition else [f"the revisions of {_late(facts)}, which refuse until it holds"]
        parts += [f"people, who look at it before they go on: {spoken(rest)}"] if rest is not None else []
        text = f"{spoken(condition)} holds"
        yield ModernizationGate(id=f"gate.{name}", text=text, met_by=listed(parts), checks=(name,))
    for validation in policy.validations:
        for number, invariant in enumerate(validation.invariants, 1):
            path = next(facts.paths.reconcile(p.table) for p in facts.tables if p.table.entity == invariant.entity)
            met_by = f"{path} asks each tenant's rows"
            check = f"{invariant.entity}.invariant.{number}"
            id_ = f"invariant.{invariant.entity}.{number}"
            yield ModernizationGate(id=id_, text=invariant.text, met_by=met_by, checks=(check,))


def _late(facts: Facts) -> str:
    return listed([phase for phase in ("enforce", "contract") if phase in facts.phases])


def exits(facts: Facts, phase: str) -> Iterator[ExitCondition]:
    """The exit conditions that the file gives a phase, and what must be asked before one that binds everybody."""
    return (exit_condition(name, condition) for name, condition in said(facts, phase))


def said(facts: Facts, phase: str) -> Iterator[tuple[str, Condition]]:
    """The same, as the file has them, each with the name that the plan gives it."""
    for note in _notes(facts, phase):
        yield from ((f"exit_{phase}", condition) for condition in note.exits)
    last = {"enforce": "cutover", "contract": "enforce"}
    binding = next((p for p in ("enforce", "contract") if p in facts.phases), None)
    if binding is None and facts.beside and phase == "cutover":
        # No revision binds anybody: people ask before the old goes away.
        yield from ((n, c) for n, c in external(facts) if not n.startswith("exit_"))
    if binding is not None and phase == last[binding]:
        yield from ((n, c) for n, c in external(facts) if not n.startswith("exit_"))


def exit_condition(name: str, condition: Condition) -> ExitCondition:
    """A condition that monitoring answers; also the ledger, as far as it knows."""
    inside = conditions.split(condition)[1] is None
    first = comparisons(condition)[0]
    return ExitCondition(
        id=name,
        text=spoken(condition) if inside else f"{spoken(condition)} (your monitoring tells; no revision can)",
        kind="metric",
        metric=first.metric.name,
        threshold=f"{first.operator} {first.written}",
        window_seconds=int(condition.seconds) if isinstance(condition, Held) else None,
    )


def _notes(facts: Facts, phase: str) -> list[PhaseNote]:
    return [note for note in facts.module.policy.notes if note.name == phase]


def manual_steps(facts: Facts, phase: str) -> Iterator[TypedStep]:
    """What people do in a phase because the file says so."""
    for note in _notes(facts, phase):
        for step in note.steps:
            yield TypedStep(
                id="",
                operation="manual",
                title=sentence(step),
                table=None,
                lock="",
                cost="instant",
                reversible=True,
                artifact=None,
                estimate_seconds=0,
            )


def sentence(step: ManualStep) -> str:
    """A step in one line."""
    return f"{step.text}: {step.run}" if step.run else step.text


def with_own(facts: Facts, found: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The derived phases with those of the user's own behind the ones that they follow."""
    phases = list(found)
    for note in (n for n in facts.module.policy.notes if n.place is not None):
        before = next((p for p in phases if p.id == note.place), None) or _before(
            phases, derived(facts.module.policy, note)
        )
        phases.insert(phases.index(before) + 1, _own(facts, note, before))
    return tuple(phases)


def _before(phases: list[Phase], place: str) -> Phase:
    """The last phase that there is at or before a derived one that is left out."""
    earlier = [p for p in phases if p.id in PHASES and PHASES.index(p.id) <= PHASES.index(place)]
    return earlier[-1] if earlier else phases[0]


def _own(facts: Facts, note: PhaseNote, before: Phase) -> Phase:
    steps = [s.model_copy(update={"id": f"{note.name}.{n}"}) for n, s in enumerate(manual_steps(facts, note.name), 1)]
    leave = [exit_condition(f"exit_{note.name}", condition) for condition in note.exits]
    if not leave:
        leave = [ExitCondition(id=f"exit_{note.name}", text=f"All steps of {note.name} are done", kind="manual")]
    return Phase(
        id=note.name,
        name=f"{note.name.replace('_', ' ').capitalize()}: a phase of your own",
        flag_stage=before.flag_stage,
        steps=tuple(s.title for s in steps),
        typed_steps=tuple(steps),
        exit_criteria=tuple(c.text for c in leave),
        exit_conditions=tuple(leave),
        source_of_truth=before.source_of_truth,
        estimate_seconds=0,
        released=before.released,
        passed=before.passed,
    )


def pace(facts: Facts, entity: str) -> str:
    """How fast an entity's rows are carried over."""
    said = facts.module.policy.pace(entity)
    if said is None:
        return "about 10 ms a batch"
    parts = [f"{said.rows:,} rows a batch" if said.rows else f"about {said.target_ms or 10:g} ms a batch"]
    parts += [f"working {said.duty:.0%} of the time"] if said.duty else []
    parts += [f"at most {said.rows_per_second:,} rows per second"] if said.rows_per_second else []
    parts += [f"waiting while {spoken(said.pause)}"] if said.pause is not None else []
    if said.order is not None:
        parts.append(f"by {said.order.column}, {'greatest' if said.order.descending else 'least'} first")
    parts += [f"{said.workers} tenants at a time"] if said.workers and said.workers > 1 else []
    return ", ".join(parts)
