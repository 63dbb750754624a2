"""Turns a generated job's command line into a run and an exit code, and every error into one line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migdsl.runtime.arguments import Parser
from migdsl.runtime.jobs import BackfillJob, ReconcileJob
from migdsl.runtime.reconcile import options as reconcile_options
from migdsl.runtime.reconcile.options import ReconcileOptions
from migdsl.runtime.saying import complain
from migdsl.runtime.telemetry.options import add_options, chosen

if TYPE_CHECKING:
    from migdsl.runtime.stop import Signals

# psycopg costs 200 ms, and --help and usage errors don't need it: modules that do are imported where they are used.


def main(job: BackfillJob | ReconcileJob, argv: Sequence[str] | None = None) -> int:
    """Runs a generated job; returns the exit code.

    0 fine, 1 a check or slices failed, 2 usage, 3 the database failed, 4 the time was up, 130 interrupted. After SIGTERM
    a backfill returns 0, since nothing is lost; a reconciliation that didn't end returns 1, since nothing is proved.
    """
    parser = _backfill_parser(job) if isinstance(job, BackfillJob) else _reconcile_parser(job)
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    url = options.url or os.environ.get(job.database_env)
    if not url:
        return complain(f"no database: set {job.database_env}, or give --url", 2)
    options.tenants_url = options.tenants_url or os.environ.get(job.tenants_env or "")
    tenants = tuple(options.tenant) if options.tenant else None
    if isinstance(job, BackfillJob):
        return guarded(lambda signals: _run_backfill(job, options, url, tenants, signals))
    return guarded(lambda signals: _run_reconcile(job, options, url, tenants, signals))


def _backfill_parser(job: BackfillJob) -> argparse.ArgumentParser:
    what = f"Put the keys of {job.table} into its outbox" if job.enqueues else f"Fill {job.backfill} of {job.table}"
    parser = _parser(
        f"{what}, tenant by tenant, for migration {job.migration}.",
        job.database_env,
        job.tenants_env,
    )
    verb = parser.add_mutually_exclusive_group()
    verb.add_argument("--dry-run", action="store_true", help="show the SQL and the slices, write nothing")
    verb.add_argument("--status", action="store_true", help="show how far the ledger is")
    verb.add_argument("--again", action="store_true", help="another pass over every tenant, with fresh bounds")
    verb.add_argument("--pause", action="store_true", help="stop all work after the batches at hand, until --resume")
    verb.add_argument("--resume", action="store_true", help="let what was paused go on")
    verb.add_argument("--cancel", action="store_true", help="give up what isn't done; --again begins anew")
    parser.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help=f"tenants worked on side by side, a connection each (default {job.workers})",
    )
    parser.add_argument("--batch", type=_positive, metavar="N", help="rows a batch, instead of the adaptive size")
    parser.add_argument(
        "--duty",
        type=_share,
        metavar="SHARE",
        help=f"share of the time spent working, above 0 up to 1 (default {job.pace.duty:g})",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "procrastinate", "celery"),
        default=job.engine,
        help=f"who hands tenants to workers, here or on other machines (default {job.engine})",
    )
    queue = parser.add_mutually_exclusive_group()
    queue.add_argument("--submit", action="store_true", help="only put what is open into the engine's queue")
    queue.add_argument("--work", action="store_true", help="only work off what is in the queue, until nothing is open")
    return parser


def _reconcile_parser(job: ReconcileJob) -> argparse.ArgumentParser:
    parser = _parser(
        f"Compare old and new of {job.entity} ({job.table}) for migration {job.migration}.",
        job.database_env,
        job.tenants_env,
    )
    reconcile_options.add_options(parser)
    there = f"the new side's database, instead of the environment's {job.other_env}" if job.other_env else None
    parser.add_argument("--other-url", metavar="URL", help=there or argparse.SUPPRESS)
    return parser


def _parser(description: str, variable: str, tenants: str | None) -> argparse.ArgumentParser:
    parser = Parser(description=description.replace("%", "%%"))
    parser.add_argument("--url", help=f"the database, instead of the environment's {variable}")
    parser.add_argument("--tenant", action="append", metavar="ID", help="only this tenant (repeatable)")
    listed = f"the database of the list of tenants, instead of the environment's {tenants}" if tenants else None
    parser.add_argument("--tenants-url", metavar="URL", help=listed or argparse.SUPPRESS)
    add_options(parser)
    return parser


def _run_backfill(
    job: BackfillJob, options: argparse.Namespace, url: str, tenants: tuple[str, ...] | None, signals: Signals
) -> int:
    # psycopg: see above.
    from migdsl.runtime.backfill.run import Backfill, BackfillOptions
    from migdsl.runtime.telemetry.watched import watched

    asked = BackfillOptions(
        url,
        tenants,
        options.again,
        options.batch,
        options.duty,
        chosen(options),
        options.workers,
        options.tenants_url,
    )
    backfill = Backfill.of(job, asked, signals, sys.stdout, sys.stderr)
    if options.status:
        return backfill.status()
    if options.dry_run:
        return backfill.dry_run()
    if options.pause or options.resume or options.cancel:
        return backfill.tell("pause" if options.pause else "resume" if options.resume else "cancel")
    with watched(job, asked.telemetry, url, backfill.observer, signals):
        if options.engine == "local" and not (options.submit or options.work):
            return backfill.run()
        from migdsl.runtime.engines.run import run  # only with a queue

        return run(backfill, options.engine, "submit" if options.submit else "work" if options.work else "run")


def _run_reconcile(
    job: ReconcileJob, options: argparse.Namespace, url: str, tenants: tuple[str, ...] | None, signals: Signals
) -> int:
    # psycopg: see above.
    from migdsl.runtime.reconcile.report import samples
    from migdsl.runtime.reconcile.run import reconcile
    from migdsl.runtime.telemetry.watched import Comparing

    asked = chosen(options)
    measured = Comparing({"migration": job.migration, "entity": job.entity}, asked, sys.stderr, signals)

    def progress(done: int, of: int) -> None:
        measured.progress(done, of)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{job.entity} {done:,} of {of:,} tenants" if done < of else "\r\x1b[K")
            sys.stderr.flush()

    with measured.exporter():
        other = options.other_url or os.environ.get(job.other_env or "")
        what = ReconcileOptions.of(options, url, tenants, asked, options.tenants_url, other)
        report = reconcile(job, what, signals, progress, sys.stderr)
        measured.report(samples(report, time.time()))
        # Before the last scrape is waited for.
        print(report.to_json() if options.json else report.to_text())
    return 1 if report.wrong else 4 if report.left else 0


def guarded(run: Callable[[Signals], int]) -> int:
    """The exit code of `run`, with signals caught and every error told in one line."""
    try:
        import psycopg  # noqa: F401 - needed by all that follows; see above
    except ModuleNotFoundError:
        return complain("psycopg is not installed here: install migdsl with its extra `runtime`", 3)
    from migdsl.runtime.stop import Signals  # needs psycopg too

    with Signals() as signals:
        return _answered(run, signals)


def _answered(run: Callable[[Signals], int], signals: Signals) -> int:
    # psycopg: see above.
    import psycopg

    from migdsl.runtime.database import speak
    from migdsl.runtime.errors import JobError, StoppedError

    try:
        return run(signals)
    except JobError as error:
        return complain(str(error), error.code)
    except psycopg.Error as error:
        return complain(str(speak(error)), 3)
    except StoppedError:
        return complain("stopped before the end", signals.exit_code or 1)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return complain(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "), 1)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return value
