"""Every statement that reads or writes the ledger (schema `migdsl`), and the values that come out of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.database import Asked, Row, Transaction
from migdsl.runtime.sql import statement

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A slice that this worker holds: the fence is checked in every batch's transaction.

    `position` is how far it was when it was last seen, `aside` whether rows of the tenant were set aside.
    """

    tenant: str
    part: int
    fence: int
    position: Position | None = None
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A slice to be planned: the rows of `(lower, upper]`, and how many there are. `upper` None: the tenant has none."""

    lower: Key | None
    upper: Key | None
    rows: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a slice is: the last key done (None before any batch) and its last key (None if it has no rows).

    `left` are the rows that were planned and not passed yet; there may be others by now. `only`: the tenant's other slices
    are all done. `fresh`: it was planned a few minutes ago.
    """

    watermark: Key | None
    upper: Key | None
    left: int
    only: bool = field(default=False, compare=False)
    fresh: bool = field(default=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether nothing is left to pass."""
        return self.upper is None or self.watermark == self.upper

    def few(self, size: int) -> bool:
        """Whether fewer than `size` rows are likely to be left."""
        return 0 < self.left < size


@dataclass(frozen=True, slots=True)
class Totals:
    """All slices of a backfill (or of some tenants) summed: rows, and how many slices are in each state.

    `errors` are failed slices: tenant and class of the error. `quarantined` are rows set aside by class of the error.
    `held` are the reasons for which workers wait just now.
    """

    planned: int
    scanned: int
    changed: int
    states: dict[str, int]
    errors: tuple[tuple[str, str], ...]
    quarantined: dict[str, int]
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """A tenant's slices together: how many rows are left to pass, and how many slices are in each of these states.

    `busy`: a worker holds the tenant.
    """

    tenant: str
    left: int
    open: int
    paused: int
    failed: int
    busy: bool


# What the ledger says of a slice that failed because too many rows were set aside; nothing is claimed while one says so.
SPENT: Final = "error budget"

_OWN: Final = "migration = :migration AND backfill = :backfill"
_LANE: Final = "migration = :migration AND backfill = :backfill AND tenant = :tenant"
_HELD: Final = f"{_LANE} AND part = :part::bigint AND fence = :fence::bigint AND state = 'running'"
_SCOPE: Final = (
    "migration = :migration AND backfill = :backfill"
    " AND (:tenants::jsonb IS NULL OR tenant IN (SELECT jsonb_array_elements_text(:tenants::jsonb)))"
)
_FREED: Final = "lease_until = NULL, worker = NULL, backend = NULL, held = NULL"
# A lease ends early when its worker's server process is gone: after a kill nobody has to wait. A wrong guess only moves
# the lane to another worker, since the fence decides who may write.
_ABANDONED: Final = (
    "(lease_until < clock_timestamp() OR (slice.backend IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = slice.backend)))"
)

_EXISTS: Final = statement("SELECT to_regclass('migdsl.slice') IS NOT NULL AND to_regclass('migdsl.event') IS NOT NULL")
_BEGUN: Final = statement("SELECT EXISTS (SELECT FROM migdsl.event WHERE migration = :migration AND kind = 'stage')")
_PLANNED: Final = statement(f"SELECT tenant, sum(rows_planned)::bigint FROM migdsl.slice WHERE {_OWN} GROUP BY tenant")
# In one order, so that two processes that plan the same tenants never wait for each other.
_LOCK_PLAN: Final = statement(
    """
SELECT pg_advisory_xact_lock(hashed.lane)
  FROM (SELECT hashtextextended(name, 6) AS lane FROM jsonb_array_elements_text(:lanes::jsonb) AS name ORDER BY 1) AS hashed"""
)
_SLICES: Final = statement(f"""
SELECT tenant, fence, state = 'running' AND NOT {_ABANDONED} FROM migdsl.slice WHERE {_SCOPE}
 ORDER BY tenant, part FOR UPDATE""")
_UNPLAN: Final = statement(f"DELETE FROM migdsl.slice WHERE {_SCOPE}")
_PLAN: Final = statement("""
INSERT INTO migdsl.slice (migration, backfill, tenant, part, lower_key, upper_key, rows_planned, fence, state)
SELECT :migration, :backfill, p.tenant, p.part, p.lower, p.upper, p.rows, p.fence,
       CASE WHEN p.upper IS NULL THEN 'succeeded' ELSE 'pending' END
  FROM jsonb_to_recordset(:parts::jsonb)
       AS p(tenant text, part bigint, lower jsonb, upper jsonb, rows bigint, fence bigint)""")
# What was paused as a whole stays so for tenants that come later, and for another pass.
_STAY_PAUSED: Final = statement(f"""
UPDATE migdsl.slice SET state = 'paused'
 WHERE {_SCOPE} AND state = 'pending'
   AND 'paused' = (SELECT e.value FROM migdsl.event AS e
                    WHERE e.migration = :migration AND e.kind = 'control' AND e.subject = :backfill
                      AND e.value IN ('paused', 'resumed', 'cancelled')
                      AND e.id > coalesce((SELECT max(l.id) FROM migdsl.event AS l
                                            WHERE l.migration = :migration AND l.kind = 'left'), 0)
                    ORDER BY e.id DESC LIMIT 1)""")
# A tenant with rows that were set aside is visited again: its first slice, which passes no row twice.
_REQUEUE: Final = statement(f"""
UPDATE migdsl.slice SET state = 'pending'
 WHERE {_SCOPE} AND (state = 'failed' OR (state = 'succeeded' AND part = 0 AND EXISTS (
       SELECT FROM migdsl.quarantine AS q
        WHERE (q.migration, q.backfill, q.tenant) = (slice.migration, slice.backfill, slice.tenant))))""")
_LANES: Final = statement(f"""
SELECT tenant, sum(greatest(rows_planned - rows_scanned, 0))::bigint,
       count(*) FILTER (WHERE state IN ('pending', 'running')), count(*) FILTER (WHERE state = 'paused'),
       count(*) FILTER (WHERE state = 'failed'), bool_or(state = 'running' AND NOT {_ABANDONED})
  FROM migdsl.slice WHERE {_SCOPE}
 GROUP BY tenant HAVING bool_or(state IN ('pending', 'running', 'paused', 'failed'))""")
_IS_SPENT: Final = statement(f"""
SELECT EXISTS (SELECT FROM migdsl.slice WHERE {_OWN} AND state = 'failed' AND error LIKE '{SPENT}%')""")
# Either a claim is seen by who spends the budget, or its worker sees that it is spent: one of them looks behind the other.
_SPENDER: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended(:lane, 6))")
_WORKER: Final = statement("SELECT pg_advisory_xact_lock_shared(hashtextextended(:lane, 6))")
_SPEND: Final = statement(f"""
UPDATE migdsl.slice SET state = 'failed', error = :error, {_FREED}
 WHERE {_OWN} AND state = 'running'""")
# What is said of the lock holds for this transaction: the claim goes in the same message, and must know it.
_LOCK_LANE: Final = statement(
    "SELECT set_config('migdsl.lane', pg_try_advisory_xact_lock(hashtextextended(:lane, 6))::text, true)"
)
# All slices of the lane but this one are done, so that nobody need ask for another.
_ONLY: Final = """NOT EXISTS (
       SELECT FROM migdsl.slice AS other
        WHERE (other.migration, other.backfill, other.tenant) = (slice.migration, slice.backfill, slice.tenant)
          AND other.part <> slice.part AND other.state NOT IN ('succeeded', 'cancelled'))"""
# Rows born since count as scanned, too: what is left of a slice is known only before its first batch.
_FRESH: Final = "planned_at > clock_timestamp() - interval '10 minutes' AND rows_scanned = 0"
_STANDS: Final = f"coalesce(watermark, lower_key), upper_key, rows_planned - rows_scanned, {_ONLY}, {_FRESH}"
# A slice that is locked has a batch at work, whatever its lease says: nobody waits for that.
_TAKE_BACK: Final = statement(f"""
UPDATE migdsl.slice SET state = 'pending', fence = fence + 1, {_FREED}
 WHERE {_LANE} AND part IN (SELECT part FROM migdsl.slice
                             WHERE {_LANE} AND state = 'running' AND {_ABANDONED} FOR UPDATE SKIP LOCKED)""")
# A fence jumps: a crash of the server may take a claim back whose COMMIT didn't wait for the disk, and the next one must
# not be given the same. The server process behind a pooler is nobody's.
_CLAIM: Final = statement(f"""
UPDATE migdsl.slice
   SET state = 'running', fence = fence + 1 + (random() * 4294967295)::bigint, attempts = attempts + 1, error = NULL,
       worker = :worker, backend = CASE WHEN pg_catalog.pg_backend_pid() = :backend::int THEN :backend::bigint END,
       lease_until = clock_timestamp() + make_interval(secs => :lease::int)
 WHERE {_LANE} AND state = 'pending' AND current_setting('migdsl.lane', true) = 'true'
   AND part = (SELECT min(part) FROM migdsl.slice WHERE {_LANE} AND state = 'pending')
   AND NOT EXISTS (SELECT FROM migdsl.slice WHERE {_LANE} AND state = 'running')
   AND NOT EXISTS (SELECT FROM migdsl.slice WHERE {_OWN} AND state = 'failed' AND error LIKE '{SPENT}%')
RETURNING part, fence, EXISTS (SELECT FROM migdsl.quarantine AS q
                                WHERE (q.migration, q.backfill, q.tenant) = (slice.migration, slice.backfill, slice.tenant)),
       {_STANDS}""")
_HOLD: Final = statement(f"SELECT {_STANDS}\n  FROM migdsl.slice WHERE {_HELD} FOR UPDATE")
_ADVANCE: Final = statement(f"""
UPDATE migdsl.slice
   SET watermark = :watermark::jsonb, rows_scanned = rows_scanned + :scanned::bigint,
       rows_changed = rows_changed + :changed::bigint, held = NULL,
       lease_until = clock_timestamp() + make_interval(secs => :lease::int)
 WHERE {_HELD}""")
_MENDED: Final = statement(f"""
UPDATE migdsl.slice SET rows_changed = rows_changed + :changed::bigint,
       lease_until = clock_timestamp() + make_interval(secs => :lease::int)
 WHERE {_HELD}""")
_KEEP: Final = statement(f"""
UPDATE migdsl.slice SET held = :held, lease_until = clock_timestamp() + make_interval(secs => :lease::int)
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
_QUARANTINED: Final = statement(f"""
SELECT error_class || ': ' || template, count(*) FROM migdsl.quarantine WHERE {_SCOPE}
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20""")
_WHY_HELD: Final = statement(f"SELECT DISTINCT held FROM migdsl.slice WHERE {_SCOPE} AND held IS NOT NULL ORDER BY 1")
_EVENT: Final = statement(
    "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES (:migration, :kind, :subject, :value)"
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one backfill. Each method runs in the transaction that it is given, and commits nothing."""

    migration: str
    backfill: str

    def planned(self, tx: Transaction) -> dict[str, int]:
        """Tenants that have a slice, and how many rows were planned of each."""
        return {row[0] or "": int(row[1] or 0) for row in tx.rows(_PLANNED, self._values())}

    def plan(self, tx: Transaction, tenant: str, parts: Sequence[Part], *, again: bool = False) -> bool:
        """A tenant's slices, unless it has some; `again`: instead of those it has, unless a worker holds one.

        A tenant without rows has one slice without an upper key, which has succeeded. True if they were made.
        """
        return tenant in self.plan_all(tx, {tenant: parts}, again=again)

    def plan_all(
        self, tx: Transaction, tenants: Mapping[str, Sequence[Part]], *, again: bool = False
    ) -> frozenset[str]:
        """The slices of several tenants, as `plan`; those whose slices were made."""
        lanes = json.dumps([self._lane(tenant) for tenant in tenants], ensure_ascii=False)
        _, found = tx.together((_LOCK_PLAN, {"lanes": lanes}), (_SLICES, self._scope(tenants)))
        known = frozenset(_texts(found))
        kept = frozenset(_texts([row for row in found if row[2] == "t"])) if again else known
        made = frozenset(tenants) - kept
        if not made:
            return made
        if replaced := known - kept:
            tx.later(_UNPLAN, self._scope(replaced))
        # A worker of the pass before must not find its fence again.
        fences = {
            tenant: 1 + max((int(row[1] or 0) for row in found if row[0] == tenant), default=-1) for tenant in made
        }
        parts = [
            {"tenant": tenant, "part": number, "lower": part.lower, "upper": part.upper, "rows": part.rows}
            | {"fence": fences[tenant]}
            for tenant in sorted(made)
            for number, part in enumerate(tenants[tenant])
        ]
        tx.later(_PLAN, self._values(parts=json.dumps(parts, ensure_ascii=False)))
        tx.later(_STAY_PAUSED, self._scope(made))
        return made

    def requeue(self, tx: Transaction, tenants: Iterable[str] | None) -> int:
        """Failed slices, and those of tenants with rows set aside, become pending again; how many."""
        return tx.run(_REQUEUE, self._scope(tenants))

    def lanes(self, tx: Transaction, tenants: Iterable[str] | None) -> tuple[Lane, ...]:
        """The lanes that aren't done and aren't cancelled, most rows left first."""
        found = (
            Lane(row[0] or "", int(row[1] or 0), int(row[2] or 0), int(row[3] or 0), int(row[4] or 0), row[5] == "t")
            for row in tx.rows(_LANES, self._scope(tenants))
        )
        return tuple(sorted(found, key=lambda lane: (-lane.left, lane.tenant)))

    def is_spent(self, tx: Transaction) -> bool:
        """Whether the job was stopped because too many rows were set aside; what was claimed before this, `spend` sees."""
        return tx.together((_WORKER, self._whole()), (_IS_SPENT, self._values()))[1] == [("t",)]

    def spend(self, tx: Transaction, why: str) -> None:
        """Stops the job, in all its processes: each running slice fails, and none is claimed until it is run again."""
        tx.together((_SPENDER, self._whole()), (_SPEND, self._values(error=f"{SPENT}: {why}")))

    def claim(self, tx: Transaction, tenant: str, worker: str, backend: int | None, lease_s: int) -> Claim | None:
        """The tenant's next pending slice, with a new fence; None if there is none or another worker holds the lane.

        `backend` is the server process that the connection was told of.
        """
        values = self._values(
            tenant=tenant, worker=worker, backend=None if backend is None else str(backend), lease=str(lease_s)
        )
        locked, rows = tx.together((_LOCK_LANE, {"lane": self._lane(tenant)}), (_CLAIM, values))
        if not rows and locked == [("true",)] and tx.run(_TAKE_BACK, values):
            rows = tx.rows(_CLAIM, values)
        if not rows:
            return None
        part, fence, aside, *stands = rows[0]
        return Claim(tenant, int(part or 0), int(fence or 0), _position(stands), aside == "t")

    def hold(self, tx: Transaction, claim: Claim, *also: Asked) -> tuple[Position | None, list[list[Row]]]:
        """Locks the slice for this transaction and reads how far it is; None when the fence is no longer ours.

        The rows of `also`, asked in the same message once the slice is locked.
        """
        rows, *others = tx.together((_HOLD, self._held(claim)), *also)
        return (_position(rows[0]) if rows else None), others

    def advance(self, tx: Transaction, claim: Claim, watermark: Key, scanned: int, changed: int, lease_s: int) -> None:
        """Moves the watermark in the batch's own transaction, and renews the lease."""
        tx.later(
            _ADVANCE,
            self._held(
                claim, watermark=_json(watermark), scanned=str(scanned), changed=str(changed), lease=str(lease_s)
            ),
        )

    def mended(self, tx: Transaction, claim: Claim, changed: int, lease_s: int) -> None:
        """Counts rows that were written below the watermark, and renews the lease."""
        tx.run(_MENDED, self._held(claim, changed=str(changed), lease=str(lease_s)))

    def keep(self, tx: Transaction, claim: Claim, why: str, lease_s: int) -> bool:
        """Renews the lease of a slice that waits, and says why; False when the fence is no longer ours."""
        return tx.run(_KEEP, self._held(claim, held=why, lease=str(lease_s))) > 0

    def succeed(self, tx: Transaction, claim: Claim) -> None:
        """The slice is done."""
        tx.later(_SUCCEED, self._held(claim))

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
        aside = {str(row[0]): int(row[1] or 0) for row in tx.rows(_QUARANTINED, self._scope(tenants))}
        held = tuple(_texts(tx.rows(_WHY_HELD, self._scope(tenants))))
        return Totals(planned, scanned, changed, {str(row[0]): int(row[1] or 0) for row in rows}, errors, aside, held)

    def _lane(self, tenant: str) -> str:
        return json.dumps([self.migration, self.backfill, tenant])

    def _whole(self) -> dict[str, str | None]:
        return {"lane": json.dumps([self.migration, self.backfill])}

    def _values(self, **more: str | None) -> dict[str, str | None]:
        return {"migration": self.migration, "backfill": self.backfill, **more}

    def _scope(self, tenants: Iterable[str] | None) -> dict[str, str | None]:
        return self._values(tenants=None if tenants is None else json.dumps(sorted(tenants)))

    def _held(self, claim: Claim, **more: str | None) -> dict[str, str | None]:
        return self._values(tenant=claim.tenant, part=str(claim.part), fence=str(claim.fence), **more)


def ledger_exists(tx: Transaction) -> bool:
    """Whether the expand revision has made the ledger."""
    return tx.rows(_EXISTS) == [("t",)]


def begun(tx: Transaction, migration: str) -> bool:
    """Whether the ledger tells that the migration's expand has run."""
    return ledger_exists(tx) and tx.rows(_BEGUN, {"migration": migration}) == [("t",)]


def record_event(tx: Transaction, migration: str, kind: str, subject: str, value: str) -> None:
    """One more line of the append-only log; `kind` is `stage`, `reading` or `job`."""
    tx.run(_EVENT, {"migration": migration, "kind": kind, "subject": subject, "value": value})


def _position(row: Sequence[str | None]) -> Position:
    watermark, upper, left, only, fresh = row
    return Position(_key(watermark), _key(upper), int(left or 0), only == "t", fresh == "t")


def _texts(rows: list[Row]) -> list[str]:
    return [row[0] for row in rows if row[0] is not None]


def _json(key: Key | None) -> str | None:
    return None if key is None else json.dumps(list(key), ensure_ascii=False)


def _key(text: str | None) -> Key | None:
    return None if text is None else tuple(json.loads(text))
