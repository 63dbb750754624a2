"""Turns a URL into short transactions whose rows are text, opened again after a lost connection."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Escaping

from migdsl.runtime.backfill.pace import backoff
from migdsl.runtime.errors import DatabaseFailedError, Remedy, StoppedError, UsageError, remedy, safe_text
from migdsl.runtime.jobs import Limits, Retry
from migdsl.runtime.sql import Statement, statement

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

Row = tuple[str | None, ...]
# A statement and its values.
Asked = tuple[Statement, Mapping[str, str | None]]
T = TypeVar("T")

_NOTHING: Final[Mapping[str, str | None]] = {}
_HAS_TRANSACTION_TIMEOUT: Final = 170000
# Keys travel as text, so their text form must read back as the same value whatever the role's settings are.
_SETTINGS: Final = (
    "SET LOCAL row_security = off; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL plan_cache_mode = force_custom_plan; "
    "SET LOCAL array_nulls = on; SET LOCAL xmloption = content"
)
# Two sessions write a point in time the same way.
ONE_ZONE: Final = "SET LOCAL timezone = 'UTC'"


class Stop(Protocol):
    """Whether somebody asked for a stop, and a sleep that ends early when they do."""

    @property
    def requested(self) -> bool: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(slots=True)
class Transaction:
    """An open transaction. Values go in as text of unknown type, and take the type of what they are compared with.

    `waiting` is what goes to the server with the next message, COMMIT's at the latest: BEGIN itself, where it can wait, and
    statements that nobody needs an answer of.
    """

    _cursor: psycopg.RawCursor[tuple[object, ...]]
    waiting: list[str] = field(default_factory=list)
    begun: bool = True

    @property
    def cursor(self) -> psycopg.RawCursor[tuple[object, ...]]:
        """The connection's cursor, once all that waits is sent."""
        self.flush()
        return self._cursor

    def together(self, *asked: Asked) -> list[list[Row]]:
        """The rows of each statement, all of them sent in one message; where one fails, those behind it aren't run.

        Each has a snapshot of its own, as it would have by itself. Values are sent as literals.
        """
        results = self._send([*self.waiting, *(self._inlined(*each) for each in asked)])
        return [_rows(result) for result in results[len(results) - len(asked) :]]

    def later(self, statement: Statement, values: Mapping[str, str | None] = _NOTHING) -> None:
        """Runs a statement before whatever comes next, and in the same message as COMMIT where nothing does."""
        self.waiting.append(self._inlined(statement, values))

    def flush(self, *last: str) -> None:
        """Sends what waits, and `last`."""
        if self.waiting or last:
            self._send([*self.waiting, *last])

    def _inlined(self, statement: Statement, values: Mapping[str, str | None]) -> str:
        escaping = Escaping(self._cursor.connection.pgconn)
        return statement.inlined(values, lambda value: escaping.escape_literal(value.encode()).decode())

    def _send(self, texts: Sequence[str]) -> list[PGresult | None]:
        self.waiting.clear()
        self.begun = True
        # A line of its own: a statement may end in a comment.
        self._cursor.execute("\n;".join(texts).encode())
        results = [self._cursor.pgresult]
        while self._cursor.nextset():
            results.append(self._cursor.pgresult)
        return results

    def rows(self, statement: Statement, values: Mapping[str, str | None] = _NOTHING) -> list[Row]:
        """All rows, each value in PostgreSQL's text form."""
        cursor = self.cursor
        cursor.execute(statement.text.encode(), statement.bind(values))
        return _rows(cursor.pgresult)

    def records(self, statement: Statement, values: Mapping[str, str | None] = _NOTHING) -> list[dict[str, str | None]]:
        """All rows as column name → text."""
        names, found = self.named(statement, values)
        return [dict(zip(names, row, strict=True)) for row in found]

    def named(
        self, statement: Statement, values: Mapping[str, str | None] = _NOTHING
    ) -> tuple[tuple[str, ...], list[Row]]:
        """The names of the columns, of which two may have the same, and all rows."""
        found = self.rows(statement, values)
        return tuple(column.name for column in self.cursor.description or ()), found

    def run(self, statement: Statement, values: Mapping[str, str | None] = _NOTHING) -> int:
        """How many rows the statement wrote."""
        cursor = self.cursor
        cursor.execute(statement.text.encode(), statement.bind(values))
        return cursor.rowcount

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that is undone alone when it fails; deferred constraints are asked at its end."""
        self.flush("SAVEPOINT migdsl_part")
        try:
            yield
            self.cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self.cursor.execute("RELEASE SAVEPOINT migdsl_part")
        except BaseException:
            self.waiting.clear()
            with suppress(psycopg.Error):
                self.cursor.execute("ROLLBACK TO SAVEPOINT migdsl_part")
            raise


@dataclass(slots=True)
class Database:
    """One connection, made again when it is lost.

    `stop` cuts every wait short; `on_retry` hears of each error that is tried again, and the seconds until then.
    `settings` are further `SET LOCAL`s of every transaction. No try begins after `until` (by time.monotonic). `name` is what
    an error is said to come from, where there are several. What is `severable` can be cut from another thread.
    """

    conninfo: str
    limits: Limits
    retry: Retry
    stop: Stop
    on_retry: Callable[[psycopg.Error, float], None] = lambda _error, _seconds: None
    settings: str = ""
    until: float = float("inf")
    name: str = ""
    severable: bool = False
    _connection: psycopg.Connection[tuple[object, ...]] | None = None
    _random: Random = field(default_factory=Random)
    _wire: socket.socket | None = None

    def open(self) -> None:
        """Connects for the first time. Raises DatabaseFailedError, without the password."""
        try:
            self._connect()
        except psycopg.Error as error:
            raise DatabaseFailedError(f"can't connect: {self._masked(str(error))}") from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def sever(self) -> None:
        """Cuts the connection, from another thread: whoever waits for its server, however silent that is, waits no more."""
        wire = self._wire
        if wire is not None:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def transaction(
        self, *, patient: bool = False, snapshot: bool = False, unhurried: bool = False, brief: bool = False
    ) -> Iterator[Transaction]:
        """One transaction; `patient`: no statement timeout, for counts that lock nothing; `snapshot`: read only;
        `unhurried`: COMMIT doesn't wait for the disk, for work that a crash of the server may take back as a whole; `brief`:
        BEGIN goes in the message of the first statement."""
        # Timeouts and row_security go with BEGIN, in its round trip: behind a pooler no session is ours.
        late = (f"; {self.settings}" if self.settings else "") + (
            "; SET LOCAL synchronous_commit = off" if unhurried else ""
        )
        with self._named():
            cursor = psycopg.RawCursor(self._connection or self._connect())
            begin = _begin(self.limits, patient, snapshot, cursor.connection.info.server_version)
            tx = Transaction(cursor, [begin + late], begun=False)
            if not brief:
                tx.flush()
            try:
                yield tx
                if tx.begun or len(tx.waiting) > 1:
                    tx.flush("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    if tx.begun:
                        cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def _named(self) -> Iterator[None]:
        """An error of the block tells the database's name, if it has one; within another's transaction it is the first note."""
        try:
            yield
        except psycopg.Error as error:
            if self.name:
                error.add_note(self.name)
            raise

    def perform(self, work: Callable[[Transaction], T], *, patient: bool = False, snapshot: bool = False) -> T:
        """The result of `work` in one transaction, tried again after transient errors."""

        def once() -> T:
            with self.transaction(patient=patient, snapshot=snapshot) as tx:
                return work(tx)

        return self.retrying(once)

    def retrying(self, work: Callable[[], T]) -> T:
        """The result of `work`, tried again after transient errors; its transactions must be able to run twice."""
        attempt = 0
        while True:
            try:
                return work()
            except psycopg.Error as error:
                attempt += 1
                if attempt > self.retry.attempts or time.monotonic() > self.until or not self.recover(error, attempt):
                    raise

    def recover(self, error: psycopg.Error, attempt: int) -> bool:
        """Whether `error` is worth another try after `attempt` failed ones; then sleeps, and drops a lost connection.

        Raises StoppedError when a stop was asked for meanwhile.
        """
        what = remedy(error)
        if what is Remedy.RECONNECT or (self._connection is not None and self._connection.broken):
            self.close()
        elif what not in (Remedy.RETRY, Remedy.SHRINK):
            return False
        seconds = backoff(self.retry, attempt, self._random)
        self.on_retry(error, seconds)
        self.stop.sleep(seconds)
        if self.stop.requested:
            raise StoppedError
        return True

    def cancel(self) -> None:
        """Ends the statement at hand, from another thread."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.cancel()

    @property
    def announced_pid(self) -> int:
        """What the other end said of the server process behind the connection: true unless it is a pooler."""
        return (self._connection or self._connect()).info.backend_pid

    @property
    def backend_pid(self) -> int | None:
        """The server process behind the connection: None behind a pooler, which makes numbers up."""
        connection = self._connection or self._connect()
        with psycopg.RawCursor(connection) as cursor:
            row = cursor.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
        return connection.info.backend_pid if row is not None and row[0] == connection.info.backend_pid else None

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        # No server-side prepared statements: a custom plan a batch keeps `:after IS NULL` foldable, and poolers happy.
        self._connection = psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=None)
        if self._connection.info.parameter_status("standard_conforming_strings") == "off":
            # Not with BEGIN: a message is read as a whole before its first statement runs. Poolers keep it client by client.
            self._connection.execute("SET standard_conforming_strings = on")
        if self.severable:
            # A handle of its own: the number of a socket that libpq has closed may be another one's by now.
            self._wire = socket.socket(fileno=os.dup(self._connection.fileno()))
        return self._connection

    def _masked(self, message: str) -> str:
        password = conninfo_to_dict(self.conninfo).get("password")
        shown = message.replace(str(password), "***") if password else message
        return " ".join(shown.split())


