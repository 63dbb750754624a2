"""What makes a backfill wait in production, on purpose: the job must stand still for as long as it lasts, and then go on."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg

from migdsl.executor.model import Project
from migdsl.ops import health, names
from migdsl.ops.demands import backfill_name
from migdsl.ops.model import TablePlan
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Log, Mark
from migdsl.rehearsal.stage import Stage
from migdsl.rehearsal.standby import Standby
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.waiting import until
from migdsl.runtime.telemetry.options import application_name
from migdsl.semantics.policy import Comparison, comparisons

_MOST_S = 60.0
_LONGEST_LAG_S = 20.0  # a bound that is longer than this takes too long to be passed
_MORE_S = 1.0
_NAMED = 40  # so much of its session's name is left whatever its run is called
_PATIENT_S = 6.0  # how long it may take until there is lag enough
# A job that has to wait before it plans anything holds no lease; but it asks again, and again.
_HOLD = b"""
SELECT coalesce(max(s.held), ''), coalesce(sum(s.rows_scanned), 0)::text,
       coalesce(max(s.lease_until)::text, (SELECT max(a.query_start)::text FROM pg_catalog.pg_stat_activity AS a
                                            WHERE a.datname = current_database() AND a.application_name LIKE %s), '')
  FROM migdsl.slice AS s WHERE s.migration = %s AND s.backfill = %s"""
_OPEN = b"SELECT count(*) FROM migdsl.slice WHERE migration = %s AND backfill = %s AND state <> 'succeeded'"
_WAITS = b"SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = %s AND NOT granted"
_LAGS = b"""
SELECT coalesce(max(extract(epoch FROM coalesce(replay_lag, flush_lag, write_lag))), 0) > %s
  FROM pg_catalog.pg_stat_replication"""


class Place(Protocol):
    """Where a backfill runs: its database, with a connection, and what starts it."""

    @property
    def project(self) -> Project: ...

    @property
    def log(self) -> Log: ...

    @property
    def stage(self) -> Stage: ...

    @property
    def desk(self) -> Connection: ...

    def spawned(self, path: str, *words: str, said: int = ...) -> subprocess.Popen[bytes]:
        """A generated job in a process of its own; `said`: where its log goes."""
        ...


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the job must wait, for people; `word` is what the job itself must say; `over` lets it go on."""

    why: str
    word: str
    over: Callable[[], None]


def held(troupe: Troupe, plan: TablePlan, standby: Standby | None, metrics: Path) -> int:
    """The backfill, begun while it has to wait; its exit code once it has ended. Its metrics go into a file."""
    path = troupe.project.planned.paths.backfill(plan.table)
    if not troupe.settings.hold_s or troupe.desk.execute(
        _OPEN, (troupe.project.name, backfill_name(plan))
    ).fetchone() == (0,):
        # It wasn't asked for, or there is nothing that could wait.
        return troupe.job(path, "--duty", "1", "--metrics", str(metrics))[0]
    return stood(troupe, plan, standby, "--metrics", str(metrics))


def stood(place: Place, plan: TablePlan, standby: Standby | None, *words: str) -> int:
    """The same, wherever it runs and whether or not anything of it was done."""
    path, start = place.project.planned.paths.backfill(plan.table), place.log.now()
    with _reason(place, plan, standby) as reason, tempfile.NamedTemporaryFile() as log:
        process = place.spawned(path, "--duty", "1", "--log-format", "json", *words, said=log.fileno())
        try:
            _watched(Looking(place, plan, Path(log.name), process), path, reason)
            reason.over()
            place.log.marks.append(Mark("fault", f"{reason.why}: the backfill waits", start, place.log.now()))
            end = time.monotonic() + 2 * _MOST_S
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            if process.poll() is None:
                what = f"the backfill of {plan.table.entity} doesn't go on, although {reason.why} is over"
                place.log.against("hold", what, path, "it must ask again while it waits")
        finally:
            process.kill()
            code = process.wait()
    return code


Look = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Looking:
    """A job that runs, and what it says in the ledger and in its log."""

    place: Place
    plan: TablePlan
    log: Path
    process: subprocess.Popen[bytes]

    def until(self, enough: Callable[[Look], bool]) -> Look:
        """Its reason, rows passed, and what changes when it asks again, once they are what is waited for, or it has ended."""
        end = time.monotonic() + _MOST_S
        migration, backfill = self.place.project.name, backfill_name(self.plan)
        own = (f"{application_name(migration, backfill, '')[:_NAMED].rstrip()}%", migration, backfill)
        while True:
            row = self.place.desk.execute(_HOLD, own).fetchone()
            now = (str(row[0]) or self._told(), str(row[1]), str(row[2])) if row is not None else ("", "", "")
            if enough(now) or self.process.poll() is not None or time.monotonic() > end:
                return now
            time.sleep(0.02)

    def _told(self) -> str:
        """Before there is anything in the ledger its log alone says why it waits."""
        found = [line for line in self.log.read_text(encoding="utf-8").splitlines() if '"event": "held"' in line]
        return str(json.loads(found[-1]).get("why", "")) if found else ""


