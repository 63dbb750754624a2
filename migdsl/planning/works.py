"""A phase becomes what is run in it, in order: the runbook prints it, and `migdsl apply` does it."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import Gate, TablePlan
from migdsl.ops.pins import pinned_tables
from migdsl.planning import streaming
from migdsl.planning.demands import sentence
from migdsl.planning.model import Planned
from migdsl.planning.streams import streams
from migdsl.values import Value


class Work(Value):
    """One thing to run. `kind` is again, reconcile, upgrade, look, backfill, pin, manual (what people do), or told
    (what they are shown and nobody asks about); of a sync job slot, carry (it runs from then on), drain and sequences.

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
    for plan in (p for p in planned.lowered.tables if fills_again(p, phase)):
        path = planned.paths.backfill(plan.table)
        yield Work("again", plan.table.entity, path, f"python {path} --again", plan.table.database)
    if phase == "validate":
        yield from _streaming(planned, "carry", "run")
    if phase in ("validate", "cutover", "enforce", "contract") and _gated(planned, phase):
        yield from _reconciles(planned)
    if phase == "contract":
        yield from _streaming(planned, "drain", "drain")
        yield from _connectors(planned, phase)


def fills_again(plan: TablePlan, phase: str) -> bool:
    """Whether what old code wrote as NULL since the backfill is filled before a phase's revision.

    It must be gone before the constraint comes, and, where no trigger fills it, before anybody can say that all is right. Rows
    of a new table are not inserted once more: those that new code has deleted since would come back. A job that fills shadows
    finds none once they are swapped.
    """
    if not plan.fills or plan.origin is not None or plan.swapped:
        return False
    return bool(plan.unfollowed) if phase == "validate" else phase == "enforce"


def _streaming(planned: Planned, kind: str, words: str) -> Iterator[Work]:
    """A command of each sync job; of slots and sequences only where there are some."""
    for stream in streams(planned.lowered.tables):
        if (kind == "slot" and stream.variant != "logical") or (kind == "sequences" and not stream.numbered):
            continue
        path = planned.paths.sync(stream.table)
        yield Work(kind, stream.name, path, f"python {path} {words}", stream.old)


def _connectors(planned: Planned, phase: str) -> Iterator[Work]:
    """Connectors are Kafka Connect's: people post and delete them. A revision refuses while one reads what is to go."""
    for stream in streams(planned.lowered.tables):
        if stream.variant == "debezium":
            text, command = streaming.connector(planned.paths, stream, phase)
            yield Work("told", text, None, command, stream.old)


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
    if phase == "expand":
        yield from _streaming(planned, "slot", "slot --create")
        yield from _connectors(planned, phase)
    if phase == "backfill":
        # What the jobs put into outboxes has to be carried away meanwhile.
        yield from _streaming(planned, "carry", "run")
        jobs = [(p, planned.paths.backfill(p.table)) for p in planned.lowered.tables if p.fills]
        yield from (Work("look", p.table.entity, path, f"python {path} --dry-run", p.home) for p, path in jobs)
        yield from (Work("backfill", p.table.entity, path, f"python {path}", p.home) for p, path in jobs)
        yield from _streaming(planned, "drain", "drain")
        # New code that comes before its tenant's switch must meet the fence, and no key that is taken.
        yield from _streaming(planned, "sequences", "sequences")
    if phase == "validate":
        yield from _reconciles(planned)


def _reconciles(planned: Planned) -> Iterator[Work]:
    for plan in planned.lowered.tables:
        path = planned.paths.reconcile(plan.table)
        yield Work("reconcile", plan.table.entity, path, f"python {path}", plan.home)


def _manual(planned: Planned, phase: str) -> Iterator[Work]:
    for each in (m for part in planned.beside for m in part.manual if m.phase == phase):
        yield Work("manual" if each.asked else "told", each.text, None, each.command)
    for note in (n for n in planned.module.policy.notes if n.name == phase):
        yield from (Work("manual", sentence(step), None, step.run or "") for step in note.steps)
