"""What generated jobs import: the loop around their SQL, without any of the compiler's packages."""

from __future__ import annotations

from migdsl.runtime.cli import main
from migdsl.runtime.jobs import BackfillJob, Limits, Pace, ReconcileJob, Retry

__all__ = ["BackfillJob", "Limits", "Pace", "ReconcileJob", "Retry", "main"]
