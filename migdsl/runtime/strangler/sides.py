"""A flag's answers become the side of a tenant or a client: asked anew every second, kept when nobody answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from migdsl.runtime.strangler.model import Side

_LOG: Final = logging.getLogger("migdsl.strangler")
# What the stages of the migration's flag mean for something that is swapped: who answers.
ANSWERS: Final[dict[str, Side]] = {
    "off": "old",
    "dualwrite": "old",
    "shadow": "old",
    "live": "new",
    "rampdown": "new",
    "complete": "new",
}


class AsyncFlags(Protocol):
    """Answers with a variant's name, as `migdsl.runtime.routing.OpenFeature` does. Raises anything when it can't."""

    async def variant_async(self, flag: str, tenant: str) -> str: ...


class NoStageError(Exception):
    """The flag's variant is no stage."""


class Sides:
    """The sides of those whom this process knows, the `most` recent ones.

    Where the flag service fails, or takes longer than `timeout_s`, whoever was on a side stays there, and anybody else is on
    the old one. For `fresh_s` nobody is asked for again then, so that a service that hangs doesn't hold up every request.
    """

    def __init__(
        self,
        flags: AsyncFlags,
        flag: str,
        unanswered: Callable[[], None],
        *,
        fresh_s: float = 1.0,
        timeout_s: float = 0.25,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flags, self._flag, self._unanswered = flags, flag, unanswered
        self._fresh_s, self._timeout_s, self._most, self._clock = fresh_s, timeout_s, most, clock
        self._known: OrderedDict[str, tuple[Side, float]] = OrderedDict()
        self._quiet_until = float("-inf")

    async def side(self, subject: str) -> Side:
        """The side of a tenant or a client, now."""
        known = self._known.get(subject)
        now = self._clock()
        if known is not None and now - known[1] < self._fresh_s:
            return known[0]
        if now < self._quiet_until:
            return known[0] if known is not None else "old"
        try:
            variant = await asyncio.wait_for(self._flags.variant_async(self._flag, subject), self._timeout_s)
            if variant not in ANSWERS:
                raise NoStageError(variant)
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, the request goes on
            return self._without(known, error)
        self._known[subject] = (ANSWERS[variant], now)
        self._known.move_to_end(subject)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return ANSWERS[variant]

    def _without(self, known: tuple[Side, float] | None, error: Exception) -> Side:
        side: Side = known[0] if known is not None else "old"
        self._quiet_until = self._clock() + self._fresh_s
        self._unanswered()
        _LOG.warning(
            "the flag %s gives no stage (%s): whoever is known stays, others are old", self._flag, type(error).__name__
        )
        return side
