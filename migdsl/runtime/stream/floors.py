"""Turns looks at an outbox into the number up to which nothing waits any more, where looking from its beginning takes long.

While anybody on the server keeps an old snapshot, keys that are forgotten can't be cleared away, and who looks for the first
that waits walks over all of them. Numbers are drawn before they are committed, so that a low one may come late: the floor rises
only to a number from before a transaction of ours, once all that had begun before that one have ended. What had drawn a number
then and no transaction's number yet, for a moment, is found by the next look from the beginning, which is made again and again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.database import Transaction
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.waiting import Look, Queue

# A look that takes no longer is as good as any.
_SLOW_S: Final = 0.1
# A look from the beginning is made again after so long, and so many times what it took.
_AGAIN_S: Final = 30.0
_AGAIN: Final = 20
_BEGUN: Final = statement("SELECT pg_current_xact_id()")
_READER: Final = statement("""
SELECT format('process %s (%s) has kept its snapshot since %s', a.pid, a.application_name, a.xact_start)
  FROM pg_stat_activity AS a
 WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() ORDER BY age(a.backend_xmin) DESC LIMIT 1""")


@dataclass(slots=True)
class Floor:
    """Of one outbox, for all threads of a process."""

    number: int = 0
    _seen: int = 0
    _mark: tuple[int, int] | None = None
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slow(self) -> bool:
        """Whether the last look from the beginning was."""
        return self._until > 0

    def look(self, tx: Transaction, queue: Queue) -> Look:
        """In which lanes something waits; from the beginning, or from the floor where that would take long."""
        began = time.monotonic()
        after = self.number if began < self._until else 0
        found = queue.look(tx, after)
        if not after:
            took = time.monotonic() - began
            self._until = began + took + max(_AGAIN_S, _AGAIN * took) if took > _SLOW_S else 0.0
        if self.slow:
            self._rise(tx, found)
        return found

    def _rise(self, tx: Transaction, found: Look) -> None:
        with self._lock:
            empty = min(found.firsts.values(), default=self._seen + 1) - 1
            if self._mark is not None and found.ended >= self._mark[1]:
                self.number = max(self.number, min(self._mark[0], empty))
                self._mark = None
            self._seen = seen = max(self._seen, *found.firsts.values(), 0)
            if self._mark is not None or seen <= self.number:
                return
        # All that has drawn a number up to this one has begun before this transaction.
        mark = seen, int(tx.rows(_BEGUN)[0][0] or 0)
        with self._lock:
            self._mark = mark


@dataclass(slots=True)
class Floors:
    """Of a stream's outboxes, for all threads of a process."""

    _of: dict[tuple[str, str], Floor] = field(default_factory=dict)

    def of(self, queue: Queue) -> Floor:
        """An outbox's."""
        return self._of.setdefault((queue.move.entity, queue.side), Floor())

    def after(self, queue: Queue) -> int:
        """Where counting begins."""
        floor = self.of(queue)
        return floor.number if floor.slow else 0


def reader(tx: Transaction) -> str:
    """Who keeps the oldest snapshot of this server, as far as our role may see that."""
    rows = tx.rows(_READER)
    return (rows[0][0] or "") if rows else ""
