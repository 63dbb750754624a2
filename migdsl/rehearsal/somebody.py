"""Databases and some of their tables become somebody else's long transaction, which stands in front of what a migration does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from migdsl.rehearsal.model import Log, Mark, Settings
from migdsl.rehearsal.watch import Watch

_QUEUED = b"""
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE NOT l.granted AND a.datname = current_database() AND a.application_name LIKE 'migdsl %'"""
_MOST_S = 60.0
_LONGEST_S = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and tables of it as SQL; those that aren't there are left alone."""

    url: str
    tables: tuple[str, ...]


@contextmanager
def held(places: Sequence[Place], settings: Settings, watch: Watch, log: Log) -> Iterator[None]:
    """A transaction in each of them, with a slow query and writes of its own, stands in front of what is done in the block."""
    start = log.now()
    threads = [_standing(place, settings.hold_s, lambda: watch.limit(settings.limit_s, log.step)) for place in places]
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
        log.marks.append(Mark("fault", "a long transaction of somebody else's", start, log.now()))


def _standing(place: Place, hold_s: float, limit: Callable[[], float]) -> threading.Thread:
    """Whoever stands there, once it has its locks."""
    began = threading.Event()

    def stand() -> None:
        try:
            with psycopg.connect(place.url, application_name="rehearsal somebody") as connection:
                for name in place.tables:
                    if connection.execute("SELECT to_regclass(%s) IS NULL", (name,)).fetchone() == (False,):
                        connection.execute(f"LOCK TABLE {name} IN ROW EXCLUSIVE MODE".encode())
                began.set()
                _slowly(connection, hold_s, limit)
                connection.rollback()
        except psycopg.Error:
            pass  # a table that has gone meanwhile
        finally:
            began.set()

    thread = threading.Thread(target=stand, name="rehearsal somebody", daemon=True)
    thread.start()
    began.wait(_MOST_S)
    return thread


def _slowly(connection: psycopg.Connection[tuple[object, ...]], hold_s: float, limit: Callable[[], float]) -> None:
    """Slower than what traffic may wait for, on a machine that is as busy as this one, from when the migration waits on."""
    start = time.monotonic()
    until, seen = start + hold_s, 0.0
    while time.monotonic() < min(until, start + _LONGEST_S):
        connection.execute("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()")
        if not seen and connection.execute(_QUEUED).fetchone() != (0,):
            seen = time.monotonic()
        if seen:
            until = max(start + hold_s, seen + 1.5 * limit())
