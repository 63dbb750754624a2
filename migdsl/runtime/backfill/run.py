"""Turns a BackfillJob into planned slices, worked off lane by lane until nothing is pending, and an exit code."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TextIO

import psycopg

from migdsl.runtime import listing
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill import outlook
from migdsl.runtime.backfill.control import Control, Verb
from migdsl.runtime.backfill.crew import Crew, Lanes, in_turn
from migdsl.runtime.backfill.holds import HOLD_S, Health
from migdsl.runtime.backfill.lane import Worker
from migdsl.runtime.backfill.pace import unthrottled
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.backfill.slices import Cutter, in_handfuls
from migdsl.runtime.database import Database, Transaction, misplaced, speak
from migdsl.runtime.errors import DatabaseFailedError, StoppedError, safe_text
from migdsl.runtime.jobs import BackfillJob, Pace
from migdsl.runtime.ledger import Ledger, Part, Totals, begun, ledger_exists, record_event
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.telemetry.observe import Observer
from migdsl.runtime.telemetry.options import Telemetry, application_name


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """What the command line asked for: `tenants` None means all, `batch` fixes the size, `duty` and `workers` override the
    job's. `tenants_url` is of the database that has the list of tenants, where the job says that it is another one."""

    url: str
    tenants: tuple[str, ...] | None = None
    again: bool = False
    batch: int | None = None
    duty: float | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)
    workers: int | None = None
    tenants_url: str | None = None


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
    halt: Halt
    out: TextIO

    @classmethod
    def of(cls, job: BackfillJob, options: BackfillOptions, signals: Signals, out: TextIO, err: TextIO) -> Backfill:
        asked, halt = options.telemetry, Halt(signals)
        observer = Observer(err, job.migration, job.backfill, asked.run, log_format=asked.log_format)
        database = _database(job, options, halt, observer)
        ledger = Ledger(job.migration, job.backfill)
        return cls(job, options, database, ledger, Program.of(job), observer, signals, halt, out)

    def run(self) -> int:
        """Plans what isn't planned, works it off, counts what is left. An exit code; raises JobError, psycopg.Error."""
        self.program.prepare()
        self.database.open()
        try:
            self._require_stream()
            tenants = self._listed()
            self._record("started")
            if self.options.tenants is None:
                self.database.perform(lambda tx: listing.note(tx, self.job, self.job.backfill, tenants))
            self._plan(tenants)
            if not self.signals.requested:
                self._work_off()
            if not self.signals.requested and not self.job.trigger:
                self._once_more(tenants)
            if not self.signals.requested:
                return self._finish(tenants)
        except StoppedError:
            pass
        except psycopg.Error as error:
            raise self._told(error) from None
        finally:
            self.observer.clear()
            self.database.close()
        self.observer.log("stopped", rows_changed=self.observer.changed)
        return self.signals.exit_code

    def _told(self, error: psycopg.Error) -> Exception:
        """The error, or where something isn't there what that means: too early, or too late."""
        if not misplaced(error):
            return error
        return speak(error, begun=self.database.perform(lambda tx: begun(tx, self.job.migration)))

    def plan(self, also: Callable[[Transaction, tuple[str, ...]], None] | None = None) -> tuple[str, ...]:
        """Plans what isn't planned, and puts back what failed; the lanes that are open, in the order of their turns.

        Doing so again changes nothing that is done or under way. `also` runs in the ledger's transaction with all open
        lanes, canaries first. Raises JobError, psycopg.Error.
        """
        self.database.open()
        try:
            self._require_stream()
            self._plan(self._listed())
            return self.database.perform(lambda tx: self._handed_over(tx, also))
        finally:
            self.database.close()

    def worker(self, database: Database, name: str = "", health: Health | None = None) -> Worker:
        """A worker that works lanes off on `database`, which is its own."""
        observer = self.observer
        return Worker(
            database,
            self.ledger,
            self.job,
            self._pace(),
            f"{socket.gethostname()}/{os.getpid()}/{observer.run}{name}",
            observer.batch,
            observer.failure,
            observer.held,
            lambda tenant, reason: observer.log("row_set_aside", level="warning", tenant=tenant, error=reason),
            canary=self._canary(),
            health=health,
            on_lane=observer.lane,
        )

    def tell(self, verb: Verb) -> int:
        """Pauses, resumes or cancels, here and in every process that works on it. An exit code."""
        self.database.open()
        try:
            tenants = self._listed() if self.options.tenants is not None else None
            self._require_ledger()
            control = Control(self.job.migration, self.job.backfill)
            moved = self.database.perform(lambda tx: control.tell(tx, verb, tenants))
            totals = self._totals()
        finally:
            self.database.close()
        self.out.write(outlook.told(self._name(), verb, moved, totals))
        return 0

    def status(self) -> int:
        """Prints what the ledger says; 1 when a slice failed or a row was set aside."""
        self.database.open()
        try:
            self._require_ledger()
            totals = self._totals()
            # What waits before it plans has no slice yet that could say why.
            early = self._held_now() if self.job.enqueues and not totals.states else None
        finally:
            self.database.close()
        self.out.write(f"{self._name()}: {outlook.summary(totals)}\n" + outlook.troubles(totals))
        self.out.write(f"  a run waits before it plans: {early}\n" if early else "")
        return 1 if totals.states.get("failed") or totals.quarantined else 0

    def dry_run(self) -> int:
        """Prints the SQL and the slices that it would plan. Writes nothing; PostgreSQL plans one batch, as a check."""
        self.database.open()
        try:
            tenants = self._tenants()
            slices = {each: parts for some in self._cut(tenants) for each, parts in some.items()}
            outlook.explain(self.database, self.program, slices)
            health = self._held_now()
        finally:
            self.database.close()
        self.out.write(outlook.statements(self.job) + outlook.forecast(slices, self._pace(), self._workers()))
        self.out.write(f"it would wait now: {health}\n" if health else "")
        return 0

    def _listed(self) -> tuple[str, ...]:
        self._require_ledger()
        return self._tenants()

    def _tenants(self) -> tuple[str, ...]:
        return listing.tenants(self.database, self.job, self.options.tenants_url, self.options.tenants)

    def _require_ledger(self) -> None:
        if not self.database.perform(ledger_exists):
            raise DatabaseFailedError(
                "there is no ledger in this database (schema migdsl): run `alembic upgrade head` first"
            )

    def _require_stream(self) -> None:
        """Returns once the stream can be followed that keys go into. Raises StoppedError.

        What is born, and who comes, behind the plan is the stream's: planned before it stands, they would be nobody's.
        """
        if not self.job.enqueues:
            return
        self._require_ledger()
        while (reason := self._held_now()) is not None:
            self.observer.held(reason)
            self.halt.sleep(HOLD_S)
            if self.halt.requested:
                raise StoppedError

    def _held_now(self) -> str | None:
        """Why it must wait just now, if it must."""
        return self.database.perform(self.program.reason_to_wait, snapshot=True)

    def _plan(self, tenants: tuple[str, ...]) -> None:
        known = self.database.perform(self.ledger.planned)
        self._plan_these([tenant for tenant in tenants if tenant not in known], again=False)
        if self.options.again:
            self._plan_these([tenant for tenant in tenants if tenant in known], again=True)
        if self.signals.requested:
            return
        if self.options.tenants is None:
            self._record("planned")  # a run for some tenants says nothing of the others
        self.database.perform(lambda tx: self.ledger.requeue(tx, self.options.tenants))
        totals = self._totals()
        self.observer.start(totals.planned, totals.scanned)

    def _plan_these(self, tenants: Sequence[str], *, again: bool) -> None:
        for parts in self._cut(tenants):
            made = self.database.perform(partial(self.ledger.plan_all, tenants=parts, again=again))
            for tenant in [tenant for tenant in parts if again and tenant not in made]:
                self.observer.log("still_running", tenant=tenant)
            if self.signals.requested:
                return

    def _cut(self, tenants: Sequence[str]) -> Iterator[dict[str, tuple[Part, ...]]]:
        return in_handfuls(tenants, partial(Cutter(self.program, self.job.slice_rows).cut, self.database))

    def _handed_over(
        self, tx: Transaction, also: Callable[[Transaction, tuple[str, ...]], None] | None
    ) -> tuple[str, ...]:
        lanes = self.ledger.lanes(tx, self.options.tenants)
        # All of them: those behind the canaries are refused until these are done.
        first = [lane.tenant for lane in in_turn(lanes, self._canary())]
        order = dict.fromkeys([*first, *(lane.tenant for lane in lanes if lane.open)])
        if also is not None:
            also(tx, tuple(order))
        return tuple(order)

    def _work_off(self) -> None:
        lanes = self.database.perform(lambda tx: self.ledger.lanes(tx, self.options.tenants))
        paused = frozenset(lane.tenant for lane in lanes if lane.paused)
        queue = Lanes(self.ledger, self.options.tenants, self._canary(), paused, self._waits)
        health = Health(self.program)
        workers = [self.worker(self.database, health=health)]
        if self._workers() > 1:
            fresh = (_database(self.job, self.options, self.halt, self.observer) for _ in range(self._workers()))
            workers = [self.worker(each, f"/{n}", health) for n, each in enumerate(fresh, 1)]
        Crew(workers, queue, self.halt, self.observer.enter, self.observer.leave).run()

    def _once_more(self, tenants: tuple[str, ...]) -> None:
        """Where no trigger fills what code leaves empty: a pass over the tenants in which it has done so meanwhile."""
        totals = self._totals()
        if totals.quarantined or any(state != "succeeded" for state in totals.states):
            return
        left = [tenant for tenant, rows in self._left(tenants).items() if rows]
        if left:
            self._plan_these(left, again=True)
            self._work_off()

    def _waits(self, lanes: int, why: str) -> None:
        self.observer.log("waiting", lanes=lanes, why=why)

    def _canary(self) -> tuple[str, ...]:
        # Who names tenants means these.
        return self.job.canary if self.options.tenants is None else ()

    def _workers(self) -> int:
        return self.options.workers or self.job.workers

    def _finish(self, tenants: tuple[str, ...]) -> int:
        unfilled = {tenant: rows for tenant, rows in self._left(tenants).items() if rows}
        totals = self._totals()
        self.observer.planned, self.observer.passed = totals.planned, totals.scanned
        self.observer.export(sum(unfilled.values()))
        open_slices = {state: n for state, n in totals.states.items() if state != "succeeded"}
        passed = not open_slices and not totals.quarantined
        # Code that leaves a column empty does so faster than any pass ends: the gates count such rows until it is gone.
        done = passed and (not unfilled or not self.job.trigger)
        self._record("finished" if done else "incomplete")
        what = "can't be carried over" if self.job.enqueues else "unfilled"
        self.out.write(f"{self._name()}: {outlook.summary(totals)}; {sum(unfilled.values()):,} rows {what}\n")
        self.out.write(outlook.troubles(totals))
        if unfilled and passed:
            worst = max(unfilled, key=lambda tenant: unfilled[tenant])
            why = "is the trigger in place? then run once more with --again" if self.job.trigger else _WRITTEN
            why = _LETTERS if self.job.enqueues else why
            self.out.write(f"  most of them in tenant {worst!r}; {why}\n")
        return 0 if done else 1

    def _left(self, tenants: tuple[str, ...]) -> dict[str, int]:
        def some(these: Sequence[str]) -> dict[str, int]:
            return self.database.perform(partial(self.program.rows_left, tenants=these), patient=True, snapshot=True)

        planned = self.database.perform(self.ledger.planned)
        return {tenant: rows for found in in_handfuls(tenants, some, planned) for tenant, rows in found.items()}

    def _totals(self) -> Totals:
        return self.database.perform(lambda tx: self.ledger.totals(tx, self.options.tenants))

    def _record(self, value: str) -> None:
        self.database.perform(lambda tx: record_event(tx, self.job.migration, "job", self.job.backfill, value))

    def _pace(self) -> Pace:
        pace = unthrottled(
            self.job.pace if self.options.duty is None else replace(self.job.pace, duty=self.options.duty)
        )
        fixed = self.options.batch
        return pace if fixed is None else replace(pace, first=fixed, floor=fixed, ceiling=fixed)

    def _name(self) -> str:
        return f"{self.job.migration} {self.job.backfill}"


_LETTERS = "see the sync job's `dead-letters`, mend them, and try them once more with `dead-letters --retry`"
_WRITTEN = (
    "code has left them empty while the job ran, and no trigger fills them: run it once more with --again when no running "
    "code does so any more"
)


def _database(job: BackfillJob, options: BackfillOptions, halt: Halt, observer: Observer) -> Database:
    return Database(
        conninfo_of(options.url, application_name(job.migration, job.backfill, options.telemetry.run)),
        job.limits,
        job.retry,
        halt,
        lambda error, seconds: observer.retry(safe_text(error), seconds),
    )


def plan(job: BackfillJob, options: BackfillOptions, signals: Signals, out: TextIO, err: TextIO) -> tuple[str, ...]:
    """Plans a job without working on it; the open lanes. As `Backfill.plan`."""
    return Backfill.of(job, options, signals, out, err).plan()
