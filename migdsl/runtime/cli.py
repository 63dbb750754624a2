"""Turns a generated job's command line into a run and an exit code, and every error into one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migdsl.runtime.jobs import BackfillJob, ReconcileJob

if TYPE_CHECKING:
    from migdsl.runtime.stop import Signals

# psycopg costs 200 ms, and --help and usage errors don't need it: modules that do are imported where they are used.


def main(job: BackfillJob | ReconcileJob, argv: Sequence[str] | None = None) -> int:
    """Runs a generated job; returns the exit code.

    0 fine, 1 a check or slices failed, 2 usage, 3 the database failed, 130 interrupted. After SIGTERM a backfill
    returns 0, since nothing is lost; a reconciliation that didn't end returns 1, since nothing is proved.
    """
    parser = _backfill_parser(job) if isinstance(job, BackfillJob) else _reconcile_parser(job)
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    url = options.url or os.environ.get(job.database_env)
    if not url:
        return _complain(f"no database: set {job.database_env}, or give --url", 2)
    tenants = tuple(options.tenant) if options.tenant else None
    if isinstance(job, BackfillJob):
        return _guarded(lambda signals: _run_backfill(job, options, url, tenants, signals))
    return _guarded(lambda signals: _run_reconcile(job, options, url, tenants, signals))


def _backfill_parser(job: BackfillJob) -> argparse.ArgumentParser:
    parser = _parser(
        f"Fill {job.backfill} of {job.table}, tenant by tenant, for migration {job.migration}.", job.database_env
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="show the SQL and the slices, write nothing")
    what.add_argument("--status", action="store_true", help="show how far the ledger is")
    what.add_argument("--again", action="store_true", help="another pass over every tenant, with fresh bounds")
    parser.add_argument("--batch", type=_positive, metavar="N", help="rows a batch, instead of the adaptive size")
    parser.add_argument(
        "--duty",
        type=_share,
        metavar="SHARE",
        help=f"share of the time spent working, above 0 up to 1 (default {job.pace.duty:g})",
    )
    return parser


def _reconcile_parser(job: ReconcileJob) -> argparse.ArgumentParser:
    parser = _parser(
        f"Compare old and new of {job.entity} ({job.table}) for migration {job.migration}.", job.database_env
    )
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    parser.add_argument("--limit", type=_positive, default=20, metavar="N", help="keys shown a tenant (default 20)")
    return parser


def _parser(description: str, variable: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description.replace("%", "%%"))
    parser.add_argument("--url", help=f"the database, instead of the environment's {variable}")
    parser.add_argument("--tenant", action="append", metavar="ID", help="only this tenant (repeatable)")
    parser.add_argument("--metrics", metavar="FILE", help="write Prometheus metrics to this textfile")
    return parser


def _run_backfill(
    job: BackfillJob, options: argparse.Namespace, url: str, tenants: tuple[str, ...] | None, signals: Signals
) -> int:
    # psycopg: see above.
    from migdsl.runtime.backfill import Backfill, BackfillOptions

    chosen = BackfillOptions(url, tenants, options.again, options.batch, options.duty, options.metrics)
    backfill = Backfill.of(job, chosen, signals, sys.stdout, sys.stderr)
    if options.status:
        return backfill.status()
    return backfill.dry_run() if options.dry_run else backfill.run()


def _run_reconcile(
    job: ReconcileJob, options: argparse.Namespace, url: str, tenants: tuple[str, ...] | None, signals: Signals
) -> int:
    # psycopg: see above.
    from migdsl.runtime.reconcile import ReconcileOptions, reconcile

    def progress(done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{job.entity} {done:,} of {of:,} tenants" if done < of else "\r\x1b[K")
            sys.stderr.flush()

    chosen = ReconcileOptions(url, tenants, options.limit, options.metrics)
    report = reconcile(job, chosen, signals, progress, sys.stderr)
    print(report.to_json() if options.json else report.to_text())
    return 0 if report.clean else 1


def _guarded(run: Callable[[Signals], int]) -> int:
    try:
        import psycopg  # noqa: F401 - needed by all that follows; see above
    except ModuleNotFoundError:
        return _complain("psycopg is not installed here: install migdsl with its extra `runtime`", 3)
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
        return _complain(str(error), error.code)
    except psycopg.Error as error:
        return _complain(str(speak(error)), 3)
    except StoppedError:
        return _complain("stopped before the end", signals.exit_code or 1)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _complain(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "), 1)


def _complain(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


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
