"""Turns events of one lane into rows on the other side: keys taken, rows read again, put in place, and only then forgotten.

Who applies a lane holds its row locked on the side that is written, from before the other side is read until the commit. So a
lane has one applier at a time whoever runs, nothing older can come after something newer, and no lease can end too early: the
lock ends with the transaction, behind a pooler too. What was applied and not forgotten is applied again, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg

from migdsl.runtime.backfill.quarantine import Fault, fault_of
from migdsl.runtime.backfill.transform import array
from migdsl.runtime.database import Asked, Database, Row, Transaction
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.faults import of_the_rows
from migdsl.runtime.stream.jobs import Carry, Move, Side, Stream, other
from migdsl.runtime.stream.sides import DURABLE_SQL

_MARK_SQL: Final = f"SELECT set_config('migdsl.applier', :marker, true), ({DURABLE_SQL})"
_MARK: Final = statement(_MARK_SQL)
# The message is for the slot, which sees no setting, and leaves the transaction out.
_MARK_ALOUD: Final = statement(f"{_MARK_SQL}, pg_logical_emit_message(true, 'migdsl.applier', :marker::text)")
# A tenant that is written over there already takes nothing: what came late would overwrite what is newer.
_WRITTEN_THERE: Final = statement("""
SELECT tenant FROM migdsl.side
 WHERE migration = :migration AND stream = :stream AND state = :state AND tenant = ANY(:tenants::text[])""")
# From before the keys are looked for: what is younger is of a later write.
_NOW: Final = "statement_timestamp()::text"
_OWN: Final = "migration = :migration AND entity = :entity"
_TRY_LANE: Final = statement(
    f"SELECT lane FROM migdsl.lane WHERE {_OWN} AND lane = :lane::integer FOR UPDATE SKIP LOCKED"
)
_LANES: Final = statement(
    f"SELECT lane FROM migdsl.lane WHERE {_OWN} AND lane = ANY(:lanes::integer[]) ORDER BY lane FOR UPDATE"
)
_COUNT: Final = statement(f"""
UPDATE migdsl.lane SET events = events + :events::bigint, changed = changed + :changed::bigint, at = clock_timestamp()
 WHERE {_OWN} AND lane = :lane::integer""")


@dataclass(frozen=True, slots=True)
class Event:
    """A key that was written. `tenant` is the row's, `was` the one that it was taken from; None: nobody knows any more.

    `at`: when it was taken from the outbox, by that database's clock.
    """

    lane: int
    id: int
    tenant: str | None
    was: str | None
    key: tuple[str, ...]
    at: str

    @classmethod
    def of(cls, row: Row) -> Event:
        """From a row as `take` gives it, with the time behind."""
        *key, at = row[4:]
        return cls(int(row[0] or 0), int(row[1] or 0), row[2], row[3], tuple(value or "" for value in key), at or "")


@dataclass(frozen=True, slots=True)
class Applied:
    """What one batch did: events forgotten, rows written or deleted, and why an event became a dead letter."""

    events: int
    changed: int
    fault: Fault | None = None


@dataclass(slots=True)
class Way:
    """One direction of one table, on a pair of connections: `origin` is read, `target` written.

    Sides are named from where the rows come: the way of "old" goes from old to new.
    """

    stream: Stream
    move: Move
    side: Side
    origin: Database
    target: Database
    carry: Carry = field(init=False)
    _take: Statement = field(init=False)
    _above: Statement = field(init=False)
    _of_tenant: Statement = field(init=False)
    _told: Statement = field(init=False)
    _still: Statement = field(init=False)
    _gone: Statement = field(init=False)
    _upsert: Statement = field(init=False)
    _forget: Statement = field(init=False)
    _bury: Statement = field(init=False)
    _keys: Statement = field(init=False)
    _walled: bool = field(init=False)

    def __post_init__(self) -> None:
        self.carry = self.move.forward if self.side == "old" else self.move.back
        self._take = statement(f"SELECT taken.*, {_NOW} FROM (\n{self.carry.take}\n) AS taken")
        self._above = statement(_above(self.carry.outbox, len(self.move.key)))
        self._of_tenant = statement(_of_tenant(self.carry.outbox, len(self.move.key)))
        self._told = statement(_told(self.carry.outbox, len(self.move.key)))
        self._still = statement(_still(self.carry.outbox, len(self.move.key)))
        self._gone = statement(self.carry.gone)
        self._upsert = statement(self.carry.upsert)
        self._forget = statement(_forget(self.carry.outbox))
        self._bury = statement(_bury(self.carry.outbox))
        numbers = range(1, len(self.move.key) + 1)
        self._keys = statement("SELECT " + ", ".join(f"set_config('migdsl.key_{n}', :key_{n}, true)" for n in numbers))
        # Only of a column of its own: by way of an owner that is gone over there nobody's tenant is found.
        self._walled = "side.tenant = coalesce(" in self.carry.upsert

    @property
    def name(self) -> str:
        """For logs and metrics."""
        return f"{self.side}_to_{other(self.side)}"

    def apply(self, lane: int, most: int, *, alone: bool = False, after: int = 0) -> Applied | None:
        """Applies a lane's oldest events, `most` at most; None while another applier has the lane.

        `after`: of those with a number above that. With `alone`, an event that can't be applied becomes a dead letter. Raises
        psycopg.Error.
        """
        with self.target.transaction() as there:
            self.mark(there)
            if not there.rows(_TRY_LANE, self._own(lane=str(lane))):
                return None
            asked = {"lane": str(lane), "events": str(most), **({"after": str(after)} if after else {})}
            taken = self._taken(asked, self._above if after else self._take)
            if not taken:
                return Applied(0, 0)
            changed, fault = self._put(there, taken, alone=alone)
            if fault is None:
                there.run(_COUNT, self._own(lane=str(lane), events=str(len(taken)), changed=str(changed)))
            else:
                # While the lane is still ours: another applier may be about to succeed.
                self.bury(taken[0], fault)
        if fault is None:
            self.forget(taken)
        return Applied(len(taken), changed, fault)

    def apply_tenant(self, tenant: str, most: int) -> int:
        """Applies a tenant's events in whatever lanes they are, waiting for appliers at work; how many. 0: none is left."""
        with self.origin.transaction() as here:
            waiting = self.of_tenant(here, tenant, most)
        if not waiting:
            return 0
        lanes = array([str(lane) for lane in sorted({event.lane for event in waiting})])
        with self.target.transaction() as there:
            self.mark(there)
            there.rows(_LANES, self._own(lanes=lanes))
            # What others had in hand is done by now.
            with self.origin.transaction() as here:
                taken = self.of_tenant(here, tenant, most, lanes)
            if taken:
                self._put(there, taken, alone=False)
        self.forget(taken)
        return len(waiting)

    def of_tenant(self, here: Transaction, tenant: str, most: int, lanes: str | None = None) -> list[Event]:
        """A tenant's events, the oldest first, in the transaction that is given; `lanes` (an array): of these alone."""
        return [Event.of(row) for row in here.rows(*self.asked_of(tenant, most, lanes))]

    def asked_of(self, tenant: str, most: int, lanes: str | None = None) -> tuple[Statement, dict[str, str | None]]:
        """The statement of `of_tenant`, and its values."""
        return self._of_tenant, {"tenant": tenant, "events": str(most), "lanes": lanes}

    def mark(self, there: Transaction) -> None:
        """From now on neither the fence nor the outbox over there sees what the transaction writes."""
        aloud = self.stream.slot is not None and self.side == "new"
        there.rows(_MARK_ALOUD if aloud else _MARK, {"marker": self.stream.marker})

    def prepare(self, there: Transaction) -> None:
        """Makes over there what rows are staged in, before anybody waits for it."""
        there.cursor.execute(self.carry.stage.encode())

    def stage_in(self, here: Transaction, there: Transaction, taken: Sequence[Event]) -> tuple[Asked, Asked]:
        """Takes the rows of events over, in a transaction that has their lanes, is marked and prepared; the statement that
        deletes what is gone, and the one that puts all others in place.

        `here` has one snapshot, from after it has locked the table.
        """
        return (self._gone, self._staged(here, there, taken)), (self._upsert, {})

    def told(self, tenant: str, after: int, most: int) -> list[Event]:
        """A tenant's events that came into the outbox after that number: a writer's own, and perhaps some of others."""
        asked = {"tenant": tenant, "after": str(after), "events": str(most), "lanes": str(self.move.lanes)}
        return self._taken(asked, self._told)

    def apply_these(self, taken: Sequence[Event]) -> None:
        """Applies events that were taken a moment ago, waiting for appliers at work in their lanes.

        What isn't there any more once the lanes are ours, others have applied: by now the tenant may even write over there.
        """
        values = self._own(lanes=array([str(lane) for lane in sorted({event.lane for event in taken})]))
        with self.target.transaction() as there:
            self.mark(there)
            there.rows(_LANES, values)
            still = self._taken(_numbers(taken), self._still)
            if still:
                self._put(there, still, alone=False)
        self.forget(still)

    def forget(self, taken: Sequence[Event]) -> None:
        """Deletes exactly these events, and the dead letters of their keys from before they were taken.

        Our locks are gone by now: a letter that is younger is of a later write, which another applier could not apply.
        """
        if taken:
            self.origin.perform(lambda tx: self.forget_in(tx, taken))

    def forget_in(self, here: Transaction, taken: Sequence[Event]) -> None:
        """The same in the transaction that is given."""
        values = self._own(
            keys=json.dumps([list(event.key) for event in taken], ensure_ascii=False),
            at=taken[0].at,
            **_numbers(taken),
        )
        here.run(self._forget, values)

    def bury(self, event: Event, fault: Fault) -> None:
        """Makes an event a dead letter, unless it has been applied meanwhile."""
        values = self._own(
            lane=str(event.lane),
            id=str(event.id),
            key=json.dumps(list(event.key), ensure_ascii=False),
            error=fault.error_class,
            template=fault.template,
        )
        self.origin.perform(lambda tx: tx.run(self._bury, values))

    def _taken(self, values: Mapping[str, str | None], sql: Statement) -> list[Event]:
        with self.origin.transaction() as here:
            return [Event.of(row) for row in here.rows(sql, values)]

    def _due(self, there: Transaction, taken: Sequence[Event]) -> Sequence[Event]:
        """Without those of tenants that are written over there, where the statements themselves don't look."""
        if self._walled:
            return taken
        tenants = array(sorted({event.tenant for event in taken if event.tenant is not None}))
        own = {"migration": self.stream.migration, "stream": self.stream.stream, "state": other(self.side)}
        there_already = {row[0] for row in there.rows(_WRITTEN_THERE, {**own, "tenants": tenants})}
        return [event for event in taken if event.tenant not in there_already]

    def _put(self, there: Transaction, taken: Sequence[Event], *, alone: bool) -> tuple[int, Fault | None]:
        taken = self._due(there, taken)
        if not taken:
            return 0, None
        if not alone:
            return self._carried(there, taken), None
        try:
            with there.savepoint():
                return self._carried(there, taken), None
        except psycopg.Error as error:
            if not of_the_rows(error):
                raise
            return 0, fault_of(error)

    def _carried(self, there: Transaction, taken: Sequence[Event]) -> int:
        """Reads the rows of the keys where they are the truth, and makes the other side the same; rows written there."""
        self.prepare(there)
        with self.origin.transaction(snapshot=True) as here:
            # Before there is a snapshot: one from before a rewriting ALTER TABLE would find the table empty after it.
            here.run(lock((self,)))
            keys = self._staged(here, there, taken)
        return there.run(self._gone, keys) + there.run(self._upsert)

    def _staged(self, here: Transaction, there: Transaction, taken: Sequence[Event]) -> dict[str, str | None]:
        """The rows as they are here in a table over there; their keys, as arrays."""
        columns = list(zip(*dict.fromkeys(event.key for event in taken), strict=True))
        keys: dict[str, str | None] = {f"key_{number}": array(column) for number, column in enumerate(columns, 1)}
        here.rows(self._keys, keys)
        self._copy(here, there)
        return keys

    def _copy(self, here: Transaction, there: Transaction) -> None:
        """The rows, as a stream. What ends the reading is not told to whoever writes: its server would log the text, values
        and all."""
        ended: psycopg.Error | None = None
        try:
            with (
                here.cursor.copy(f"COPY ({self.carry.read}) TO STDOUT (FORMAT binary)".encode()) as rows,
                there.cursor.copy(self.carry.copy.encode()) as stage,
            ):
                try:
                    for data in rows:
                        stage.write(data)
                except psycopg.Error as error:
                    ended = error
        except psycopg.Error:
            if ended is None:
                raise
        if ended is not None:
            raise ended

    def _own(self, **more: str | None) -> dict[str, str | None]:
        return {"migration": self.stream.migration, "entity": self.move.entity, **more}


