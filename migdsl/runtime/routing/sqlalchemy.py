"""Keeps a tenant's stage the same for as long as the transaction of an SQLAlchemy session lasts."""

from __future__ import annotations

import importlib
from typing import Any, Final

from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.router import At, Migration
from migdsl.runtime.routing.stages import Policy

_PINS: Final = "migdsl_pins"


def at_session(migration: Migration, session: Any, tenant: object) -> At:
    """A tenant's place in the session's transaction; the next transaction asks anew. Raises StageUnknownError.

    Reads and writes are called with the session; a second write runs in `session.begin_nested()`.
    """
    pins: dict[tuple[int, str], Policy] | None = session.info.get(_PINS)
    if pins is None:
        pins = session.info[_PINS] = {}
        _events().listen(session, "after_transaction_end", _forget)
    key = (id(migration), str(tenant))
    if key not in pins:
        if not session.in_transaction():
            session.begin()
        pins[key] = migration.policy(str(tenant))
    return At(migration, str(tenant), pins[key], session)


def _forget(session: Any, transaction: Any) -> None:
    # Savepoints end too, within the transaction.
    if transaction.parent is None:
        session.info[_PINS].clear()


def _events() -> Any:
    try:
        # An optional package: whoever has a session has it.
        return importlib.import_module("sqlalchemy.event")
    except ModuleNotFoundError:
        raise RoutingError("at_session needs SQLAlchemy: pip install sqlalchemy") from None