def misplaced(error: psycopg.Error) -> bool:
    """Whether something that the statement names isn't there."""
    return error.sqlstate in {"42P01", "42703", "3F000", "42883"}


def speak(error: psycopg.Error, *, begun: bool = False) -> DatabaseFailedError:
    """The error as a reason to stop, with a way out where there is one. `begun`: expand has surely run."""
    hint = ""
    if misplaced(error) and begun:
        hint = (
            "; expand has run, and what this job reads or fills has another name since, or is gone: "
            "after cutover or contract there may be nothing left for it to do"
        )
    elif misplaced(error):
        hint = "; the database isn't where this job expects it: run `alembic upgrade head` first"
    elif error.sqlstate == "42501" and error.diag.source_function == "check_enable_rls":
        hint = "; a filtered table would be filled in part: run the job as a role with BYPASSRLS"
    elif error.sqlstate == "42501":
        hint = "; grant it to the role that this job connects as"
    who = next(iter(getattr(error, "__notes__", ())), "the database")
    return DatabaseFailedError(f"{who} refused: {safe_text(error)}{hint}")


def _begin(limits: Limits, patient: bool, snapshot: bool, version: int) -> str:
    mode = "REPEATABLE READ READ ONLY" if snapshot else "READ COMMITTED READ WRITE"
    statement_ms = 0 if patient else limits.statement_ms
    return (
        f"BEGIN ISOLATION LEVEL {mode}; {_SETTINGS}; SET LOCAL statement_timeout = {statement_ms:d}; "
        f"SET LOCAL lock_timeout = {limits.lock_ms:d}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {limits.idle_ms:d}"
    ) + ("; SET LOCAL transaction_timeout = 0" if patient and version >= _HAS_TRANSACTION_TIMEOUT else "")


def _rows(result: PGresult | None) -> list[Row]:
    if result is None:
        return []
    columns = range(result.nfields)
    return [tuple(_text(result.get_value(row, column)) for column in columns) for row in range(result.ntuples)]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8")


def tenants_of(database: Database, sql: str | None, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """The tenants to work on, in the list's order; one lane named '' for a table without tenants.

    Raises UsageError for one that isn't listed, and DatabaseFailedError for a NULL in the list.
    """
    if sql is None:
        if asked is not None:
            raise UsageError("this table has no tenants: leave --tenant out")
        return ("",)
    listing = statement(sql)
    rows = database.perform(lambda tx: tx.rows(listing), patient=True, snapshot=True)
    listed = tuple(dict.fromkeys(row[0] for row in rows if row[0] is not None))
    if any(row[0] is None for row in rows):
        raise DatabaseFailedError("the list of tenants holds a NULL")
    unknown = [tenant for tenant in asked or () if tenant not in listed]
    if unknown:
        raise UsageError(f"the list of tenants doesn't hold {', '.join(map(repr, unknown))}")
    return listed if asked is None else tuple(tenant for tenant in listed if tenant in asked)
