"""What the executor asks of the ledger and writes into it: conditions one by one, facts about jobs, and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import psycopg

from migdsl.executor.model import Condition
from migdsl.ops import begun
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Database, Row
from migdsl.runtime.errors import StoppedError, safe_text
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.ledger import ledger_exists, record_event
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stop import Signals
from migdsl.runtime.telemetry.options import application_name, given_run
from migdsl.semantics.model import STAGES

# A gate may be asked over a long log; a lock is never waited for.
_LIMITS: Final = Limits(statement_ms=60_000, lock_ms=1_000, idle_ms=60_000)
_NO_LEDGER: Final = "the ledger isn't there: expand has not been run"
_LEFT: Final = "(SELECT coalesce(max(id), 0) FROM migdsl.event WHERE migration = :migration AND kind = 'left')"
_NEWEST: Final = statement(f"""
SELECT DISTINCT ON (kind, subject) kind, subject, value, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
       extract(epoch FROM clock_timestamp() - at)::bigint::text, e.id::text
  FROM migdsl.event AS e WHERE migration = :migration AND id > {_LEFT}
 ORDER BY kind, subject, e.id DESC""")
_STAGES: Final = statement(f"""
SELECT subject, value FROM migdsl.event
 WHERE migration = :migration AND kind = 'stage' AND id > {_LEFT} ORDER BY id""")
_QUARANTINE: Final = statement(
    """
