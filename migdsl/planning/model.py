"""A planned migration: the plan, and what the emitters need besides it."""

from __future__ import annotations

from migdsl.ops.model import Lowered, Step
from migdsl.plan.model import DataMigrationPlan
from migdsl.planning.paths import Paths
from migdsl.semantics.model import CheckedModule
from migdsl.values import Value


class Revision(Value):
    """One Alembic revision: all DDL of a phase. `after` is the revision that it follows."""

    id: str
    after: str | None
    phase: str
    path: str
    steps: tuple[Step, ...]
    released: bool


class Planned(Value):
    """All that is known before text is made of it."""

    module: CheckedModule
    lowered: Lowered
    paths: Paths
    revisions: tuple[Revision, ...]
    plan: DataMigrationPlan


def revisions(module: CheckedModule, lowered: Lowered, paths: Paths, released: frozenset[str]) -> tuple[Revision, ...]:
    """The chain of revisions: one a phase that has DDL, each after the one before it or what the file says it follows."""
    used = [module.database(p.table.database) for p in lowered.tables]
    after = next((d.after for d in used), None)
    said = dict(module.phase_after)
    found = []
    for phase in dict.fromkeys(step.phase for step in lowered.steps if step.up or step.down):
        after = said.get(phase, after)
        steps = lowered.phase(phase)
        found.append(Revision(paths.revision_id(phase), after, phase, paths.revision(phase), steps, phase in released))
        after = found[-1].id
    return tuple(found)
