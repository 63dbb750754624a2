"""A stream's two databases as one worker has them: a connection to each, and the ways between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

import psycopg

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import ONE_ZONE, Database, Stop, Transaction, tenants_of
from migdsl.runtime.errors import DatabaseFailedError, Remedy, UsageError, remedy
from migdsl.runtime.jobs import Limits
from migdsl.runtime.sql import statement
from migdsl.runtime.stream.apply import Way
from migdsl.runtime.stream.floors import Floors
from migdsl.runtime.stream.jobs import Side, Stream, other
from migdsl.runtime.stream.sides import Sides, stream_exists
from migdsl.runtime.stream.slot import Tap
from migdsl.runtime.stream.waiting import Queue, Waiting
from migdsl.runtime.telemetry.options import application_name

T = TypeVar("T")
_ROLE: Final = statement("SELECT current_setting('session_replication_role')")


class OverError(DatabaseFailedError):
    """Contract has taken away what a sync job works with, and nothing is left for it to do."""

    def __init__(self, marker: str, side: Side) -> None:
        super().__init__(
            f"{marker}: the migration is over: contract has run in the {side} side's database, and nothing is left to carry "
            "over; end this job for good"
        )


Retried = Callable[[psycopg.Error, float], None]


@dataclass(frozen=True, slots=True)
class Urls:
    """Where both sides are."""

    old: str
    new: str

    @classmethod
    def of(cls, stream: Stream, old: str | None, new: str | None) -> Urls:
        """As given, else from the environment. Raises UsageError."""
        found = {}
        for side, given, variable in (("old", old, stream.old_env), ("new", new, stream.new_env)):
            url = given or os.environ.get(variable)
            if not url:
                raise UsageError(f"no database for the {side} side: set {variable}, or give --{side}-url")
            found[side] = url
        return cls(found["old"], found["new"])


@dataclass(slots=True)
class Pair:
    """Connections to both sides; they aren't shared between threads, as `floors` may be."""

    stream: Stream
    old: Database
    new: Database
    floors: Floors = field(default_factory=Floors)
    ways: tuple[Way, ...] = field(init=False)
    queues: tuple[Queue, ...] = field(init=False)
    tap: Tap | None = field(init=False)

    def __post_init__(self) -> None:
        self.ways = tuple(self.way(index, side) for index in range(len(self.stream.moves)) for side in ("old", "new"))
        self.queues = tuple(Queue(self.stream, way.move, way.side) for way in self.ways)
        slot = self.stream.slot
        self.tap = None if slot is None else Tap(self.stream, slot, self.old)

    @classmethod
    def of(
        cls, stream: Stream, urls: Urls, run: str, stop: Stop, retried: Retried, limits: Limits | None = None
    ) -> Pair:
        """Databases that aren't open yet."""
        name, limits = application_name(stream.migration, f"{stream.stream} sync", run), limits or stream.limits

        def database(url: str, side: Side) -> Database:
            whole, called = conninfo_of(url, name), f"the {side} side's database"
            # Keys of dead letters are texts, and others than who wrote them look for them.
            return Database(whole, limits, stream.retry, stop, retried, ONE_ZONE, name=called, severable=True)

        return cls(stream, database(urls.old, "old"), database(urls.new, "new"))

    def at(self, side: Side) -> Database:
        """One side's."""
        return self.old if side == "old" else self.new

    def way(self, index: int, side: Side) -> Way:
        """What carries a table's rows from a side to the other."""
        return Way(self.stream, self.stream.moves[index], side, self.at(side), self.at(other(side)))

    def open(self) -> None:
        """Connects, and looks whether both sides are ready. Raises DatabaseFailedError, OverError."""
        for database in (self.old, self.new):
            database.open()
            if database.perform(lambda tx: tx.rows(_ROLE)) != [("origin",)]:
                raise DatabaseFailedError(
                    f"{database.name}: session_replication_role isn't origin for this role, so that no foreign key would be "
                    "asked of what is carried over: ALTER ROLE … RESET session_replication_role (or ALTER DATABASE)"
                )
        self.require()

    def require(self) -> None:
        """Raises OverError once contract has run, and DatabaseFailedError where expand has not."""
        missing = [queue for queue in self.queues if not self.at(queue.side).perform(queue.stands)]
        for queue in missing:
            if self.at(queue.side).perform(self._was_there):
                raise OverError(self.stream.marker, queue.side)
        for queue in missing:
            raise DatabaseFailedError(
                f"the {queue.side} side's database has no outbox for {queue.move.entity}: the expand revision makes it (`alembic "
                "upgrade`, there); if expand has been taken back, there is nothing left to do"
            )

    def _was_there(self, tx: Transaction) -> bool:
        return stream_exists(tx) and bool(Sides(self.stream).states(tx))

    def close(self) -> None:
        """Both."""
        for database in (self.old, self.new):
            with suppress(psycopg.Error):
                database.close()

    def recover(self, error: psycopg.Error, attempt: int) -> bool:
        """Whether an error of either side is worth another try; as Database.recover."""
        if remedy(error) is Remedy.RECONNECT:
            # Which of the two was lost isn't said.
            self.close()
        return self.new.recover(error, attempt)

    def retrying(self, work: Callable[[], T]) -> T:
        """As Database.retrying, of work that needs both."""
        attempt = 0
        while True:
            try:
                return work()
            except psycopg.Error as error:
                attempt += 1
                if attempt > self.stream.retry.attempts or not self.recover(error, attempt):
                    raise

    def tenants(self, asked: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Those listed. Raises as tenants_of."""
        return tenants_of(self.at(self.stream.tenants_in), self.stream.tenants, asked)

    def waiting(self) -> tuple[Waiting, ...]:
        """What waits in each outbox, and what of the old side isn't in one yet."""
        found = tuple(
            self.at(queue.side).perform(partial(queue.waiting, after=self.floors.after(queue))) for queue in self.queues
        )
        if self.tap is None:
            return found
        unread = self.tap.unread()
        return tuple(
            replace(each, unread_s=unread.seconds, kept=unread.kept) if each.side == "old" else each for each in found
        )
