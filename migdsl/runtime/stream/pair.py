"""A stream's two databases as one worker has them: a connection to each, and the ways between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from migdsl.runtime.database import Database, Stop, conninfo_of, tenants_of
from migdsl.runtime.errors import DatabaseFailedError, Remedy, UsageError, remedy
from migdsl.runtime.jobs import Limits
from migdsl.runtime.stream.apply import Way
from migdsl.runtime.stream.jobs import Side, Stream, other
from migdsl.runtime.stream.sides import stream_exists
from migdsl.runtime.stream.slot import Tap
from migdsl.runtime.stream.waiting import Queue, Waiting
from migdsl.runtime.telemetry.options import application_name

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
    """Connections to both sides; they aren't shared between threads."""

    stream: Stream
    old: Database
    new: Database
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

        def database(url: str) -> Database:
            return Database(conninfo_of(url, name), limits, stream.retry, stop, retried)

        return cls(stream, database(urls.old), database(urls.new))

    def at(self, side: Side) -> Database:
        """One side's."""
        return self.old if side == "old" else self.new

    def way(self, index: int, side: Side) -> Way:
        """What carries a table's rows from a side to the other."""
        return Way(self.stream, self.stream.moves[index], side, self.at(side), self.at(other(side)))

    def open(self) -> None:
        """Connects, and looks whether both sides are ready. Raises DatabaseFailedError."""
        for side, database in (("old", self.old), ("new", self.new)):
            database.open()
            if not database.perform(stream_exists):
                raise DatabaseFailedError(
                    f"the {side} side's database has no sync tables (schema migdsl): run `alembic upgrade head` there first"
                )

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

    def tenants(self, asked: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Those listed. Raises as tenants_of."""
        return tenants_of(self.at(self.stream.tenants_in), self.stream.tenants, asked)

    def waiting(self) -> tuple[Waiting, ...]:
        """What waits in each outbox."""
        return tuple(self.at(queue.side).perform(queue.waiting) for queue in self.queues)
