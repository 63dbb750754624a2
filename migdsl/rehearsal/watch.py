"""Locks that are waited for become how long traffic stood behind which statement; requests become percentiles."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from migdsl.rehearsal.model import Log

_EVERY_S = 0.025
# Whose wait it is, for how long, and who of the migration stands in front, itself or as the next in the queue.
_WAITS = """
SELECT extract(epoch FROM clock_timestamp() - l.waitstart)::float8, b.query, b.application_name
  FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_stat_activity AS w ON w.pid = l.pid
  CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(l.pid)) AS p (pid)
  JOIN pg_catalog.pg_stat_activity AS b ON b.pid = p.pid
 WHERE NOT l.granted AND l.waitstart IS NOT NULL AND w.datname::text = ANY (%s)
   AND w.application_name LIKE 'rehearsal code%%' AND b.application_name LIKE 'migdsl %%'"""
_LOCK = re.compile(
    r"^(?:LOCK TABLE|CREATE|ALTER|DROP|UPDATE|INSERT|DELETE|REINDEX|COMMENT|WITH|SELECT)\b[^\n;]*", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it should have begun (seconds since the start), how long it took, what it was, how it ended."""

    at: float
    seconds: float
    code: str
    act: str
    ok: bool


@dataclass(slots=True)
class Wait:
    """How long traffic waited at most for a statement in a step, and when."""

    statement: str
    seconds: float
    step: str
    at: float


class Watch(threading.Thread):
    """Looks at the locks forty times a second, in the databases at `url` and `others`, all of one server. `noises` are the
    longest times between two looks, by step: what the machine adds."""

    def __init__(self, url: str, log: Log, *others: str) -> None:
        super().__init__(name="rehearsal watch", daemon=True)
        self.url, self.log, self._others = url, log, others
        self.waits: dict[tuple[str, str], Wait] = {}
        self.noises: dict[str, float] = {}
        self.over = threading.Event()
        self.failed: str | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True, application_name="rehearsal watch") as connection:
                last = time.monotonic()
                names = [connection.info.dbname, *(conninfo_to_dict(url).get("dbname") for url in self._others)]
                while not self.over.wait(_EVERY_S):
                    for seconds, query, name in connection.execute(_WAITS.encode(), (names,)).fetchall():
                        self._seen(float(seconds), f"{statement(str(query))} ({name})")
                    now = time.monotonic()
                    step = self.log.step
                    self.noises[step] = max(self.noises.get(step, 0.0), now - last - _EVERY_S)
                    last = now
        except psycopg.Error as error:
            self.failed = f"{type(error).__name__} {error.sqlstate}"

    def _seen(self, seconds: float, what: str) -> None:
        step = self.log.step
        known = self.waits.get((what, step))
        if known is None or known.seconds < seconds:
            self.waits[what, step] = Wait(what, seconds, step, self.log.now())

    @property
    def noise(self) -> float:
        """The longest of all."""
        return max(self.noises.values(), default=0.0)

    def limit(self, seconds: float, step: str) -> float:
        """What kept us from looking kept others from working too: a loaded machine accuses nobody."""
        return seconds + 3 * self.noises.get(step, 0.0)


def statement(text: str) -> str:
    """What a statement, or a block that tries one until it has its locks, is about: a line of it."""
    found = _LOCK.search(text)
    line = found[0] if found else text.strip().split("\n", 1)[0]
    return " ".join(line.split())[:160]


def percentiles(requests: Iterable[Request]) -> dict[str, dict[str, float]]:
    """p50, p95, p99 and the longest, in milliseconds, of the requests of each age of code."""
    times: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        times[request.code].append(request.seconds * 1000)
    return {code: _spread(sorted(found)) for code, found in sorted(times.items())}


def _spread(found: list[float]) -> dict[str, float]:
    def at(share: float) -> float:
        return round(found[min(len(found) - 1, int(share * len(found)))], 2)

    return {"count": len(found), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "longest": round(found[-1], 2)}
