"""Turns a ReconcileJob into one comparison a tenant, confirmed before it counts, recorded in the ledger."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TextIO

import psycopg

from migdsl.runtime.database import Database, Transaction, conninfo_of, tenants_of
from migdsl.runtime.errors import DatabaseFailedError, StoppedError, error_class
from migdsl.runtime.jobs import ReconcileJob
from migdsl.runtime.ledger import ledger_exists, record_event
from migdsl.runtime.logline import write_line
from migdsl.runtime.metrics import write_textfile
from migdsl.runtime.report import Comparison, DifferingRow, Report, samples
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stop import Signals
from migdsl.runtime.truth import Stages

_STAGES: Final = statement(
    "SELECT subject, value FROM migdsl.event WHERE migration = :migration AND kind = 'stage' ORDER BY id"
)
_RECORD: Final = statement("""
INSERT INTO migdsl.reconciliation
       (migration, entity, tenant, rows, hash_left, hash_right, mismatched, violations, lossy, missing, extra, truth)
VALUES (:migration, :entity, :tenant, :rows::bigint, :hash_left::numeric, :hash_right::numeric, :mismatched::bigint,
        :violations::bigint, :lossy::bigint, :missing::bigint, :extra::bigint, :truth)""")


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """What the command line asked for. `tenants` None means all; `limit` caps the keys shown a tenant."""

    url: str
    tenants: tuple[str, ...] | None = None
    limit: int = 20
    metrics_path: str | None = None


def reconcile(
    job: ReconcileJob, options: ReconcileOptions, signals: Signals, on_progress: Callable[[int, int], None], err: TextIO
) -> Report:
    """Compares every tenant and records it; `on_progress` hears (tenants done, of).

    Raises JobError, psycopg.Error, and StoppedError when a signal came first: what was compared by then is recorded.
    """
    labels = {"migration": job.migration, "entity": job.entity, "run": secrets.token_hex(6)}

    def retried(error: psycopg.Error, seconds: float) -> None:
        write_line(err, {"event": "retry", **labels, "error": error_class(error), "pause_s": round(seconds, 2)})

    conninfo = conninfo_of(options.url, f"migdsl {job.migration} {job.entity}")
    database = Database(conninfo, job.limits, job.retry, signals, retried)
    database.open()
    try:
        return _compare_all(_Reconciliation(job, options, database), signals, on_progress)
    finally:
        database.close()


def _compare_all(work: _Reconciliation, signals: Signals, on_progress: Callable[[int, int], None]) -> Report:
    work.require_ledger()
    tenants = tenants_of(work.database, work.job.tenants, work.options.tenants)
    work.event("job", work.job.entity, "started")
    stages = work.stages()
    compared: list[Comparison] = []
    for done, tenant in enumerate(tenants):
        if signals.requested:
            raise StoppedError
        on_progress(done, len(tenants))
        compared.append(work.tenant(tenant, stages))
    on_progress(len(tenants), len(tenants))
    whole = work.options.tenants is None
    report = Report(
        work.job.migration,
        work.job.entity,
        tuple(compared),
        work.reading("tenants_unlisted", work.job.unlisted) if whole else None,
        work.reading("old_writes", work.job.old_writes) if whole else None,
        whole,
    )
    if whole:
        # What the gates of enforce and contract look at: one number for all tenants that are listed now.
        work.readings(report)
    work.event("job", work.job.entity, "finished" if report.clean else "differences")
    if work.options.metrics_path is not None and whole:
        write_textfile(work.options.metrics_path, samples(report, time.time()))
    return report


@dataclass(frozen=True, slots=True)
class _Reconciliation:
    job: ReconcileJob
    options: ReconcileOptions
    database: Database

    def require_ledger(self) -> None:
        if not self.database.perform(ledger_exists):
            raise DatabaseFailedError(
                "there is no ledger in this database (schema migdsl): run `alembic upgrade head` first"
            )

    def stages(self) -> Stages:
        return self.database.perform(lambda tx: Stages.of(tx.rows(_STAGES, {"migration": self.job.migration})))

    def tenant(self, tenant: str, stages: Stages) -> Comparison:
        """One tenant, compared and recorded, with the keys of up to `limit` rows that differ or break a rule."""
        truth = stages.truth(tenant)
        new = truth == "new"
        compare = statement(self.job.compare_new if new else self.job.compare_old)
        found = self._compare(tenant, truth, compare)
        if found.differences:
            # A statement sees one snapshot; a row that was just being written is right in the next one.
            found = self._compare(tenant, truth, compare)
        if found.mismatched or found.missing or found.extra:
            found = replace(
                found, differing=self._keys(tenant, self.job.differing_new if new else self.job.differing_old)
            )
        if found.violations and self.job.violating is not None:
            found = replace(found, violating=self._keys(tenant, self.job.violating))
        broken = self._broken(tenant)
        found = replace(found, violations=found.violations + sum(n for _, n in broken), invariants=broken)
        self.database.perform(lambda tx: self._record(tx, found))
        return found

    def _broken(self, tenant: str) -> tuple[tuple[str, int], ...]:
        """How many of the tenant's rows break each invariant."""

        def count(sql: str) -> int:
            question = statement(sql)
            rows = self.database.perform(
                lambda tx: tx.rows(question, {"tenant_id": tenant}), patient=True, snapshot=True
            )
            return int(rows[0][0] or 0)

        return tuple((text, count(sql)) for text, sql in self.job.invariants)

    def reading(self, subject: str, sql: str | None) -> int | None:
        """A number for the gates, recorded as an event; None when the job has no such statement."""
        if sql is None:
            return None
        question = statement(sql)
        rows = self.database.perform(lambda tx: tx.rows(question), patient=True, snapshot=True)
        value = int(rows[0][0] or 0)
        # A migration may change several entities, and each has its own reading.
        self.event("reading", f"{subject}:{self.job.entity}", str(value))
        return value

    def readings(self, report: Report) -> None:
        """What gates look at: one number each for all tenants."""
        entity = self.job.entity
        self.event("reading", f"problems:{entity}", str(report.problems))
        self.event("reading", f"drift_rate:{entity}", f"{report.drift:.12f}")
        for column in ("mismatched", "missing", "extra"):
            self.event("reading", f"rows_{column}:{entity}", str(report.total(column)))
        for text, _ in self.job.invariants:
            self.event("reading", f"invariant:{entity}:{text}", str(report.broken(text)))

    def event(self, kind: str, subject: str, value: str) -> None:
        self.database.perform(lambda tx: record_event(tx, self.job.migration, kind, subject, value))

    def _compare(self, tenant: str, truth: str, compare: Statement) -> Comparison:
        rows = self.database.perform(lambda tx: tx.records(compare, {"tenant_id": tenant}), patient=True, snapshot=True)
        return _comparison(tenant, truth, rows[0])

    def _keys(self, tenant: str, sql: str) -> tuple[DifferingRow, ...]:
        question = statement(sql)
        values = {"tenant_id": tenant, "limit": str(self.options.limit)}
        rows = self.database.perform(lambda tx: tx.records(question, values), patient=True, snapshot=True)
        return tuple(_differing(row, len(self.job.key)) for row in rows)

    def _record(self, tx: Transaction, found: Comparison) -> None:
        tx.run(_RECORD, {"migration": self.job.migration, "entity": self.job.entity, **found.columns()})


def _comparison(tenant: str, truth: str, row: Mapping[str, str | None]) -> Comparison:
    def number(name: str) -> int:
        return int(row.get(name) or 0)

    return Comparison(
        tenant=tenant,
        truth=truth,
        rows=number("rows"),
        hash_left=row.get("hash_left"),
        hash_right=row.get("hash_right"),
        mismatched=number("mismatched"),
        violations=number("violations"),
        lossy=number("lossy"),
        missing=number("missing"),
        extra=number("extra"),
    )


def _differing(row: Mapping[str, str | None], key_columns: int) -> DifferingRow:
    pairs = list(row.items())
    # Only the fact that a column differs is taken over: a statement gone wrong can't carry a value into a report.
    return DifferingRow(
        tuple(value or "" for _, value in pairs[:key_columns]),
        tuple(name for name, value in pairs[key_columns:] if value == "t"),
    )
