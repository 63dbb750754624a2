"""A phase of a plan becomes its part of the page: what comes before, steps, locks, when it is done, commands, SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.locks import LOCKS
from migdsl.plan import DataMigrationPlan
from migdsl.plan.phases import ExitCondition, Phase, TypedStep
from migdsl.report.files import Listing, Runbook, listings
from migdsl.report.parts import Cell, Command, Grid, Mark
from migdsl.report.words import duration, short
from migdsl.values import Value


class PhaseView(Value):
    """One phase. `before`: what must be there or have passed; `back`: the phase that its way back leads to, or nothing."""

    id: str
    phase: str
    heading: str
    marks: tuple[Mark, ...]
    before: tuple[str, ...]
    steps: Grid
    done: Grid | None
    commands: tuple[Command, ...]
    sql: tuple[Listing, ...]
    absent: tuple[str, ...]
    back: str


def phase_id(phase: str) -> str:
    """The id of a phase's part of the page."""
    return f"phase-{phase}"


def phase_views(plan: DataMigrationPlan, files: Mapping[str, str], runbook: Runbook) -> Iterator[PhaseView]:
    """All phases, in order."""
    back = {way.from_phase: way.to_phase for way in plan.rollback.phases}
    for number, phase in enumerate(plan.phases, 1):
        later = [path for task in plan.implementation_plan if task.phase == phase.id for path in task.files_later]
        yield PhaseView(
            id=phase_id(phase.id),
            phase=phase.id,
            heading=f"{number}. {phase.name}",
            marks=tuple(_marks(phase)),
            before=tuple(_before(plan, phase)),
            steps=_steps(phase),
            done=_done(phase),
            commands=runbook.of(phase.name) or tuple(_commands(plan, phase)),
            sql=tuple(listings(plan, phase.id, files)),
            absent=tuple(later),
            back=back.get(phase.id, ""),
        )


def state(phase: Phase) -> Mark:
    """Whether it has run, can run now, or has to wait for the flag."""
    if phase.passed:
        return Mark("has run")
    return Mark("files are written", "good") if phase.released else Mark("later")


def _marks(phase: Phase) -> Iterator[Mark]:
    if not phase.name.casefold().startswith(phase.id.casefold()):
        yield Mark(phase.id)
    yield Mark(f"stage at most: {phase.flag_stage}")
    yield state(phase)
    if phase.estimate_seconds is None:
        yield Mark("unknown time", "careful")
    elif phase.estimate_seconds:
        yield Mark(f"~{short(phase.estimate_seconds)} of work")
    strongest = max((step.lock for step in phase.typed_steps), key=_strength, default="")
    if strongest:
        yield Mark(strongest)


def _strength(lock: str) -> int:
    return LOCKS.index(lock) if lock in LOCKS else len(LOCKS)


def strongest(plan: DataMigrationPlan) -> tuple[str, tuple[TypedStep, ...]]:
    """The strongest lock of all, and the steps that take it."""
    steps = [step for phase in plan.phases for step in phase.typed_steps]
    lock = max((step.lock for step in steps), key=_strength, default="")
    return lock, tuple(step for step in steps if step.lock == lock and lock)


def _before(plan: DataMigrationPlan, phase: Phase) -> Iterator[str]:
    if phase.soak_seconds:
        yield f"It begins after a soak of {duration(phase.soak_seconds)}."
    for deploy in plan.timeline.deploys:
        if deploy.phase == phase.id and deploy.kind == "application":
            yield f"Deploy before it: {deploy.text[:1].lower()}{deploy.text[1:]}."
    if phase.wait_seconds:
        yield f"It pauses for {duration(phase.wait_seconds)} in all."


def _steps(phase: Phase) -> Grid:
    artifacts = {step.artifact for step in phase.typed_steps}
    (only,) = artifacts if len(artifacts) == 1 else (None,)
    rows = tuple(_step(number, step, only) for number, step in enumerate(phase.typed_steps, 1))
    by = f", all by {only}" if only else ""
    return Grid(f"Steps in order{by}", ("No.", "Step", "Lock", "Cost", "Time"), rows, kind="steps")


def _step(number: int, step: TypedStep, only: str | None) -> tuple[Cell, ...]:
    beneath = [f"Only if: {step.precondition}"] if step.precondition else []
    beneath += [step.artifact] if step.artifact and step.artifact != only else []
    marks = () if step.reversible else (Mark("no way back", "grave"),)
    time = "?" if step.estimate_seconds is None else f"~{short(step.estimate_seconds)}" if step.estimate_seconds else ""
    return Cell(str(number)), Cell(step.title, tuple(beneath), marks), Cell(step.lock), Cell(step.cost), Cell(time)


def _done(phase: Phase) -> Grid | None:
    rows = tuple((Cell(each.text), Cell(_proof(each))) for each in phase.exit_conditions)
    return Grid("Done when all of this holds", ("Condition", "Who says so"), rows) if rows else None


def _proof(condition: ExitCondition) -> str:
    window = f", for {duration(condition.window_seconds)}" if condition.window_seconds else ""
    if condition.kind == "gate":
        return f"a gate in the revision{window}"
    if condition.kind == "metric":
        return f"{condition.metric} {condition.threshold}{window}"
    return f"a person{window}"


def _commands(plan: DataMigrationPlan, phase: Phase) -> Iterator[Command]:
    """Where there is no runbook: what the plan itself says of revisions."""
    deploys = (d.text for d in plan.timeline.deploys if d.phase == phase.id and d.kind == "revision")
    lines = tuple(text.partition(": ")[2] for text in deploys if ": alembic " in text)
    if lines:
        yield Command("The revision of this phase", lines)
