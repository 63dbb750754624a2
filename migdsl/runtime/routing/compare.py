"""Turns one answered read into a verdict on whether the other side would have answered the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.core import Core
from migdsl.runtime.routing.mask import Key
from migdsl.runtime.routing.stages import Side, other

Equal = Callable[[Any, Any], bool]
Read = Callable[..., Any]
Dropped = Literal["full", "late", "budget", "error", "timeout", "lease", "closed"]


@dataclass(frozen=True, slots=True)
class Shadow:
    """How reads are compared behind the request's back. Whatever doesn't fit is dropped and counted, never waited for.

    - `lease` gives a connection for comparisons (a pool's `connection`; a session factory), since the request's own is
      busy or gone by then; needed where requests have one (`at(…, on=…)`). `lease_async` is the same for asyncio.
    - `sample`: which share of reads is compared. `queue`: how many may wait. `workers`: how many run side by side.
    - `budget`: how many seconds of comparing a second may hold, all workers together. `max_age`: a read that waited
      longer, in seconds, is too old to compare. `timeout`: a comparison that took longer counts as dropped; asyncio
      cancels it, a thread can't be stopped, so give the leased connections a `statement_timeout`.
    - `recheck`: sides that differ are both read again after so many seconds, since a write may have come in between.
    """

    lease: Callable[[], AbstractContextManager[Any]] | None = None
    lease_async: Callable[[], AbstractAsyncContextManager[Any]] | None = None
    sample: float = 1.0
    queue: int = 1000
    workers: int = 2
    budget: float = 0.2
    max_age: float = 2.0
    timeout: float = 1.0
    recheck: float = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """A read that `answered` gave `value` for, at `born` on the core's clock, and both ways to read it.

    `leased`: the reads take a connection.
    """

    core: Core
    tenant: str
    key: Key | None
    answered: Side
    value: object
    reads: Mapping[Side, Read]
    equal: Equal
    leased: bool
    born: float

    @property
    def unasked(self) -> Side:
        """The side that didn't answer."""
        return other(self.answered)

    def agrees(self, value: object) -> bool:
        """Whether the other side's value is the one that was answered."""
        return self.same({self.answered: self.value, self.unasked: value})

    def same(self, values: Mapping[Side, object]) -> bool:
        """Whether two values, by side, are equal."""
        return bool(self.equal(values["old"], values["new"]))

    def close(self, values: Mapping[Side, object] | None) -> None:
        """Counts the comparison; `values` are the sides where they differ."""
        self.core.meters.count(m.COMPARED, self.core.migration)
        if values is not None:
            self.core.mismatch(self.tenant, self.key, values["old"], values["new"])

    def drop(self, reason: Dropped) -> None:
        """Counts a comparison that isn't made."""
        self.core.meters.count(m.DROPPED, self.core.migration, reason)


@dataclass(slots=True)
class Budget:
    """Seconds of comparing that are left, filled up by `share` a second, at most one second's worth."""

    share: float
    clock: Callable[[], float]
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.share, self.clock()

    def open(self) -> bool:
        """Whether there is any left."""
        now = self.clock()
        self.left = min(self.share, self.left + (now - self.at) * self.share)
        self.at = now
        return self.left > 0

    def spend(self, seconds: float) -> None:
        """Takes off what a comparison took; the time that it only waited doesn't count."""
        self.left -= seconds


def chosen(sample: float, random: Random) -> bool:
    """Whether a read belongs to the sample."""
    return sample >= 1 or random.random() < sample
