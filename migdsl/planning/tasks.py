"""The implementation plan: which files this compile writes, which come later, and who looks after them."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.pins import pinned, pinned_tables
from migdsl.plan.model import Task
from migdsl.planning import documents
from migdsl.planning.beside import each
from migdsl.planning.facts import Facts
from migdsl.planning.model import Revision
from migdsl.planning.paths import Paths
from migdsl.planning.streams import streams
from migdsl.planning.words import listed
from migdsl.planning.works import fills_again

_OWNERS = {
    "alerts": "site reliability",
    "flags": "release",
    "revision": "database",
    "job": "backend",
    "application": "application",
    "docs": "tech lead",
}


def tasks(facts: Facts, revisions: tuple[Revision, ...]) -> tuple[Task, ...]:
    """All tasks in the order of their phases."""
    return tuple(_tasks(facts, revisions))


def _tasks(facts: Facts, revisions: tuple[Revision, ...]) -> Iterator[Task]:
    paths, name = facts.paths, facts.migration
    yield _task(
        f"Review the plan of {name} and keep its runbook at hand", "docs", "prepare", "plan", paths.plan, paths.runbook
    )
    yield _task(f"Put the flag {name} where the application reads its flags", "flags", "prepare", "flags", paths.flags)
    watched = (paths.alerts, paths.dashboard, paths.rules, paths.rule_tests)
    yield _task(f"Deploy dashboard and alerts of {name}", "alerts", "prepare", "alerts", *watched)
    for table in pinned_tables(facts.lowered):
        columns = listed([f"{table.entity}.{look.column}" for look in pinned(table)])
        text = f"Pin what {columns} does: run the tests against the old system, and commit {paths.snapshot(table)}"
        yield _task(text, "job", "prepare", "characterization", paths.characterization(table))
    for revision in revisions:
        yield _revision(paths, revision)
    for plan in facts.tables:
        if plan.fills:
            later = [
                p for p in ("validate", "enforce") if fills_again(plan, p) and (p in facts.phases or p == "validate")
            ]
            again = f", again before {listed(later)}" if later else ""
            text = f"Run the backfill of {plan.table.entity} after expand{again}"
            yield _task(text, "job", "backfill", "backfill", paths.backfill(plan.table))
        text = f"Run the reconciliation of {plan.table.entity} daily from backfill to contract"
        yield _task(text, "job", "validate", "reconcile", paths.reconcile(plan.table))
    for stream in streams(facts.tables):
        entities = listed(list(stream.entities))
        text = f"Run the sync job of {entities} as a service, from backfill to contract, where both databases can be reached"
        yield _task(text, "job", "expand", "sync", paths.sync(stream.table))
        if stream.by == "application":
            text = f"Write {entities} through the generated module, in all code: it carries each write over before it answers"
            yield _task(text, "application", "cutover", "dual_writes", paths.dual_writes(stream.table))
        if stream.variant == "debezium":
            text = f"Post the connector that reads the outbox of {entities} to Kafka Connect"
            yield _task(text, "job", "expand", "cdc", paths.cdc(stream.table))
    yield from each(facts.beside, lambda b: b.tasks)
    yield from documents.tasks(facts)


def _task(text: str, owner: str, phase: str, kind: str, *files: str) -> Task:
    return Task(
        task=text, owner_role=_OWNERS[owner], files_touched=files, phase=phase, artifact_kind=kind, files_later=()
    )


def _revision(paths: Paths, revision: Revision) -> Task:
    when = {"enforce": ", once its gates are met", "contract": ", after the soak"}.get(revision.phase, "")
    of = f" of {revision.database}" if paths.folders else ""
    return Task(
        task=f"Deploy the {revision.phase} revision{of}{when}: {paths.alembic(revision.database)} upgrade {revision.id}",
        owner_role=_OWNERS["revision"],
        files_touched=(revision.path,) if revision.released else (),
        phase=revision.phase,
        artifact_kind="revision",
        files_later=() if revision.released else (revision.path,),
    )
