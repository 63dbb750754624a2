"""Turns environment variables into how patient an engine is: seconds of a lane, of heartbeats, of waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from migdsl.runtime.errors import UsageError

_PREFIX: Final = "MIGDSL_ENGINE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds, each read from `MIGDSL_ENGINE_<NAME>`.

    `lane` is how long a task works before it goes to the end of the queue; `held` and `parked` how long a lane that
    somebody else holds, or that is paused, stays out of it. `heartbeat`, `stalled` and `rescue` are Procrastinate's: how
    often a worker says that it lives, when it counts as dead, how often the dead ones' lanes are taken. `redeliver` and
    `sweep` are Celery's on Redis: after how long an unacknowledged message counts as lost, how often to look.
    """

    lane: float = 30.0
    held: float = 5.0
    parked: float = 30.0
    heartbeat: float = 5.0
    stalled: float = 20.0
    rescue: int = 10
    redeliver: float = 120.0
    sweep: float = 5.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """The defaults, and what the environment says instead. Raises UsageError for what isn't a positive number."""
        given: dict[str, float] = {}
        for known in fields(cls):
            text = environment.get(f"{_PREFIX}{known.name.upper()}")
            if text is not None:
                given[known.name] = _seconds(known.name, text)
        if "rescue" in given:
            given["rescue"] = max(1, min(59, round(given["rescue"])))
        return cls(**given)  # type: ignore[arg-type]


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise UsageError(f"{_PREFIX}{name.upper()} must be a number of seconds above 0, and is {text!r}")
    return value
