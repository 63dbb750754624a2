"""A server's WAL becomes a standby of our own that lags on purpose, so that the lag is what the server itself measures."""

from __future__ import annotations

import select
import struct
import threading
import time
from collections import deque
from contextlib import suppress

import psycopg
from psycopg import pq

_DATA = struct.Struct("!cQQq")  # w: where these bytes begin, where the server is, its clock
_STATUS = struct.Struct("!cQQQqB")  # r: written, flushed, applied, our clock, whether an answer is wanted
_EVERY_S = 1.0
_MOST = 50_000  # positions that are remembered: an hour of them


class Standby(threading.Thread):
    """Takes all that the server streams, and says nothing until it is told to lag: a standby that hangs.

    `failed`: why there is no stream. Source: PostgreSQL, Streaming Replication Protocol.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="rehearsal standby", daemon=True)
        self._url = url
        self._taken: deque[tuple[float, int]] = deque(maxlen=_MOST)
        self._lag_s: float | None = None
        self._told = threading.Event()
        self.over = threading.Event()
        self.failed: str | None = None

    def run(self) -> None:
        # It may be silent for as long as it likes.
        options = {"replication": "true", "application_name": "rehearsal standby", "options": "-c wal_sender_timeout=0"}
        connection = None
        try:
            connection = pq.PGconn.connect(psycopg.conninfo.make_conninfo(self._url, **options).encode())
            self._begin(connection)
            self._follow(connection)
        except (psycopg.Error, OSError) as error:
            self.failed = f"{type(error).__name__}: {error}".strip()
        finally:
            self.over.set()
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.finish()

    def may_lag(self, seconds: float) -> bool:
        """Whether it has taken something so long ago."""
        return not self.over.is_set() and bool(self._taken) and time.monotonic() - self._taken[0][0] > seconds

    def lag(self, seconds: float) -> None:
        """From now on it tells the server that it has applied what came so long ago, and nothing newer."""
        self._lag_s = seconds
        self._told.set()

    def stop(self) -> None:
        """It is gone."""
        self.over.set()
        self.join()

    def _begin(self, connection: pq.abc.PGconn) -> None:
        if connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(connection.get_error_message())
        found = connection.exec_(b"IDENTIFY_SYSTEM")
        place = found.get_value(0, 2) if found.status == pq.ExecStatus.TUPLES_OK else None
        if place is None:
            raise psycopg.OperationalError(connection.get_error_message())
        connection.send_query(b"START_REPLICATION PHYSICAL " + place)
        begun = connection.get_result()
        if begun is None or begun.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.OperationalError(connection.get_error_message())

    def _follow(self, connection: pq.abc.PGconn) -> None:
        said = 0.0
        while not self.over.is_set():
            size, data = connection.get_copy_data(1)
            if size > 0:
                self._take(bytes(data))
            elif size < 0:
                raise psycopg.OperationalError("the server has ended the stream")
            else:
                select.select([connection.socket], [], [], 0.05)
                connection.consume_input()
            if self._lag_s is not None and (self._told.is_set() or time.monotonic() - said > _EVERY_S):
                self._told.clear()
                said = time.monotonic()
                self._tell(connection, self._applied(self._lag_s))

    def _take(self, data: bytes) -> None:
        if data[:1] == b"w":
            _, start, _, _ = _DATA.unpack_from(data)
            self._taken.append((time.monotonic(), start + len(data) - _DATA.size))

    def _applied(self, lag_s: float) -> int:
        until = time.monotonic() - lag_s
        return next((place for at, place in reversed(self._taken) if at <= until), 0)

    def _tell(self, connection: pq.abc.PGconn, place: int) -> None:
        clock = int((time.time() - 946_684_800) * 1_000_000)
        connection.put_copy_data(_STATUS.pack(b"r", place, place, place, clock, 0))
        connection.flush()
