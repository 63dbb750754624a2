"""Every statement that reads or writes the ledger (schema `migdsl`), and the values that come out of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from migdsl.runtime.database import Row, Transaction
from migdsl.runtime.sql import statement

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A slice that this worker holds: the fence is checked in every batch's transaction."""

    tenant: str
    part: int
    fence: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a slice is: the last key done (None before any batch) and its last key (None if it has no rows)."""

    watermark: Key | None
    upper: Key | None


@dataclass(frozen=True, slots=True)
class Totals:
    """All slices of a backfill (or of some tenants) summed: rows, and how many slices are in each state."""

    planned: int
    scanned: int
    changed: int
    states: dict[str, int]
    errors: tuple[tuple[str, str], ...]


_LANE: Final = "migration = :migration AND backfill = :backfill AND tenant = :tenant"
_HELD: Final = f"{_LANE} AND part = :part::bigint AND fence = :fence::bigint AND state = 'running'"
_SCOPE: Final = (
    "migration = :migration AND backfill = :backfill"
    " AND (:tenants::jsonb IS NULL OR tenant IN (SELECT jsonb_array_elements_text(:tenants::jsonb)))"
)
_FREED: Final = "lease_until = NULL, worker = NULL, backend = NULL"
# A lease ends early when its worker's server process is gone: after a kill nobody has to wait. A wrong guess only moves
# the lane to another worker, since the fence decides who may write.
_ABANDONED: Final = (
    "(lease_until < clock_timestamp() OR (slice.backend IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = slice.backend)))"
)

_EXISTS: Final = statement("SELECT to_regclass('migdsl.slice') IS NOT NULL AND to_regclass('migdsl.event') IS NOT NULL")
_PLANNED: Final = statement(
    "SELECT DISTINCT tenant FROM migdsl.slice WHERE migration = :migration AND backfill = :backfill"
)
_PLAN: Final = statement("""
INSERT INTO migdsl.slice (migration, backfill, tenant, part, upper_key, rows_planned, state)
VALUES (:migration, :backfill, :tenant, 0, :upper::jsonb, :rows::bigint,
        CASE WHEN :upper::jsonb IS NULL THEN 'succeeded' ELSE 'pending' END)
ON CONFLICT DO NOTHING""")
_PLAN_AGAIN: Final = statement(f"""
UPDATE migdsl.slice
   SET state = 'pending', lower_key = NULL, upper_key = :upper::jsonb, watermark = NULL,
       rows_planned = :rows::bigint, rows_scanned = 0, rows_changed = 0, attempts = 0, error = NULL,
       fence = fence + 1, planned_at = clock_timestamp(), {_FREED}
 WHERE {_LANE} AND (state <> 'running' OR {_ABANDONED})""")
_REQUEUE: Final = statement(f"UPDATE migdsl.slice SET state = 'pending' WHERE {_SCOPE} AND state = 'failed'")
_OPEN: Final = statement(f"SELECT DISTINCT tenant FROM migdsl.slice WHERE {_SCOPE} AND state IN ('pending', 'running')")
_LOCK_LANE: Final = statement("SELECT pg_try_advisory_xact_lock(hashtextextended(:lane, 6))")
_TAKE_BACK: Final = statement(f"""
UPDATE migdsl.slice SET state = 'pending', fence = fence + 1, {_FREED}
 WHERE {_LANE} AND state = 'running' AND {_ABANDONED}""")
_CLAIM: Final = statement(f"""
UPDATE migdsl.slice
   SET state = 'running', fence = fence + 1, attempts = attempts + 1, error = NULL, worker = :worker,
       backend = :backend::bigint, lease_until = clock_timestamp() + make_interval(secs => :lease::int)
 WHERE {_LANE} AND state = 'pending'
   AND part = (SELECT min(part) FROM migdsl.slice WHERE {_LANE} AND state = 'pending')
   AND NOT EXISTS (SELECT FROM migdsl.slice WHERE {_LANE} AND state = 'running')
