"""A migration's names become the paths of its files and the ids of its revisions."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from migdsl.semantics.model import CheckedModule, Table

LONGEST_REVISION = 32  # alembic_version.version_num
_UNSAFE = re.compile(r"[^a-z0-9_]+")
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where each kind of file goes, relative to the output folder, with `/`."""

    migration: str
    versions: str
    entities: tuple[str, ...]

    @classmethod
    def of(cls, module: CheckedModule) -> Paths:
        """The paths of a module that has a header."""
        assert module.header is not None
        used = [module.database(c.table.database) for c in module.changes]
        versions = next((d.versions_path for d in used if d.versions_path), None) or "migrations/versions"
        return cls(module.header.name, versions, tuple(t.entity for t in module.tables))

    @property
    def plan(self) -> str:
        return f"plan/{self.migration}.plan.json"

    @property
    def runbook(self) -> str:
        return f"docs/migrations/{self.migration}.md"

    @property
    def flags(self) -> str:
        return f"flags/{self.migration}.flagd.json"

    @property
    def alerts(self) -> str:
        return f"grafana/alerting/{self.migration}.json"

    @property
    def dashboard(self) -> str:
        return f"grafana/dashboards/{self.migration}.json"

    @property
    def rules(self) -> str:
        return f"prometheus/{self.migration}.rules.json"

    @property
    def rule_tests(self) -> str:
        return f"prometheus/{self.migration}.test.json"

    def backfill(self, table: Table) -> str:
        """The backfill job of an entity."""
        return f"backfills/{self.migration}/{self._file(table.entity)}.py"

    def reconcile(self, table: Table) -> str:
        """The reconciliation job of an entity."""
        return f"reconcile/{self.migration}/{self._file(table.entity)}.py"

    def characterization(self, table: Table) -> str:
        """The tests that pin what a legacy column does."""
        return f"tests/characterization/test_{self.migration}_{self._file(table.entity)}.py"

    def revision(self, phase: str) -> str:
        """The revision of a phase."""
        return f"{self.versions}/{self.revision_id(phase)}.py"

    def revision_id(self, phase: str) -> str:
        """Deterministic and readable, at most 32 characters: `users_email_expand`."""
        whole = f"{self.migration}_{phase}"
        if len(whole) <= LONGEST_REVISION:
            return whole
        digest = hashlib.sha256(self.migration.encode()).hexdigest()[:6]
        room = LONGEST_REVISION - len(phase) - len(digest) - 2
        return f"{self.migration[:room].rstrip('_')}_{digest}_{phase}"

    def _file(self, entity: str) -> str:
        """A file's name for an entity; with a digest where two entities, or none at all, would be left of their names."""
        name = _slug(entity)
        twins = [other for other in self.entities if _slug(other) == name]
        if name and len(twins) == 1 and len(name) <= 60:
            return name
        return f"{name[:50]}_{hashlib.sha256(entity.encode()).hexdigest()[:8]}".lstrip("_")


def _slug(entity: str) -> str:
    return _UNSAFE.sub("_", _BORDER.sub("_", entity).lower()).strip("_")
