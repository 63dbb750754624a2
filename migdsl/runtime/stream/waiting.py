"""Turns outboxes and dead letters into numbers: what waits, for how long, what can't be applied, and of which tenant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Transaction
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.jobs import Move, Side, Stream

# More is a backlog, however much more: counting a long queue would cost more than it tells.
MOST: Final = 100_000
_OWN: Final = "migration = :migration AND entity = :entity"
_OF: Final = "(:tenant::text IS NULL OR tenant = :tenant OR tenant_was = :tenant OR tenant IS NULL)"
_LETTERS: Final = statement(f"""
SELECT row_key, tenant, error_class, template, tries, at FROM migdsl.dead_letter WHERE {_OWN} AND {_OF}
 ORDER BY at, row_key LIMIT :limit""")
_STANDS: Final = statement("SELECT to_regclass(:name) IS NOT NULL AND to_regclass('migdsl.side') IS NOT NULL")
_COUNT: Final = statement(f"SELECT count(*) FROM migdsl.dead_letter WHERE {_OWN} AND {_OF}")
# What depends on another row may be right by now: a parent that came later, a value that was given up.
_DUE: Final = (
    "error_class LIKE '% 23%'"
    " AND at < clock_timestamp() - least(interval '1 minute', interval '1 second' * (2 ^ least(tries, 6)))"
)


@dataclass(frozen=True, slots=True)
class Look:
    """The number of the first event that waits, by lane; all transactions below `ended` had ended."""

    firsts: Mapping[int, int]
    ended: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one outbox holds: events (at most MOST are counted), the age of the oldest in seconds, dead letters.

    Of what a slot brings: for how many seconds it hasn't been read to its end, and how many bytes of WAL it keeps.
    """

    entity: str
    side: Side
    events: int
    waited_s: float
    letters: int
    unread_s: float = 0.0
    kept: int | None = None

    @property
    def lag_s(self) -> float:
        """How old the oldest may be that isn't carried over: what no outbox has yet, nobody knows."""
        return max(self.waited_s, self.unread_s)


@dataclass(frozen=True, slots=True)
class Letter:
    """A row that can't be applied: its key and why, never a value."""

    key: tuple[str, ...]
    tenant: str | None
    error_class: str
    template: str
    tries: int
    at: str


@dataclass(frozen=True, slots=True)
class Queue:
    """One table's outbox on one side. Each method runs in a transaction of that side's database."""

    stream: Stream
    move: Move
    side: Side

    @property
    def outbox(self) -> str:
        """Its name, as SQL."""
        return (self.move.forward if self.side == "old" else self.move.back).outbox

    def stands(self, tx: Transaction) -> bool:
        """Whether its outbox is there: expanded, and not contracted."""
        return tx.rows(_STANDS, {"name": self.outbox}) == [("t",)]

    def look(self, tx: Transaction, after: int = 0) -> Look:
        """The lanes in which something waits with a number above that."""
        sql = statement(f"""
SELECT lane.lane, {self._first("o.id")}, pg_snapshot_xmin(pg_current_snapshot())
  FROM generate_series(0, :lanes::integer - 1) AS lane""")
        rows = tx.rows(sql, {"lanes": str(self.move.lanes), "after": str(after)})
        firsts = {int(lane or 0): int(first) for lane, first, _ in rows if first is not None}
        return Look(firsts, int(rows[0][2] or 0))

    def waiting(self, tx: Transaction, after: int = 0) -> Waiting:
        """What waits with a number above that."""
        lanes = "generate_series(0, :lanes::integer - 1) AS lane"
        # Where it begins further on, the index tells: the table itself has all that can't be cleared away before that.
        above = (
            f"{lanes}, LATERAL (SELECT FROM {self.outbox} AS o WHERE o.lane = lane.lane AND o.id > :after::bigint) AS o"
        )
        sql = statement(f"""
SELECT (SELECT count(*) FROM (SELECT FROM {above if after else self.outbox} LIMIT {MOST:d}) AS few),
       (SELECT greatest(0, extract(epoch FROM clock_timestamp() - min({self._first("o.at")}))) FROM {lanes})""")
        events, lag = tx.rows(sql, {"lanes": str(self.move.lanes), "after": str(after)})[0]
        return Waiting(self.move.entity, self.side, int(events or 0), float(lag or 0), self.dead(tx))

    def of_tenant(self, tx: Transaction, tenant: str, most: int) -> int:
        """How many events of a tenant wait, counted up to `most`."""
        sql = statement(f"""
SELECT count(*) FROM (SELECT FROM {self.outbox} WHERE tenant = :tenant OR tenant_was = :tenant OR tenant IS NULL
 LIMIT :most) AS few""")
        return int(tx.rows(sql, {"tenant": tenant, "most": str(most)})[0][0] or 0)

    def dead(self, tx: Transaction, tenant: str | None = None) -> int:
        """How many dead letters there are, of a tenant or of all."""
        return int(tx.rows(_COUNT, self._own(tenant=tenant))[0][0] or 0)

    def letters(self, tx: Transaction, tenant: str | None, limit: int) -> tuple[Letter, ...]:
        """Dead letters, the oldest first."""
        return tuple(
            Letter(
                tuple(json.loads(row[0] or "[]")), row[1], row[2] or "", row[3] or "", int(row[4] or 0), row[5] or ""
            )
            for row in tx.rows(_LETTERS, self._own(tenant=tenant, limit=str(limit)))
        )

    def revive(self, tx: Transaction, *, due: bool, tenant: str | None = None) -> int:
        """Puts dead letters into the outbox once more, and keeps them until they are applied; how many.

        `due`: only those whose error another row may have cured, each after a pause that grows.
        """
        width = len(self.move.key)
        keys = ", ".join(f"key_{number}" for number in range(1, width + 1))
        values = ", ".join(f"given.key_{number}" for number in range(1, width + 1))
        among = f" AND {_DUE}" if due else ""
        # As the outbox's own record, so that PostgreSQL reads each text as what it is.
        sql = statement(f"""
WITH letter AS (
    UPDATE migdsl.dead_letter SET at = clock_timestamp() WHERE {_OWN} AND {_OF}{among}
    RETURNING row_key, tenant, tenant_was
), given AS (
    SELECT (jsonb_populate_record(NULL::{self.outbox}, {_record(width)})).*, letter.tenant AS its, letter.tenant_was AS was
      FROM letter
)
INSERT INTO {self.outbox} (lane, {keys}, tenant, tenant_was)
SELECT ((hash_record_extended(ROW({values}), 0) & 9223372036854775807) % :lanes::bigint)::integer, {values}, given.its, given.was
  FROM given""")
        return tx.run(sql, self._own(tenant=tenant, lanes=str(self.move.lanes)))

    def _first(self, what: str) -> str:
        own = "o.lane = lane.lane AND o.id > :after::bigint"
        return f"(SELECT {what} FROM {self.outbox} AS o WHERE {own} ORDER BY o.id LIMIT 1)"

    def _own(self, **more: str | None) -> dict[str, str | None]:
        return {"migration": self.stream.migration, "entity": self.move.entity, **more}


def _record(width: int) -> str:
    pairs = ", ".join(f"'key_{number}', letter.row_key ->> {number - 1}" for number in range(1, width + 1))
    return f"jsonb_build_object({pairs})"


def lag_of(found: Iterable[Waiting]) -> float:
    """The greatest lag of all."""
    return max((each.lag_s for each in found), default=0.0)
