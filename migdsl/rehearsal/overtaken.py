"""Rows are written again while whoever carries the first write over stands still, and is killed: nothing older may win."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.executor.streams import Carried, streams
from migdsl.rehearsal import moving
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.model import Log, Mark
from migdsl.rehearsal.passage import Passage
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.waiting import until
from migdsl.runtime.stream.jobs import Side, other
from migdsl.values import Value

_ROWS = 32  # so many that of each lane there are some
_LEAST = 8
_STUCK = b"""
SELECT pid::text || ' ' || query_start::text FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND pg_catalog.pg_blocking_pids(pid) @> ARRAY[%s::integer]"""
_JOBS = b"""
SELECT count(*) FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE %s AND state <> 'idle'"""
_SOON_S, _LATE_S = 10.0, 60.0  # how long whoever carries over is waited for: at first, and where a machine is slow


class Course(Value):
    """A table whose rows are written on `side`, and carried over to the other one."""

    carried: Carried
    shape: Shape
    side: Side

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """The key as the other side calls it, each part with the name that journals have."""
        return tuple((ours if self.side == "old" else theirs, theirs) for ours, theirs in moving.keys(self.shape))

    @property
    def outbox(self) -> str:
        """Where what was written waits."""
        found = next(m for m in self.carried.stream.moves if m.entity == self.shape.entity)
        return (found.forward if self.side == "old" else found.back).outbox

    @property
    def by_wal(self) -> bool:
        """Whether what is written is told of by the server's log, and not by a trigger."""
        return self.side == "old" and self.carried.stream.slot is not None

    def there(self, passage: Passage) -> tuple[Connection, str]:
        """The other side: a connection, and the table."""
        return passage.end(self.shape, other(self.side))


def overtaken(passage: Passage, side: Side) -> None:
    """Of one table of each stream, while everybody writes on that side."""
    for carried in streams(passage.sites):
        for shape in (s for s in passage.shapes if s.entity in carried.entities):
            course = Course(carried, shape, side)
            if _patiently(passage.log, _AGAIN.format(shape.entity, side), partial(_again, passage, course)) is not None:
                _patiently(passage.log, _KILLED.format(shape.entity, side), partial(_killed, passage, course))
                break
        else:
            _unplayed(passage.log, _AGAIN.format(" or ".join(carried.entities), side), "there are too few rows")


_AGAIN = "rows of {} that are written again while their first write is on its way from the {} side"
_KILLED = "the sync job killed while it carries rows of {} over from the {} side"


def _patiently(log: Log, what: str, play: Callable[[float], bool | None]) -> bool | None:
    """A fault that has to meet a moment, tried once more for longer; whether it did, None where there is nothing to try."""
    met = play(_SOON_S)
    met = play(_LATE_S) if met is False else met
    if met is False:
        _unplayed(log, what, "the moment wasn't met")
    return met


def _unplayed(log: Log, what: str, why: str) -> None:
    log.notes.append(f"not played: {what}: {why}")
    log.saw("both_sides", f"not played: {what}: {why}")


def _rows(passage: Passage, course: Course) -> list[Row]:
    """Rows of one tenant, in the order of the other side's key; none where there are too few. While all rest."""
    desk, table = course.there(passage)
    keys = [quote(name) for name, _ in course.keys]
    query = f"SELECT {', '.join(f'{k}::text' for k in keys)} FROM {table} ORDER BY {', '.join(keys)}"
    order = {tuple(map(str, row)): place for place, row in enumerate(desk.execute(query.encode()).fetchall())}
    for tenant in passage.tenants.ids:
        rows = [row for row in passage.journals[course.shape.entity].of(tenant) if tuple(row.key.values()) in order]
        if len(rows) >= _LEAST:
            return sorted(rows, key=lambda row: order[tuple(row.key.values())])[:_ROWS]
    return []


def _again(passage: Passage, course: Course, soon_s: float) -> bool | None:
    """The first of them is held over there, all are written, and once more while the one who carries it over waits. Whether
    that one was met; None where there are too few rows."""
    log, start, met = passage.log, passage.log.now(), False
    with passage.traffic.resting():
        passage.drained()
        rows = _rows(passage, course)
        if rows:
            with _somebody(passage, course) as holder:
                met = _held(passage, course, rows, holder, soon_s) and _meanwhile(passage, course, rows, holder, soon_s)
                holder.rollback()
    if met:
        what = f"rows of {course.shape.entity} are written twice, and carried over late"
        log.marks.append(Mark("fault", what, start, log.now()))
        passage.look()
        told = f"{course.shape.entity}: {len(rows)} rows written again while their first write was on its way"
        log.saw("both_sides", f"{told} from the {course.side} side")
    return met if rows else None


