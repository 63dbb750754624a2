"""A migration's names become the paths of its files and the ids of its revisions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from migdsl.semantics import several
from migdsl.semantics.model import CheckedModule, Table
from migdsl.semantics.outputs import DEFAULTS, Where, file_name, fill

LONGEST_REVISION = 32  # alembic_version.version_num


@dataclass(frozen=True, slots=True)
class Paths:
    """Where each kind of file goes, relative to the output folder, with `/`.

    `database` is the first that changes. `folders`: the revisions of each, where several do; then their names are in the
    revisions' ids as well, which may meet in one project's Alembic.
    """

    migration: str
    database: str
    patterns: Mapping[str, str]
    entities: tuple[str, ...]
    folders: Mapping[str, str]

    @classmethod
    def of(cls, module: CheckedModule) -> Paths:
        """The paths of a module that has a header."""
        assert module.header is not None
        used = [module.database(c.table.database) for c in module.changes]
        versions = next((d.versions_path for d in used if d.versions_path), None) or DEFAULTS["migrations"]
        patterns = {**DEFAULTS, "migrations": versions, **dict(module.policy.paths)}
        names = module.migrated
        database = names[0] if len(names) > 1 else used[0].name if used else ""
        found = (module.database(name) for name in (names if len(names) > 1 else ()))
        folders = {each.name: several.folder(module, each, several=True) for each in found}
        return cls(
            module.header.name, database, patterns, tuple(dict.fromkeys(t.entity for t in module.every)), folders
        )

    def _fill(self, kind: str, table: Table | None = None) -> str:
        where = Where(self.migration, self.database, (), self.entities, ())
        values = where.values() if table is None else where.values(table.entity, table.database)
        return fill(self.patterns[kind], values)

    @property
    def plan(self) -> str:
        return self._fill("plan")

    @property
    def runbook(self) -> str:
        return self._fill("runbook")

    @property
    def flags(self) -> str:
        return self._fill("flags")

    @property
    def alerts(self) -> str:
        return self._fill("alerts")

    @property
    def dashboard(self) -> str:
        return self._fill("dashboard")

    @property
    def rules(self) -> str:
        return self._fill("rules")

    @property
    def rule_tests(self) -> str:
        return self._fill("rule_tests")

    @property
    def verify(self) -> str:
        """The commands that prove what is put in the place of something else."""
        return self._fill("verify")

    @property
    def routing(self) -> str:
        """The router in front of an old and a new application."""
        return self._fill("routing")

    @property
    def api(self) -> str:
        """The description of the APIs, which their middleware goes by."""
        return self._fill("api")

    @property
    def api_guide(self) -> str:
        """What clients of the APIs read."""
        return self._fill("api_guide")

    def backfill(self, table: Table) -> str:
        """The backfill job of an entity."""
        return self._fill("backfills", table)

    def reconcile(self, table: Table) -> str:
        """The reconciliation job of an entity."""
        return self._fill("reconcile", table)

    def sync(self, table: Table) -> str:
        """The job that carries a stream, which has the name of its first entity."""
        return self._fill("sync", table)

    def cdc(self, table: Table) -> str:
        """The connector that reads a stream's outboxes."""
        return self._fill("cdc", table)

    def dual_writes(self, table: Table) -> str:
        """The module with which an application writes a stream's tables itself."""
        return self._fill("dual_writes", table)

    def characterization(self, table: Table) -> str:
        """The tests that pin what a legacy column does."""
        return f"tests/characterization/test_{self.migration}_{file_name(table.entity, self.entities)}.py"

    def snapshot(self, table: Table) -> str:
        """What those tests have seen; they write it, and no compile does."""
        return self.characterization(table).removesuffix(".py") + ".snapshot.json"

    def revision(self, phase: str, database: str) -> str:
        """The revision of a phase in a database."""
        return f"{self.folders.get(database) or self._fill('migrations')}/{self.revision_id(phase, database)}.py"

    def alembic(self, database: str) -> str:
        """How Alembic is called: of several databases each has a section of its own in alembic.ini."""
        if not self.folders:
            return "alembic"
        from shlex import quote  # most migrations change one database

        return f"alembic --name {quote(section(database))}"

    def revision_id(self, phase: str, database: str) -> str:
        """Deterministic and readable, at most 32 characters: `users_email_expand`, of several `users_email_app_expand`."""
        slug = Where(self.migration, database, (), (), ()).values()["database"]
        named = f"{self.migration}_{slug}" if self.folders else self.migration
        if len(named) + len(phase) < LONGEST_REVISION:
            return f"{named}_{phase}"
        digest = hashlib.sha256(named.encode()).hexdigest()[:6]
        room = LONGEST_REVISION - len(phase) - len(digest) - 2
        return f"{named[:room].rstrip('_')}_{digest}_{phase}"


# Sections of an alembic.ini that are Alembic's own, or that Python's logging reads.
_TAKEN = frozenset(["alembic", "default", "formatters", "handlers", "loggers", "post_write_hooks"])


def section(database: str) -> str:
    """The section of alembic.ini that is a database's: its name, unless a section of that name means something else."""
    said = database.lower()
    taken = said in _TAKEN or said.startswith(("formatter_", "handler_", "logger_"))
    return f"{database}_database" if taken else database