def _watched(looking: Looking, path: str, reason: Reason) -> None:
    """Whether it says why it waits, and passes no row until it has asked twice more."""
    log, plan = looking.place.log, looking.plan
    said, _, _ = looking.until(lambda now: now[0] != "")
    if reason.word not in said:
        what = f"the backfill of {plan.table.entity} went on although {reason.why}"
        log.against("hold", what, path, "its `hold` must ask for that, and the job must wait while it gives a reason")
        return
    first = looking.until(lambda _: True)
    asked = looking.until(lambda now: now[2] != first[2])
    again = looking.until(lambda now: now[2] != asked[2])
    ended = looking.process.poll()
    if ended is not None:
        what = f"the backfill of {plan.table.entity} ended with {ended} while it said that it waits: {said}"
        log.against("hold", what, path, "it must ask again while it waits")
    elif first[2] == asked[2] or asked[2] == again[2]:
        log.unplayed["hold"] = f"the backfill of {plan.table.entity} said that it waits, and wasn't seen to ask again"
    elif again[1] != asked[1]:
        what = f"the backfill of {plan.table.entity} passed rows while it said that it waits: {said}"
        log.against("hold", what, path, "no batch may begin while `hold` gives a reason")
    else:
        log.saw("hold", f"{plan.table.entity} stood still at {again[1]} rows while {said}, and went on by itself")


# ------------------------------------------------------------------------------------------- reasons


@contextmanager
def _reason(place: Place, plan: TablePlan, standby: Standby | None) -> Iterator[Reason]:
    """A standby that lags, where there is one; else somebody who waits for a lock that stands in nobody's way."""
    bound = _bound(place, plan)
    if standby is not None and bound is not None and _behind(standby, bound + _MORE_S):
        standby.lag(bound + _MORE_S)
        until(lambda: standby.over.is_set() or place.desk.execute(_LAGS, (bound,)).fetchone() == (True,), _MOST_S)
        if place.desk.execute(_LAGS, (bound,)).fetchone() == (True,):
            yield Reason(f"a replica is more than {bound:g} s behind", "lag", lambda: standby.lag(0.0))
            return
    # Of a table that moves to another database it is the one that is left whose rows are walked.
    walked = plan.move.table if plan.moved is not None and plan.move is not None else plan.table
    with _lock(place, names.table(walked)) as reason:
        yield reason


def _behind(standby: Standby, seconds: float) -> bool:
    """Whether it has taken something so long ago, or soon will have."""
    if standby.may_lag(max(0.0, seconds - _PATIENT_S)):
        until(lambda: standby.over.is_set() or standby.may_lag(seconds), _MOST_S)
    return standby.may_lag(seconds)


def _bound(place: Place, plan: TablePlan) -> float | None:
    """By how much replicas may lag; None where that is too long to wait for, or isn't asked."""
    said = place.project.planned.module.policy.pace(plan.table.entity)
    pause = said.pause if said is not None else None
    if pause is None or all(c.metric.name != "replication_lag" for c in comparisons(pause)):
        return float(health.LAG_SECONDS)
    if not isinstance(pause, Comparison) or pause.operator not in (">", ">="):
        return None
    bound = float(pause.value)
    return bound if bound <= _LONGEST_LAG_S else None


@contextmanager
def _lock(place: Place, table: str) -> Iterator[Reason]:
    """Two sessions want a lock that no read and no write of anybody conflicts with, and one of them waits."""
    statement = f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE".encode()
    url, name = place.stage.url, "rehearsal somebody"
    with psycopg.connect(url, application_name=name) as first, psycopg.connect(url, application_name=name) as second:
        first.execute(statement)
        thread = threading.Thread(target=_take, args=(second, statement), name=name, daemon=True)
        thread.start()
        pid = second.info.backend_pid
        try:  # whoever is interrupted here lets the second one go first, which else would be waited for
            until(lambda: not thread.is_alive() or place.desk.execute(_WAITS, (pid,)).fetchone() != (0,), _MOST_S)
            yield Reason(f"somebody waits for a lock on {table}", "wait for a lock", first.rollback)
        finally:
            first.rollback()
            thread.join()


def _take(connection: psycopg.Connection[tuple[object, ...]], statement: bytes) -> None:
    try:
        connection.execute(statement)
        connection.rollback()
    except psycopg.Error:
        pass  # a table that has gone meanwhile
