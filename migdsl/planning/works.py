"""A phase becomes what is run in it, in order: the runbook prints it, and `migdsl apply` does it."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import Gate
from migdsl.planning.demands import sentence
from migdsl.planning.model import Planned
from migdsl.values import Value


class Work(Value):
    """One thing to run. `kind` is again, reconcile, upgrade, look, backfill, or manual (what people do).

    `subject` is the entity, the revision, or the step's text; `path` the artifact that does it; `command` how a person
    runs it, empty where no command does it.
    """

    kind: str
    subject: str
    path: str | None
    command: str


def works(planned: Planned, phase: str) -> tuple[Work, ...]:
    """All of a phase, in order."""
    return (*_before(planned, phase), *_revision(planned, phase), *_after(planned, phase), *_manual(planned, phase))


def _before(planned: Planned, phase: str) -> Iterator[Work]:
    """What the gates of a phase's revision are about to look at."""
    tables = planned.lowered.tables
    if phase == "enforce":
        # What old code wrote as NULL since the backfill must be gone before the constraint comes. Rows of a new table are
        # not inserted once more: those that new code has deleted since would come back.
        for plan in (p for p in tables if p.fills and p.origin is None):
            path = planned.paths.backfill(plan.table)
            yield Work("again", plan.table.entity, path, f"python {path} --again")
    if phase in ("validate", "cutover", "enforce", "contract") and _gated(planned, phase):
        yield from _reconciles(planned)


def _gated(planned: Planned, phase: str) -> bool:
    return any(isinstance(part, Gate) for step in planned.lowered.phase(phase) for part in step.up)


def _revision(planned: Planned, phase: str) -> Iterator[Work]:
    for revision in planned.revisions:
        if revision.phase == phase:
            yield Work("upgrade", revision.id, revision.path, f"alembic upgrade {revision.id}")


def _after(planned: Planned, phase: str) -> Iterator[Work]:
    if phase == "backfill":
        jobs = [(p.table.entity, planned.paths.backfill(p.table)) for p in planned.lowered.tables if p.fills]
        yield from (Work("look", entity, path, f"python {path} --dry-run") for entity, path in jobs)
        yield from (Work("backfill", entity, path, f"python {path}") for entity, path in jobs)
    if phase == "validate":
        yield from _reconciles(planned)


def _reconciles(planned: Planned) -> Iterator[Work]:
    for plan in planned.lowered.tables:
        path = planned.paths.reconcile(plan.table)
        yield Work("reconcile", plan.table.entity, path, f"python {path}")


def _manual(planned: Planned, phase: str) -> Iterator[Work]:
    for note in (n for n in planned.module.policy.notes if n.name == phase):
        yield from (Work("manual", sentence(step), None, step.run or "") for step in note.steps)
