"""Planned versions of a migration become the rows that a reviewer reads, all of them the plan's or the difference's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from migdsl.cli import plan_view
from migdsl.dialect.locks import LOCKS
from migdsl.emit.run import emit
from migdsl.plan import DataMigrationPlan
from migdsl.plan.diff import PlanDiff
from migdsl.plan.phases import Phase, TypedStep
from migdsl.planning.model import Planned
from migdsl.planning.release import stage_rows
from migdsl.values import Value

COSTS = ("instant", "batches", "scan", "rewrite")


class PhaseRow(Value):
    """One phase: its state for this change, and what is the worst of its steps. `touched`: how many steps differ."""

    id: str
    state: str
    stage: str
    lock: str
    cost: str
    time: str
    touched: int


class StepRow(Value):
    """One step: added, removed, changed, or nothing in a new migration; `aspects` says what of it is different."""

    change: str
    title: str
    lock: str
    cost: str
    time: str
    aspects: str


class Summary(Value):
    """What a reviewer is told of a migration; of steps, gates and files, those of each phase or kind of change."""

    name: str
    title: str
    facts: tuple[str, ...]
    diff: PlanDiff | None
    phases: tuple[PhaseRow, ...]
    steps: tuple[tuple[str, tuple[StepRow, ...]], ...]
    stages: tuple[tuple[str, str, str], ...]
    gates: tuple[tuple[str, tuple[str, ...]], ...]
    risks: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]

    @property
    def differs(self) -> bool:
        """Whether there is more to tell than a layout."""
        return self.diff is None or bool(self.diff.steps or self.diff.stages or self.diff.changes or self.diff.problems)


def summarised(old: Planned | None, new: Planned, diff: PlanDiff | None, source: str) -> Summary:
    """All of it. `diff` is None where there is no `old`; `source` is the file's name, which its artifacts carry."""
    plan = new.plan
    return Summary(
        name=plan.migration,
        title=plan.title,
        facts=tuple(_facts(old.plan if old else None, plan)),
        diff=diff,
        phases=tuple(_phases(old, new, diff)),
        steps=tuple(_added(plan) if old is None or diff is None else _changed(old.plan, plan, diff)),
        stages=tuple(_stages(new, diff)),
        gates=tuple(_gates(plan)),
        risks=tuple(_risks(old.plan if old else None, plan)),
        files=tuple(_files(texts(old, source) if old else {}, texts(new, source))),
    )


def texts(planned: Planned, source: str) -> Mapping[str, str]:
    """The files of a version, as `compile` would write them."""
    return {each.path: each.text for each in emit(planned, source)}


def _facts(old: DataMigrationPlan | None, new: DataMigrationPlan) -> Iterator[str]:
    """What `migdsl plan` says first; where it was otherwise, that too."""
    was = {} if old is None else dict(_named(old))
    for name, said in _named(new):
        before = was.get(name, said)
        yield said if before == said else f"{before} → {said}"


def _named(plan: DataMigrationPlan) -> Iterator[tuple[str, str]]:
    yield from (("ticket", plan.ticket_id),) if plan.ticket_id else ()
    yield "category", plan.category
    yield "risk", f"risk {plan.impact.risk}"
    yield "rollback", f"rollback {plan.impact.rollback_complexity}"
    yield "downtime", f"downtime {plan.impact.downtime_minutes:g} min"
    yield "calendar", f"at least {plan_view.short(plan.timeline.calendar_seconds)} in all"


def _phases(old: Planned | None, new: Planned, diff: PlanDiff | None) -> Iterator[PhaseRow]:
    before = {phase.id: phase for phase in old.plan.phases} if old else {}
    touched: list[str] = [step.phase for step in diff.steps] if diff else []
    for phase in new.plan.phases:
        steps = phase.typed_steps
        lock = max((step.lock for step in steps), key=LOCKS.index, default="")
        cost = max((step.cost for step in steps), key=COSTS.index, default="")
        state = _state(before.get(phase.id), phase, diff)
        yield PhaseRow(
            phase.id, state, phase.flag_stage, lock, cost, _time(phase.estimate_seconds), touched.count(phase.id)
        )
    kept = {phase.id for phase in new.plan.phases}
    yield from (PhaseRow(gone, "gone", "", "", "", "", touched.count(gone)) for gone in before if gone not in kept)


def _state(old: Phase | None, new: Phase, diff: PlanDiff | None) -> str:
    if new.released and not (old and old.released):
        return "released by this"
    if old and old.released and not new.released:
        return "taken back by this"
    if diff and new.id in diff.ran:
        return "released before"
    return "released" if new.released else "later"


def _time(seconds: int | None) -> str:
    return plan_view.UNKNOWN if seconds is None else f"~{plan_view.short(seconds)}" if seconds else ""


def _added(plan: DataMigrationPlan) -> Iterator[tuple[str, tuple[StepRow, ...]]]:
    for phase in plan.phases:
        if phase.typed_steps:
            yield phase.id, tuple(_row("", step.title, step, "") for step in phase.typed_steps)


def _changed(
    old: DataMigrationPlan, new: DataMigrationPlan, diff: PlanDiff
) -> Iterator[tuple[str, tuple[StepRow, ...]]]:
    known = {(phase.id, step.title): step for plan in (old, new) for phase in plan.phases for step in phase.typed_steps}
    for phase in dict.fromkeys(step.phase for step in diff.steps):
        mine = [step for step in diff.steps if step.phase == phase]
        yield phase, tuple(
            _row(each.change, each.title, known.get((phase, each.title)), ", ".join(each.aspects)) for each in mine
        )


def _row(change: str, title: str, step: TypedStep | None, aspects: str) -> StepRow:
    if step is None:
        return StepRow(change, title, "", "", "", aspects)
    no_way_back = "" if step.reversible else " [no way back]"
    return StepRow(change, title + no_way_back, step.lock, step.cost, _time(step.estimate_seconds), aspects)


def _stages(new: Planned, diff: PlanDiff | None) -> Iterator[tuple[str, str, str]]:
    """Who moves, from where to where; in a new migration, where everybody begins."""
    if diff is None:
        yield from ((who.replace(":", " "), "", stage) for who, stage in stage_rows(new.module))
        return
    notes = {"forward": "", "back": " (back)", "skips": " (skips a stage)", "no_way_back": " (no way back)"}
    for move in diff.stages:
        yield move.audience, " or ".join(move.before), " or ".join(move.after) + notes[move.verdict]


def _gates(plan: DataMigrationPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each phase that the flag hasn't left behind waits for at its end."""
    for phase in plan.phases:
        found = tuple(plan_view.criterion(each) for each in phase.exit_conditions)
        if found and not phase.passed:
            yield phase.id, found


def _risks(old: DataMigrationPlan | None, new: DataMigrationPlan) -> Iterator[tuple[str, str]]:
    """What can go wrong, and what stops working; beside an older version, only what is new or gone."""
    after = list(chain(new.risks, new.impact.breaking_changes, new.guardrails.irreversible))
    if old is None:
        yield from (("", each) for each in after)
        return
    before = list(chain(old.risks, old.impact.breaking_changes, old.guardrails.irreversible))
    yield from (("new", each) for each in after if each not in before)
    yield from (("gone", each) for each in before if each not in after)


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield path, "new" if path not in before else "gone" if path not in after else "changes"
