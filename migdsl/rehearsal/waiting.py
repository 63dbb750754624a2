"""A condition becomes whether it came in time."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST_S = 120.0  # a machine may be busy; who is right is through in a second


def until(what: Callable[[], bool], most_s: float = _MOST_S) -> bool:
    """Waits for a condition; whether it came."""
    end = time.monotonic() + most_s
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