def _meanwhile(passage: Passage, course: Course, rows: list[Row], holder: Connection, soon_s: float) -> bool:
    """Whether one that had read what was written before still waits when all that doesn't stand behind it has been carried
    over: it doesn't wait for long at a time, and then it reads again."""
    # The held row isn't written again where keys come by a trigger: whoever had that key elsewhere would stand still, too. By
    # way of the WAL it is, since it alone tells that what was written is known.
    others = rows if course.by_wal else rows[1:]
    end = time.monotonic() + soon_s
    while time.monotonic() < end:
        if not until(lambda: bool(_stuck(passage, course, holder)), soon_s):
            return False
        waiting, told = _stuck(passage, course, holder), _told(passage, course, rows[0])
        _written(passage, course, others)
        until(partial(_passed, passage, course, rows[0], told), soon_s)
        if waiting & _stuck(passage, course, holder):
            return True
    return False


def _killed(passage: Passage, course: Course, soon_s: float) -> bool | None:
    """The sync job is killed in the middle of a batch. Whether it was in one; None where there are too few rows."""
    log, start, met = passage.log, passage.log.now(), False
    with passage.traffic.resting():
        passage.drained()
        rows = _rows(passage, course)
        with _somebody(passage, course) as holder:
            met = bool(rows) and _held(passage, course, rows, holder, soon_s)
            for relay in passage.relays:
                relay.kill()
            holder.rollback()
        desk, _ = course.there(passage)
        until(lambda: desk.execute(_JOBS, (f"migdsl {passage.project.name}% sync%",)).fetchone() == (0,), soon_s)
    for relay in passage.relays:
        passage.started(relay)
    passage.look()
    if met:
        log.marks.append(Mark("fault", "the sync job is killed in the middle of a batch", start, log.now()))
        told = (
            f"the sync job was killed while it carried rows of {course.shape.entity} over from the {course.side} side"
        )
        log.saw("backfill", f"{told}, and started again")
    return met if rows else None


def _somebody(passage: Passage, course: Course) -> Connection:
    """A session over there."""
    move = moving.move_of(course.shape)
    database = (move.target if course.side == "old" else move.table).database
    return psycopg.connect(passage.stages[database].url, application_name="rehearsal somebody")


def _held(passage: Passage, course: Course, rows: list[Row], holder: Connection, soon_s: float) -> bool:
    """All are written while the first is held over there; whether anybody waits for it."""
    _, table = course.there(passage)
    key = " AND ".join(f"{quote(name)}::text = {literal(rows[0].key[theirs])}" for name, theirs in course.keys)
    holder.execute(f"SELECT FROM {table} WHERE {key} FOR UPDATE".encode())
    _written(passage, course, rows)
    return until(lambda: bool(_stuck(passage, course, holder)), soon_s)


def _stuck(passage: Passage, course: Course, holder: Connection) -> frozenset[str]:
    """Who waits for that session, each with when it began."""
    desk, _ = course.there(passage)
    return frozenset(str(who) for (who,) in desk.execute(_STUCK, (holder.info.backend_pid,)).fetchall())


def _written(passage: Passage, course: Course, rows: list[Row]) -> None:
    """All of them, in one transaction."""
    with passage.writing(course.side) as write:
        for row in rows:
            write(course.shape, row)


def _told(passage: Passage, course: Course, first: Row) -> int:
    """How many events of a row wait."""
    return _asked(passage, course, f"SELECT count(*) FROM {course.outbox} WHERE {_own(first)}")


def _passed(passage: Passage, course: Course, first: Row, told: int) -> bool:
    """Whether nothing waits in other lanes than the held row's; and, where it comes from the WAL, its last write was seen."""
    outbox, own = course.outbox, _own(first)
    others = f"SELECT count(*) FROM {outbox} WHERE lane NOT IN (SELECT lane FROM {outbox} WHERE {own})"
    seen = not course.by_wal or _told(passage, course, first) > told
    return seen and _asked(passage, course, others) == 0


def _own(row: Row) -> str:
    return " AND ".join(f"key_{n}::text = {literal(value)}" for n, value in enumerate(row.key.values(), 1))


def _asked(passage: Passage, course: Course, query: str) -> int:
    desk, _ = passage.end(course.shape, course.side)
    row = desk.execute(query.encode()).fetchone()
    return int(str(row[0])) if row is not None else 0