SELECT backfill, count(*)::text FROM migdsl.quarantine WHERE migration = :migration GROUP BY backfill ORDER BY backfill"""
)
_SLICES: Final = statement(f"""
SELECT s.backfill, count(*)::text, count(*) FILTER (WHERE s.state = 'succeeded')::text,
       count(*) FILTER (WHERE s.state = 'failed')::text, count(*) FILTER (WHERE s.state = 'running')::text,
       coalesce(sum(s.rows_planned), 0)::text, coalesce(sum(s.rows_scanned), 0)::text,
       coalesce(sum(s.rows_changed), 0)::text,
       round(sum(s.rows_scanned) FILTER (WHERE s.updated_at >= j.at)
             / greatest(extract(epoch FROM clock_timestamp() - j.at), 0.001))::text
  FROM migdsl.slice AS s
  LEFT JOIN LATERAL (SELECT max(e.at) AS at FROM migdsl.event AS e
                      WHERE e.migration = s.migration AND e.kind = 'job' AND e.subject = s.backfill
                        AND e.value = 'started' AND e.id > {_LEFT}) AS j ON TRUE
 WHERE s.migration = :migration GROUP BY s.backfill, j.at ORDER BY s.backfill""")


_HAS: Final = statement("SELECT to_regclass(:name) IS NOT NULL")
_BEGUN: Final = statement(f"""
SELECT substr(revision, {len(begun.SUBJECT) + 1}) FROM migdsl.snapshot
 WHERE migration = :migration AND starts_with(revision, '{begun.SUBJECT}')""")


class Event:
    """The newest event of a kind and subject: its value, when (UTC, as text), how many seconds ago, and its place."""

    __slots__ = ("age", "at", "id", "value")

    def __init__(self, row: Row) -> None:
        self.value = row[2] or ""
        self.at = row[3] or ""
        self.age = int(row[4] or 0)
        self.id = int(row[5] or 0)


class Ledger:
    """One migration's ledger on one connection. Raises psycopg.Error and JobError, and StoppedError after a signal.

    `run` is the correlation id of the walk, its connections and its jobs.
    """

    def __init__(self, migration: str, url: str, signals: Signals, run: str | None = None) -> None:
        self.migration = migration
        self.run = run or given_run()
        self.conninfo = conninfo_of(url, application_name(migration, "apply", self.run))
        self._database = Database(self.conninfo, _LIMITS, Retry(), signals)
        self._unwritten: list[tuple[str, str, str]] = []
        self.signals = signals

    def open(self) -> None:
        """Raises DatabaseFailedError, without the password."""
        self._database.open()

    def close(self) -> None:
        self._database.close()

    @property
    def there(self) -> bool:
        """Whether there is a ledger."""
        return self._database.perform(ledger_exists)

    def has(self, relation: str) -> bool:
        """Whether there is a table of that name (SQL)."""
        return self._database.perform(lambda tx: tx.rows(_HAS, {"name": relation})) == [("t",)]

    def holds(self, said: str) -> bool:
        """Whether that (SQL over the ledger and the catalog) is so."""
        question = Statement(f"SELECT {said}", ())
        return self._database.perform(lambda tx: tx.rows(question), snapshot=True) == [("t",)]

    def begun(self) -> frozenset[str]:
        """The late phases whose revision has changed something and was not taken back, whether or not it came to its end."""
        return frozenset(row[0] or "" for row in self._rows(_BEGUN))

    def unmet(self, condition: Condition) -> str | None:
        """Why a condition of the ledger doesn't hold, None where it does. Nothing is written."""
        if not self.there:
            return _NO_LEDGER
        if not all(self.has(table) for table in condition.needs) or (condition.gone and self.holds(condition.gone)):
            return None
        question = Statement(condition.question, ())
        try:
            rows = self._database.perform(lambda tx: tx.rows(question), snapshot=True)
        except psycopg.Error as error:
            return f"it can't be asked: {safe_text(error)}"
        return next((row[0] for row in rows if row[0]), None)

    def newest(self) -> Mapping[tuple[str, str], Event]:
        """The newest event of each kind and subject since expand."""
        rows = self._rows(_NEWEST)
        return {(row[0] or "", row[1] or ""): Event(row) for row in rows}

    def stages(self) -> tuple[tuple[str, str], ...]:
        """The rows that the flag's newest line for all begins, in order: what is deployed."""
        lines = self._lines()
        return tuple(lines[-1]) if lines else ()

    def lowered(self) -> bool:
        """Whether the flag was moved back when it was last moved: its farthest stage comes after an even farther one."""
        farthest = [max(STAGES.index(stage) for _, stage in line) for line in self._lines()]
        before = next((each for each in farthest[::-1] if each != farthest[-1]), None)
        return before is not None and before > farthest[-1]

    def _lines(self) -> list[list[tuple[str, str]]]:
        """All that was recorded of the flag, oldest first: each time its line for all, and those of a part of the tenants."""
        found: list[list[tuple[str, str]]] = []
        for subject, stage in ((row[0] or "", row[1] or "") for row in self._rows(_STAGES)):
            if subject == "all" or not found:
                found.append([])
            found[-1].append((subject, stage))
        return found

    def quarantined(self) -> Mapping[str, int]:
        """Backfill → rows set aside."""
        return {row[0] or "": int(row[1] or 0) for row in self._rows(_QUARANTINE)}

    def slices(self) -> list[Row]:
        """A row a backfill: name; slices: all, succeeded, failed, running; rows: planned, passed, changed, a second."""
        return self._rows(_SLICES)

    def record(self, kind: str, subject: str, value: str) -> None:
        """Append an event; before there is a ledger it is kept, and written with the first that finds one."""
        self.record_all(((kind, subject, value),))

    def record_all(self, events: Iterable[tuple[str, str, str]]) -> None:
        """Append all events at once, or none."""
        self._unwritten += events
        if self.there:
            waiting = tuple(self._unwritten)

            def write() -> None:
                with self._database.transaction() as tx:
                    for kind, subject, value in waiting:
                        record_event(tx, self.migration, kind, subject, value)

            self._database.retrying(write)
            self._unwritten.clear()

    def paused(self, seconds: float) -> None:
        """Sleep, and raise StoppedError where a signal came."""
        self.signals.sleep(seconds)
        if self.signals.requested:
            raise StoppedError

    def _rows(self, question: Statement) -> list[Row]:
        if not self.there:
            return []
        return self._database.perform(lambda tx: tx.rows(question, {"migration": self.migration}), snapshot=True)


class Turn:
    """The right to move a migration, held by one process at a time: a lock of the session, gone with the process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def taken(self) -> bool:
        """Whether it is ours now."""
        self._connection = psycopg.connect(self._ledger.conninfo, autocommit=True, prepare_threshold=None)
        self._connection.execute("SET idle_session_timeout = 0")
        name = f"migdsl apply {self._ledger.migration}"
        row = self._connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 7))", (name,)).fetchone()
        return row is not None and row[0] is True

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
