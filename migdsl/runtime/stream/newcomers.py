"""Turns tenants over that are yet to come: who has no row in `migdsl.side` is of one side, which both databases have to know.

Each database has one row for all of them, and it goes the way of a tenant's: (from, from) → (moving, from) → (moving, to) →
(to, to). A writer without a row holds it locked until its own row is committed, so whoever closes a side sees all rows of there,
and copies them before the other side opens: no tenant is a newcomer here and of the other side there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

import psycopg

from migdsl.runtime.database import Transaction
from migdsl.runtime.stream.jobs import Side, other
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.pause import SwitchRefusedError
from migdsl.runtime.stream.sequences import apart
from migdsl.runtime.stream.sides import Sides, State, together
from migdsl.runtime.stream.tenants import switchable

# Everybody claims in this order.
_SIDES: Final[tuple[Side, Side]] = ("old", "new")


@dataclass(slots=True)
class Newcomers:
    """One attempt for a stream; where it has no tenants nobody comes, and nothing is done."""

    pair: Pair
    _sides: Sides = field(init=False)
    _row: Sides = field(init=False)
    _attempt: str = field(init=False)

    def __post_init__(self) -> None:
        self._sides = Sides(self.pair.stream)
        self._row, self._attempt = self._sides.newcomers(), secrets.token_hex(8)

    def stand(self) -> str:
        """`old`, `new`, or `switching`."""
        old, new = (self.pair.at(side).perform(self._sides.standing).newcomers for side in _SIDES)
        return together(old, new)

    def alone(self, to: Side) -> bool:
        """Whether nobody but them is left on the other side."""
        old, new = (self.pair.at(side).perform(self._sides.standing) for side in _SIDES)
        return all(together(old.of(tenant), new.of(tenant)) == to for tenant in switchable(self.pair))

    def turn(self, to: Side) -> bool:
        """Whether that side wasn't theirs before. Running it again finishes what was begun, in either direction.

        Raises SwitchRefusedError, JobError, psycopg.Error.
        """
        if self.pair.stream.tenants is None or self.stand() == to:
            return False
        leaving = other(to)
        opened, left = self._claimed(to)
        if opened == "moving":
            # A turn the other way that never got to its last step: what is known over there is to be known here.
            self._copy(leaving, to)
            opened = self._move(to, opened, left)
        if left == leaving:
            self._prepare(to)
            left = self._move(leaving, left, "moving")
        if opened != to:
            self._copy(leaving, to)
            self._move(to, opened, to)
        if left != to:
            self._copy(to, leaving)
            self._move(leaving, left, to)
        return True

    def _claimed(self, to: Side) -> tuple[State, State]:
        """Where the rows stand, of the side that is opened and of the one that is left."""
        for side in _SIDES:
            self.pair.at(side).perform(lambda tx: self._row.seed(tx, [""]))
        old, new = (self.pair.at(side).perform(lambda tx: self._row.claim(tx, "", self._attempt)) for side in _SIDES)
        if not self.pair.old.perform(lambda tx: self._row.ours(tx, "", self._attempt)):
            raise self._rival()
        if "moving" not in (old, new) and old != new:
            raise SwitchRefusedError(
                f"the two databases contradict each other about tenants to come (old side: {old}, new side: {new}), which "
                "nothing leaves behind: was one of them restored? Compare the rows, then mend migdsl.side"
            )
        return (old, new) if to == "old" else (new, old)

    def _prepare(self, to: Side) -> None:
        """Who is there already has a row before: rows of before may be on the side that is left."""
        known = switchable(self.pair)
        for side in _SIDES:
            if not self.pair.at(side).perform(lambda tx: self._sides.seed(tx, known)):
                raise self._rival()
        if to == "old" and self.pair.tap is not None:
            # What is written on the old side from then on is told of by nothing else.
            self.pair.tap.behind()
        apart(self.pair)

    def _copy(self, origin: Side, to: Side) -> None:
        known, found = set(switchable(self.pair)), self.pair.at(origin).perform(self._sides.states)
        gone = {tenant: state for tenant, state in found.items() if tenant not in known}

        def work(tx: Transaction) -> None:
            # Contract would wait there for one that has gone, and that nobody can switch.
            self._sides.copy(tx, gone, "-infinity")
            self._sides.copy(tx, found)

        self.pair.at(to).perform(work)

    def _move(self, side: Side, before: State, after: State) -> State:
        try:
            moved = self.pair.at(side).perform(lambda tx: self._row.move(tx, "", self._attempt, before, after))
        except psycopg.errors.LockNotAvailable:
            raise SwitchRefusedError(
                f"a tenant that has just come to the {side} side is written in a transaction that lasts: run `switch` again"
            ) from None
        if not moved:
            raise self._rival()
        return after

    def _rival(self) -> SwitchRefusedError:
        return SwitchRefusedError("another switch of tenants to come is under way: this one leaves it alone")
