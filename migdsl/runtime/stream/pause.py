"""Turns the moment in which nobody may write a tenant into one that is short, and that ends in time whatever happens.

All that can be done before it is: the appliers of the side that is opened are waited for, and kept out, while the tenant still
writes. Then one transaction over there carries the last rows and opens the side; so that until it commits, and is known to be
asked for, the other side can be opened again without a look at this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, NoReturn

import psycopg
from psycopg.conninfo import make_conninfo

from migdsl.runtime.backfill.transform import array
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.errors import JobError, Remedy, StoppedError, remedy, safe_text
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.apply import Event, Way, lock
from migdsl.runtime.stream.cutter import Cutter
from migdsl.runtime.stream.faults import of_the_rows
from migdsl.runtime.stream.jobs import Side, called, other
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.sides import Sides

# What has come since little was left; more would be put in place for longer than anybody waits.
_MOST: Final = 20_000
# How long a way back is looked for, beyond twice the pause: by then no server keeps a transaction that has lost its client.
_HOME_S: Final = 10.0
_CONNECT_S: Final = 2
# In the pause nobody sleeps for long before another try.
_SOON: Final = 3
_DEAD: Final = statement("""
SELECT entity FROM migdsl.dead_letter
 WHERE migration = :migration AND entity = ANY(:entities::text[])
   AND (tenant = :tenant OR tenant_was = :tenant OR tenant IS NULL) LIMIT 1""")


class SwitchRefusedError(JobError):
    """A switch that wasn't begun, was taken back, or has to be run again, as the message says. Exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 1)


