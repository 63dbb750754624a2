"""Turns the ledger and the server's own views into the numbers that no single process of a backfill knows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg

from migdsl.runtime.errors import error_class


@dataclass(frozen=True, slots=True)
class Facts:
    """A backfill's ledger, over all tenants and processes, and the health of its database in seconds.

    `left` are planned rows of slices that aren't done; `open_slices` those that haven't succeeded. None: hidden from
    this role, which needs pg_read_all_stats.
    """

    planned: int
    passed: int
    left: int
    open_slices: int
    failed_slices: int
    quarantined: int
    replication_lag: float | None = None
    lock_wait: float | None = None

    @property
    def progress(self) -> float:
        """From 0 to 1, which is reached only when every slice has succeeded."""
        return min(self.passed / max(self.planned, 1), 0.999999) if self.open_slices else 1.0


# Rows that were deleted meanwhile are never passed, so a slice that is done has nothing left whatever its numbers.
_LEDGER: Final = b"""
SELECT coalesce(sum(rows_planned), 0), coalesce(sum(rows_scanned), 0),
       coalesce(sum(greatest(rows_planned - rows_scanned, 0)) FILTER (WHERE state <> 'succeeded'), 0),
       count(*) FILTER (WHERE state <> 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
       (SELECT count(*) FROM migdsl.quarantine WHERE migration = $1 AND backfill = $2)
  FROM migdsl.slice WHERE migration = $1 AND backfill = $2"""
_HEALTH: Final = b"""
SELECT (SELECT CASE WHEN bool_or(r.state IS NULL) THEN NULL
                    ELSE coalesce(max(extract(epoch FROM coalesce(r.replay_lag, r.flush_lag, r.write_lag))), 0) END
          FROM pg_catalog.pg_stat_replication AS r)::float8,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)
          FROM pg_catalog.pg_locks AS l
         WHERE NOT l.granted
           AND coalesce(l.database, 0) IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d
                                                WHERE d.datname = current_database())))::float8"""
_BEGIN: Final = (
    b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 500; "
    b"SET LOCAL idle_in_transaction_session_timeout = 5000"
)


@dataclass(slots=True)
class Probe:
    """A connection of its own, used by one thread; made when it is asked for the first time, and again when it is lost."""

    conninfo: str
    migration: str
    backfill: str
    _connection: psycopg.Connection[tuple[object, ...]] | None = None

    def facts(self) -> Facts | str:
        """What is so just now, or the class of the error that is in the way."""
        try:
            if self._connection is None or self._connection.broken:
                self._connection = psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=None)
            return self._asked(self._connection)
        except psycopg.Error as error:
            self.close()
            return error_class(error)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _asked(self, connection: psycopg.Connection[tuple[object, ...]]) -> Facts:
        with psycopg.RawCursor(connection) as cursor:
            cursor.execute(_BEGIN)
            cursor.execute(_LEDGER, (self.migration, self.backfill))
            counts = [int(str(value or 0)) for value in cursor.fetchone() or (0,) * 6]
            cursor.execute(_HEALTH)
            lag, wait = (None if value is None else float(str(value)) for value in cursor.fetchone() or (None, None))
            cursor.execute(b"COMMIT")
        planned, passed, left, open_slices, failed, quarantined = counts
        return Facts(planned, passed, left, open_slices, failed, quarantined, lag, wait)
