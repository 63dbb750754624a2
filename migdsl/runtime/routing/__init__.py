"""What applications import while a migration runs: a tenant's stage becomes reads and writes of the right side."""

from __future__ import annotations

from migdsl.runtime.routing.compare import Shadow
from migdsl.runtime.routing.errors import RoutingError, StageUnknownError
from migdsl.runtime.routing.fallback import Fallback
from migdsl.runtime.routing.flags import OpenFeature
from migdsl.runtime.routing.repair import LedgerRecorder, LinesRecorder, LogRecorder, open_repairs, repair
from migdsl.runtime.routing.router import At, Migration, Router
from migdsl.runtime.routing.router_async import AsyncAt, AsyncMigration, AsyncRouter
from migdsl.runtime.routing.sql import advisory_lock, advisory_lock_async
from migdsl.runtime.routing.standing import Pace

__all__ = [
    "AsyncAt",
    "AsyncMigration",
    "AsyncRouter",
    "At",
    "Fallback",
    "LedgerRecorder",
    "LinesRecorder",
    "LogRecorder",
    "Migration",
    "OpenFeature",
    "Pace",
    "Router",
    "RoutingError",
    "Shadow",
    "StageUnknownError",
    "advisory_lock",
    "advisory_lock_async",
    "open_repairs",
    "repair",
]
