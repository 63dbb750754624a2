"""Turns a second write that failed into a line that a repair reads later: keys and sides, never values."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from migdsl.runtime.routing import sql
from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.mask import lock_name
from migdsl.runtime.routing.stages import Side, Stage

_LOG: Final = logging.getLogger("migdsl.routing")

_RECORD: Final = (
    "INSERT INTO migdsl.event (migration, kind, subject, value)"
    " VALUES (%(migration)s, 'repair', %(subject)s, %(value)s)"
)
_OPEN: Final = """
SELECT r.id, r.subject FROM migdsl.event AS r
 WHERE r.migration = %(migration)s AND r.kind = 'repair'
   AND r.id > coalesce((SELECT max(l.id) FROM migdsl.event AS l WHERE l.migration = %(migration)s AND l.kind = 'left'), 0)
   AND NOT EXISTS (SELECT FROM migdsl.event AS d
                    WHERE d.migration = r.migration AND d.kind = 'repaired' AND d.subject = r.subject
                      AND d.value = r.id::text)
 ORDER BY r.id"""
_DONE: Final = (
    "INSERT INTO migdsl.event (migration, kind, subject, value)"
    " VALUES (%(migration)s, 'repaired', %(subject)s, %(value)s)"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A second write that failed: `side` lacks what the other side has under `key`, a JSON array of text.

    `error` is a class and an SQLSTATE.
    """

    migration: str
    tenant: str
    key: str
    side: Side
    stage: Stage
    error: str

    @property
    def subject(self) -> str:
        """What is to be repaired: a JSON array of tenant, side and key."""
        return json.dumps([self.tenant, self.side, self.key], ensure_ascii=False)


class Recorder(Protocol):
    """Writes a failure down, on the request's own connection `on` if there is one. Raises where it can't."""

    def record(self, failure: Failure, on: object | None) -> None: ...


class AsyncRecorder(Protocol):
    """The same for asyncio."""

    async def record_async(self, failure: Failure, on: object | None) -> None: ...


class LedgerRecorder:
    """Records failures in the ledger's append-only `migdsl.event`, as kind `repair`.

    On the request's connection the line commits with the authoritative write, or not at all. Without one (the two
    sides are in two databases), and where that one is broken, `connect` or `connect_async` gives a connection, which
    commits at its end.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Any]] | None = None,
        connect_async: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    ) -> None:
        self._connect = connect
        self._connect_async = connect_async

    def record(self, failure: Failure, on: object | None) -> None:
        """Raises RoutingError without a connection, and what the database says."""
        values = {"migration": failure.migration, "subject": failure.subject, "value": _cause(failure)}
        if on is not None:
            try:
                sql.execute(on, _RECORD, values)
            except Exception:
                if self._connect is None or not sql.broken(on):
                    raise
            else:
                return
        if self._connect is None:
            raise RoutingError("LedgerRecorder needs connect=, since this write has no connection (`at(…, on=…)`)")
        with self._connect() as connection:
            sql.execute(connection, _RECORD, values)

    async def record_async(self, failure: Failure, on: object | None) -> None:
        """Raises RoutingError without a connection, and what the database says."""
        values = {"migration": failure.migration, "subject": failure.subject, "value": _cause(failure)}
        if on is not None:
            try:
                await sql.execute_async(on, _RECORD, values)
            except Exception:
                if self._connect_async is None or not sql.broken(on):
                    raise
            else:
                return
        if self._connect_async is None:
            raise RoutingError("LedgerRecorder needs connect_async=, since this write has no connection")
        async with self._connect_async() as connection:
            await sql.execute_async(connection, _RECORD, values)


class LinesRecorder:
    """Appends failures to a file, one JSON object a line; each is on the disk before the request goes on."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()

    def record(self, failure: Failure, on: object | None) -> None:  # noqa: ARG002 (a file needs no connection)
        """Raises OSError."""
        line = json.dumps({"at": time.time(), **asdict(failure)}, ensure_ascii=False) + "\n"
        # One write to a file that is open for appending, so that lines of several processes don't mix.
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(line.encode())
            os.fsync(file.fileno())

    async def record_async(self, failure: Failure, on: object | None) -> None:
        """Raises OSError. Holds the loop up for the time of one fsync: that is a failed write's price."""
        self.record(failure, on)

    def failures(self) -> Iterator[Failure]:
        """All failures in the file. Raises OSError."""
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                fields = json.loads(line)
                fields.pop("at")
                yield Failure(**fields)


class LogRecorder:
    """The last resort: an error in the log `migdsl.routing`, from which a person can repair."""

    def record(self, failure: Failure, on: object | None) -> None:  # noqa: ARG002 (a log needs no connection)
        _LOG.error("event=repair_needed %s", sql.fields(asdict(failure)))

    async def record_async(self, failure: Failure, on: object | None) -> None:
        self.record(failure, on)


@dataclass(frozen=True, slots=True)
class Repair:
    """An open line of the ledger: `side` lacks a write. `key` holds the key's parts as text, `lock` is the name for
    `advisory_lock` under which the row's writers take turns."""

    id: int
    tenant: str
    side: Side
    key: tuple[str, ...]
    subject: str
    lock: str


def open_repairs(connection: object, migration: str) -> list[Repair]:
    """What is still to be repaired, oldest first. The authority may only change where there is none."""
    found = []
    for number, subject in sql.rows(connection, _OPEN, {"migration": migration}):
        tenant, side, key = json.loads(str(subject))
        lock = lock_name(migration, tenant, key)
        found.append(Repair(int(str(number)), tenant, side, tuple(json.loads(key)), str(subject), lock))
    return found


def repair(connection: Any, migration: str, copy: Callable[[Any, Repair], None]) -> int:
    """Calls `copy` for each open repair, and records that it is done, in one transaction; how many there were.

    `copy` makes the row on the failed side what it is on the other one, and must not let that row change meanwhile:
    take the same lock as the writers, or lock the row that it reads. Each open line is answered by its own number, so
    a failure that is recorded while `copy` runs stays open.
    """
    found = open_repairs(connection, migration)
    for each in found:
        with sql.guard(connection):
            copy(connection, each)
            sql.execute(connection, _DONE, {"migration": migration, "subject": each.subject, "value": str(each.id)})
    return len(found)


def _cause(failure: Failure) -> str:
    return f"{failure.stage} {failure.error}"
