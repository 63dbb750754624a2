"""What the router asks of connections that aren't its own: psycopg's, and sessions of SQLAlchemy, sync and async.

They are known by their methods, since neither package need be installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any, Final

from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.telemetry.logline import plain

# One number for all locks of the router, beside which the hash of the name stands.
_LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%(name)s, 77))"


def execute(on: Any, statement: str, values: Mapping[str, object]) -> Any:
    """Runs a statement in psycopg's notation (`%(name)s`); psycopg's cursor or SQLAlchemy's result."""
    if hasattr(on, "exec_driver_sql"):
        return on.exec_driver_sql(statement, dict(values))
    if hasattr(on, "begin_nested"):
        return on.connection().exec_driver_sql(statement, dict(values))
    return on.execute(statement, values)


async def execute_async(on: Any, statement: str, values: Mapping[str, object]) -> Any:
    """The same for an AsyncConnection of psycopg or an AsyncSession of SQLAlchemy."""
    if hasattr(on, "exec_driver_sql"):
        return await on.exec_driver_sql(statement, dict(values))
    if hasattr(on, "begin_nested"):
        return await (await on.connection()).exec_driver_sql(statement, dict(values))
    return await on.execute(statement, values)


def rows(on: Any, statement: str, values: Mapping[str, object]) -> list[Sequence[object]]:
    """All rows of a query."""
    return list(execute(on, statement, values).fetchall())


def broken(on: Any) -> bool:
    """Whether a connection of psycopg or SQLAlchemy is lost; of a session it isn't known."""
    return bool(getattr(on, "broken", False) or getattr(on, "closed", False) or getattr(on, "invalidated", False))


def guard(on: Any) -> AbstractContextManager[Any]:
    """A savepoint around a second write: its failure must not take the request's transaction with it."""
    if broken(on):
        return nullcontext()
    if hasattr(on, "begin_nested"):
        return on.begin_nested()  # type: ignore[no-any-return]
    return on.transaction() if hasattr(on, "transaction") else nullcontext()


def guard_async(on: Any) -> AbstractAsyncContextManager[Any]:
    """The same for asyncio."""
    if broken(on):
        return nullcontext()
    if hasattr(on, "begin_nested"):
        return on.begin_nested()  # type: ignore[no-any-return]
    return on.transaction() if hasattr(on, "transaction") else nullcontext()


def advisory_lock(on: Any, name: str) -> None:
    """Makes all writers of one row take turns until the transaction ends, whatever stage each of them is in.

    The `lock=` of a migration whose two sides are in one database. Raises RoutingError outside of a transaction.
    """
    _inside(on)
    execute(on, _LOCK, {"name": name})


async def advisory_lock_async(on: Any, name: str) -> None:
    """The same for asyncio."""
    _inside(on)
    await execute_async(on, _LOCK, {"name": name})


def fields(values: Mapping[str, object]) -> str:
    """`key=value` pairs for a log line."""
    return " ".join(f"{name}={plain(str(value))}" for name, value in values.items())


def _inside(on: Any) -> None:
    if on is None:
        raise RoutingError("a migration with a lock needs the connection of each request: at(tenant, on=connection)")
    info = getattr(on, "info", None)
    status = getattr(info, "transaction_status", None)
    # psycopg's TransactionStatus.IDLE is 0: in autocommit the lock would be gone before the write.
    if getattr(on, "autocommit", False) and status is not None and int(status) == 0:
        raise RoutingError("no transaction is open: with connection.transaction(): … around the whole request")
