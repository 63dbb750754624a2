"""Turns what a flag said of tenants, and when, into the stage that each of them has in this process."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from migdsl.runtime.routing.moves import Move, move
from migdsl.runtime.routing.stages import Stage


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an answer of the flag service is good for (`ttl`), how long a stage has to stand before the next
    (`settle`), both in seconds, and how many tenants are remembered, the most recently used.

    `settle` has to be longer than all of these together: the flag service's own delay, `ttl`, the longest request.
    """

    ttl: float = 5.0
    settle: float = 60.0
    tenants: int = 100_000


@dataclass(frozen=True, slots=True)
class _Standing:
    stage: Stage
    seen: float  # when the flag last said this stage, or when it was taken on the way to another
    checked: float
    walking: bool = False
    guessed: bool = False  # nobody said so: any answer of the flag is right after it


class Standings:
    """The tenants of one migration in one process; any thread may ask."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._tenants: OrderedDict[str, _Standing] = OrderedDict()

    def fresh(self, tenant: str) -> Stage | None:
        """The tenant's stage, if the flag was asked within the ttl."""
        with self._lock:
            known = self._tenants.get(tenant)
            if known is None or self._clock() - known.checked >= self._pace.ttl:
                return None
            self._tenants.move_to_end(tenant)
            return known.stage

    def known(self, tenant: str) -> Stage | None:
        """The tenant's last known stage, however old; None where it was only guessed."""
        with self._lock:
            known = self._tenants.get(tenant)
            return None if known is None or known.guessed else known.stage

    def observe(self, tenant: str, wanted: Stage, asked: float) -> Move:
        """Takes in that the flag, asked at `asked` on the clock, said `wanted`; the step that the tenant makes."""
        with self._lock:
            known = self._tenants.get(tenant)
            if known is not None and known.guessed:
                known = None
            if known is not None and known.checked > asked:
                return Move(known.stage, "stays")  # somebody who asked later was answered sooner
            if known is None:
                step = Move(wanted, "stays")
            else:
                step = move(known.stage, wanted, asked - known.seen, self._pace.settle, walking=known.walking)
            waits = step.stage != wanted and known is not None and step.stage == known.stage
            # A stage that only waits for its time to pass has to keep the moment at which it began.
            seen = known.seen if known is not None and waits else asked
            walking = step.verdict == "held"
            self._tenants[tenant] = _Standing(step.stage, seen, asked, walking)
            self._trim(tenant)
            return step

    def unanswered(self, tenant: str, asked: float, guess: Stage | None) -> Stage | None:
        """The flag service failed: the last known stage, or else the guess, is good for another ttl, so that nobody
        storms it."""
        with self._lock:
            known = self._tenants.get(tenant)
            if known is None or known.guessed:
                known = None if guess is None else _Standing(guess, asked, asked, guessed=True)
            if known is None:
                return None
            if known.checked <= asked:
                self._tenants[tenant] = replace(known, checked=asked)
                self._trim(tenant)
            return known.stage

    def stages(self) -> dict[str, Stage]:
        """All tenants that are known, with their stage."""
        with self._lock:
            return {tenant: known.stage for tenant, known in self._tenants.items()}

    def census(self) -> Counter[Stage]:
        """How many tenants are in each stage."""
        return Counter(self.stages().values())

    def _trim(self, newest: str) -> None:
        self._tenants.move_to_end(newest)
        while len(self._tenants) > self._pace.tenants:
            self._tenants.popitem(last=False)
