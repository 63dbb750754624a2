"""Turns the job's question about the database's health into an answer that all workers of a process share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from migdsl.runtime.backfill.program import Program
from migdsl.runtime.database import Database

# How often to ask whether to wait, in seconds: the question costs more than a small batch.
HOLD_S: Final = 1.0


@dataclass(slots=True)
class Health:
    """Why the job must wait just now. Asked about once a second, by whichever worker comes first."""

    program: Program
    _lock: Lock = field(default_factory=Lock)
    _asked: float | None = None
    _reason: str | None = None

    def reason(self, database: Database) -> str | None:
        """Why to wait, or None; at most about a second old."""
        if self.program.hold is None:
            return None
        # Nobody begins before there is a first answer.
        if self._due() and self._lock.acquire(blocking=self._asked is None):
            try:
                if self._due():
                    self._reason = database.perform(self.program.reason_to_wait, snapshot=True)
                    self._asked = time.monotonic()
            finally:
                self._lock.release()
        return self._reason

    def _due(self) -> bool:
        return self._asked is None or time.monotonic() - self._asked >= HOLD_S
