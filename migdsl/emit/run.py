"""A planned migration becomes all its artifacts, each checked before it leaves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from migdsl.emit import alembic, backfill, characterization, observability, proof, reconcile, replacing, runbook
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.plan.base import canonical
from migdsl.planning.model import Planned

Emitter = Callable[[EmitContext], Iterator[Artifact]]


def _plan(context: EmitContext) -> Iterator[Artifact]:
    yield Artifact(context.planned.paths.plan, canonical(context.planned.plan), "plan")


def _apis(context: EmitContext) -> Iterator[Artifact]:
    if context.planned.module.apis:
        from migdsl.emit import api  # most migrations have none

        yield from api.emit(context)


def _streams(context: EmitContext) -> Iterator[Artifact]:
    if any(plan.moved is not None for plan in context.planned.lowered.tables):
        from migdsl.emit import streams  # most migrations stay in one database

        yield from streams.emit(context)


EMITTERS: tuple[Emitter, ...] = (
    _plan,
    runbook.emit,
    alembic.emit,
    backfill.emit,
    reconcile.emit,
    _streams,
    characterization.emit,
    replacing.emit,
    observability.emit_flags,
    observability.emit_alerts,
    _apis,
)


def emit(planned: Planned, source: str) -> tuple[Artifact, ...]:
    """All artifacts, sorted by path. Exactly the files that the plan names: anything else is a fault of the compiler."""
    context = EmitContext(planned, source)
    found = sorted((a for emitter in EMITTERS for a in emitter(context)), key=lambda a: a.path)
    paths = [a.path for a in found]
    told = sorted(path for task in planned.plan.implementation_plan for path in task.files_touched)
    assert paths == told, f"written {sorted(set(paths) ^ set(told))} without being planned, or the other way round"
    known = {name: proof.boundary(planned.module, name) for name in ("", *planned.lowered.databases)}
    for artifact in found:
        if artifact.path.endswith(".py"):
            tree = ast.parse(artifact.text, artifact.path)
            other = planned.across(artifact.path)
            proof.prove(artifact, tree, known[planned.place(artifact.path)], known[other] if other else None)
            compile(tree, artifact.path, "exec")
    return tuple(found)
