"""A phase becomes what is run in it, in order: the runbook prints it, and `migdsl apply` does it."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import Gate
from migdsl.ops.pins import pinned_tables
from migdsl.planning.demands import sentence
from migdsl.planning.model import Planned
from migdsl.values import Value


class Work(Value):
    """One thing to run. `kind` is again, reconcile, upgrade, look, backfill, pin, manual (what people do), or told
    (what they are shown and nobody asks about).

    `subject` is the entity, the revision, or the step's text; `path` the artifact that does it; `command` how a person
    runs it, empty where no command does it. `database` is where it happens; empty where none takes part.
    """

    kind: str
    subject: str
    path: str | None
    command: str
    database: str = ""


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
            yield Work("again", plan.table.entity, path, f"python {path} --again", plan.table.database)
    if phase in ("validate", "cutover", "enforce", "contract") and _gated(planned, phase):
        yield from _reconciles(planned)


def _gated(planned: Planned, phase: str) -> bool:
    return any(isinstance(part, Gate) for step in planned.lowered.phase(phase) for part in step.up)


def _revision(planned: Planned, phase: str) -> Iterator[Work]:
    for revision in planned.revisions:
        if revision.phase == phase:
            command = f"{planned.paths.alembic(revision.database)} upgrade {revision.id}"
            yield Work("upgrade", revision.id, revision.path, command, revision.database)


def _after(planned: Planned, phase: str) -> Iterator[Work]:
    if phase == "prepare":
        for table in pinned_tables(planned.lowered):
            path = planned.paths.characterization(table)
            yield Work("pin", table.entity, path, f"python {path}", table.database)
    if phase == "backfill":
        jobs = [(p.table, planned.paths.backfill(p.table)) for p in planned.lowered.tables if p.fills]
        yield from (Work("look", t.entity, path, f"python {path} --dry-run", t.database) for t, path in jobs)
        yield from (Work("backfill", t.entity, path, f"python {path}", t.database) for t, path in jobs)
    if phase == "validate":
        yield from _reconciles(planned)


def _reconciles(planned: Planned) -> Iterator[Work]:
    for plan in planned.lowered.tables:
        path = planned.paths.reconcile(plan.table)
        yield Work("reconcile", plan.table.entity, path, f"python {path}", plan.table.database)


def _manual(planned: Planned, phase: str) -> Iterator[Work]:
    for each in (m for part in planned.beside for m in part.manual if m.phase == phase):
        yield Work("manual" if each.asked else "told", each.text, None, each.command)
    for note in (n for n in planned.module.policy.notes if n.name == phase):
        yield from (Work("manual", sentence(step), None, step.run or "") for step in note.steps)
