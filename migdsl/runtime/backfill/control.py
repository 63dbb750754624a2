"""Turns pause, resume and cancel, said from another terminal, into moves of slices that running workers notice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from migdsl.runtime.backfill.transitions import TRANSITIONS, State
from migdsl.runtime.database import Transaction
from migdsl.runtime.ledger import record_event
from migdsl.runtime.sql import Statement, statement

Verb = Literal["pause", "resume", "cancel"]

_TARGET: Final[dict[Verb, State]] = {"pause": "paused", "resume": "pending", "cancel": "cancelled"}
_FROM: Final[dict[Verb, tuple[State, ...]]] = {
    "pause": ("pending", "running"),
    "resume": ("paused",),
    "cancel": ("pending", "running", "failed", "paused"),
}
_SAID: Final[dict[Verb, str]] = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def _move(verb: Verb) -> Statement:
    before, after = _FROM[verb], _TARGET[verb]
    assert all((state, after) in TRANSITIONS for state in before)
    states = ", ".join(f"'{state}'" for state in before)
    # Locked in one order, so that two of these never wait for each other. The new fence is what stops a worker.
    return statement(f"""
UPDATE migdsl.slice SET state = '{after}', fence = slice.fence + 1, lease_until = NULL, worker = NULL, backend = NULL,
       held = NULL
  FROM (SELECT tenant, part FROM migdsl.slice
         WHERE migration = :migration AND backfill = :backfill AND state IN ({states})
           AND (:tenants::jsonb IS NULL OR tenant IN (SELECT jsonb_array_elements_text(:tenants::jsonb)))
         ORDER BY tenant, part FOR UPDATE) AS chosen
 WHERE slice.migration = :migration AND slice.backfill = :backfill
   AND slice.tenant = chosen.tenant AND slice.part = chosen.part""")


_MOVES: Final[dict[Verb, Statement]] = {verb: _move(verb) for verb in _TARGET}


@dataclass(frozen=True, slots=True)
class Control:
    """The switch of one backfill. `tell` runs in the transaction that it is given."""

    migration: str
    backfill: str

    def tell(self, tx: Transaction, verb: Verb, tenants: Iterable[str] | None) -> int:
        """Moves the slices of `tenants` (None: all) that may go there, and records it as an event; how many moved.

        A worker is stopped by its fence: it ends its batch, which is waited for here, and begins no other.
        """
        names = None if tenants is None else json.dumps(sorted(tenants), ensure_ascii=False)
        moved = tx.run(_MOVES[verb], {"migration": self.migration, "backfill": self.backfill, "tenants": names})
        if moved or tenants is None:
            record_event(tx, self.migration, "control", self.backfill, _SAID[verb] + (f" {names}" if names else ""))
        return moved
