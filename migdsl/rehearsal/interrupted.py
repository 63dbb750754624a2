"""SIGTERM and Ctrl-C become the end of a rehearsal, also while it runs a job that takes them for its own."""

from __future__ import annotations

from types import FrameType

from migdsl.runtime.stop import Signals


class Interrupted(Signals):
    """A context in which either raises KeyboardInterrupt, so that servers, sync jobs and folders go with the rehearsal."""

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.requested, self._number = True, number
        raise KeyboardInterrupt
