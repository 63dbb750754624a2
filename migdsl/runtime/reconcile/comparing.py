"""Turns a tenant into a tally of what differs: range by range, at the job's pace, each difference seen twice before it counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.backfill.pace import BatchSize, pause_after
from migdsl.runtime.database import Database
from migdsl.runtime.errors import StoppedError
from migdsl.runtime.jobs import Pace
from migdsl.runtime.ledger import Key
from migdsl.runtime.reconcile.look import Found, Looker, Suspect, Tally
from migdsl.runtime.sql import Statement

# Rows that wait for a second look at most, so that memory stays flat where everything differs.
_WAITING: Final = 10_000
# How often to ask whether to wait, and for how long to wait then, in seconds.
_HOLD_S: Final = 1.0
_LONGEST_S: Final = 4.0  # between two looks at what may be on its way
_PATIENT_TENANTS: Final = 10
_LOOKS: Final = 3  # at what no row explains


class TimeIsUpError(Exception):
    """The time that was given to the run is over; what wasn't compared to its end is not recorded."""


@dataclass(slots=True)
class Brake:
    """What holds a reconciliation up between two looks: a stop, the end of its time, the database's health, its pace.

    `deadline` is a reading of time.monotonic, None without one; `on_hold` hears why the job waits.
    """

    database: Database
    pace: Pace
    hold: Statement | None = None
    deadline: float | None = None
    on_hold: Callable[[str], None] = lambda _reason: None
    _asked: float = field(default_factory=lambda: -_HOLD_S)

    def check(self) -> None:
        """Returns when there is nothing to wait for. Raises StoppedError and TimeIsUpError."""
        while True:
            if self.database.stop.requested:
                raise StoppedError
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise TimeIsUpError
            reason = self._reason()
            if reason is None:
                return
            self.on_hold(reason)
            self.sleep(_HOLD_S)

    def sleep(self, seconds: float) -> None:
        """Shorter where a stop is asked for."""
        if seconds > 0:
            self.database.stop.sleep(seconds)

    def _reason(self) -> str | None:
        if self.hold is None or time.monotonic() - self._asked < _HOLD_S:
            return None
        question = self.hold
        rows = self.database.perform(lambda tx: tx.rows(question), snapshot=True)
        reason = rows[0][0] if rows else None
        # While it holds it is asked each time: the second that is slept must not pass for an answer.
        self._asked = time.monotonic() if reason is None else -_HOLD_S
        return reason


@dataclass(slots=True)
class Patience:
    """How long rows may take that are on their way to the other side, in seconds: for a tenant, and `left` for all of a run.

    Where nobody carries over, all tenants differ, and each can't be waited for.
    """

    seconds: float
    left: float

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """For a run."""
        return cls(seconds, seconds * _PATIENT_TENANTS)


@dataclass(slots=True)
class Comparer:
    """Compares one tenant. `limit` caps the rows that are shown; `on_found` gets those that differ for good, bit by bit."""

    looker: Looker
    brake: Brake
    tenant: str
    settle_s: float
    limit: int
    patience: Patience = field(default_factory=lambda: Patience(0.0, 0.0))
    on_found: Callable[[Found], None] = lambda _found: None
    tally: Tally = field(default_factory=Tally)
    _suspects: list[Suspect] = field(default_factory=list)
    _waiting: int = 0
    _seen: float = 0.0

    def run(self) -> Tally:
        """All of the tenant's rows. Raises StoppedError, TimeIsUpError, psycopg.Error."""
        pace, size = self.brake.pace, BatchSize(self.brake.pace.first)
        after: Key | None = None
        while True:
            self.brake.check()
            began = time.monotonic()
            segment = self.looker.look(self.tenant, after, size.rows)
            seconds = time.monotonic() - began
            self.tally.add(segment)
            for suspect in segment.suspects:
                self._suspect(suspect)
            self.brake.sleep(pause_after(pace, seconds, segment.rows))
            if segment.upto is None:
                break
            after = segment.upto
            size = size.after(pace, segment.rows, seconds)
        self._settle()
        return self.tally

    def _suspect(self, suspect: Suspect) -> None:
        self._suspects.append(suspect)
        self._waiting += len(suspect.found)
        self._seen = time.monotonic()
        if self._waiting >= _WAITING:
            self._settle()

    def _settle(self) -> None:
        """The second look: what was only being written when it was seen first is right by now."""
        suspects, self._suspects, self._waiting = self._suspects, [], 0
        if suspects:
            self.brake.sleep(self._seen + self.settle_s - time.monotonic())
        for suspect in suspects:
            self.brake.check()
            self._look_again(suspect)

    def _look_again(self, suspect: Suspect) -> None:
        if not suspect.found:
            self.tally.unexplained += self._inexplicable(suspect)
            return
        began = time.monotonic()
        now = self.looker.again(self.tenant, suspect.range)
        worked = time.monotonic() - began
        confirmed = self._persistent(suspect, {key: now[key] for key in suspect.found if key in now})
        self.tally.unsettled += len(suspect.found) - len(confirmed)
        self.tally.confirm(confirmed, self.limit)
        self.brake.sleep(pause_after(self.brake.pace, worked))
        if confirmed:
            self.on_found(confirmed)

    def _inexplicable(self, suspect: Suspect) -> bool:
        """Whether hashes differ though no row does, time and again: rows are written between any two looks."""
        pause = self.settle_s
        # Where it is so again and again nothing is gained by waiting.
        for _ in range(1 if self.tally.unexplained > _LOOKS else _LOOKS):
            if not self.looker.unequal(self.tenant, suspect.range) or self.looker.again(self.tenant, suspect.range):
                return False
            self.brake.sleep(pause)
            self.brake.check()
            pause = min(pause * 2, _LONGEST_S)
        return True

    def _persistent(self, suspect: Suspect, found: Found) -> Found:
        """What differs at every look, for as long as rows may be on their way."""
        pause = self.settle_s
        while found and self.patience.left > 0 and time.monotonic() + pause < self._seen + self.patience.seconds:
            self.patience.left -= pause
            self.brake.sleep(pause)
            self.brake.check()
            now = self.looker.again(self.tenant, suspect.range)
            found = {key: now[key] for key in found if key in now}
            pause = min(pause * 2, _LONGEST_S)
        return found
