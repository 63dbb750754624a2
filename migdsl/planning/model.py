"""A planned migration: the plan, and what the emitters need besides it."""

from __future__ import annotations

from migdsl.ops.lower import places
from migdsl.ops.model import Lowered, Step
from migdsl.ops.pins import pinned_tables
from migdsl.plan.model import DataMigrationPlan
from migdsl.planning.beside import Beside
from migdsl.planning.paths import Paths
from migdsl.planning.words import versions
from migdsl.semantics.model import CheckedModule
from migdsl.values import Value, replace


class Revision(Value):
    """One Alembic revision: all DDL of a phase in one database. `after` is the revision that it follows."""

    id: str
    after: str | None
    phase: str
    path: str
    steps: tuple[Step, ...]
    released: bool
    database: str


class Planned(Value):
    """All that is known before text is made of it. `through`: what was released by the command line, and not by the flag."""

    module: CheckedModule
    lowered: Lowered
    paths: Paths
    revisions: tuple[Revision, ...]
    plan: DataMigrationPlan
    beside: tuple[Beside, ...] = ()
    through: str | None = None

    def of(self, database: str) -> Planned:
        """What happens in one database of several, by the same plan."""
        changes = tuple(c for c in self.module.changes if database in places(c))
        chain = tuple(r for r in self.revisions if r.database == database)
        module = replace(self.module, changes=changes)
        return replace(self, module=module, lowered=self.lowered.of(database), revisions=chain)

    @property
    def versions(self) -> str:
        """The oldest PostgreSQL that the file was checked against: `PostgreSQL 15 or later`, in each database its own."""
        return versions({name: self.module.database(name).version for name in self.lowered.databases})

    def place(self, path: str) -> str:
        """The database that a file of one is about, the first one of others; empty where none takes part."""
        found = {revision.path: revision.database for revision in self.revisions}
        for plan in self.lowered.tables:
            found |= dict.fromkeys((self.paths.backfill(plan.table), self.paths.reconcile(plan.table)), plan.home)
        found |= {self.paths.characterization(t): t.database for t in pinned_tables(self.lowered)}
        return found.get(path, next(iter(self.lowered.databases), ""))

    def across(self, path: str) -> str | None:
        """The other database that a file asks, where it is about two."""
        moved = (plan for plan in self.lowered.tables if plan.moved is not None)
        return next((p.table.database for p in moved if self.paths.reconcile(p.table) == path), None)


def revisions(module: CheckedModule, lowered: Lowered, paths: Paths, released: frozenset[str]) -> tuple[Revision, ...]:
    """A chain of revisions a database: one a phase that has DDL there, each after the one before it or what the file says it
    follows. They are in the order in which they run: a phase is over in all databases before the next begins."""
    after = {name: module.database(name).after for name in lowered.databases}
    said = {(f.phase, name): f.revision for f in module.phase_after for name in after if f.database in (None, name)}
    found = []
    for phase in dict.fromkeys(step.phase for step in lowered.steps if step.up or step.down):
        for name in lowered.databases:
            steps = lowered.phase(phase, name)
            if any(step.up or step.down for step in steps):
                id_, follows = paths.revision_id(phase, name), said.get((phase, name), after[name])
                path = paths.revision(phase, name)
                found.append(Revision(id_, follows, phase, path, steps, phase in released, name))
                after[name] = id_
    return tuple(found)
