"""Turns what a reconciliation has found so far into rows of the ledger, and these into a run that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Transaction
from migdsl.runtime.ledger import record_event
from migdsl.runtime.reconcile.report import Comparison
from migdsl.runtime.sql import statement

# How old a tenant's result may be for a run to count it still: a gate reads all of them as one look at one time.
FRESH_S: Final = 6 * 3600

_RECORD: Final = statement("""
INSERT INTO migdsl.reconciliation
       (migration, entity, tenant, rows, hash_left, hash_right, mismatched, violations, lossy, missing, extra, truth, run, found)
VALUES (:migration, :entity, :tenant, :rows::bigint, :hash_left::numeric, :hash_right::numeric, :mismatched::bigint,
        :violations::bigint, :lossy::bigint, :missing::bigint, :extra::bigint, :truth, :run, :found::jsonb)""")
# Whoever moved a stage or swapped columns since has changed what the tenants before were compared by.
_UNFINISHED: Final = statement("""
SELECT r.value FROM migdsl.event AS r
 WHERE r.migration = :migration AND r.kind = 'run' AND r.subject = :entity
   AND r.id = (SELECT max(n.id) FROM migdsl.event AS n
                WHERE n.migration = :migration AND n.kind = 'run' AND n.subject = :entity)
   AND NOT EXISTS (SELECT FROM migdsl.event AS e
                    WHERE e.migration = :migration AND e.id > r.id
                      AND (e.kind IN ('stage', 'swap', 'left', 'rollback')
                           OR (e.kind = 'reading' AND e.subject = 'problems:' || :entity)))""")
_DONE: Final = statement("""
SELECT DISTINCT ON (tenant) tenant, truth, rows, hash_left, hash_right, mismatched, violations, lossy, missing, extra, found
  FROM migdsl.reconciliation
 WHERE migration = :migration AND entity = :entity AND run = :run
   AND at > clock_timestamp() - make_interval(secs => :fresh::int)
 ORDER BY tenant, id DESC""")


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs over one entity of a migration. Each method runs in the transaction that it is given."""

    migration: str
    entity: str

    def begin(self, tx: Transaction, run: str) -> None:
        """A run over all tenants begins."""
        record_event(tx, self.migration, "run", self.entity, run)

    def unfinished(self, tx: Transaction) -> str | None:
        """The newest run if it hasn't come to its end, and no stage was moved since it began."""
        rows = tx.rows(_UNFINISHED, self._own())
        return rows[0][0] if rows else None

    def done(self, tx: Transaction, run: str) -> dict[str, Comparison]:
        """What the run has found of each tenant in the last six hours."""
        rows = tx.records(_DONE, {**self._own(), "run": run, "fresh": str(FRESH_S)})
        found = (Comparison.of_ledger(row) for row in rows)
        return {comparison.tenant: comparison for comparison in found}

    def record(self, tx: Transaction, run: str | None, found: Comparison) -> None:
        """One tenant's result; `run` None where single tenants were asked for."""
        tx.run(_RECORD, {**self._own(), "run": run, **found.columns()})

    def _own(self) -> dict[str, str | None]:
        return {"migration": self.migration, "entity": self.entity}
