"""What the router says when it can't do its work, and errors of others as text that holds no row's values."""

from __future__ import annotations


class RoutingError(Exception):
    """The router is used, or set up, in a way that can't be right; the message says what to do instead."""


class StageUnknownError(RoutingError):
    """No flag service answers, this process has never known the tenant's stage, and no default is safe for it."""

    def __init__(self, migration: str, tenant: str, why: str) -> None:
        super().__init__(
            f"the stage of tenant {tenant!r} in migration {migration} is unknown: {why}. To guess could lose its writes, "
            "so nothing was read or written; mend the flag service, or give the migration a default"
        )


def settled(error: BaseException) -> bool:
    """Whether a database said, with an SQLSTATE, that what failed is undone. A lost connection (08), a server that ends
    (57P) and a completion that is unknown (40003) don't say it, and nor does any other error."""
    state = _state(error)
    return state is not None and not state.startswith(("08", "57P")) and state != "40003"


def named(error: BaseException) -> str:
    """Class and SQLSTATE, such as `UniqueViolation 23505`: messages of databases quote rows."""
    cause, state = _cause(error), _state(error)
    return type(cause).__name__ + (f" {state}" if state is not None else "")


def _cause(error: BaseException) -> object:
    return getattr(error, "orig", None) or error


def _state(error: BaseException) -> str | None:
    cause = _cause(error)
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state if isinstance(state, str) else None
