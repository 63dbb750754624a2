"""A characterization test becomes its verdict: recorded the first time, compared ever after."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from unittest import SkipTest

import psycopg

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.arguments import Parser
from migdsl.runtime.cli import guarded
from migdsl.runtime.database import ONE_ZONE, Database, misplaced, speak
from migdsl.runtime.errors import UsageError
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.pinning.jobs import PinJob
from migdsl.runtime.pinning.look import seen
from migdsl.runtime.pinning.snapshot import Seen, beside, differences, load, store
from migdsl.runtime.saying import complain
from migdsl.runtime.stop import Signals

RECORD = "MIGDSL_RECORD"


def holds(job: PinJob, column: str, test: str) -> None:
    """For a test runner: raises AssertionError where the column does something else than was recorded.

    Records where nothing is yet, but not in CI, where nobody would commit it. Raises SkipTest without a database.
    """
    url = os.environ.get(job.database_env)
    if not url:
        raise SkipTest(f"{job.database_env} is not set: there is no old system to look at")
    path = beside(test)
    known = {} if os.environ.get(RECORD) == "1" else load(path)
    missing = [pin.column for pin in job.pins if pin.column not in known]
    if missing and os.environ.get("CI") and os.environ.get(RECORD) != "1":
        raise AssertionError(f"nothing is recorded of {', '.join(missing)}: run this where you can commit {path.name}")
    try:
        with Signals() as signals:
            now = observed(job, url, signals)
    except psycopg.Error as error:
        if misplaced(error):
            raise SkipTest(f"{job.entity}.{column} is not where it was: {speak(error)}") from None
        raise AssertionError(str(speak(error))) from None
    if missing:
        store(path, job, {**{each: now[each] for each in missing}, **known})
        known = load(path)
    found = list(differences(job, column, known[column], now[column]))
    assert not found, "\n".join(["the old system does something else than was recorded:", *found])


def observed(job: PinJob, url: str, signals: Signals, listing: str | None = None) -> Mapping[str, Seen]:
    """What the system does now. Raises JobError, psycopg.Error, StoppedError."""
    limits = Limits(statement_ms=job.statement_ms, lock_ms=500, idle_ms=10_000)
    elsewhere = listing or (os.environ.get(job.tenants_env) if job.tenants_env else None)
    if job.tenants_env and not elsewhere:
        raise UsageError(f"{job.tenants_env} is not set: it has the list of tenants")
    database = _opened(url, limits, signals)
    lists = _opened(elsewhere, limits, signals) if elsewhere else database
    try:
        return seen(job, database, lists)
    finally:
        database.close()
        lists.close()


def _opened(url: str, limits: Limits, signals: Signals) -> Database:
    conninfo = conninfo_of(url, "migdsl characterization")
    # A snapshot is compared with what other people's sessions see.
    settings = f"{ONE_ZONE}; SET LOCAL quote_all_identifiers = off"
    found = Database(conninfo, limits, Retry(attempts=2, longest_s=2.0), signals, settings=settings)
    found.open()
    return found


def main(job: PinJob, test: str, argv: Sequence[str] | None = None) -> int:
    """As a program: 0 recorded, or all as it was; 1 something else; 2 usage; 3 the database failed; 130 interrupted."""
    parser = Parser(description=f"Pin what {job.entity} does, for migration {job.migration}.")
    parser.add_argument("--url", help=f"the old system's database, instead of the environment's {job.database_env}")
    parser.add_argument("--tenants-url", help="the database that has the list of tenants, where it is another one")
    parser.add_argument("--record", action="store_true", help="what it does now is what is meant: record it anew")
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    url = options.url or os.environ.get(job.database_env)
    if not url:
        return complain(f"no database: set {job.database_env}, or give --url", 2)
    return guarded(
        lambda signals: _judged(job, test, observed(job, url, signals, options.tenants_url), record=options.record)
    )


def _judged(job: PinJob, test: str, now: Mapping[str, Seen], *, record: bool) -> int:
    path = beside(test)
    known = {} if record else load(path)
    missing = [pin.column for pin in job.pins if pin.column not in known]
    if missing:
        store(path, job, {**{each: now[each] for each in missing}, **known})
        print(f"recorded {', '.join(missing)} of {job.entity} in {path}: commit it")
    found = [
        line
        for pin in job.pins
        if pin.column in known
        for line in differences(job, pin.column, known[pin.column], now[pin.column])
    ]
    for line in found:
        print(line, file=sys.stderr)
    if not found and not missing:
        rows = max((each.rows for each in now.values()), default=0)
        print(
            f"{job.entity}: as recorded ({rows} rows of {max(each.tenants for each in now.values())} tenants looked at)"
        )
    return 1 if found else 0
