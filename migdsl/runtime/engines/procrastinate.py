"""Turns lanes into jobs of Procrastinate, in a queue that lives beside the ledger, and a process into one of its workers.

A tenant has at most one job that waits (its queueing lock) and one that runs (its lock). A periodic task of high priority
takes over from workers that are gone, and queues every open lane that has no job: the ledger decides what is open.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

import procrastinate
import psycopg
from procrastinate import exceptions, jobs, schema

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.backfill.pace import backoff
from migdsl.runtime.backfill.run import Backfill, BackfillOptions
from migdsl.runtime.database import Transaction
from migdsl.runtime.engines.lanes import Bench, Cord, Next
from migdsl.runtime.engines.registry import jobs_of, queue_of, reference_of
from migdsl.runtime.engines.settings import Settings
from migdsl.runtime.errors import DatabaseFailedError, JobError, StoppedError, UsageError
from migdsl.runtime.jobs import BackfillJob
from migdsl.runtime.ledger import Ledger
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals

LANE: Final = "migdsl.lane"
RESCUE: Final = "migdsl.rescue"

T = TypeVar("T")

_URGENT: Final = 1_000
_LOOK_S: Final = 0.1
_ASK_S: Final = 1.0
# A worker that served for as long has nothing to do with the failure before.
_SOUND_S: Final = 60.0
# After SIGTERM to Procrastinate's own command line: from then on a lane is asked to stop after its batch.
_GRACE_S: Final = 0.5

# One at a time: whoever makes the queue, or puts something in it, sees what the others have done.
_ALONE: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended('migdsl queue', 6))")
_FOUND: Final = statement(
    "SELECT to_regnamespace('migdsl') IS NOT NULL,"
    " pg_catalog.obj_description(to_regclass('migdsl.procrastinate_jobs')),"
    " to_regclass('migdsl.procrastinate_jobs') IS NOT NULL"
)
_QUEUED: Final = statement(
    "SELECT DISTINCT lock FROM migdsl.procrastinate_jobs"
    " WHERE queue_name = :queue AND status IN ('todo', 'doing') AND lock IS NOT NULL"
)


def submit(bench: Bench) -> int:
    """Plans, and queues the lanes that are due and not queued yet in the ledger's transaction; how many.

    Raises JobError, psycopg.Error.
    """
    make_queue(bench)
    queued = 0

    def queue(tx: Transaction, _open: tuple[str, ...]) -> None:
        nonlocal queued
        queued = _queue_missing(bench, tx, bench.backfill.ledger)

    bench.backfill.plan(queue)
    return queued


def work(bench: Bench, stop: Cord) -> None:
    """Works lanes off until `stop` says so or none can ever be due again. Raises JobError, psycopg.Error."""
    make_queue(bench)
    asyncio.run(_work(bench, stop))


def make_queue(bench: Bench) -> None:
    """Creates Procrastinate's tables in the ledger's schema, unless they are there. Raises DatabaseFailedError."""
    bench.perform(lambda tx, _ledger: _make_queue(tx))


def app_of(
    benches: Mapping[str, Bench], url: str, settings: Settings, on_failure: Callable[[JobError], None]
) -> procrastinate.App:
    """Procrastinate's app of some backfills of one database, by their reference.

    `on_failure` hears of what no other try would mend.
    """
    workers = max(bench.workers for bench in benches.values())
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo_of(url, "migdsl queue"), min_size=1, max_size=4, configure=_enter_schema
    )
    queues = [queue_of(bench.job) for bench in benches.values()]
    app = procrastinate.App(
        connector=connector,
        worker_defaults={
            "queues": queues,
            "concurrency": workers,
            "delete_jobs": "successful",
            "fetch_job_polling_interval": 1.0,
            "update_heartbeat_interval": settings.heartbeat,
            "stalled_worker_timeout": settings.stalled,
            "shutdown_graceful_timeout": _GRACE_S,
        },
    )
    _Tasks(app, benches, settings, on_failure, ThreadPoolExecutor(workers, "migdsl lane")).register()
    return app


def app_from(environment: Mapping[str, str]) -> procrastinate.App:
    """The app of the jobs that MIGDSL_JOBS names, for Procrastinate's own command line. Raises UsageError."""
    found = jobs_of(environment)
    urls = {environment.get(job.database_env) for job in found.values()}
    (url,) = urls if len(urls) == 1 else (None,)
    if not url:
        names = ", ".join(sorted({job.database_env for job in found.values()}))
        raise UsageError(f"no database: set {names}; one worker serves the jobs of one database")
    settings = Settings.of(environment)
    benches = {
        reference: Bench(Backfill.of(job, BackfillOptions(url), Signals(), sys.stdout, sys.stderr), settings)
        for reference, job in found.items()
    }
    for bench in benches.values():
        make_queue(bench)
    return app_of(benches, url, settings, lambda _error: None)


