"""Turns database errors into what a job does and what it may say: classes and SQLSTATEs, never a row's values."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final

import psycopg


class JobError(Exception):
    """A reason to stop that is told in one line; `code` is the process's exit code (contracts.md)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class UsageError(JobError):
    """What was asked for can't be done as asked: exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 2)


class DatabaseFailedError(JobError):
    """The database can't be reached, or isn't in the state that the job needs: exit code 3."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 3)


class FenceLostError(Exception):
    """The slice is no longer ours: another worker took it over, or someone paused or cancelled it."""


class StoppedError(Exception):
    """A signal asked for a stop while something waited; nothing is half done."""


class RowsRefusedError(Exception):
    """A batch holds rows that can't be filled, for a reason that isn't PostgreSQL's: it is halved as after a data error.

    `error_class` and `template` name classes and functions, and hold no value of a row.
    """

    def __init__(self, error_class: str, template: str) -> None:
        super().__init__(f"{error_class}: {template}")
        self.error_class = error_class
        self.template = template


class Remedy(Enum):
    """What to do after an error: try again (as it is, smaller, or reconnected), halve the batch, or stop the job."""

    RETRY = "retry"
    SHRINK = "shrink"
    RECONNECT = "reconnect"
    HALVE = "halve"
    STOP = "stop"


# PostgreSQL's appendix A. 25P03 and 57P05 are sessions that the server ended while we paused.
_RETRY: Final = frozenset({"40001", "40P01", "55P03", "55006"})
_RECONNECT: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
# Classes that stem from the rows: data, cardinality, integrity, a view's check option, limits, a trigger's RAISE.
_OF_THE_DATA: Final = frozenset({"22", "23", "P0", "44", "54", "21"})
# Classes whose primary message can name objects and roles, and no value of a row.
_SPEAKABLE: Final = frozenset({"08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57", "58"})

_OF_THE_TEXT: Final = frozenset({"0A", "3F", "42"})


def remedy(error: psycopg.Error) -> Remedy:
    """What to do about `error` in a batch."""
    state = error.sqlstate
    if state is None:
        return Remedy.RECONNECT if isinstance(error, psycopg.OperationalError) else Remedy.STOP
    if state == "57014":
        return Remedy.SHRINK
    if state in _RETRY:
        return Remedy.RETRY
    if state in _RECONNECT or state.startswith("08"):
        return Remedy.RECONNECT
    return Remedy.HALVE if state[:2] in _OF_THE_DATA else Remedy.STOP


def unloadable(error: Exception) -> str:
    """Why a Python file can't be loaded: the error's class, and of what Python can't read the file, the line and its reason.

    Any other message may quote whatever the file computes.
    """
    name = type(error).__name__
    if not isinstance(error, SyntaxError) or not error.lineno:
        return name
    file = Path(error.filename).name if error.filename else "it"
    return f"{name}, line {error.lineno} of {file}: {error.msg}"


def safe_text(error: psycopg.Error) -> str:
    """Class name and SQLSTATE, e.g. `UniqueViolation 23505`; the server's message only where it can't quote a row."""
    name = type(error).__name__
    if error.sqlstate is None:
        return name
    message = error.diag.message_primary if _speakable(error.sqlstate, error) else None
    return f"{name} {error.sqlstate}" + (f": {message}" if message else "")


def _speakable(state: str, error: psycopg.Error) -> bool:
    """Whether the message is about the statement or the server, and not about what a row made of it."""
    # A function raises what it likes under any SQLSTATE, and runs SQL that it has put together from values.
    if state[:2] not in _SPEAKABLE or error.diag.context is not None:
        return False
    # `name::regclass`, to_tsquery and date_trunc look a value up while rows are read: only an error with a position in
    # the text stems from the text. That a table may not be read (42501) has none, and names the table.
    return state[:2] not in _OF_THE_TEXT or state == "42501" or error.diag.statement_position is not None


def error_class(error: psycopg.Error) -> str:
    """What the ledger keeps of an error: class name and SQLSTATE alone."""
    return f"{type(error).__name__} {error.sqlstate or '(no SQLSTATE)'}"
