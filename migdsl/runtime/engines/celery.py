"""Turns lanes into messages of Celery, on RabbitMQ or Redis, and a process into one of its workers.

A message names the job, the tenant and a ticket. The ledger holds each lane's newest ticket, and a message with another one
ends where it is read: so a lane that is submitted twice is in the queue once.
"""

from __future__ import annotations

import mmap
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import celery
import psycopg
from celery import signals as happens
from kombu import Queue  # type: ignore[attr-defined]
from kombu.exceptions import KombuError, OperationalError

from migdsl.runtime.backfill.run import Backfill, BackfillOptions
from migdsl.runtime.database import Transaction, speak
from migdsl.runtime.engines.lanes import Bench, Cord, Next
from migdsl.runtime.engines.registry import jobs_of, queue_of, reference_of
from migdsl.runtime.engines.settings import Settings
from migdsl.runtime.errors import DatabaseFailedError, JobError, Remedy, StoppedError, UsageError, remedy
from migdsl.runtime.jobs import BackfillJob
from migdsl.runtime.ledger import Ledger, record_event
from migdsl.runtime.sql import statement
from migdsl.runtime.stop import Signals

LANE: Final = "migdsl.lane"
# Celery's own name for it; a URL on a command line would be seen by everybody on the machine.
BROKER_VARIABLE: Final = "CELERY_BROKER_URL"

_ASK_S: Final = 1.0
# A broker that is short of memory or disk takes no messages, and answers nothing.
_CONFIRM_S: Final = 30.0
_TICKET: Final = statement(
    "SELECT value FROM migdsl.event"
    " WHERE migration = :migration AND kind = 'lane' AND subject = :subject ORDER BY id DESC LIMIT 1"
)


class _Flag:
    """A bit that the processes of a worker share: set in one, seen in all that were forked from it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._memory[0] = 1

    def is_set(self) -> bool:
        return self._memory[0] == 1


def submit(bench: Bench) -> int:
    """Plans, and sends each lane that is due, with a new ticket; how many. Raises JobError, psycopg.Error."""
    app = app_of({reference_of(bench.job): bench}, broker_of(os.environ), bench.settings)
    _reach(app)
    bench.backfill.plan()
    tenants = bench.perform(bench.due)
    for tenant in tenants:
        _send_anew(app, bench, tenant)
    return len(tenants)


def work(bench: Bench, stop: Cord) -> None:
    """Works lanes off until `stop` says so or none can ever be due again. Raises JobError, psycopg.Error."""
    ending, failed = _Flag(), _Flag()
    app = app_of({reference_of(bench.job): bench}, broker_of(os.environ), bench.settings, ending, failed)
    _reach(app)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    worker = app.Worker(
        concurrency=bench.workers, loglevel="WARNING", quiet=True, without_gossip=True, without_mingle=True
    )
    over, done = threading.Event(), threading.Event()
    threading.Thread(
        target=_watch, args=(app, bench, stop, failed, over, done), daemon=True, name="migdsl watch"
    ).start()
    try:
        worker.start()
    finally:
        stop.pulled = not done.is_set()
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed.is_set():
        raise DatabaseFailedError("a lane failed for good: the log above says why")


def broker_of(environment: Mapping[str, str]) -> str:
    """The broker's URL. Raises UsageError where the environment has none."""
    url = environment.get(BROKER_VARIABLE)
    if not url:
        raise UsageError(f"no broker: set {BROKER_VARIABLE} to a RabbitMQ (amqp://…) or Redis (redis://…)")
    return url


def app_of(
    benches: Mapping[str, Bench],
    broker: str,
    settings: Settings,
    ending: _Flag | None = None,
    failed: _Flag | None = None,
) -> celery.Celery:
    """Celery's app of some backfills, by their reference. A lane ends after its batch once `ending` is set."""
    app = celery.Celery("migdsl", broker=broker, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        task_create_missing_queues=False,
        task_queues=[Queue(queue_of(bench.job)) for bench in benches.values()],  # type: ignore[no-untyped-call]
        task_default_queue=queue_of(next(iter(benches.values())).job),
        broker_transport_options=_transport(broker, settings),
    )
    stopping = ending or _Flag()
    for bench in benches.values():
        bench.stop = stopping.is_set

    def begin_to_end(**_about: object) -> None:
        stopping.set()

    # Sent in the parent as SIGTERM arrives; the children have the flag's memory in common with it.
    happens.worker_shutting_down.connect(begin_to_end, weak=False)

    @app.task(name=LANE, typing=False, shared=False)  # type: ignore[untyped-decorator]
    def lane(job: str, tenant: str, ticket: str) -> str:
        bench = benches[job]
        try:
            return _run(app, bench, tenant, ticket).value
        except JobError as error:
            why = str(error)
            bench.backfill.observer.log("lane_dropped", level="error", tenant=tenant, error=why)
        if failed is not None:
            failed.set()
        return "failed"

    return app


def app_from(environment: Mapping[str, str]) -> celery.Celery:
    """The app of the jobs that MIGDSL_JOBS names, for Celery's own command line. Raises UsageError."""
    found = jobs_of(environment)
    settings = Settings.of(environment)
    benches: dict[str, Bench] = {}
    for reference, job in found.items():
        url = environment.get(job.database_env)
        if not url:
            raise UsageError(f"no database: set {job.database_env}")
        benches[reference] = Bench(Backfill.of(job, BackfillOptions(url), Signals(), sys.stdout, sys.stderr), settings)
    return app_of(benches, broker_of(environment), settings)


def __getattr__(name: str) -> Any:
    # `celery --app migdsl.runtime.engines.celery worker`
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return app_from(os.environ)
    except JobError as error:
        raise SystemExit(f"error: {error}") from None