def __getattr__(name: str) -> Any:
    # `procrastinate --app migdsl.runtime.engines.procrastinate.app worker`
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return app_from(os.environ)
    except JobError as error:
        raise SystemExit(f"error: {error}") from None


class _Tasks:
    """The two tasks of an app: a lane's stretch of work, and the rescue of what was lost."""

    def __init__(
        self,
        app: procrastinate.App,
        benches: Mapping[str, Bench],
        settings: Settings,
        on_failure: Callable[[JobError], None],
        threads: ThreadPoolExecutor,
    ) -> None:
        self.app, self.benches, self.settings = app, benches, settings
        self.on_failure, self.threads = on_failure, threads

    def register(self) -> None:
        self.app.task(name=LANE)(self.lane)
        rescue = self.app.task(name=RESCUE)(self.rescue)
        for reference, bench in self.benches.items():
            queue = queue_of(bench.job)
            self.app.periodic(
                cron=f"* * * * * */{self.settings.rescue}",
                periodic_id=queue,
                queue=queue,
                queueing_lock=f"{RESCUE} {queue}",
                priority=_URGENT,
                task_kwargs={"job": reference},
            )(rescue)

    async def lane(self, job: str, tenant: str) -> None:
        """Works one tenant's lane for a while, then queues what comes next; a cancellation ends it after its batch."""
        bench = self.benches[job]
        halt = threading.Event()
        stretch = asyncio.get_running_loop().run_in_executor(self.threads, bench.work, tenant, halt.is_set)
        try:
            after = await _unhurried(stretch, halt.set)
        except JobError as error:
            # A job that failed would stay in the table, beside the one that the rescue makes.
            bench.backfill.observer.log("lane_dropped", level="error", tenant=tenant, error=str(error))
            self.on_failure(error)
            return
        await _unhurried(self._hand_on(bench, tenant, after), halt.set)

    async def rescue(self, timestamp: int, job: str) -> None:  # noqa: ARG002 - Procrastinate says which turn it is
        """Takes lanes over from workers whose heart stopped, and queues open lanes that no job stands for."""
        with suppress(exceptions.ConnectorException, psycopg.OperationalError, StoppedError):
            await self._rescue(self.benches[job])

    async def _rescue(self, bench: Bench) -> None:
        manager = self.app.job_manager
        stalled = await manager.get_stalled_jobs(
            queue=queue_of(bench.job), seconds_since_heartbeat=self.settings.stalled
        )
        for lost in stalled:
            # A new job and not the old one again: its worker may be frozen, and would finish it when it wakes.
            if lost.task_name == LANE:
                await self._put(bench, str(lost.task_kwargs["tenant"]))
            await manager.finish_job(lost, jobs.Status.FAILED, delete_job=True)
        await asyncio.to_thread(bench.perform, partial(_queue_missing, bench))

    async def _hand_on(self, bench: Bench, tenant: str, after: Next) -> None:
        if after is Next.AGAIN:
            await self._put(bench, tenant)
        elif after is Next.LATER:
            await self._put(bench, tenant, self.settings.held)
        elif after is Next.END:
            for other in await asyncio.to_thread(bench.perform, lambda tx, led: bench.released(tx, led, tenant)):
                await self._put(bench, other)

    async def _put(self, bench: Bench, tenant: str, delay_s: float | None = None) -> None:
        chosen = _names(bench.job, tenant)
        if delay_s is not None:
            chosen["schedule_in"] = {"milliseconds": round(delay_s * 1000)}
        try:
            await self.app.configure_task(LANE, **chosen).defer_async(job=reference_of(bench.job), tenant=tenant)
        except exceptions.AlreadyEnqueued:
            return  # somebody has submitted it meanwhile


