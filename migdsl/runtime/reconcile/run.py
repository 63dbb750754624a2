"""Turns a ReconcileJob into one comparison a tenant, confirmed before it counts, recorded in the ledger."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TextIO

import psycopg

from migdsl.runtime import listing
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import ONE_ZONE, Database
from migdsl.runtime.errors import DatabaseFailedError, StoppedError, UsageError, error_class
from migdsl.runtime.jobs import ReconcileJob
from migdsl.runtime.ledger import ledger_exists, record_event
from migdsl.runtime.reconcile.comparing import Brake, Patience, TimeIsUpError
from migdsl.runtime.reconcile.one_tenant import OneTenant
from migdsl.runtime.reconcile.options import ReconcileOptions
from migdsl.runtime.reconcile.report import Comparison, Report
from migdsl.runtime.reconcile.runs import Runs
from migdsl.runtime.reconcile.sorting import require_one_order
from migdsl.runtime.routing.mask import Mask
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals
from migdsl.runtime.telemetry.logline import write_line
from migdsl.runtime.telemetry.options import application_name

__all__ = ["ReconcileOptions", "reconcile"]

_TOLD_S: Final = 10.0  # how often it is said why the job waits

_NOTHING: Final[Mapping[str, str]] = {}

Log = Callable[..., None]


def reconcile(
    job: ReconcileJob, options: ReconcileOptions, signals: Signals, on_progress: Callable[[int, int], None], err: TextIO
) -> Report:
    """Compares every tenant and records it; `on_progress` hears (tenants done, of).

    Raises JobError, psycopg.Error, and StoppedError when a signal came first: what was compared by then is recorded.
    """
    asked = options.telemetry
    labels = {"migration": job.migration, "entity": job.entity, "run": asked.run}

    def log(event: str, level: str = "info", **more: object) -> None:
        write_line(err, {"event": event, "level": level, **labels, **more}, asked.log_format)

    def retried(error: psycopg.Error, seconds: float) -> None:
        log("retry", "warning", error=error_class(error), pause_s=round(seconds, 2))

    def database_at(url: str) -> Database:
        conninfo = conninfo_of(url, application_name(job.migration, job.entity, asked.run))
        # Values of two databases are hashed as texts, in which a point in time is one of a zone.
        settings = ONE_ZONE if job.other_env is not None else ""
        return Database(conninfo, job.limits, job.retry, signals, retried, settings)

    database, other = database_at(options.url), None
    if job.other_env is not None:
        if not options.other_url:
            raise UsageError(f"no database for the new side: set {job.other_env}, or give --other-url")
        other = database_at(options.other_url)
    database.open()
    try:
        if other is not None:
            other.open()
        return _Reconciliation.of(job, options, database, log, other).run(on_progress)
    finally:
        database.close()
        if other is not None:
            other.close()


@dataclass(frozen=True, slots=True)
class _Reconciliation:
    job: ReconcileJob
    options: ReconcileOptions
    database: Database
    runs: Runs
    brake: Brake
    one: OneTenant
    log: Log

    @classmethod
    def of(
        cls, job: ReconcileJob, options: ReconcileOptions, database: Database, log: Log, other: Database | None = None
    ) -> _Reconciliation:
        pace = job.pace if options.duty is None else replace(job.pace, duty=options.duty)
        hold = statement(job.hold) if job.hold is not None else None
        brake = Brake(database, pace, hold, on_hold=_now_and_then(log))
        one = OneTenant(job, options, brake, Mask(options.secret), other, Patience.of(job.patience_s))
        return cls(job, options, database, Runs(job.migration, job.entity), brake, one, log)

    def run(self, on_progress: Callable[[int, int], None]) -> Report:
        """All tenants that were asked for."""
        began = time.monotonic()
        self._require_ledger()
        require_one_order(self.job, self.database, self.one.other)
        tenants = self._tenants(self.options.tenants)
        run, before = self._begin(tenants)
        self._event("job", self.job.entity, "started")
        done = dict(before)
        for tenant in (tenant for tenant in tenants if tenant not in before):
            on_progress(len(done), len(tenants))
            # One tenant a run is compared to its end whatever the time: else a large one would never be.
            self.brake.deadline = self._deadline(began) if len(done) > len(before) else None
            found = self._compared(run, tenant)
            if found is None:
                break
            done[tenant] = found
        on_progress(len(done), len(tenants))
        return self._report(run, tenants, done, len(before))

    def _deadline(self, began: float) -> float | None:
        return None if self.options.seconds is None else began + self.options.seconds

    def _begin(self, tenants: tuple[str, ...]) -> tuple[str | None, dict[str, Comparison]]:
        """The run, and what it has found before. A run over single tenants proves nothing, and has no name."""
        if self.options.tenants is not None:
            return None, {}
        run = self.database.perform(self.runs.unfinished) if self.options.resume else None
        if run is not None:
            known = run
            found = self.database.perform(lambda tx: self.runs.done(tx, known))
            before = {tenant: found[tenant] for tenant in tenants if tenant in found}
            self.log("resumed", of=run, tenants_done=len(before))
            return run, before
        if self.options.resume:
            self.log("nothing_to_resume")
        # A correlation id that was given may come more than once.
        fresh = f"{self.options.telemetry.run}/{secrets.token_hex(4)}"
        self.database.perform(lambda tx: self.runs.begin(tx, fresh))
        return fresh, {}

    def _compared(self, run: str | None, tenant: str) -> Comparison | None:
        """A tenant, compared and recorded; None when the time was up first."""
        if self.database.stop.requested:
            raise StoppedError
        try:
            self.brake.check()
            found = self.one.compare(tenant)
        except TimeIsUpError:
            return None
        self.database.perform(lambda tx: self.runs.record(tx, run, found))
        if found.repaired:
            self._event("job", self.job.entity, f"repaired {found.repaired}")
        return found

    def _report(self, run: str | None, tenants: tuple[str, ...], done: dict[str, Comparison], resumed: int) -> Report:
        left = len(tenants) - len(done)
        whole = self.options.tenants is None and not left
        report = Report(
            self.job.migration,
            self.job.entity,
            tuple(done[tenant] for tenant in tenants if tenant in done),
            self._reading("tenants_unlisted", self.job.unlisted, self._listed()) if whole else None,
            self._reading("old_writes", self.job.old_writes) if whole else None,
            whole,
            run or self.options.telemetry.run,
            resumed,
            left,
        )
        if whole:
            # What the gates of enforce and contract look at: one number for all tenants that are listed now.
            self._readings(report)
        self._event("job", self.job.entity, "partial" if left else "finished" if report.clean else "differences")
        return report

    def _require_ledger(self) -> None:
        if not self.database.perform(ledger_exists):
            raise DatabaseFailedError(
                "there is no ledger in this database (schema migdsl): run `alembic upgrade head` first"
            )

    def _tenants(self, asked: tuple[str, ...] | None) -> tuple[str, ...]:
        return listing.tenants(self.database, self.job, self.options.tenants_url, asked)

    def _listed(self) -> Mapping[str, str]:
        """The list as it is now, where the rows can't be held against it in their own database."""
        if self.job.tenants_env is None or self.job.unlisted is None:
            return {}
        found = self._tenants(None)
        self.database.perform(lambda tx: listing.note(tx, self.job, self.job.entity, found))
        return {"listed": json.dumps(found)}

    def _reading(self, subject: str, sql: str | None, values: Mapping[str, str] = _NOTHING) -> int | None:
        """A number for the gates, recorded as an event; None when the job has no such statement."""
        if sql is None:
            return None
        question = statement(sql)
        rows = self.database.perform(lambda tx: tx.rows(question, values), patient=True, snapshot=True)
        value = int(rows[0][0] or 0)
        # A migration may change several entities, and each has its own reading.
        self._event("reading", f"{subject}:{self.job.entity}", str(value))
        return value

    def _readings(self, report: Report) -> None:
        """What gates look at: one number each for all tenants."""
        entity = self.job.entity
        self._event("reading", f"problems:{entity}", str(report.problems))
        self._event("reading", f"drift_rate:{entity}", f"{report.drift:.12f}")
        for column in ("mismatched", "missing", "extra"):
            self._event("reading", f"rows_{column}:{entity}", str(report.total(column)))
        for text, _ in self.job.invariants:
            self._event("reading", f"invariant:{entity}:{text}", str(report.broken(text)))

    def _event(self, kind: str, subject: str, value: str) -> None:
        """In the ledgers of both sides, where there are two: each has revisions whose gates look at it."""
        for database in (self.database, *([self.one.other] if self.one.other is not None else [])):
            database.perform(lambda tx: record_event(tx, self.job.migration, kind, subject, value))


def _now_and_then(log: Log) -> Callable[[str], None]:
    """Says why the job waits when it begins to, and now and then."""
    told = [-_TOLD_S]

    def held(reason: str) -> None:
        now = time.monotonic()
        if now - told[0] >= _TOLD_S:
            told[0] = now
            log("held", why=reason)

    return held
