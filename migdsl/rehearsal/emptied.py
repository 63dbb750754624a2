"""TRUNCATE of a table with two sides, and old code that comes late, become what the other side must make of it; all of it is
rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from migdsl.dialect.names import quote
from migdsl.executor.streams import Carried, streams
from migdsl.rehearsal import moving
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.overtaken import Course
from migdsl.rehearsal.passage import Passage
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.troupe import Troupe
from migdsl.runtime.stream.jobs import Side

_CARRY = "TRUNCATE of a table with two sides must be carried over: see the trigger for it (expand)"
_FENCE = "from its switch on a tenant is written on one side: the trigger must ask the fence of every write"


def played(troupe: Troupe) -> None:
    """Tables that move within the database: each empties the other."""
    for shape in (s for s in troupe.shapes if s.move is not None):
        with troupe.traffic.resting():
            for one, other in ((shape.name, shape.new_name), (shape.new_name, shape.name)):
                left = _tried(troupe.desk, one, lambda on, there=other: _count(on, there))  # type: ignore[misc]
                if left:
                    what = f"{shape.entity}: TRUNCATE of {one} leaves {left} rows in {other}"
                    troupe.log.against("both_sides", what, "", _CARRY)
                elif left == 0:
                    troupe.log.saw("both_sides", f"{shape.entity}: TRUNCATE of {one} empties {other}")


def told(passage: Passage, side: Side) -> None:
    """Of tables whose tenants all write that side the keys of all rows wait to be carried over; the other side refuses writes."""
    with passage.traffic.resting():
        for carried in streams(passage.sites):
            for shape in (s for s in passage.shapes if s.entity in carried.entities):
                _told(passage, Course(carried, shape, side))
                _refused(passage, carried, shape, "new" if side == "old" else "old")


def _told(passage: Passage, course: Course) -> None:
    desk, table = passage.end(course.shape, course.side)
    keys = ", ".join(f"key_{n}" for n in range(1, len(course.shape.key) + 1))
    query = f"(SELECT DISTINCT {keys} FROM {course.outbox}) AS waiting"
    rows = _count(desk, table)
    waiting = _tried(desk, table, lambda on: _count(on, query))
    if waiting is not None and waiting < rows:
        what = f"{course.shape.entity}: TRUNCATE of {table} tells of {waiting} rows, and there are {rows}"
        passage.log.against("both_sides", what, course.carried.path, _CARRY)
    elif waiting is not None:
        passage.log.saw("both_sides", f"{course.shape.entity}: TRUNCATE of {table} tells of all rows")


def _refused(passage: Passage, carried: Carried, shape: Shape, side: Side) -> None:
    """Whoever comes late to the side that nobody writes any more is told so."""
    desk, table = passage.end(shape, side)
    pairs = (pair for pair in moving.move_of(shape).copied if pair not in moving.keys(shape))
    late = {"DELETE": f"DELETE FROM {table}", "TRUNCATE": f"TRUNCATE {table} CASCADE"}
    for ours, theirs in pairs:
        column = quote(theirs if side == "old" else ours)
        late["UPDATE"] = f"UPDATE {table} SET {column} = {column}"
    if _count(desk, table) == 0:
        return
    through = sorted(name for name, statement in late.items() if _taken(desk, statement))
    if through:
        what = f"{shape.entity}: the {side} side takes {' and '.join(through)}, and all tenants write the other one"
        passage.log.against("acknowledged_writes", what, carried.path, _FENCE)
    else:
        passage.log.saw("acknowledged_writes", f"{shape.entity}: the {side} side refuses whoever comes late")


def _taken(desk: Connection, statement: str) -> bool:
    """Whether it goes through: what isn't refused by the fence may be by a foreign key, and nobody has written either way."""
    try:
        with _rolled_back(desk):
            desk.execute(statement.encode())
    except psycopg.Error:
        return False
    return True


def _tried(desk: Connection, table: str, look: Callable[[Connection], int]) -> int | None:
    """What is seen once a table is empty, with those that point at it; None where that is refused."""
    try:
        with _rolled_back(desk):
            desk.execute(f"TRUNCATE {table} CASCADE".encode())
            return look(desk)
    except psycopg.Error:
        return None


@contextmanager
def _rolled_back(desk: Connection) -> Iterator[None]:
    """Nothing that is done in this block stays; nobody waits for it for long."""
    with desk.transaction(force_rollback=True):
        desk.execute("SET LOCAL lock_timeout = '2s'")
        yield


def _count(desk: Connection, table: str) -> int:
    row = desk.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(str(row[0])) if row is not None else 0
