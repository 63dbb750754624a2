"""Turns a fence's refusals into where and when a write is tried again, and second writes into counters and log lines."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final

import psycopg

from migdsl.runtime.database import Row
from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.core import Core
from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.stages import Policy, Stage
from migdsl.runtime.stream.carriers import Carried, Told
from migdsl.runtime.stream.jobs import Side, called, other

_ELSEWHERE: Final = "55000"
_NOW: Final = "40001"
# The lock_timeout of the application's role: only a switch keeps writers waiting there.
_WAITED: Final = "55P03"
# No function, no schema, no outbox; XX000: it was dropped between its name and its number, as contract does.
_NO_FENCE: Final = frozenset({"42883", "3F000", "42P01", "XX000"})
_UNFENCED: Final[Mapping[str, Side]] = MappingProxyType({"off": "old", "complete": "new"})
_LONGEST_S: Final = 0.05
_BARE_S: Final = 5.0
_DONE: Final = frozenset({"carried", "part", "nothing"})


class RefusedError(RoutingError):
    """Neither side has let a tenant's write in: nothing was written. `sqlstate` is 40001 while a switch is under way, and
    55000 where the tenant is written on the other side."""

    def __init__(self, tenant: str, sqlstate: str) -> None:
        why = "is between the two databases" if sqlstate == _NOW else "is refused by both databases"
        super().__init__(f"{called(tenant)} {why}, and nothing was written: look at the sync job's `status`")
        self.sqlstate = sqlstate


class NoFenceError(Exception):
    """There is no fence on this side, and the flag says that there should be: run expand first."""


def refusal(error: psycopg.Error, tenant: str) -> Exception:
    """What an error of the statement that enters a side means; the error itself where it means nothing more."""
    if error.sqlstate in (_ELSEWHERE, _NOW, _WAITED):
        return RefusedError(tenant, _ELSEWHERE if error.sqlstate == _ELSEWHERE else _NOW)
    return NoFenceError(str(type(error).__name__)) if error.sqlstate in _NO_FENCE else error


def told(side: Side, row: Row) -> Told:
    """From the row that entering gives."""
    return Told(side, row[0] or "", tuple(int(number or 0) for number in row[1:]))


@dataclass(slots=True)
class Believed:
    """The side on which each tenant was let in last, of the tenants that were used last, and where there was no fence just now;
    any thread may ask."""

    most: int = 100_000
    _bare: dict[Stage, float] = field(default_factory=dict)
    _sides: OrderedDict[str, Side] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def side(self, tenant: str) -> Side | None:
        """None: not known yet."""
        with self._lock:
            return self._sides.get(tenant)

    def search(self, tenant: str, policy: Policy, clock: Callable[[], float], patience_s: float) -> Search:
        """Where a write is tried first: where the last one was, or where the flag says."""
        now = clock()
        if now < self._bare.get(policy.stage, now):
            return Search(_UNFENCED[policy.stage], policy, now, clock, plain=True)
        return Search(self.side(tenant) or policy.authority, policy, now + patience_s, clock)

    def keep(self, tenant: str, found: Search) -> None:
        """A write was let in, or there was nobody to ask, which isn't asked again for a while: once nothing leads back, never."""
        stage, side = found.policy.stage, found.side
        if found.plain:
            self._bare[stage] = float("inf") if stage == "complete" else found.clock() + _BARE_S
            return
        with self._lock:
            self._sides[tenant] = side
            self._sides.move_to_end(tenant)
            while len(self._sides) > self.most:
                self._sides.popitem(last=False)


@dataclass(slots=True)
class Search:
    """One write on its way to the side that lets it in. `plain`: without the fence, which isn't there."""

    side: Side
    policy: Policy
    until: float
    clock: Callable[[], float]
    plain: bool = False
    refusals: int = 0
    random: Random = field(default_factory=Random)

    def again(self, error: Exception) -> float | None:
        """How many seconds to wait before the next try, which may be on the other side; None: the error is the answer."""
        if isinstance(error, NoFenceError) and self.policy.stage in _UNFENCED:
            # Expand hasn't run yet, or contract has.
            self.plain, self.side = True, _UNFENCED[self.policy.stage]
            return 0.0
        if getattr(error, "sqlstate", None) != _NOW and not isinstance(error, RefusedError):
            return None
        if self.clock() >= self.until:
            return None
        if isinstance(error, RefusedError):
            # While a switch is under way, too: one that was killed may have opened the other side already.
            self.side = other(self.side)
        self.refusals += 1
        # The first refusal may only say that the guess was wrong.
        wait = 0.0 if self.refusals == 1 else 0.002 * 2 ** min(self.refusals, 5)
        return min(_LONGEST_S, wait) * (0.5 + self.random.random())


def note(core: Core, policy: Policy, at: Told, done: Carried, seconds: float) -> None:
    """Counts a second write, and tells of one that waits in the outbox: by tenant and class of error, no value."""
    side = other(at.side)
    core.meters.count(m.CARRIED, core.migration, f"{at.side}_to_{side}", done.outcome)
    core.meters.took(m.CARRY_SECONDS, seconds, core.migration)
    if done.outcome in _DONE:
        if done.events:
            core.wrote(policy, side, "second")
        return
    core.failed(policy, side, "second_write")
    about = {"tenant": at.tenant, "side": side, "outcome": done.outcome, "error": done.error or "none"}
    core.log_at_times(logging.WARNING, "second_write_waits", **about)
