"""Turns SIGTERM and the first Ctrl-C into a request to stop after the batch at hand."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Final

# A handler that only sets a flag doesn't end time.sleep, and an Event can deadlock when it is set from a handler.
_SLICE_S: Final = 0.05

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


@dataclass(slots=True)
class Signals:
    """A context in which signals ask for a stop. `exit_code` is 0 after SIGTERM and 130 after Ctrl-C.

    A second Ctrl-C raises KeyboardInterrupt at once. What a signal asked of a context is asked of the one around it, too: a walk
    that runs a job stops with it.
    """

    exit_code: int = 0
    requested: bool = False
    _before: dict[int, _Handler] = field(default_factory=dict)
    _number: int | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        around = getattr(self._before.get(self._number or 0), "__self__", None)
        if isinstance(around, Signals) and not around.requested:
            around.ask(self._number or 0)

    def sleep(self, seconds: float) -> None:
        """Sleeps, and returns within a twentieth of a second of a request."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))

    def ask(self, number: int) -> None:
        """As if the signal had come here."""
        self._asked(number, None)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.requested:
            raise KeyboardInterrupt
        self.requested, self._number = True, number
        self.exit_code = 130 if number == signal.SIGINT else 0


@dataclass(slots=True)
class Halt:
    """A stop that a signal asks for, or one of several workers for the others, or the clock (time.monotonic)."""

    signals: Signals
    ended: bool = False
    until: float = float("inf")

    @property
    def requested(self) -> bool:
        return self.ended or self.signals.requested or time.monotonic() >= self.until

    def sleep(self, seconds: float) -> None:
        """Sleeps, and returns within a twentieth of a second of a request."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))
