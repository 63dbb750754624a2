"""A URL becomes one read-only transaction, or the reason why it can't, which never quotes the URL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from migdsl.introspect import queries
from migdsl.runtime.address import conninfo_of
from migdsl.runtime.errors import JobError

OLDEST = 12  # what the questions to the catalogue need
_VARIABLE = re.compile(r"env:(\w+)")


class UnreadableError(Exception):
    """The database can't be read: why, and a way out."""

    def __init__(self, why: str, help: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.help = help


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is; `variable` names the environment variable that holds the URL, None where it was given."""

    url: str
    variable: str | None

    def __repr__(self) -> str:
        return f"Address({self.variable})"


@dataclass(frozen=True, slots=True)
class Session:
    """An open transaction."""

    connection: psycopg.Connection[dict[str, Any]]

    def rows(self, query: str, values: Sequence[str | int] = ()) -> list[dict[str, Any]]:
        """All rows, by the names of their columns; `$1` and so on stand for the values."""
        with psycopg.RawCursor(self.connection, row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def modifier(self, query: str) -> int:
        """The type modifier (a length, a precision; -1: none) of the first column of a query's result."""
        result = self.connection.execute(query.encode()).pgresult
        return result.fmod(0) if result is not None else -1

    def one(self, query: str) -> dict[str, Any]:
        """The only row."""
        return self.rows(query)[0]

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What fails in here leaves the transaction as it was."""
        self.connection.execute("SAVEPOINT migdsl")
        try:
            yield
        except psycopg.Error:
            self.connection.execute("ROLLBACK TO SAVEPOINT migdsl")
            raise
        self.connection.execute("RELEASE SAVEPOINT migdsl")


def address(words: str, environment: Mapping[str, str] = os.environ) -> Address:
    """What `URL` or `env:NAME` on a command line stands for; UnreadableError where there is no such variable."""
    match = _VARIABLE.fullmatch(words)
    if match is None:
        return Address(words, None)
    found = environment.get(match[1])
    if not found:
        raise UnreadableError(
            f"the environment variable {match[1]} is not set", f"export {match[1]}=postgresql://user@host:5432/name"
        )
    return Address(found, match[1])


@contextmanager
def reading(where: Address) -> Iterator[Session]:
    """One repeatable-read, read-only transaction; UnreadableError for whatever goes wrong in it."""
    with _transaction(where, queries.BEGIN) as session:
        yield session


@contextmanager
def asking(where: Address) -> Iterator[Session]:
    """One that may make temporary functions, and is rolled back whatever happens; UnreadableError likewise."""
    with _transaction(where, queries.ASK) as session:
        yield session
        session.connection.execute("ROLLBACK")


@contextmanager
def _transaction(where: Address, begin: str) -> Iterator[Session]:
    connection = _connect(where)
    try:
        connection.execute(begin.encode())
        yield Session(connection)
    except psycopg.Error as error:
        raise _spoken(error) from None
    finally:
        with suppress(psycopg.Error):
            connection.close()


def _connect(where: Address) -> psycopg.Connection[dict[str, Any]]:
    try:
        conninfo = conninfo_of(where.url, "migdsl")
    except JobError as error:
        raise UnreadableError(str(error)) from None
    try:
        # Behind a pooler no statement may be prepared by name.
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None, row_factory=dict_row)
    except (psycopg.Error, UnicodeError) as error:
        help_ = "is it running, and may this machine and this role connect to it?"
        raise UnreadableError(f"can't connect: {_masked(str(error), conninfo)}", help_) from None
    if connection.info.server_version < OLDEST * 10000:
        version = connection.info.server_version // 10000
        connection.close()
        raise UnreadableError(f"the server is PostgreSQL {version}, and its catalogue is read from {OLDEST} on")
    return connection


def _masked(message: str, conninfo: str) -> str:
    """The driver's message on one line, every secret of the address left out."""
    for name, value in conninfo_to_dict(conninfo).items():
        if value and ("password" in name or name == "sslkey"):
            message = message.replace(str(value), "***")
    return " ".join(message.split())


def _spoken(error: psycopg.Error) -> UnreadableError:
    """PostgreSQL's error, with a way out where there is one; the questions hold no value of a row."""
    message = " ".join((error.diag.message_primary or type(error).__name__).split())
    help_ = {
        "55P03": "somebody holds a lock on a table: try again when that migration is through",
        "57014": "the catalogue took longer than a minute to read: name the tables with --schema or --table",
        "42501": "use a role that may: it needs USAGE on the schemas, and no right on any table",
    }.get(error.sqlstate or "", "")
    return UnreadableError(f"the database refused: {message}", help_)
