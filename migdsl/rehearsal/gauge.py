"""Databases at work become curves: how far each backfill is, and how many rows of each table differ, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import psycopg

from migdsl.dialect.names import literal, quote
from migdsl.rehearsal import moving
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.writing import over

_EVERY_S = 0.25
_SHARE = 0.05  # of the time, at most, goes into looking
_PASSED = """
SELECT backfill, coalesce(sum(rows_scanned), 0)::bigint, coalesce(sum(rows_planned), 0)::bigint
  FROM migdsl.slice WHERE migration = {} GROUP BY backfill ORDER BY backfill"""
_GONE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)
# What takes part must not stand in anybody's way, nor wait behind anybody.
_OPTIONS = "-c lock_timeout=50ms -c statement_timeout=5s"


@dataclass(frozen=True, slots=True)
class Passed:
    """A backfill at a moment (seconds since the start): rows that it has passed, of those that were planned so far; None
    where there is no ledger by then."""

    at: float
    backfill: str
    rows: int | None
    planned: int | None


@dataclass(frozen=True, slots=True)
class Drift:
    """A table at a moment: rows in which a new column isn't what the file says that it is computed to, or that the other
    side of a move doesn't have as the file says; None where there is nothing to compare."""

    at: float
    entity: str
    rows: int | None


class Gauge(threading.Thread):
    """Looks four times a second, or less often where a look takes long. `far`: the database that tables move to, if another."""

    def __init__(self, url: str, migration: str, shapes: tuple[Shape, ...], log: Log, far: str | None = None) -> None:
        super().__init__(name="rehearsal gauge", daemon=True)
        self._url, self._far, self._log = url, far, log
        self._progress = _PASSED.format(literal(migration))
        self._differing = dict(_differing(shapes)) if far is None else {}
        self._apart = {shape.entity: _digests(shape) for shape in shapes if far is not None and shape.move}
        self.passed: list[Passed] = []
        self.drift: list[Drift] = []
        self.over = threading.Event()

    def run(self) -> None:
        with suppress(psycopg.OperationalError), ExitStack() as stack:
            connection = stack.enter_context(_connected(self._url))
            far = stack.enter_context(_connected(self._far)) if self._far is not None else connection
            pause, last = _EVERY_S, False
            while not last:
                # Once more at the end: where looks take long, the one before may be of a time long past.
                last = self.over.wait(pause)
                began = time.monotonic()
                self._look(connection, far)
                pause = max(_EVERY_S, (time.monotonic() - began) / _SHARE)

    def _look(self, connection: Connection, far: Connection) -> None:
        at = self._log.now()
        # What somebody holds isn't looked at; what isn't there has nothing to show.
        with suppress(psycopg.Error):
            try:
                for name, rows, planned in connection.execute(self._progress.encode()).fetchall():
                    self.passed.append(Passed(at, str(name), int(str(rows)), int(str(planned))))
            except _GONE:
                self.passed += [Passed(at, name, None, None) for name in dict.fromkeys(p.backfill for p in self.passed)]
        for entity, query in self._differing.items():
            with suppress(psycopg.Error):
                self.drift.append(Drift(at, entity, _count(connection, query)))
        for entity, (old, new) in self._apart.items():
            with suppress(psycopg.Error):
                self.drift.append(Drift(at, entity, _unlike(connection, old, far, new)))


def _connected(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, application_name="rehearsal gauge", options=_OPTIONS)


def _unlike(near: Connection, old: str, far: Connection, new: str) -> int | None:
    """How many keys don't have the same digest in both databases, at nearly one moment."""
    try:
        there = _pairs(far, new)
        here = _pairs(near, old)
    except _GONE:
        return None
    return sum(here.get(key) != there.get(key) for key in here.keys() | there.keys())


def _pairs(connection: Connection, query: str) -> dict[object, object]:
    return {row[0]: row[1] for row in connection.execute(query.encode()).fetchall()}


def _count(connection: Connection, query: str) -> int | None:
    try:
        row = connection.execute(query.encode()).fetchone()
    except _GONE:
        return None
    return None if row is None else int(str(row[0]))


def _differing(shapes: tuple[Shape, ...]) -> Iterator[tuple[str, str]]:
    """Entity → how many of its rows lack what the file says, as SQL over the file's own expressions."""
    for shape in shapes:
        wrong = [
            f"t.{quote(o.column.name)}{_text(o.column.type.comparable)} IS DISTINCT FROM "
            f"({over(o.source, 't')}){_text(o.column.type.comparable)}"
            for o in shape.paired
            if o.source is not None
        ]
        wrong += [f"t.{quote(o.column.name)} IS NULL" for o in shape.computed]
        wrong += [f"t.{quote(name)} IS NULL" for name in shape.required]
        if shape.move is not None:
            yield shape.entity, moving.missing(shape)
        if wrong:
            yield shape.entity, f"SELECT count(*) FROM {shape.name} AS t WHERE {' OR '.join(wrong)}"
        yield from _missing(shape)


def _missing(shape: Shape) -> Iterator[tuple[str, str]]:
    """Of a new table: rows that it has not got yet."""
    for carried in shape.carried:
        values = dict(carried.source.values)
        name = f"{quote(carried.table.schema)}.{quote(carried.table.name)}"
        key = " AND ".join(f"n.{quote(k)} = {over(values[k], 't')}" for k in carried.table.key)
        where = over(carried.source.where, "t") if carried.source.where is not None else "TRUE"
        query = (
            f"SELECT count(*) FROM {shape.name} AS t WHERE {where} AND NOT EXISTS (SELECT FROM {name} AS n WHERE {key})"
        )
        yield carried.table.entity, query


def _digests(shape: Shape) -> tuple[str, str]:
    """Of each row a key and a digest, as SQL for either side: both are the same where the new row is what the file gives."""
    target = moving.move_of(shape).target
    values = {name: moving.cast(over(value, "t"), target.column(name)) for name, value in moving.given(shape).items()}
    here = ", ".join(f"({value})::text" for value in values.values())
    there = ", ".join(f"t.{quote(name)}::text" for name in values)
    old, new = (
        ", ".join(f"t.{quote(name)}" for name in side)
        for side in zip(*((b, a) for a, b in moving.keys(shape)), strict=True)
    )
    return (
        f"SELECT ROW({old})::text, md5(ROW({here})::text) FROM {shape.name} AS t",
        f"SELECT ROW({new})::text, md5(ROW({there})::text) FROM {shape.new_name} AS t",
    )


def _text(comparable: bool) -> str:
    return "" if comparable else "::text"


def thinned(found: Sequence[Passed] | Sequence[Drift]) -> Iterator[Mapping[str, object]]:
    """The moments without those that lie between two like themselves."""
    curves: dict[str, list[dict[str, object]]] = {}
    for each in found:
        name = {"backfill": each.backfill} if isinstance(each, Passed) else {"entity": each.entity}
        more = {"planned": each.planned} if isinstance(each, Passed) else {}
        now: dict[str, object] = {"at": round(each.at, 2), **name, "rows": each.rows, **more}
        curve = curves.setdefault(next(iter(name.values())), [])
        if len(curve) > 1 and _same(curve[-2], curve[-1]) and _same(curve[-1], now):
            curve[-1] = now
        else:
            curve.append(now)
    for curve in curves.values():
        yield from curve


def _same(one: Mapping[str, object], another: Mapping[str, object]) -> bool:
    return {**one, "at": 0} == {**another, "at": 0}