def lock(ways: Sequence[Way]) -> Statement:
    """What a snapshot of tables waits for."""
    tables = ", ".join(way.move.old_table if way.side == "old" else way.move.new_table for way in ways)
    return Statement(f"LOCK TABLE {tables} IN ACCESS SHARE MODE", ())


def _above(outbox: str, width: int) -> str:
    """As `take`; whatever was forgotten below `after` isn't walked over."""
    keys = ", ".join(f"o.key_{number}" for number in range(1, width + 1))
    return f"""
SELECT o.lane, o.id, o.tenant, o.tenant_was, {keys}, {_NOW}
  FROM {outbox} AS o WHERE o.lane = :lane::integer AND o.id > :after::bigint
 ORDER BY o.id LIMIT :events::bigint"""


def _of_tenant(outbox: str, width: int) -> str:
    """A tenant's events; those whose tenant nobody knows may be anybody's."""
    keys = ", ".join(f"o.key_{number}" for number in range(1, width + 1))
    return f"""
SELECT o.lane, o.id, o.tenant, o.tenant_was, {keys}, {_NOW}
  FROM {outbox} AS o
 WHERE (o.tenant = :tenant OR o.tenant_was = :tenant OR o.tenant IS NULL)
   AND (:lanes::integer[] IS NULL OR o.lane = ANY(:lanes::integer[]))
 ORDER BY o.id LIMIT :events"""