@dataclass(slots=True)
class Pause:
    """One attempt's, whose claims are made. `closed`: whether writers may be refused on the side that is left."""

    pair: Pair
    sides: Sides
    tenant: str
    to: Side
    attempt: str
    at: Callable[[str], None]
    closed: Literal["no", "maybe", "yes"] = "no"
    taken: tuple[tuple[Way, list[Event]], ...] = ()
    pause_ms: float = 0.0
    _began: float = 0.0
    _asked: bool = False
    _cutter: Cutter = field(init=False)

    def __post_init__(self) -> None:
        self._cutter = Cutter((self.pair.old, self.pair.new))

    @property
    def leaving(self) -> Side:
        """The side that is left."""
        return other(self.to)

    def run(self) -> None:
        """Opens the side `to`. Raises SwitchRefusedError, and StoppedError, KeyboardInterrupt: the tenant is where it was then,
        or the message says what is known."""
        before = [(each, each.limits, each.conninfo) for each in (self.pair.old, self.pair.new)]
        with self._cutter:
            try:
                self._hurry()
                self._insist()
            # Whatever it is, writers must not be left standing.
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
                self._give_up(error)
            finally:
                for database, limits, conninfo in before:
                    database.limits, database.conninfo = limits, conninfo
        self.at("opened")

    def _hurry(self) -> None:
        """No server works on, or keeps what it has locked, for longer than the pause may last."""
        most = max(1, int(self.pair.stream.pause_s * 1000))
        for side, database in (("old", self.pair.old), ("new", self.pair.new)):
            limits = replace(
                database.limits, statement_ms=min(most, database.limits.statement_ms or most), idle_ms=most
            )
            # Who waits there for appliers, a batch of theirs, holds nobody up but others of them.
            database.limits = replace(limits, lock_ms=max(1, most * 9 // 10)) if side == self.to else limits
            database.conninfo = make_conninfo(database.conninfo, connect_timeout=str(_CONNECT_S))

    def _insist(self) -> None:
        tries = 0
        if self.closed != "no":
            self._begin()
        while True:
            try:
                return self._cross()
            except psycopg.Error as error:
                if self.pause_ms:
                    return None  # it is done: only the reading's end went wrong
                tries += 1
                if self._asked or not self._is_worth(error, tries):
                    raise
                self.pair.recover(error, min(tries, _SOON) if self.closed != "no" else tries)

    def _is_worth(self, error: psycopg.Error, tries: int) -> bool:
        if remedy(error) not in (Remedy.RETRY, Remedy.SHRINK, Remedy.RECONNECT):
            return False
        if self.closed == "no":
            return tries <= self.pair.stream.retry.attempts
        return time.monotonic() < self._cutter.until

    def _cross(self) -> None:
        there = self.pair.at(self.to)
        ways = tuple(way for way in self.pair.ways if way.side == self.leaving)
        with ExitStack() as afterwards:
            with there.transaction() as tx:
                self.sides.alone(tx)
                ways[0].mark(tx)
                for way in ways:
                    way.prepare(tx)
                self._close()
                self.at("moving")
                if self.leaving == "old" and self.pair.tap is not None:
                    # What the slot lets go of takes as long as what is read from it.
                    self.pair.old.retrying(partial(self.pair.tap.catch_up, hurried=True))
                # Its COMMIT is a round trip that nobody need wait for.
                here = afterwards.enter_context(self.pair.at(self.leaving).transaction(snapshot=True, brief=True))
                self._carry_last(here, tx, ways)
                self.at("drained")
                if not self.sides.move(tx, self.tenant, self.attempt, self.leaving, self.to):
                    raise self.rival()
                self._asked = True
            self.pause_ms = (time.monotonic() - self._began) * 1000

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._cutter.arm(self.pair.stream.pause_s)

    def _close(self) -> None:
        """From now on nobody writes; what was written is there to be seen."""
        if self.closed == "yes":
            return
        if self.closed == "no":
            self._begin()
        before = self.closed
        try:
            with self.pair.at(self.leaving).transaction(brief=True) as tx:
                if not self.sides.move(tx, self.tenant, self.attempt, self.leaving, "moving"):
                    raise self.rival()
                self.closed = "maybe"
        except psycopg.Error as error:
            if remedy(error) is not Remedy.RECONNECT:
                self.closed = before  # the server itself has said that nothing came of it
            if self.closed == "no":
                self._cutter.disarm()
            raise
        self.closed = "yes"

    def _carry_last(self, here: Transaction, there: Transaction, ways: tuple[Way, ...]) -> None:
        """The tenant's events: there will be no more, and no applier sets one aside while their lanes are ours."""
        entities = array([way.move.entity for way in ways])
        own = {"migration": self.pair.stream.migration, "entities": entities, "tenant": self.tenant}
        asked = (way.asked_of(self.tenant, _MOST + 1) for way in ways)
        _, dead, *found = here.together((lock(ways), {}), (_DEAD, own), *asked)
        if dead:
            raise SwitchRefusedError(f"{self._stays()}: a row of {dead[0][0]} can't be applied; see `dead-letters`")
        self.taken = tuple((way, [Event.of(row) for row in rows]) for way, rows in zip(ways, found, strict=True))
        if any(len(events) > _MOST for _, events in self.taken):
            raise SwitchRefusedError(
                f"{self._stays()}: it wrote more than {_MOST:,} rows in the last moment; switch it at a quieter hour"
            )
        staged = [way.stage_in(here, there, events) for way, events in self.taken if events]
        if staged:
            # A child goes before its parent, and comes after it.
            there.together(*(gone for gone, _ in reversed(staged)), *(upsert for _, upsert in staged))

    # ------------------------------------------------------------------------------------------- giving up

    def _give_up(self, why: BaseException) -> NoReturn:
        """Raises `why`, or what is to be said instead, after the side that was left is open again, if that may be."""
        if isinstance(why, psycopg.Error) and remedy(why) is Remedy.RECONNECT:
            self.pair.close()
        late = self.closed != "no" and time.monotonic() >= self._cutter.until
        if self.closed != "no":
            self._cutter.arm(2 * self.pair.stream.pause_s + _HOME_S)
            if self._asked and self._may_be_open():
                raise self.between(why) from None
            self._turn_back(why)
        if isinstance(why, psycopg.Error):
            waited = f"its writers had waited for {self.pair.stream.pause_s:g} s" if late else ""
            where = next(iter(getattr(why, "__notes__", ())), "a database")
            said = ", ".join(filter(None, [waited, f"{where} said {safe_text(why)}"]))
            hint = "; see `dead-letters`, and `run`" if of_the_rows(why) else ""
            raise SwitchRefusedError(f"{self._stays()}: {said}{hint}") from None
        raise why

    def _may_be_open(self) -> bool:
        """Whether the opening may have been made although it failed: its answer was lost, or can't be asked for."""
        try:
            return self.pair.at(self.to).perform(lambda tx: self.sides.settled(tx, self.tenant)) == self.to
        except (psycopg.Error, StoppedError):
            return True

    def _turn_back(self, why: BaseException) -> None:
        """Changes nothing where the claim is another's: then that one decides."""
        database: Database = self.pair.at(self.leaving)
        try:
            back = database.perform(lambda tx: self.sides.move(tx, self.tenant, self.attempt, "moving", self.leaving))
        except (psycopg.Error, StoppedError):
            # The next run, whichever way it goes, finds the tenant there.
            raise self.between(why) from None
        if not back:
            raise self.rival() from None

    def _stays(self) -> str:
        return f"{called(self.tenant)} stays on the {self.leaving} side"

    def between(self, why: BaseException) -> SwitchRefusedError:
        """For a tenant that perhaps nobody may write."""
        how = f" ({safe_text(why)})" if isinstance(why, psycopg.Error) else ""
        return SwitchRefusedError(
            f"{called(self.tenant)} is between the sides, and its writers may be refused until `switch` is run again, in "
            f"either direction{how}"
        )

    def rival(self) -> SwitchRefusedError:
        """For what another attempt has claimed."""
        return SwitchRefusedError(
            f"another switch of {called(self.tenant)} is under way: this one leaves it alone; look at `status`"
        )
