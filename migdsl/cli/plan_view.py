"""A plan becomes the flat rows and sentences that a terminal shows, whoever lays them out."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.cli.output import plural
from migdsl.plan import DataMigrationPlan
from migdsl.plan.phases import ExitCondition, Phase, TypedStep
from migdsl.values import Value

NOTHING = "-"
UNKNOWN = "?"
OVERVIEW = ("phase", "stage at most", "code", "schema", "work", "wait", "files")
STEPS = ("", "step", "lock", "cost", "time")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Row(Value):
    """One step: its number, title, lock, cost class and time, and what must hold before it."""

    number: str
    title: str
    lock: str
    cost: str
    time: str
    notes: tuple[str, ...]


class PhaseView(Value):
    """One phase: its heading, the stage that nobody goes beyond, what comes before its steps, and when it is done."""

    heading: str
    stage: str
    first: tuple[str, ...]
    rows: tuple[Row, ...]
    done: tuple[str, ...]


class PlanView(Value):
    """All that is shown, from top to bottom. `lists` are named lists of sentences."""

    title: str
    facts: tuple[str, ...]
    overview: tuple[tuple[str, ...], ...]
    phases: tuple[PhaseView, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]


def view(plan: DataMigrationPlan) -> PlanView:
    """The view of a plan."""
    named = plan.title if plan.title and plan.title != plan.migration else ""
    return PlanView(
        f"{plan.migration}: {named}" if named else plan.migration,
        (", ".join(_facts(plan)), _calendar(plan), plan.source_of_truth),
        tuple(_overview(plan, phase) for phase in plan.phases),
        tuple(_phase(plan, number, phase) for number, phase in enumerate(plan.phases, 1)),
        tuple(_lists(plan)),
    )


def deploys(plan: DataMigrationPlan, kind: str, phase: str | None = None) -> int:
    """How many deploys of a kind there are, in one phase or in all."""
    return sum(d.kind == kind and phase in (None, d.phase) for d in plan.timeline.deploys)


def short(seconds: int) -> str:
    """`30d`, `1d 12h`, `0s`: the two largest units that it has."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts[:2]) or "0s"


def _facts(plan: DataMigrationPlan) -> Iterator[str]:
    yield from (plan.ticket_id,) if plan.ticket_id else ()
    yield plan.category
    yield f"risk {plan.impact.risk}"
    yield f"rollback {plan.impact.rollback_complexity}"
    yield f"downtime {plan.impact.downtime_minutes:g} min"
    yield f"{plural(deploys(plan, 'revision'), 'deploy')} of the schema"
    yield f"{deploys(plan, 'application')} of the application"


def _calendar(plan: DataMigrationPlan) -> str:
    line = plan.timeline
    work = f"about {short(line.work_seconds)} of work"
    if line.unknown:
        work = f"{work}, and what is unknown, since no rows are declared for {', '.join(line.unknown)}"
    waits = f"{short(sum(wait.seconds for wait in line.waits))} of waiting, " if line.waits else ""
    return f"at least {short(line.calendar_seconds)} in all: {waits}{work}"


def _overview(plan: DataMigrationPlan, phase: Phase) -> tuple[str, ...]:
    counts = [deploys(plan, kind, phase.id) for kind in ("application", "revision")]
    waited = phase.wait_seconds + (phase.soak_seconds or 0)
    state = "has run" if phase.passed else "written" if phase.released else "later"
    numbers = [str(count) if count else NOTHING for count in counts]
    work = UNKNOWN if phase.estimate_seconds is None else _time(phase.estimate_seconds)
    return (phase.id, phase.flag_stage, *numbers, work, short(waited) if waited else NOTHING, state)


def _time(seconds: int | None) -> str:
    return UNKNOWN if seconds is None else f"~{short(seconds)}" if seconds else NOTHING


def _phase(plan: DataMigrationPlan, number: int, phase: Phase) -> PhaseView:
    also = "" if phase.name.casefold().startswith(phase.id) else f" ({phase.id})"
    return PhaseView(
        f"{number}. {phase.name}{also}",
        phase.flag_stage,
        tuple(_first(plan, phase)),
        tuple(_row(number, step) for number, step in enumerate(phase.typed_steps, 1)),
        tuple(criterion(condition) for condition in phase.exit_conditions),
    )


def _first(plan: DataMigrationPlan, phase: Phase) -> Iterator[str]:
    for deploy in plan.timeline.deploys:
        if deploy.phase == phase.id and deploy.kind == "application":
            yield f"deploy first: {deploy.text[0].lower()}{deploy.text[1:]}"
    if phase.soak_seconds:
        yield f"begins after a soak of {short(phase.soak_seconds)}"
    if phase.wait_seconds:
        yield f"pauses for {short(phase.wait_seconds)} in all"


def _row(number: int, step: TypedStep) -> Row:
    title = step.title + ("" if step.reversible else " [no way back]")
    notes = (f"only if: {step.precondition}",) if step.precondition else ()
    return Row(str(number), title, step.lock or NOTHING, step.cost, _time(step.estimate_seconds), notes)


def criterion(condition: ExitCondition) -> str:
    """The condition as a sentence, and who says in which way that it holds."""
    window = f" for {short(condition.window_seconds)}" if condition.window_seconds else ""
    how = {"gate": "gate", "metric": f"metric {condition.metric} {condition.threshold}", "manual": "by eye"}
    return f"{condition.text} [{how[condition.kind]}{window}]"


def _lists(plan: DataMigrationPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "cutover", plan.cutover.steps or (plan.cutover.approach,)
    yield "waits", tuple(f"{short(wait.seconds)}: {wait.text}" for wait in plan.timeline.waits)
    yield "roll back when", plan.rollback.conditions
    yield "risks", plan.risks
    yield "estimates rest on", plan.timeline.assumptions