def _transport(broker: str, settings: Settings) -> dict[str, object]:
    if broker.startswith(("amqp", "pyamqp")):
        # RabbitMQ says that it has the message: else one is lost that was on its way to a broker that died.
        return {"confirm_publish": True}
    if not broker.startswith(("redis", "sentinel", "valkey")):
        return {}
    return {
        "visibility_timeout": _redelivered(settings),
        "unacked_restore_interval": settings.sweep,
        # Who sweeps holds a lock, and a worker that was killed in a sweep would hold it for five minutes.
        "unacked_mutex_expire": max(2.0, settings.sweep),
        # Before this option there was only a factor of ten.
        "unacked_restore_throttle": 1,
        "socket_timeout": 30.0,
        "socket_keepalive": True,
    }


def _redelivered(settings: Settings) -> float:
    return max(settings.redeliver, 2 * settings.lane)


def _run(app: celery.Celery, bench: Bench, tenant: str, ticket: str) -> Next:
    """A stretch of work, and the lane's next message. Raises JobError where no other try would mend it."""
    try:
        after = _work_newest(app, bench, tenant, ticket)
    except StoppedError:
        after = Next.AGAIN
    except psycopg.Error as error:
        if remedy(error) is not Remedy.RECONNECT:
            raise speak(error) from None
        after = Next.LATER
    if after is not Next.END:
        delay = {Next.LATER: bench.settings.held, Next.PARKED: bench.settings.parked}.get(after)
        _send(app, bench, tenant, ticket, delay)
    return after


def _work_newest(app: celery.Celery, bench: Bench, tenant: str, ticket: str) -> Next:
    if not bench.perform(lambda tx, _ledger: _is_newest(tx, bench.job, tenant, ticket)):
        return Next.END
    after = bench.work(tenant)
    if after is Next.END:
        for other in bench.perform(lambda tx, ledger: bench.released(tx, ledger, tenant)):
            _send_anew(app, bench, other)
    return after


def _send_anew(app: celery.Celery, bench: Bench, tenant: str) -> None:
    """A new ticket first: a message that nobody knows of yet would end at once."""
    ticket = secrets.token_hex(8)
    subject = _subject(bench.job, tenant)
    bench.perform(lambda tx, _ledger: record_event(tx, bench.job.migration, "lane", subject, f"celery {ticket}"))
    _send(app, bench, tenant, ticket)


def _send(app: celery.Celery, bench: Bench, tenant: str, ticket: str, delay_s: float | None = None) -> None:
    message = {"job": reference_of(bench.job), "tenant": tenant, "ticket": ticket}
    try:
        app.send_task(
            LANE,
            kwargs=message,
            queue=queue_of(bench.job),
            countdown=delay_s,
            retry=True,
            confirm_timeout=_CONFIRM_S,
        )
    except (KombuError, OSError) as error:
        raise DatabaseFailedError(f"the broker took no message: {type(error).__name__}; submit again") from None


def _is_newest(tx: Transaction, job: BackfillJob, tenant: str, ticket: str) -> bool:
    newest = tx.rows(_TICKET, {"migration": job.migration, "subject": _subject(job, tenant)})
    return newest == [(f"celery {ticket}",)]


def _subject(job: BackfillJob, tenant: str) -> str:
    return f"{job.backfill}/{tenant}"


def _reach(app: celery.Celery) -> None:
    """Raises DatabaseFailedError, which doesn't quote the URL, when the broker can't be reached."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=3, interval_start=0.2, interval_step=0.5)
    except (KombuError, OperationalError, OSError) as error:
        raise DatabaseFailedError(
            f"the broker that {BROKER_VARIABLE} names can't be reached: {type(error).__name__}"
        ) from None


def _watch(
    app: celery.Celery, bench: Bench, stop: Cord, failed: _Flag, over: threading.Event, done: threading.Event
) -> None:
    """Ends this worker as SIGTERM would, once there is nothing to do any more, in a thread of its parent process."""
    lookout = _Lookout(app, bench)
    while not over.wait(_ASK_S):
        with suppress(psycopg.Error, StoppedError):
            if failed.is_set() or bench.perform(bench.finished):
                done.set()
            if done.is_set() or stop.requested:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            # Kombu passes on what its clients of Redis and AMQP raise; a look that fails is one that comes later.
            with suppress(Exception):
                lookout.look()


class _Lookout:
    """Sends the lanes anew that no message stands for: a worker killed between fetching one and noting that it did lost it.

    They are known by an empty queue and lanes that nobody works on. It is asked as seldom as a message may be with a worker; one
    that was there all the same ends where it is read.
    """

    def __init__(self, app: celery.Celery, bench: Bench) -> None:
        settings = bench.settings
        self.app, self.bench = app, bench
        self.every = _redelivered(settings) + 2 * settings.sweep + settings.parked
        self.next = time.monotonic() + self.every

    def look(self) -> None:
        """Raises JobError, psycopg.Error, and whatever the broker's client raises."""
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + self.every
        lost = () if self._waiting() else self.bench.perform(self._idle)
        for tenant in lost:
            _send_anew(self.app, self.bench, tenant)
        if lost:
            self.bench.backfill.observer.log("lanes_sent_anew", level="warning", lanes=len(lost))

    def _waiting(self) -> int:
        with self.app.connection_for_read() as connection:
            queue = Queue(queue_of(self.bench.job))  # type: ignore[no-untyped-call]
            bound = queue.bind(connection.default_channel)  # type: ignore[no-untyped-call]
            return int(bound.queue_declare().message_count)

    def _idle(self, tx: Transaction, ledger: Ledger) -> tuple[str, ...]:
        return tuple(lane.tenant for lane in self.bench.open_lanes(tx, ledger) if not lane.busy)
