"""Rows are written again while whoever carries the first write over stands still, and is killed: nothing older may win."""

from __future__ import annotations

from functools import partial

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.executor.streams import Carried, streams
from migdsl.rehearsal import moving
from migdsl.rehearsal.journal import Connection, Row
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import Passage, until
from migdsl.rehearsal.shapes import Shape

_ROWS = 32  # so many that of each lane there are some
_LEAST = 8
_STUCK = b"""
SELECT pid::text || ' ' || query_start::text FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND pg_catalog.pg_blocking_pids(pid) @> ARRAY[%s::integer]"""
_JOBS = b"""
SELECT count(*) FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE %s AND state <> 'idle'"""
_SOON_S = 10.0
_ROUNDS = 8


def overtaken(passage: Passage) -> None:
    """Of one table of each stream."""
    for carried in streams(passage.sites):
        for shape in (s for s in passage.shapes if s.entity in carried.entities):
            if _again(passage, carried, shape):
                _killed(passage, shape)
                break


def _rows(passage: Passage, shape: Shape) -> list[Row]:
    """Rows of one tenant, in the order of the other side's key; none where there are too few. While all rest."""
    desk, table = passage.end(shape, "new")
    keys = [quote(ours) for ours, _ in moving.keys(shape)]
    query = f"SELECT {', '.join(f'{k}::text' for k in keys)} FROM {table} ORDER BY {', '.join(keys)}"
    order = {tuple(map(str, row)): place for place, row in enumerate(desk.execute(query.encode()).fetchall())}
    for tenant in passage.tenants.ids:
        rows = [row for row in passage.journals[shape.entity].of(tenant) if tuple(row.key.values()) in order]
        if len(rows) >= _LEAST:
            return sorted(rows, key=lambda row: order[tuple(row.key.values())])[:_ROWS]
    return []


def _again(passage: Passage, carried: Carried, shape: Shape) -> bool:
    """The first of them is held over there, all are written, and once more while the one who carries it over waits. Whether
    there were rows enough."""
    log, start, met = passage.log, passage.log.now(), False
    with passage.traffic.resting():
        passage.drained()
        rows = _rows(passage, shape)
        if rows:
            with _somebody(passage, shape) as holder:
                met = _held(passage, shape, rows, holder) and _meanwhile(passage, carried, shape, rows, holder)
                holder.rollback()
    if met:
        what = f"rows of {shape.entity} are written twice, and carried over late"
        log.marks.append(Mark("fault", what, start, log.now()))
        passage.look()
        log.saw("both_sides", f"{shape.entity}: {len(rows)} rows written again while their first write was on its way")
    return bool(rows)


def _meanwhile(passage: Passage, carried: Carried, shape: Shape, rows: list[Row], holder: Connection) -> bool:
    """Whether one that had read what was written before still waits when all that doesn't stand behind it has been carried
    over: it doesn't wait for long at a time, and then it reads again."""
    # The held row isn't written again where keys come by a trigger: whoever had that key elsewhere would stand still, too. By
    # way of the WAL it is, since it alone tells that what was written is known.
    others = rows[1:] if carried.stream.slot is None else rows
    for _ in range(_ROUNDS):
        until(lambda: bool(_stuck(passage, shape, holder)), _SOON_S)
        waiting, told = _stuck(passage, shape, holder), _told(passage, carried, shape, rows[0])
        _written(passage, shape, others)
        until(partial(_passed, passage, carried, shape, rows[0], told), _SOON_S)
        if waiting & _stuck(passage, shape, holder):
            return True
    return False


def _killed(passage: Passage, shape: Shape) -> None:
    """The sync job is killed in the middle of a batch."""
    log, start, met = passage.log, passage.log.now(), False
    with passage.traffic.resting():
        passage.drained()
        rows = _rows(passage, shape)
        with _somebody(passage, shape) as holder:
            met = bool(rows) and _held(passage, shape, rows, holder)
            for relay in passage.relays:
                relay.kill()
            holder.rollback()
        desk, _ = passage.end(shape, "new")
        until(lambda: desk.execute(_JOBS, (f"migdsl {passage.project.name}% sync%",)).fetchone() == (0,), _SOON_S)
    for relay in passage.relays:
        passage.started(relay)
    passage.look()
    if met:
        log.marks.append(Mark("fault", "the sync job is killed in the middle of a batch", start, log.now()))
        log.saw("backfill", f"the sync job was killed while it carried rows of {shape.entity} over, and started again")


def _somebody(passage: Passage, shape: Shape) -> Connection:
    """A session over there."""
    url = passage.stages[moving.move_of(shape).target.database].url
    return psycopg.connect(url, application_name="rehearsal somebody")


def _held(passage: Passage, shape: Shape, rows: list[Row], holder: Connection) -> bool:
    """All are written while the first is held over there; whether anybody waits for it."""
    _, table = passage.end(shape, "new")
    key = " AND ".join(f"{quote(ours)}::text = {literal(rows[0].key[theirs])}" for ours, theirs in moving.keys(shape))
    holder.execute(f"SELECT FROM {table} WHERE {key} FOR UPDATE".encode())
    _written(passage, shape, rows)
    return until(lambda: bool(_stuck(passage, shape, holder)), _SOON_S)


def _stuck(passage: Passage, shape: Shape, holder: Connection) -> frozenset[str]:
    """Who waits for that session, each with when it began."""
    desk, _ = passage.end(shape, "new")
    return frozenset(str(who) for (who,) in desk.execute(_STUCK, (holder.info.backend_pid,)).fetchall())


def _written(passage: Passage, shape: Shape, rows: list[Row]) -> None:
    """All of them, in one transaction of old code."""
    with passage.client("old").connection.transaction():
        for row in rows:
            passage.rewrite(shape, row)


def _told(passage: Passage, carried: Carried, shape: Shape, first: Row) -> int:
    """How many events of a row wait."""
    outbox, own = _outbox(carried, shape), _own(first)
    return _asked(passage, shape, f"SELECT count(*) FROM {outbox} WHERE {own}")


def _passed(passage: Passage, carried: Carried, shape: Shape, first: Row, told: int) -> bool:
    """Whether nothing waits in other lanes than the held row's; and, where it comes from the WAL, its last write was seen."""
    outbox, own = _outbox(carried, shape), _own(first)
    others = f"SELECT count(*) FROM {outbox} WHERE lane NOT IN (SELECT lane FROM {outbox} WHERE {own})"
    seen = carried.stream.slot is None or _told(passage, carried, shape, first) > told
    return seen and _asked(passage, shape, others) == 0


def _outbox(carried: Carried, shape: Shape) -> str:
    return next(m.forward.outbox for m in carried.stream.moves if m.entity == shape.entity)


def _own(row: Row) -> str:
    return " AND ".join(f"key_{n}::text = {literal(value)}" for n, value in enumerate(row.key.values(), 1))


def _asked(passage: Passage, shape: Shape, query: str) -> int:
    desk, _ = passage.end(shape, "old")
    row = desk.execute(query.encode()).fetchone()
    return int(str(row[0])) if row is not None else 0
