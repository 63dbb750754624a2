"""Turns a tenant's writes over from one side to the other, or finishes what a killed switch began.

Each database has its own row of the tenant, and refuses writers unless the row names that side. A switch goes
(from, from) → (moving, from) → drained → (moving, to) → (to, to), where the first is the side that is left: at no moment do
both let writers pass. Each attempt claims both rows first and moves them only while they are its own, and it looks at them
after that; so an attempt that was thought dead can't open a side behind the back of one that turned round. All claim the old
side's row first, and look whether they still have it when they have the other: whoever goes on had both at one moment.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import psycopg

from migdsl.runtime.database import Row, Transaction
from migdsl.runtime.errors import DatabaseFailedError, safe_text
from migdsl.runtime.ledger import record_event
from migdsl.runtime.sql import Statement, statement
from migdsl.runtime.stream.jobs import Side, called, other
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.pause import Pause, SwitchRefusedError
from migdsl.runtime.stream.sequences import apart
from migdsl.runtime.stream.sides import Sides, State

__all__ = ["Switch", "SwitchRefusedError", "Switched"]

# As many events as are applied while a tenant's writers wait; what is more is carried over before.
_FEW: Final = 200
_MOST: Final = 2_000
# Everybody claims in this order.
_SIDES: Final[tuple[Side, Side]] = ("old", "new")
_UNENQUEUED: Final = statement("""
SELECT count(*) FILTER (WHERE state <> 'succeeded'), count(*) FROM migdsl.slice
 WHERE migration = :migration AND backfill = :backfill AND tenant = :tenant""")


@dataclass(frozen=True, slots=True)
class Switched:
    """A tenant whose writes are on the side `to`. `pause_ms` is how long its writers were held up; None: not at all."""

    tenant: str
    to: Side
    pause_ms: float | None
    events: int = 0
    finished: bool = False


@dataclass(slots=True)
class Switch:
    """One attempt for one tenant. `at` hears the name of each step when it is done, for the log."""

    pair: Pair
    tenant: str
    to: Side
    at: Callable[[str], None] = lambda _step: None

    def run(self) -> Switched:
        """Switches. Raises SwitchRefusedError, and psycopg.Error where a database is lost: then run it again."""
        stream, leaving = self.pair.stream, other(self.to)
        sides, attempt = Sides(stream), secrets.token_hex(8)
        if self.to == "new" and not self.pair.new.perform(lambda tx: sides.knows(tx, self.tenant)):
            # Before either side hears of it: one that has gone would be waited for from then on.
            self._require_enqueued()
        for side in _SIDES:
            if not self.pair.at(side).perform(lambda tx: sides.seed(tx, [self.tenant])):
                raise SwitchRefusedError(
                    f"{called(self.tenant)} is new, and tenants to come are being turned over: `switch --all --to {self.to}`"
                )
        opened, left = self._claim_both(sides, attempt)
        if (left, opened) in ((leaving, self.to), (self.to, leaving)):
            raise SwitchRefusedError(
                f"the two databases contradict each other about {called(self.tenant)} ({leaving} side: {left}, {self.to} side: "
                f"{opened}), which no switch leaves behind: was one of them restored? Compare the rows, then mend migdsl.side"
            )
        if self.to in (left, opened):
            return self._finish(sides, attempt, opened, left)
        if left == leaving:
            self._require_ready(leaving)
            if opened != leaving:
                # A switch the other way that never got to its last step.
                self._move(sides, self.to, attempt, opened, leaving)
            self._carry_most(leaving)
        return self._pass_over(sides, attempt, left)

    def _claim_both(self, sides: Sides, attempt: str) -> tuple[State, State]:
        """Where the rows stand, of the side that is opened and of the one that is left. Raises SwitchRefusedError."""
        old, new = (self._claim(sides, side, attempt) for side in _SIDES)
        if not self.pair.old.perform(lambda tx: sides.ours(tx, self.tenant, attempt)):
            raise self._rival()
        return (old, new) if self.to == "old" else (new, old)

    def _claim(self, sides: Sides, side: Side, attempt: str) -> State:
        return self.pair.at(side).perform(lambda tx: sides.claim(tx, self.tenant, attempt))

    def _finish(self, sides: Sides, attempt: str, opened: State, left: State) -> Switched:
        """The side that is opened may write already, or the one that is left never may again."""
        leaving = other(self.to)
        if opened != self.to:
            self._move(sides, self.to, attempt, opened, self.to)
        if left != self.to:
            self._move(sides, leaving, attempt, left, self.to)
        if opened != self.to or left != self.to:
            self._tell("finished")
        return Switched(self.tenant, self.to, None, finished=opened != self.to or left != self.to)

    def _pass_over(self, sides: Sides, attempt: str, left: State) -> Switched:
        leaving = other(self.to)
        pause = Pause(self.pair, sides, self.tenant, self.to, attempt, self.at, "yes" if left == "moving" else "no")
        pause.run()

        def work(tx: Transaction) -> bool:
            moved = sides.move(tx, self.tenant, attempt, "moving", self.to)
            for way, taken in pause.taken:
                if taken:
                    way.forget_in(tx, taken)
            return moved

        try:
            if not self.pair.at(leaving).perform(work):
                raise self._rival()
        except psycopg.Error as error:
            raise SwitchRefusedError(
                f"{called(self.tenant)} is written on the {self.to} side by now, and the {leaving} side couldn't be told "
                f"({safe_text(error)}): run `switch` again"
            ) from None
        self._tell(f"{pause.pause_ms:.0f} ms")
        return Switched(self.tenant, self.to, pause.pause_ms, sum(len(taken) for _, taken in pause.taken))

    @property
    def _flag(self) -> str:
        return f" --tenant {self.tenant}" if self.tenant else ""

    @property
    def _whose(self) -> str:
        return f" for {called(self.tenant)}" if self.tenant else ""

    def _rival(self) -> SwitchRefusedError:
        return SwitchRefusedError(
            f"another switch of {called(self.tenant)} is under way: this one leaves it alone; look at `status`"
        )

    def _move(self, sides: Sides, side: Side, attempt: str, before: State, after: State) -> None:
        database = self.pair.at(side)

        def work(tx: Transaction) -> bool:
            return sides.move(tx, self.tenant, attempt, before, after)

        if not database.perform(work):
            raise self._rival()

    def _require_ready(self, leaving: Side) -> None:
        """Raises SwitchRefusedError for what would be lost, or would hold writers up for long."""
        for queue in self.pair.queues:
            dead = self.pair.at(queue.side).perform(partial(queue.dead, tenant=self.tenant))
            if dead:
                raise SwitchRefusedError(
                    f"{dead} rows of {queue.move.entity} can't be applied: see `dead-letters{self._flag}`, mend "
                    "them, and try them once more with --retry"
                )
        if leaving == "old":
            self._require_enqueued()
        elif self.pair.tap is not None:
            # What is written on the old side from then on is told of by nothing else.
            self.pair.tap.behind()
        for found in apart(self.pair):
            self.at(f"sequence {found}")
        waiting = [self.pair.at(leaving).perform(queue.waiting) for queue in self.pair.queues if queue.side == leaving]
        late = max((each.lag_s for each in waiting), default=0.0)
        if late > self.pair.stream.lag_s:
            raise SwitchRefusedError(
                f"the oldest event has waited for {late:.0f} s, and more than {self.pair.stream.lag_s:g} s is too far "
                "behind: is `run` running?"
            )

    def _require_enqueued(self) -> None:
        for move in self.pair.stream.moves:
            if move.backfill is None:
                continue
            own: dict[str, str | None] = {
                "migration": self.pair.stream.migration,
                "backfill": move.backfill,
                "tenant": self.tenant,
            }
            ((left, slices),) = self.pair.old.perform(partial(_rows, sql=_UNENQUEUED, values=own))
            if left != "0" or slices == "0":
                raise SwitchRefusedError(
                    f"the rows that {move.entity} had before haven't all been enqueued{self._whose}: run "
                    f"the backfill {move.backfill} first"
                )

    def _carry_most(self, leaving: Side) -> None:
        """What waits is carried over while the tenant still writes, until little is left to do in the pause."""
        until = time.monotonic() + max(self.pair.stream.lag_s, 1.0)
        self._catch_up(leaving)
        for way, queue in zip(self.pair.ways, self.pair.queues, strict=True):
            if way.side != leaving:
                continue
            while (left := way.origin.perform(partial(queue.of_tenant, tenant=self.tenant, most=_FEW + 1))) > _FEW:
                if time.monotonic() > until:
                    raise SwitchRefusedError(
                        f"more than {left - 1} events of {called(self.tenant)} wait all the time: it is written faster than the "
                        "appliers carry over; run more of them, or switch it at a quieter hour"
                    )
                self.pair.retrying(partial(way.apply_tenant, self.tenant, _MOST))

    def _catch_up(self, leaving: Side) -> None:
        """What was committed is in the outbox, where that isn't done by the writers themselves."""
        if leaving == "old" and self.pair.tap is not None:
            self.pair.old.retrying(self.pair.tap.catch_up)

    def _tell(self, how: str) -> None:
        said = f"{self.to}: {how}"
        for database in (self.pair.old, self.pair.new):
            try:
                database.perform(
                    lambda tx: record_event(
                        tx, self.pair.stream.migration, "switch", f"{self.pair.stream.stream}/{self.tenant}", said
                    )
                )
            except psycopg.Error as error:
                raise DatabaseFailedError(f"the switch is done, and couldn't be recorded: {safe_text(error)}") from None


def _rows(tx: Transaction, sql: Statement, values: dict[str, str | None]) -> list[Row]:
    return tx.rows(sql, values)
