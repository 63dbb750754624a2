"""Reads and moves the rows of `migdsl.side`: which side may write a tenant, as each database has it for itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from migdsl.runtime.backfill.transform import array
from migdsl.runtime.database import Transaction
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Stream

State = Literal["old", "moving", "new"]

# What is forgotten on one side must be on the other's disk, whatever the role's setting is.
DURABLE_SQL: Final = (
    "SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END"
)
DURABLE: Final = statement(DURABLE_SQL)
_OWN: Final = "migration = :migration AND stream = :stream"
_ONE: Final = f"{_OWN} AND tenant = :tenant"
_SEED: Final = statement("""
INSERT INTO migdsl.side (migration, stream, tenant, state, since)
SELECT :migration, :stream, given.key, given.value, coalesce(:since::timestamptz, others.since, clock_timestamp())
  FROM jsonb_each_text(:states::jsonb) AS given
  LEFT JOIN migdsl.side AS others
    ON others.migration = :migration AND others.stream = :newcomers AND others.tenant = '' AND others.state = given.value
    ON CONFLICT DO NOTHING""")
# The row of who has none is a stream of its own, with one tenant; the fences know it by this name.
_NEWCOMERS: Final = "/newcomers"
_NEWCOMER: Final = "SELECT state FROM migdsl.side WHERE migration = :migration AND stream = :newcomers AND tenant = ''"
_DEFAULT: Final = statement(_NEWCOMER)
# As the fence does it: who turns newcomers over waits, and finds what this writes.
_DEFAULT_SHARED: Final = statement(f"{_NEWCOMER} FOR SHARE")
# In a table of its own: writers of a busy tenant that have one snapshot hold its row of `side` all the time.
_CLAIM: Final = statement("""
INSERT INTO migdsl.switch (migration, stream, tenant, attempt) VALUES (:migration, :stream, :tenant, :attempt)
ON CONFLICT (migration, stream, tenant) DO UPDATE SET attempt = excluded.attempt, at = clock_timestamp()""")
_STATE: Final = statement(f"SELECT state FROM migdsl.side WHERE {_ONE}")
_OURS: Final = statement(f"SELECT attempt FROM migdsl.switch WHERE {_ONE} AND attempt = :attempt FOR UPDATE")
# The same lock as the fence's: writers share it, and are gone when this has it for itself.
_ALONE: Final = statement("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 8))")
_MOVE: Final = statement(f"""
UPDATE migdsl.side SET state = :after, since = clock_timestamp()
 WHERE {_ONE} AND state = :before AND EXISTS (SELECT FROM migdsl.switch WHERE {_ONE} AND attempt = :attempt)
RETURNING tenant""")
# Whoever is at work in a lane has committed when this has them all, and who comes later sees what this writes. No deadlock:
# everybody takes lanes in this order, and before anything else in that database.
_LANES: Final = statement("""
SELECT lane FROM migdsl.lane WHERE migration = :migration AND entity = ANY(:entities::text[])
 ORDER BY entity, lane FOR UPDATE""")
_SETTLED: Final = statement(f"SELECT attempt FROM migdsl.switch WHERE {_ONE} FOR UPDATE")
_STATES: Final = statement(f"SELECT tenant, state FROM migdsl.side WHERE {_OWN} ORDER BY tenant")
_EXISTS: Final = statement("SELECT to_regclass('migdsl.side') IS NOT NULL AND to_regclass('migdsl.lane') IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Standing:
    """What one database says of each tenant: `rows` of those that have one, `newcomers` of all others."""

    rows: Mapping[str, State]
    newcomers: State

    def of(self, tenant: str) -> State:
        """One tenant's."""
        return self.rows.get(tenant, self.newcomers)