def _numbers(taken: Sequence[Event]) -> dict[str, str | None]:
    return {"lanes": array([str(event.lane) for event in taken]), "ids": array([str(event.id) for event in taken])}


def _still(outbox: str, width: int) -> str:
    keys = ", ".join(f"o.key_{number}" for number in range(1, width + 1))
    return f"""
SELECT o.lane, o.id, o.tenant, o.tenant_was, {keys}, {_NOW}
  FROM unnest(:lanes::integer[], :ids::bigint[]) AS given (lane, id)
  JOIN {outbox} AS o ON o.lane = given.lane AND o.id = given.id"""


def _told(outbox: str, width: int) -> str:
    """By the primary key, lane by lane: however much waits, only its end is looked at."""
    keys = ", ".join(f"o.key_{number}" for number in range(1, width + 1))
    return f"""
SELECT o.lane, o.id, o.tenant, o.tenant_was, {keys}, {_NOW}
  FROM generate_series(0, :lanes::integer - 1) AS each (lane),
       LATERAL (SELECT * FROM {outbox} AS told
                 WHERE told.lane = each.lane AND told.id > :after::bigint
                   AND (told.tenant = :tenant OR told.tenant_was = :tenant OR told.tenant IS NULL)
                 ORDER BY told.id LIMIT :events::bigint) AS o
 ORDER BY o.id LIMIT :events::bigint"""


def _forget(outbox: str) -> str:
    return f"""
WITH risen AS (
    DELETE FROM migdsl.dead_letter
     WHERE {_OWN} AND row_key IN (SELECT jsonb_array_elements(:keys::jsonb)) AND at < :at::timestamptz
)
DELETE FROM {outbox} AS o USING unnest(:lanes::integer[], :ids::bigint[]) AS done (lane, id)
 WHERE o.lane = done.lane AND o.id = done.id"""


def _bury(outbox: str) -> str:
    return f"""
WITH dead AS (
    DELETE FROM {outbox} WHERE lane = :lane::integer AND id = :id::bigint RETURNING tenant, tenant_was
)
INSERT INTO migdsl.dead_letter (migration, entity, row_key, tenant, tenant_was, error_class, template)
SELECT :migration, :entity, :key::jsonb, dead.tenant, dead.tenant_was, :error, :template FROM dead
ON CONFLICT (migration, entity, row_key) DO UPDATE
   SET tenant = excluded.tenant, tenant_was = coalesce(excluded.tenant_was, dead_letter.tenant_was),
       error_class = excluded.error_class, template = excluded.template, tries = dead_letter.tries + 1,
       at = clock_timestamp()"""
