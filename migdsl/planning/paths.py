"""A migration's names become the paths of its files and the ids of its revisions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from migdsl.semantics.model import CheckedModule, Table
from migdsl.semantics.outputs import DEFAULTS, Where, file_name, fill

LONGEST_REVISION = 32  # alembic_version.version_num


@dataclass(frozen=True, slots=True)
class Paths:
    """Where each kind of file goes, relative to the output folder, with `/`."""

    migration: str
    database: str
    patterns: Mapping[str, str]
    entities: tuple[str, ...]

    @classmethod
    def of(cls, module: CheckedModule) -> Paths:
        """The paths of a module that has a header."""
        assert module.header is not None
        used = [module.database(c.table.database) for c in module.changes]
        versions = next((d.versions_path for d in used if d.versions_path), None) or DEFAULTS["migrations"]
        patterns = {**DEFAULTS, "migrations": versions, **dict(module.policy.paths)}
        database = used[0].name if used else ""
        return cls(module.header.name, database, patterns, tuple(t.entity for t in module.every))

    def _fill(self, kind: str, entity: str = "") -> str:
        where = Where(self.migration, self.database, (), self.entities, "")
        return fill(self.patterns[kind], where.values(entity))

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

    def backfill(self, table: Table) -> str:
        """The backfill job of an entity."""
        return self._fill("backfills", table.entity)

    def reconcile(self, table: Table) -> str:
        """The reconciliation job of an entity."""
        return self._fill("reconcile", table.entity)

    def characterization(self, table: Table) -> str:
        """The tests that pin what a legacy column does."""
        return f"tests/characterization/test_{self.migration}_{file_name(table.entity, self.entities)}.py"

    def revision(self, phase: str) -> str:
        """The revision of a phase."""
        return f"{self._fill('migrations')}/{self.revision_id(phase)}.py"

    def revision_id(self, phase: str) -> str:
        """Deterministic and readable, at most 32 characters: `users_email_expand`."""
        whole = f"{self.migration}_{phase}"
        if len(whole) <= LONGEST_REVISION:
            return whole
        digest = hashlib.sha256(self.migration.encode()).hexdigest()[:6]
        room = LONGEST_REVISION - len(phase) - len(digest) - 2
        return f"{self.migration[:room].rstrip('_')}_{digest}_{phase}"
