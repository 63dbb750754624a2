"""Requests become counters by side and outcome, and an application one whose requests are counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from migdsl.runtime.strangler.model import App, Message, Receive, Scope, Send, Side
from migdsl.runtime.telemetry.metrics import MetricSpec, Sample, render

REQUESTS: Final = MetricSpec(
    "migdsl_replace_requests_total",
    "counter",
    ("migration", "replace", "side", "outcome"),
    "Requests that the old or the new side answered, by outcome: ok, error (5xx, or no answer at all).",
)
FLAG_ERRORS: Final = MetricSpec(
    "migdsl_replace_flag_errors_total",
    "counter",
    ("migration", "replace"),
    "Times that the flag service gave no stage, and the last known side, or the old one, answered.",
)
METRICS: Final = (REQUESTS, FLAG_ERRORS)
_SIDES: Final[tuple[Side, ...]] = ("old", "new")
# What an ASGI application closes a websocket with when it fails.
_FAILED_CLOSE: Final = frozenset([1011, 1012, 1013, 1014])


class Outcomes:
    """The counters of one process for one replacement; any thread may count. All begin at 0: a rate never sees a series'
    first value."""

    def __init__(self, migration: str, replace: str) -> None:
        self._labels = {"migration": migration, "replace": replace}
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Side, str]] = Counter({(side, o): 0 for side in _SIDES for o in ("ok", "error")})
        self._flag_errors = 0

    def count(self, side: Side, *, ok: bool) -> None:
        """One request more."""
        with self._lock:
            self._counts[side, "ok" if ok else "error"] += 1

    def unanswered(self) -> None:
        """The flag service gave no answer once more."""
        with self._lock:
            self._flag_errors += 1

    def value(self, side: Side, outcome: str) -> int:
        """What was counted."""
        with self._lock:
            return self._counts[side, outcome]

    def samples(self) -> list[Sample]:
        """All counters, in a fixed order."""
        with self._lock:
            counts, errors = sorted(self._counts.items()), self._flag_errors
        found = [Sample(REQUESTS, {**self._labels, "side": side, "outcome": o}, n) for (side, o), n in counts]
        return [*found, Sample(FLAG_ERRORS, self._labels, errors)]

    def text(self) -> str:
        """Prometheus text format 0.0.4."""
        return render(self.samples(), METRICS)


class Counted:
    """An ASGI application of one side whose requests are counted: for processes that are old or new as a whole."""

    def __init__(self, app: App, outcomes: Outcomes, side: Side) -> None:
        self._app = app
        self._outcomes = outcomes
        self._side = side

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await counted(self._app, self._outcomes, self._side, scope, receive, send)


async def counted(app: App, outcomes: Outcomes, side: Side, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the application answer, once, and count how that ended. What it raises goes on to the server.

    A request that is cancelled counts as neither: nobody was there to see it.
    """
    seen: list[bool] = []

    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"] < 500)
        elif message["type"] == "websocket.accept":
            seen.append(True)
        elif message["type"] == "websocket.close":
            seen.append(message.get("code", 1000) not in _FAILED_CLOSE)
        await send(message)

    try:
        await app(scope, receive, watched)
    except Exception:
        outcomes.count(side, ok=False)
        raise
    outcomes.count(side, ok=bool(seen) and all(seen))