async def _work(bench: Bench, stop: Cord) -> None:
    failures: list[JobError] = []
    app = app_of({reference_of(bench.job): bench}, bench.backfill.options.url, bench.settings, failures.append)
    attempt, retry = 0, bench.job.retry
    while not (stop.requested or failures):
        began = time.monotonic()
        with suppress(exceptions.ConnectorException, psycopg.OperationalError):
            async with app.open_async():
                if await _serve(app, bench, lambda: stop.requested or bool(failures)):
                    break
        # Without its connections a worker ends.
        attempt = 1 if time.monotonic() - began > _SOUND_S else attempt + 1
        if attempt > retry.attempts:
            raise DatabaseFailedError("the queue in the database can't be reached any more")
        await asyncio.to_thread(stop.sleep, backoff(retry, attempt, Random()))  # noqa: S311 - jitter
    if failures:
        raise failures[0]


async def _serve(app: procrastinate.App, bench: Bench, stopped: Callable[[], bool]) -> bool:
    """Runs a worker; True when it is to end, False when it ended by itself, as it does on a lost connection."""
    worker = asyncio.ensure_future(app.run_worker_async(install_signal_handlers=False))
    asked = 0.0
    loop = asyncio.get_running_loop()
    try:
        while not worker.done():
            if stopped():
                return True
            if loop.time() - asked > _ASK_S:
                if await asyncio.to_thread(bench.perform, bench.finished):
                    return True
                asked = loop.time()
            await asyncio.wait([worker], timeout=_LOOK_S)
        return False
    except StoppedError:
        return True
    finally:
        await _wind_up(worker)


async def _wind_up(worker: asyncio.Future[None]) -> None:
    """Cancelling is how a worker is asked to fetch no more; it waits for the lanes that it has."""
    worker.cancel()
    await asyncio.wait([worker])
    if not worker.cancelled() and (error := worker.exception()) is not None:
        raise error


async def _unhurried(work: Awaitable[T], halt: Callable[[], None]) -> T:
    """The result of `work`, which a cancellation only asks to come to an end."""
    running = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            halt()


async def _enter_schema(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET search_path TO migdsl")
    await connection.commit()


def _make_queue(tx: Transaction) -> None:
    tx.rows(_ALONE)
    ((ledger, comment, queue),) = tx.rows(_FOUND)
    version = f"procrastinate {procrastinate.__version__}"
    if ledger != "t":
        raise DatabaseFailedError(
            "there is no ledger in this database (schema migdsl): run `alembic upgrade head` first"
        )
    if queue != "t":
        _in_schema(tx, lambda: tx.cursor.execute(schema.SchemaManager.get_schema().encode()))
        tx.cursor.execute(f"COMMENT ON TABLE migdsl.procrastinate_jobs IS '{version}'".encode())
    elif comment != version:
        raise DatabaseFailedError(f"the queue in schema migdsl was made by {comment}, and this is {version}")


def _queue_missing(bench: Bench, tx: Transaction, ledger: Ledger) -> int:
    tx.rows(_ALONE)
    queued = {row[0] for row in tx.rows(_QUEUED, {"queue": queue_of(bench.job)})}
    missing = [tenant for tenant in bench.due(tx, ledger) if _names(bench.job, tenant)["lock"] not in queued]
    # Never opened: the connection is the ledger's.
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())
    return _in_schema(tx, lambda: sum(_defer(app, tx, bench.job, tenant) for tenant in missing))


def _defer(app: procrastinate.App, tx: Transaction, job: BackfillJob, tenant: str) -> bool:
    """Queues one lane in the transaction; False when a worker has queued it meanwhile."""
    lane = app.configure_task(LANE, connection=tx.cursor.connection, **_names(job, tenant))
    try:
        with tx.savepoint():
            lane.defer(job=reference_of(job), tenant=tenant)
    except exceptions.AlreadyEnqueued:
        return False
    return True


def _in_schema(tx: Transaction, work: Callable[[], T]) -> T:
    """Procrastinate names its tables without a schema."""
    ((before,),) = tx.cursor.execute(b"SELECT current_setting('search_path')").fetchall()
    tx.cursor.execute(b"SET LOCAL search_path TO migdsl")
    done = work()
    tx.cursor.execute(b"SELECT set_config('search_path', $1, true)", [before])
    return done


def _names(job: BackfillJob, tenant: str) -> dict[str, Any]:
    """Where a lane's job goes, and what keeps it alone."""
    lock = json.dumps([job.migration, job.backfill, tenant], ensure_ascii=False)
    return {"queue": queue_of(job), "lock": lock, "queueing_lock": lock}
