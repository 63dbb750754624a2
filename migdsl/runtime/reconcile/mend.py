"""Turns keys of rows that differ into rows that agree: one statement and one transaction a row, from the tenant's true side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from migdsl.runtime.backfill.pace import pause_after
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.errors import Remedy, UsageError, error_class, remedy
from migdsl.runtime.jobs import ReconcileJob, parameter_names
from migdsl.runtime.ledger import Key
from migdsl.runtime.reconcile.comparing import Brake
from migdsl.runtime.reconcile.look import Finding, Found, Kind
from migdsl.runtime.reconcile.truth import Side
from migdsl.runtime.sql import Statement, statement


@dataclass(slots=True)
class Mender:
    """Mends rows of one tenant while `truth` is its true side, which `truth_of` reads again in each transaction.

    `statements` are what makes right a row of each kind; where there is none the row is left. `failed` counts rows that could
    not be mended, by the class of the error.
    """

    database: Database
    brake: Brake
    key: tuple[str, ...]
    tenant: str
    truth: Side
    truth_of: Callable[[Transaction, str], Side]
    statements: dict[Kind, Statement]
    mended: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        job: ReconcileJob,
        brake: Brake,
        tenant: str,
        truth: Side,
        truth_of: Callable[[Transaction, str], Side],
        *,
        delete: bool,
        other: Database | None = None,
    ) -> Mender:
        """`delete`: rows that nothing gives are taken away. `other`: the new side's database, where it is another one."""
        old = truth == "old"
        database = brake.database if old or other is None else other
        texts: dict[Kind, str | None] = {
            "mismatched": job.repair_old if old else job.repair_new,
            "missing": job.insert_missing if old else job.insert_old,
            "extra": (job.delete_extra if old else job.delete_old) if delete else None,
        }
        found: dict[Kind, Statement] = {kind: statement(sql) for kind, sql in texts.items() if sql is not None}
        return cls(database, brake, job.key, tenant, truth, truth_of, found)

    def mend(self, found: Found) -> None:
        """Each row that differs. Raises StoppedError, TimeIsUpError, UsageError where the tenant was switched meanwhile."""
        for key, finding in found.items():
            self.brake.check()
            began = time.monotonic()
            self._mend(key, finding)
            self.brake.sleep(pause_after(self.brake.pace, time.monotonic() - began, 1))

    def _mend(self, key: Key, finding: Finding) -> None:
        sql = self.statements.get(finding.kind)
        if sql is None:
            self.failed[f"nothing mends a row that is {finding.kind}"] += 1
            return
        try:
            self.mended += self.database.perform(lambda tx: self._write(tx, sql, key))
        except psycopg.Error as error:
            # Of the row: the next one may be fine. What is left differs still, and is told by the comparison that follows.
            if remedy(error) is not Remedy.HALVE:
                raise
            self.failed[error_class(error)] += 1

    def _write(self, tx: Transaction, sql: Statement, key: Key) -> int:
        if self.truth_of(tx, self.tenant) != self.truth:
            raise UsageError(f"tenant {self.tenant!r} was switched while its rows were mended: run it again")
        values = dict(zip(parameter_names("key", self.key), key, strict=True))
        return tx.run(sql, {"tenant_id": self.tenant, **values})
