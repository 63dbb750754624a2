"""Turns `--submit`, `--work` or neither into lanes queued, lanes worked off, or both and a count; an exit code."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import Final, Literal, Protocol, cast

from migdsl.runtime.backfill.run import Backfill
from migdsl.runtime.engines.lanes import Bench, Cord
from migdsl.runtime.engines.settings import Settings
from migdsl.runtime.errors import UsageError
from migdsl.runtime.jobs import Engine

Verb = Literal["submit", "work", "run"]

_MODULES: Final[dict[Engine, str]] = {
    "procrastinate": "migdsl.runtime.engines.procrastinate",
    "celery": "migdsl.runtime.engines.celery",
}


class Scheduler(Protocol):
    """What an engine's module can do with a bench."""

    def submit(self, bench: Bench) -> int: ...

    def work(self, bench: Bench, stop: Cord) -> None: ...


def run(backfill: Backfill, engine: Engine, verb: Verb) -> int:
    """`submit` plans and queues the lanes; `work` works with others until none is left; `run` does both, and counts.

    A job that no trigger follows is passed once more by who works, as without an engine.

    An exit code; raises JobError, psycopg.Error.
    """
    scheduler = scheduler_of(engine)
    bench = Bench(backfill, Settings.of(os.environ))
    stop = Cord(lambda: backfill.signals.requested)
    try:
        if verb != "work":
            _submit(scheduler, bench)
        if verb == "submit":
            return 0
        totals = bench.perform(bench.totals)
        backfill.observer.start(totals.planned, totals.scanned)
        scheduler.work(bench, stop)
        totals = bench.perform(bench.totals)
    finally:
        bench.close()
    if stop.requested:
        return backfill.signals.exit_code
    settled = totals.states.keys() <= {"succeeded"} and not totals.quarantined
    if (verb == "work" and bench.job.trigger) or not settled:
        return backfill.status()
    # With nothing left to do a run is the count of what isn't filled; and of a job that no trigger follows it is one more pass,
    # which whoever works makes, since nobody knows who will be the last.
    return replace(backfill, options=replace(backfill.options, again=False)).run()


def scheduler_of(engine: Engine) -> Scheduler:
    """The engine's module. Raises UsageError when what it needs isn't installed."""
    try:
        return cast("Scheduler", import_module(_MODULES[engine]))
    except KeyError:
        raise UsageError("--submit and --work need an engine with a queue: --engine procrastinate or celery") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed here: pip install 'migdsl[{engine}]'") from None


def _submit(scheduler: Scheduler, bench: Bench) -> None:
    queued = scheduler.submit(bench)
    waiting = "" if not bench.job.canary else "; the others follow the canary"
    bench.backfill.out.write(f"{bench.job.migration} {bench.job.backfill}: {queued:,} lanes queued{waiting}\n")
