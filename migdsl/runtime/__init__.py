"""What generated jobs import: the loop around their SQL, without any of the compiler's packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migdsl.runtime.jobs import BackfillJob, Budget, Limits, Pace, ReconcileJob, Retry, Side

if TYPE_CHECKING:
    from migdsl.runtime.backfill.transform import Transform
    from migdsl.runtime.cli import main

__all__ = ["BackfillJob", "Budget", "Limits", "Pace", "ReconcileJob", "Retry", "Side", "Transform", "main"]


def __getattr__(name: str) -> Any:
    if name not in ("Transform", "main"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only the jobs need psycopg; an application that routes its requests may have another driver.
    if name == "Transform":
        from migdsl.runtime.backfill.transform import Transform  # for its sake

        return Transform
    from migdsl.runtime.cli import main  # likewise

    return main
