"""What generated jobs import: the loop around their SQL, without any of the compiler's packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migdsl.runtime.jobs import BackfillJob, Limits, Pace, ReconcileJob, Retry

if TYPE_CHECKING:
    from migdsl.runtime.cli import main

__all__ = ["BackfillJob", "Limits", "Pace", "ReconcileJob", "Retry", "main"]


def __getattr__(name: str) -> Any:
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only the jobs need psycopg; an application that routes its requests may have another driver.
    from migdsl.runtime.cli import main

    return main
