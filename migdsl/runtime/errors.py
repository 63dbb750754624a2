"""Turns database errors into what a job does and what it may say: classes and SQLSTATEs, never a row's values."""

from __future__ import annotations

from enum import Enum
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


class Remedy(Enum):
    """What to do after an error: try again (as it is, smaller, or reconnected), fail the slice, or stop the job."""

    RETRY = "retry"
    SHRINK = "shrink"
    RECONNECT = "reconnect"
    FAIL_SLICE = "fail slice"
    STOP = "stop"


# PostgreSQL's appendix A. 25P03 and 57P05 are sessions that the server ended while we paused.
_RETRY: Final = frozenset({"40001", "40P01", "55P03", "55006"})
_RECONNECT: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
# Classes that stem from the rows: data, cardinality, integrity, a view's check option, limits, a trigger's RAISE.
_OF_THE_DATA: Final = frozenset({"22", "23", "P0", "44", "54", "21"})
# Classes whose primary message can name objects and roles, and no value of a row.
_SPEAKABLE: Final = frozenset({"08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57", "58"})


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
    return Remedy.FAIL_SLICE if state[:2] in _OF_THE_DATA else Remedy.STOP


def safe_text(error: psycopg.Error) -> str:
    """Class name and SQLSTATE, e.g. `UniqueViolation 23505`; the server's message only where it can't quote a row."""
    name = type(error).__name__
    if error.sqlstate is None:
        return name
    message = error.diag.message_primary if error.sqlstate[:2] in _SPEAKABLE else None
    return f"{name} {error.sqlstate}" + (f": {message}" if message else "")


def error_class(error: psycopg.Error) -> str:
    """What the ledger keeps of an error: class name and SQLSTATE alone."""
    return f"{type(error).__name__} {error.sqlstate or '(no SQLSTATE)'}"