RETURNING part, fence""")
_HOLD: Final = statement(f"SELECT coalesce(watermark, lower_key), upper_key FROM migdsl.slice WHERE {_HELD} FOR UPDATE")
_ADVANCE: Final = statement(f"""
UPDATE migdsl.slice
   SET watermark = :watermark::jsonb, rows_scanned = rows_scanned + :scanned::bigint,
       rows_changed = rows_changed + :changed::bigint,
       lease_until = clock_timestamp() + make_interval(secs => :lease::int)
 WHERE {_HELD}""")
_SUCCEED: Final = statement(f"UPDATE migdsl.slice SET state = 'succeeded', {_FREED} WHERE {_HELD}")
_RELEASE: Final = statement(f"UPDATE migdsl.slice SET state = 'pending', {_FREED} WHERE {_HELD}")
_FAIL: Final = statement(f"UPDATE migdsl.slice SET state = 'failed', error = :error, {_FREED} WHERE {_HELD}")
_TOTALS: Final = statement(f"""
SELECT state, count(*), coalesce(sum(rows_planned), 0), coalesce(sum(rows_scanned), 0), coalesce(sum(rows_changed), 0)
  FROM migdsl.slice WHERE {_SCOPE} GROUP BY state ORDER BY state""")
_ERRORS: Final = statement(f"""
SELECT tenant, coalesce(error, '') FROM migdsl.slice WHERE {_SCOPE} AND state = 'failed'
 ORDER BY tenant, part LIMIT 20""")
_EVENT: Final = statement(
    "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (:migration, :kind, :subject, :value)"
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one backfill. Each method runs in the transaction that it is given, and commits nothing."""

    migration: str
    backfill: str

    def planned(self, tx: Transaction) -> frozenset[str]:
        """Tenants that have a slice."""
        return frozenset(_texts(tx.rows(_PLANNED, self._values())))

    def plan(self, tx: Transaction, tenant: str, upper: Key | None, rows: int) -> bool:
        """A tenant's slice, unless it has one; without rows (`upper` None) it has succeeded at once. True if made."""
        return tx.run(_PLAN, self._values(tenant=tenant, upper=_json(upper), rows=str(rows))) > 0

    def plan_again(self, tx: Transaction, tenant: str, upper: Key | None, rows: int) -> bool:
        """Another pass over a tenant, with fresh bounds. False while a worker holds it, or without a slice."""
        return tx.run(_PLAN_AGAIN, self._values(tenant=tenant, upper=_json(upper), rows=str(rows))) > 0

    def requeue(self, tx: Transaction, tenants: Iterable[str] | None) -> int:
        """Failed slices become pending again; how many."""
        return tx.run(_REQUEUE, self._scope(tenants))

    def open_lanes(self, tx: Transaction, tenants: Iterable[str] | None) -> frozenset[str]:
        """Tenants with a slice that is pending or running."""
        return frozenset(_texts(tx.rows(_OPEN, self._scope(tenants))))

    def claim(self, tx: Transaction, tenant: str, worker: str, backend: int | None, lease_s: int) -> Claim | None:
        """The tenant's next pending slice, with a new fence; None if there is none or another worker holds the lane."""
        values = self._values(
            tenant=tenant, worker=worker, backend=None if backend is None else str(backend), lease=str(lease_s)
        )
        lane = json.dumps([self.migration, self.backfill, tenant])
        if tx.rows(_LOCK_LANE, {"lane": lane}) != [("t",)]:
            return None
        tx.run(_TAKE_BACK, values)
        rows = tx.rows(_CLAIM, values)
        return Claim(tenant, int(rows[0][0] or 0), int(rows[0][1] or 0)) if rows else None

    def hold(self, tx: Transaction, claim: Claim) -> Position | None:
        """Locks the slice for this transaction and reads how far it is; None when the fence is no longer ours."""
        rows = tx.rows(_HOLD, self._held(claim))
        return Position(_key(rows[0][0]), _key(rows[0][1])) if rows else None

    def advance(self, tx: Transaction, claim: Claim, watermark: Key, scanned: int, changed: int, lease_s: int) -> None:
        """Moves the watermark in the batch's own transaction, and renews the lease."""
        tx.run(
            _ADVANCE,
            self._held(
                claim, watermark=_json(watermark), scanned=str(scanned), changed=str(changed), lease=str(lease_s)
            ),
        )

    def succeed(self, tx: Transaction, claim: Claim) -> None:
        tx.run(_SUCCEED, self._held(claim))

    def release(self, tx: Transaction, claim: Claim) -> None:
        """Gives the lease back; the slice goes on from its watermark, with whoever claims it."""
        tx.run(_RELEASE, self._held(claim))

    def fail(self, tx: Transaction, claim: Claim, error: str) -> None:
        tx.run(_FAIL, self._held(claim, error=error))

    def totals(self, tx: Transaction, tenants: Iterable[str] | None) -> Totals:
        """Sums over the slices of `tenants` (None: all), and up to 20 failed ones with the class of their error."""
        rows = tx.rows(_TOTALS, self._scope(tenants))
        planned, scanned, changed = (sum(int(row[column] or 0) for row in rows) for column in (2, 3, 4))
        errors = tuple((row[0] or "", row[1] or "") for row in tx.rows(_ERRORS, self._scope(tenants)))
        return Totals(planned, scanned, changed, {str(row[0]): int(row[1] or 0) for row in rows}, errors)

    def _values(self, **more: str | None) -> dict[str, str | None]:
        return {"migration": self.migration, "backfill": self.backfill, **more}

    def _scope(self, tenants: Iterable[str] | None) -> dict[str, str | None]:
        return self._values(tenants=None if tenants is None else json.dumps(sorted(tenants)))

    def _held(self, claim: Claim, **more: str | None) -> dict[str, str | None]:
        return self._values(tenant=claim.tenant, part=str(claim.part), fence=str(claim.fence), **more)


def ledger_exists(tx: Transaction) -> bool:
    """Whether the expand revision has made the ledger."""
    return tx.rows(_EXISTS) == [("t",)]


def record_event(tx: Transaction, migration: str, kind: str, subject: str, value: str) -> None:
    """One more line of the append-only log; `kind` is `stage`, `reading` or `job`."""
    tx.run(_EVENT, {"migration": migration, "kind": kind, "subject": subject, "value": value})


def _texts(rows: list[Row]) -> list[str]:
    return [row[0] for row in rows if row[0] is not None]


def _json(key: Key | None) -> str | None:
    return None if key is None else json.dumps(list(key), ensure_ascii=False)


def _key(text: str | None) -> Key | None:
    return None if text is None else tuple(json.loads(text))
