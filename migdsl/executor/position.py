"""Revisions that have run and what the ledger has seen become how far a migration is, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping

from migdsl.executor.chain import Standing
from migdsl.executor.conditions import newest
from migdsl.executor.ledger import Event, Ledger
from migdsl.executor.model import Condition, Project
from migdsl.ops import gates
from migdsl.ops.demands import backfill_name
from migdsl.values import Value

Events = Mapping[tuple[str, str], Event]


class Position(Value):
    """Where a migration is: the phases whose revision has run, and those that are known to be done.

    `broken`: those whose revision has changed something, and never came to its end.
    """

    standing: Standing
    applied: frozenset[str]
    done: frozenset[str]
    events: Events
    broken: frozenset[str] = frozenset()

    def index(self, project: Project) -> int:
        """The place of the last phase that is done, -1 where none is."""
        return max((n for n, phase in enumerate(project.phases) if phase in self.done), default=-1)

    def reached(self, project: Project) -> str | None:
        """That phase."""
        at = self.index(project)
        return project.phases[at] if at >= 0 else None


def position(project: Project, ledger: Ledger, standing: Standing, shared: frozenset[str] = frozenset()) -> Position:
    """Look at the database; nothing is written. `shared` are the phases that have a revision in any of several databases."""
    events = ledger.newest()
    ours = {revision.phase: revision.id for revision in project.planned.revisions}
    applied = frozenset(phase for phase, revision in ours.items() if revision in standing.applied)
    # Of a phase that has its revision in another database nothing is to be done here.
    elsewhere = shared - ours.keys() - {"prepare", "backfill", "validate"}
    done = frozenset(p for p in project.phases if p in elsewhere or _done(project, ledger, events, p, ours, applied))
    return Position(standing, applied, done, events, ledger.begun() & ours.keys() - applied)


def _done(
    project: Project, ledger: Ledger, events: Events, phase: str, ours: Mapping[str, str], applied: frozenset[str]
) -> bool:
    """Facts first; of a phase without any, what a walk has written down. Nothing shows that one has prepared."""
    if phase in ours and phase not in applied:
        return False
    if phase == "prepare":
        return True
    if phase == "backfill":
        return not unfilled(project, ledger)
    if phase == "validate":
        return not unproven(project, ledger)
    return phase in ours or is_finished(events, phase)


def is_finished(events: Events, phase: str) -> bool:
    """Whether a walk has finished a phase, and none has led back since."""
    there, back = events.get(("apply", phase)), events.get(("rollback", phase))
    return there is not None and there.value == "finished" and (back is None or back.id < there.id)


def unfilled(project: Project, ledger: Ledger, entity: str | None = None) -> tuple[str, ...]:
    """Why the backfills (or that of one entity) aren't done, one sentence each."""
    name = project.name
    plans = (p for p in project.planned.lowered.tables if p.fills and entity in (None, p.table.entity))
    asked = [gates.backfilled(name, backfill_name(plan)).unmet for plan in plans]
    return _answers(ledger, asked)


def unproven(project: Project, ledger: Ledger) -> tuple[str, ...]:
    """Why old and new aren't proven equal, one sentence each."""
    entities = [plan.table.entity for plan in project.planned.lowered.tables]
    return _answers(ledger, [newest(project.name, entity, ("problems",)) for entity in entities])


def _answers(ledger: Ledger, questions: list[str]) -> tuple[str, ...]:
    asked = (ledger.unmet(Condition("", "", "", "ledger", question)) for question in questions)
    return tuple(reason for reason in asked if reason)