@dataclass(frozen=True, slots=True)
class Sides:
    """One database's rows of a stream. Each method runs in the transaction that it is given."""

    stream: Stream

    def seed(self, tx: Transaction, tenants: Iterable[str]) -> bool:
        """Gives every tenant a row that has none, as newcomers are; False where these are just being turned over."""
        default, asked = self._newcomers(tx, _DEFAULT_SHARED), tuple(tenants)
        if default == "moving":
            return self.states(tx).keys() >= set(asked)
        self.copy(tx, dict.fromkeys(asked, default))
        return True

    def copy(self, tx: Transaction, given: Mapping[str, State], since: str | None = None) -> None:
        """Gives the tenants that have no row the states that are given; `since` when, as newcomers are by default."""
        states = json.dumps(given, ensure_ascii=False, sort_keys=True)
        tx.run(_SEED, self._values(states=states, since=since, newcomers=self.stream.stream + _NEWCOMERS))

    def newcomers(self) -> Sides:
        """The row of who has none yet, as a stream of one tenant, ''."""
        return Sides(replace(self.stream, stream=self.stream.stream + _NEWCOMERS))

    def knows(self, tx: Transaction, tenant: str) -> bool:
        """Whether the tenant has a row."""
        return bool(tx.rows(_STATE, self._values(tenant=tenant)))

    def claim(self, tx: Transaction, tenant: str, attempt: str) -> State:
        """From now on only this attempt moves the tenant's row here; where the row stands."""
        own = self._values(tenant=tenant)
        tx.run(_CLAIM, {**own, "attempt": attempt})
        # A move of the attempt before was waited for.
        return self._stands(tx, tenant)

    def move(self, tx: Transaction, tenant: str, attempt: str, before: State, after: State) -> bool:
        """Moves the row once the tenant's writers are gone; False where another attempt has claimed it."""
        own = {**self._values(tenant=tenant), "attempt": attempt, "before": before, "after": after}
        lock = {"lock": f"{self.stream.marker}/{tenant}"}
        # Only who closes a side finds writers there. All in one message: some of them wait already.
        alone = [(_ALONE, lock)] if after == "moving" else []
        *_, moved = tx.together((DURABLE, {}), (_OURS, own), *alone, (_MOVE, own))
        # By ourselves, where the claim is ours: the answer was lost.
        return bool(moved) or (self.ours(tx, tenant, attempt) and self._stands(tx, tenant) == after)

    def ours(self, tx: Transaction, tenant: str, attempt: str) -> bool:
        """Whether no other attempt has claimed the row since; none can until the transaction ends."""
        return bool(tx.rows(_OURS, {**self._values(tenant=tenant), "attempt": attempt}))

    def settled(self, tx: Transaction, tenant: str) -> State:
        """Where the row stands once no move of it is half done, not even one whose connection is lost."""
        tx.rows(_SETTLED, self._values(tenant=tenant))
        return self._stands(tx, tenant)

    def alone(self, tx: Transaction) -> None:
        """Waits for all appliers at work on this side, and keeps them out until the transaction ends.

        Else one of them might overwrite what is newer here once this transaction has moved the row: its look at it is as old as
        its statement.
        """
        entities = array([move.entity for move in self.stream.moves])
        tx.rows(_LANES, {"migration": self.stream.migration, "entities": entities})

    def states(self, tx: Transaction) -> dict[str, State]:
        """Every tenant that has a row."""
        return {tenant or "": _state(state) for tenant, state in tx.rows(_STATES, self._values())}

    def standing(self, tx: Transaction) -> Standing:
        """The same, with where those are who have none."""
        return Standing(self.states(tx), self._newcomers(tx, _DEFAULT))

    def _newcomers(self, tx: Transaction, asked: Statement) -> State:
        rows = tx.rows(asked, self._values(newcomers=self.stream.stream + _NEWCOMERS))
        return _state(rows[0][0]) if rows else "old"

    def _stands(self, tx: Transaction, tenant: str) -> State:
        return _state(tx.rows(_STATE, self._values(tenant=tenant))[0][0])

    def _values(self, **more: str | None) -> dict[str, str | None]:
        return {"migration": self.stream.migration, "stream": self.stream.stream, **more}


def together(old: State, new: State) -> str:
    """What the two databases say of a tenant, in a word: `old`, `new`, or that a switch is under way."""
    if old == new and old != "moving":
        return old
    # Whichever way it was going: run again, or turn back.
    return "switching"


def stream_exists(tx: Transaction) -> bool:
    """Whether the expand revision has made this side's part."""
    return tx.rows(_EXISTS) == [("t",)]


def _state(text: str | None) -> State:
    if text == "old":
        return "old"
    return "moving" if text == "moving" else "new"
