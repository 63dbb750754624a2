"""Turns a time into an end for whoever waits for a database: no try begins after it, and a connection that is silent is cut.

A server that doesn't run, or a network that swallows all, keeps no timeout of its own, and TCP waits for minutes.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from migdsl.runtime.database import Database

# A try that began in time may have connected since.
_AGAIN_S: Final = 0.2


@dataclass(slots=True)
class Cutter:
    """A context in which databases can be given until when they may keep their user waiting; they are severable."""

    databases: tuple[Database, ...]
    until: float = float("inf")
    _ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def arm(self, seconds: float) -> None:
        """From now on they have so long."""
        self._set(time.monotonic() + seconds)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="migdsl-cutter", daemon=True)
            self._thread.start()

    def disarm(self) -> None:
        """They have as long as it takes; nothing is cut once this returns."""
        self._set(float("inf"))

    def _set(self, until: float) -> None:
        with self._changed:
            self.until = until
            for database in self.databases:
                database.until = until
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                left = self.until - time.monotonic()
                if left <= 0:
                    for database in self.databases:
                        database.sever()
                    left = _AGAIN_S
                self._changed.wait(min(left, threading.TIMEOUT_MAX))

    def __enter__(self) -> Cutter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disarm()
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
