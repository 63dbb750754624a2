"""Turns a BackfillJob into planned slices, worked off lane by lane until nothing is pending, and an exit code."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import Final, TextIO

from migdsl.runtime.database import Database, Transaction, conninfo_of, tenants_of
from migdsl.runtime.errors import DatabaseFailedError, StoppedError, safe_text
from migdsl.runtime.jobs import BackfillJob, Pace
from migdsl.runtime.lane import LaneEnd, Program, Worker
from migdsl.runtime.ledger import Key, Ledger, Totals, ledger_exists, record_event
from migdsl.runtime.observe import Observer
from migdsl.runtime.sql import Statement
from migdsl.runtime.stop import Signals

# How long to wait when every open lane is in another worker's hands.
_WAIT_S: Final = 0.5
_SHOWN_SLICES: Final = 10


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """What the command line asked for: `tenants` None means all, `batch` fixes the size, `duty` overrides the job's."""

    url: str
    tenants: tuple[str, ...] | None = None
    again: bool = False
    batch: int | None = None
    duty: float | None = None
    metrics_path: str | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill's parts, put together for one process."""

    job: BackfillJob
    options: BackfillOptions
    database: Database
    ledger: Ledger
    program: Program
    observer: Observer
    signals: Signals
    out: TextIO

    @classmethod
    def of(cls, job: BackfillJob, options: BackfillOptions, signals: Signals, out: TextIO, err: TextIO) -> Backfill:
        observer = Observer(err, job.migration, job.backfill, secrets.token_hex(6), metrics_path=options.metrics_path)
        database = Database(
            conninfo_of(options.url, f"migdsl {job.migration} {job.backfill}"),
            job.limits,
            job.retry,
            signals,
            lambda error, seconds: observer.retry(safe_text(error), seconds),
        )
        ledger = Ledger(job.migration, job.backfill)
        return cls(job, options, database, ledger, Program.of(job), observer, signals, out)

    def run(self) -> int:
        """Plans what isn't planned, works it off, counts what is left. An exit code; raises JobError, psycopg.Error."""
        self.database.open()
        try:
            self._require_ledger()
            tenants = tenants_of(self.database, self.job.tenants, self.options.tenants)
            self._record("started")
            self._plan(tenants)
            self._work_off(tenants)
            if not self.signals.requested:
                return self._finish(tenants)
        except StoppedError:
            pass
        finally:
            self.observer.clear()
            self.database.close()
        self.observer.log("stopped", rows_changed=self.observer.changed)
        return self.signals.exit_code

    def status(self) -> int:
        """Prints what the ledger says; 1 when a slice failed."""
        self.database.open()
        try:
            self._require_ledger()
            totals = self._totals()
        finally:
            self.database.close()
        self.out.write(f"{self._name()}: {_summary(totals)}\n")
        self._write_errors(totals)
        return 1 if totals.states.get("failed") else 0

    def dry_run(self) -> int:
        """Prints the SQL and the slices that it would plan. Writes nothing; PostgreSQL plans one batch, as a check."""
        self.database.open()
        try:
            tenants = tenants_of(self.database, self.job.tenants, self.options.tenants)
            sizes = {tenant: self._size(tenant) for tenant in tenants}
            self._explain(sizes)
        finally:
            self.database.close()
        for title, sql in (
            ("tenants", self.job.tenants),
            ("next bound", self.job.next_bound),
            ("batch", self.job.batch),
            ("why to wait", self.job.hold),
        ):
            self.out.write("" if sql is None else f"-- {title}\n{dedent(sql).strip()}\n\n")
        self.out.write(_forecast(sizes, self._pace()))
        return 0

    def _require_ledger(self) -> None:
        if not self.database.perform(ledger_exists):
            raise DatabaseFailedError(
                "there is no ledger in this database (schema migdsl): run `alembic upgrade head` first"
            )

    def _plan(self, tenants: tuple[str, ...]) -> None:
        known = self.database.perform(self.ledger.planned)
        for tenant in tenants:
            if self.signals.requested:
                return
            if tenant not in known or self.options.again:
                self._plan_tenant(tenant, again=tenant in known)
        self.database.perform(lambda tx: self.ledger.requeue(tx, self.options.tenants))
        totals = self._totals()
        self.observer.start(totals.planned, totals.scanned)

    def _plan_tenant(self, tenant: str, *, again: bool) -> None:
        def work(tx: Transaction) -> bool:
            upper, rows = self._range(tx, tenant)
            return (self.ledger.plan_again if again else self.ledger.plan)(tx, tenant, upper, rows)

        if not self.database.perform(work, patient=True) and again:
            self.observer.log("still_running", tenant=tenant)

    def _work_off(self, tenants: tuple[str, ...]) -> None:
        worker = Worker(
            self.database,
            self.ledger,
            self.job,
            self._pace(),
            self._worker_name(),
            self.observer.batch,
            self.observer.failure,
            self.observer.held,
        )
        waiting = False
        while not self.signals.requested:
            lanes = self.database.perform(lambda tx: self.ledger.open_lanes(tx, self.options.tenants))
            if not lanes:
                return
            # A tenant can have left the list after it was planned.
            order = [*(tenant for tenant in tenants if tenant in lanes), *sorted(lanes.difference(tenants))]
            ends = [worker.run_lane(tenant) for tenant in order]
            if any(end is not LaneEnd.HELD for end in ends):
                waiting = False
                continue
            if not waiting:
                self.observer.log("waiting", lanes_held_by_others=len(lanes))
            waiting = True
            self.signals.sleep(_WAIT_S)

    def _finish(self, tenants: tuple[str, ...]) -> int:
        left = {tenant: self._left(tenant) for tenant in tenants}
        unfilled = {tenant: rows for tenant, rows in left.items() if rows}
        totals = self._totals()
        self.observer.planned, self.observer.passed = totals.planned, totals.scanned
        self.observer.export(sum(unfilled.values()))
        open_slices = {state: n for state, n in totals.states.items() if state != "succeeded"}
        self._record("finished" if not open_slices and not unfilled else "incomplete")
        self.out.write(f"{self._name()}: {_summary(totals)}; {sum(unfilled.values()):,} rows unfilled\n")
        self._write_errors(totals)
        if unfilled and not open_slices:
            worst = max(unfilled, key=lambda tenant: unfilled[tenant])
            self.out.write(
                f"  most of them in tenant {worst!r}; is the trigger in place? then run once more with --again\n"
            )
        return 1 if open_slices or unfilled else 0

    def _left(self, tenant: str) -> int:
        return self.database.perform(lambda tx: self.program.rows_left(tx, tenant), patient=True, snapshot=True)

    def _totals(self) -> Totals:
        return self.database.perform(lambda tx: self.ledger.totals(tx, self.options.tenants))

    def _record(self, value: str) -> None:
        self.database.perform(lambda tx: record_event(tx, self.job.migration, "job", self.job.backfill, value))

    def _size(self, tenant: str) -> int:
        return self.database.perform(lambda tx: self._range(tx, tenant)[1], patient=True, snapshot=True)

    def _range(self, tx: Transaction, tenant: str) -> tuple[Key | None, int]:
        upper = self.program.last_key(tx, tenant)
        return upper, 0 if upper is None else self.program.rows_in(tx, tenant, None, upper)

    def _explain(self, sizes: dict[str, int]) -> None:
        tenant = next((tenant for tenant, rows in sizes.items() if rows), None)
        if tenant is None:
            return
        explained = replace(
            self.program, batch=Statement(f"EXPLAIN {self.program.batch.text}", self.program.batch.names)
        )

        def work(tx: Transaction) -> None:
            upper = self.program.last_key(tx, tenant)
            if upper is not None:
                explained.fill(tx, tenant, None, upper)

        self.database.perform(work, snapshot=True)

    def _pace(self) -> Pace:
        pace = self.job.pace if self.options.duty is None else replace(self.job.pace, duty=self.options.duty)
        fixed = self.options.batch
        return pace if fixed is None else replace(pace, first=fixed, floor=fixed, ceiling=fixed)

    def _worker_name(self) -> str:
        return f"{socket.gethostname()}/{os.getpid()}/{self.observer.run}"

    def _name(self) -> str:
        return f"{self.job.migration} {self.job.backfill}"

    def _write_errors(self, totals: Totals) -> None:
        for tenant, error in totals.errors:
            self.out.write(f"  tenant {tenant!r} failed: {error}\n")


def _summary(totals: Totals) -> str:
    states = ", ".join(f"{n:,} {state}" for state, n in totals.states.items()) or "none planned"
    return f"slices {states}; {totals.scanned:,} of {totals.planned:,} rows passed, {totals.changed:,} changed"


def _forecast(sizes: dict[str, int], pace: Pace) -> str:
    rows = sum(sizes.values())
    batches = sum(-(-size // pace.first) for size in sizes.values())
    seconds = batches * pace.target_ms / 1000 / pace.duty
    biggest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_SLICES]
    lines = [f"{len(sizes):,} slices, {rows:,} rows; the biggest:"]
    lines += [f"  tenant {tenant!r}: {size:,} rows" for tenant, size in biggest]
    lines.append(f"about {batches:,} batches of {pace.first:,} rows")
    lines.append(f"{seconds:,.0f} s if a batch takes {pace.target_ms:g} ms, at {pace.duty:.0%} duty")
    return "".join(f"{line}\n" for line in lines)
