"""What old and new code write of a table, and a journal of what each row must hold by the last acknowledged write."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from tests.ops.story import Story

Facts = Mapping[str, object]
Make = Callable[[random.Random, str], object]
Settle = Callable[[str, Facts | None, dict[str, object]], None]


def as_it_is(code: str, before: Facts | None, facts: dict[str, object]) -> None:
    """Old and new code see the same columns."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What code of one age writes: for each of its columns, what makes a value.

    `fixed` columns are written on INSERT alone; `conflict` is what an upsert goes by (none: no upserts). `implied` are
    columns that it leaves to the database. `copies`: COPY works. `also`: SQL that runs in the transaction of each write.
    `offends`: what a constraint to come forbids; rows of it are inserted and deleted at once. `whole`: an update writes all
    columns.
    """

    table: str
    columns: Mapping[str, Make]
    fixed: frozenset[str] = frozenset({"code"})
    conflict: tuple[str, ...] = ("tenant_id", "code")
    implied: Facts = field(default_factory=dict)
    copies: bool = True
    also: str | None = None
    offends: Facts = field(default_factory=dict)
    whole: bool = False

    @property
    def listed(self) -> str:
        return ", ".join(quoted(c) for c in self.columns)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A migration, the code before and after it, and when each of them writes.

    `settle(code, before, facts)` brings the columns of the other code in line with what `code` ("old", "new") wrote.
    `silent`: what columns hold that whoever inserts doesn't name. Old code is gone from the revision `until` on, new code
    writes after `since` (a phase, or the stage `live`). `loose` columns are not compared by what reads meanwhile. `filled`:
    what the backfill makes of a row once old code is gone. `lost`: what the way back from contract makes of it; `home`: what
    that from expand does. `asks`: SQL that finds nothing while only new code has written. `prepared`: by clients that keep
    their statements' plans, as pools do; where a column's type changes they must reconnect, as the plan says.
    """

    text: str
    ddl: str
    silent: Facts
    old: Shape
    new: Shape
    settle: Settle = as_it_is
    until: str = "contract"
    since: str = "expand"
    loose: frozenset[str] = frozenset()
    filled: Settle | None = None
    lost: Settle = as_it_is
    home: Settle = as_it_is
    asks: str | None = None
    prepared: bool = True


@dataclass(slots=True)
class Row:
    """What a row must hold; None where it was deleted. Who writes it holds the lock."""

    tenant: str
    facts: dict[str, object] | None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Journal:
    """All rows that anybody wrote, by their key."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.keys: list[int] = []

    def add(self, key: int, row: Row) -> None:
        assert key not in self.rows, f"key {key} was given out twice"
        self.rows[key] = row
        self.keys.append(key)

    @contextmanager
    def one(self, chance: random.Random) -> Iterator[tuple[int, Row] | None]:
        """A living row that nobody else is at, if one is found at once."""
        for _ in range(10 if self.keys else 0):
            key = chance.choice(self.keys)
            row = self.rows[key]
            if row.lock.acquire(blocking=False):
                try:
                    if row.facts is not None:
                        yield key, row
                        return
                finally:
                    row.lock.release()
        yield None

    def settle(self, code: str, settle: Settle) -> None:
        """Something else than a client changed rows. Only while all rest."""
        for row in self.rows.values():
            if row.facts is not None:
                settle(code, row.facts, row.facts)

    def check(self, story: Story, shape: Shape) -> None:
        """Every acknowledged write is found in the columns of the shape, and nothing that nobody wrote."""
        names = [*shape.columns, *shape.implied]
        query = sql.SQL("SELECT id, tenant_id::text, {} FROM {}").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(shape.table)
        )
        found = {key: values for key, *values in story.connection.execute(query).fetchall()}
        wanted = {
            key: [row.tenant, *(row.facts[n] for n in names)] for key, row in self.rows.items() if row.facts is not None
        }
        apart = [(key, wanted.get(key), found.get(key)) for key in sorted({*found, *wanted})]
        wrong = [entry for entry in apart if entry[1] != entry[2]]
        assert not wrong, f"{len(wrong)} rows as (key, wanted, found) of {names}: {wrong[:5]}"


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'
