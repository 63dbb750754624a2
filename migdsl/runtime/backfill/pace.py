"""Turns the time that the last batches took into the size of the next one and the pause before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from migdsl.runtime.jobs import Pace, Retry

# Weight of the newest batch: three batches make up most of the average, so one slow checkpoint doesn't halve the speed.
_NEWEST = 0.4
_USUAL = Pace()
# What a batch costs besides its rows is a fiftieth of it by then. Its locks are held for as long.
_ALONE_MS = 50.0
_ALONE_GROWTH = 2.0


@dataclass(frozen=True, slots=True)
class BatchSize:
    """The next batch's size in rows, and the smoothed rows per second that it rests on (0 before the first batch)."""

    rows: int
    rate: float = 0.0

    def after(self, pace: Pace, scanned: int, seconds: float) -> BatchSize:
        """The size after `scanned` rows took `seconds`: aims at the target, grows by at most `growth`, stays in bounds.

        A batch that was quick because a small tenant ended says nothing about the next one.
        """
        if scanned <= 0 or seconds <= 0 or (scanned < self.rows and seconds * 1000 <= pace.target_ms):
            return self
        seen = scanned / seconds
        rate = seen if self.rate == 0 else self.rate + _NEWEST * (seen - self.rate)
        wanted = min(rate * pace.target_ms / 1000, self.rows * pace.growth + 1)
        return BatchSize(max(pace.floor, min(pace.ceiling, int(wanted))), rate)

    def cut(self, pace: Pace) -> BatchSize:
        """The size after a timeout: a quarter at once, since others wait for as long as a batch is too long."""
        return replace(self, rows=max(pace.floor, self.rows // 4), rate=self.rate / 4)


def unthrottled(pace: Pace) -> Pace:
    """A pace without pauses is for when nobody else is there: batches are longer then, and get there sooner.

    What the file says of a batch's length holds.
    """
    if pace.duty < 1 or pace.rows_per_second is not None or pace.target_ms != _USUAL.target_ms:
        return pace
    return replace(pace, target_ms=_ALONE_MS, growth=_ALONE_GROWTH)


def pause_after(pace: Pace, seconds: float, rows: int = 0) -> float:
    """Seconds to sleep after a batch of `seconds` over `rows`, so that work is `duty` of the time, and rows come no faster
    than they may."""
    share = seconds * (1 - pace.duty) / pace.duty
    return share if pace.rows_per_second is None else max(share, rows / pace.rows_per_second - seconds)


def backoff(retry: Retry, attempt: int, random: Random) -> float:
    """Seconds before the next try after `attempt` failed ones: doubles up to the longest.

    The upper half is random, so that workers that collided don't meet again.
    """
    full = min(retry.longest_s, retry.first_s * 2.0 ** (attempt - 1))
    return full * (0.5 + random.random() / 2)


@dataclass(slots=True)
class Search:
    """Halves a batch that fails on its data until a bad row stands alone.

    `suspects` are the next rows of which one at least is known to be bad; 0 while none is. Whether a half fails or passes,
    the bad row is in a half of what was left: a batch of n rows costs about log2(n) more transactions a bad row.
    """

    suspects: int = 0

    @property
    def alone(self) -> bool:
        """Whether the next batch is one row that stands alone."""
        return self.suspects > 0 and self.size(1) == 1

    def size(self, normal: int) -> int:
        """The next batch's size in rows."""
        return (self.suspects + 1) // 2 if self.suspects else normal

    def failed(self, size: int) -> None:
        """A batch of `size` rows failed on its data."""
        self.suspects = size

    def passed(self, rows: int, found: bool) -> None:
        """A batch of `rows` rows committed; `found`: the bad row was set aside."""
        self.suspects = 0 if found else max(0, self.suspects - rows)
