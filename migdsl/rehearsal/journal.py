"""Every acknowledged write, by row; and the question to the database whether each of them is still there."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from migdsl.dialect.names import quote
from migdsl.rehearsal import moving
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.writing import GIVEN, LAST, NUMBER, STRAYED, over, place, recorded, typed, whole
from migdsl.semantics.model import Back

Connection = psycopg.Connection[tuple[object, ...]]
_TRIES = 12


@dataclass(slots=True)
class Row:
    """A row and its last acknowledged facts. `last`: which age of code wrote it (both: new code wrote both sides).

    `given`: new columns that new code gave a value of its own. `strayed`: new code wrote what only it knows, and old code
    has written since, so that what the new side must hold nobody can tell. `alone`: no other row may point at it, so that it
    may be taken away. Who writes it holds the lock.
    """

    tenant: str
    key: Mapping[str, str]
    facts: dict[str, str | None]
    last: str = "old"
    alive: bool = True
    given: frozenset[str] = frozenset()
    strayed: bool = False
    alone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Journal:
    """The rows of one table."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.rows: list[Row] = []
        self._of: dict[str, list[Row]] = {}

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self._of.setdefault(row.tenant, []).append(row)

    def hand_over(self, row: Row, tenant: str) -> None:
        """A row is another tenant's from now on."""
        self._of[row.tenant].remove(row)
        row.tenant = tenant
        self._of.setdefault(tenant, []).append(row)

    def tenants(self) -> Iterator[str]:
        yield from self._of

    def told(self) -> list[dict[str, object]]:
        """The living rows, as a question to the database has them."""
        return [_record(number, row) for number, row in enumerate(self.rows) if row.alive]

    def of(self, tenant: str) -> list[Row]:
        return [row for row in self._of.get(tenant, ()) if row.alive]

    def any_of(self, tenant: str, chance: random.Random, *, parent: bool = False) -> Row | None:
        """A living row of a tenant; as a `parent`, one that others may point at."""
        rows = self._of.get(tenant)
        for _ in range(_TRIES if rows else 0):
            row = chance.choice(rows or [])
            if row.alive and not (parent and row.alone):
                return row
        return None

    @contextmanager
    def one(self, tenant: str, chance: random.Random, *, alone: bool = False) -> Iterator[Row | None]:
        """A living row that nobody else is at, where one is found at once; `alone`: one that nothing points at."""
        for _ in range(_TRIES):
            row = self.any_of(tenant, chance)
            if row is not None and (row.alone or not alone) and row.lock.acquire(blocking=False):
                try:
                    if row.alive:
                        yield row
                        return
                finally:
                    row.lock.release()
        yield None


@dataclass(frozen=True, slots=True)
class View:
    """What may be expected by now. `filled`: the backfill is done. `swapped` as of `Codes`. `home`: contract was taken back,
    so that old columns are computed. `columns`: those that the table has; `new_there`: the new table is there."""

    filled: bool
    swapped: frozenset[str]
    home: bool
    renamed: bool = False


def apart(connection: Connection, journal: Journal, view: View) -> list[tuple[str, str]]:
    """What isn't as it was acknowledged: (verdict, sentence), by key alone."""
    shape = journal.shape
    if shape.move is not None:
        return moving.apart(connection, connection, shape, journal.told(), filled=view.filled, home=view.home)
    there = _columns(connection, shape)
    if not there:
        return []
    conditions = [*_own(shape, view, there), *_both(shape, view, there)]
    rows = [_record(number, row) for number, row in enumerate(journal.rows) if row.alive]
    own = {name: quote(place(shape, name)) for name in shape.key}
    more = [f"{LAST} text", f"{GIVEN} text[]", f"{STRAYED} boolean", *(f"{each} text" for each in own.values())]
    key = [f"CAST(r.{each} AS {shape.table.type_of(name).sql}) AS {each}" for name, each in own.items()]
    picked = ", ".join([*(f"r.{each}" for each in (NUMBER, LAST, GIVEN, STRAYED)), typed(shape.facts), *key])
    facts = f"SELECT {picked} FROM jsonb_to_recordset($1::jsonb) AS r ({', '.join([recorded(shape), *more])})"
    joined = " AND ".join(f"t.{quote(name)} = j.{each}" for name, each in own.items())
    said = ", ".join(f"{condition} AS c{number}" for number, (_, _, condition) in enumerate(conditions))
    name = shape.name if _exists(connection, shape.name) else shape.new_name
    query = f"""
WITH j AS MATERIALIZED (
  SELECT s.*{''.join(f', {over(o.source, "s")} AS {quote(o.column.name)}' for o in shape.paired if o.source)}
    FROM ({whole(shape, facts)}) AS s)
SELECT coalesce({', '.join(f"t.{quote(n)}::text || ' '" for n in shape.key)}, ''), j.{NUMBER}, t.{quote(shape.key[0])} IS NULL,
       j.{NUMBER} IS NULL{', ' + said if said else ''}
  FROM j FULL JOIN {name} AS t ON {joined}"""
    found = []
    with psycopg.RawCursor(connection) as cursor:
        for key_, number, lost, extra, *wrong in cursor.execute(query.encode(), [json.dumps(rows)]).fetchall():
            if lost:
                row = journal.rows[int(str(number))]
                found.append(("acknowledged_writes", f"{shape.entity} {_shown(row.key.values())} is lost"))
            elif extra:
                found.append(("acknowledged_writes", f"{shape.entity} {str(key_).strip()} should not be there"))
            else:
                bad = [conditions[at] for at, value in enumerate(wrong) if value]
                last = journal.rows[int(str(number))].last
                found += [
                    (verdict, f"{shape.entity} {str(key_).strip()}: {what} (last written by {_AGE[last]})")
                    for verdict, what, _ in bad
                ]
    return found


_AGE = {"old": "old code", "new": "new code", "both": "new code, both sides"}
Condition = tuple[str, str, str]


def _own(shape: Shape, view: View, there: frozenset[str]) -> Iterator[Condition]:
    """What code wrote is what it finds."""
    for column in (c for c in shape.written if c.name in there):
        name = quote(column.name)
        wanted = over(shape.retyped[column.name].source, "j") if column.name in view.swapped else f"j.{name}"
        differs = (
            f"{_text(column.type.comparable, f't.{name}')} IS DISTINCT FROM {_text(column.type.comparable, wanted)}"
        )
        if column.name in shape.gone:
            differs = _gone(shape, view, column.name, differs, there)
        elif (required := shape.required.get(column.name)) is not None:
            given = over(required.source, "j") if required.source is not None else f"t.{name}"
            # Filled from what stood there then, or from what stands there now.
            filled = f"t.{name} IS NOT DISTINCT FROM {given} OR {_literal('~' + column.name)} = ANY (j.{GIVEN})"
            differs += f" AND NOT (j.{name} IS NULL AND ({filled}))"
        elif (optional := shape.optional.get(column.name)) is not None and optional.back is not None:
            differs += (
                f" AND NOT (j.{name} IS NULL AND t.{name} IS NOT DISTINCT FROM {over(optional.back.expression, 'j')})"
            )
        yield "acknowledged_writes", f"{column.name} isn't what was written", differs
    for made in (o.column for o in shape.plain if o.column.name in there):
        name = quote(made.name)
        differs = f"t.{name} IS DISTINCT FROM j.{name} AND {_literal(made.name)} = ANY (j.{GIVEN})"
        yield "acknowledged_writes", f"{made.name} isn't what was written", differs


def _gone(shape: Shape, view: View, name: str, differs: str, there: frozenset[str]) -> str:
    """Of a column that new code doesn't know: as old code wrote it, or as the file says it comes back."""
    backs = [back for back in _backs(shape) if back.column == name]
    after = "TRUE" if view.home else f"j.{LAST} = 'new'"
    if not backs:
        return f"{differs} AND NOT ({after})"
    ways = [f"t.{quote(name)} IS NOT DISTINCT FROM {over(back.expression, 'j')}" for back in backs]
    ways += [
        f"t.{quote(o.column.name)} IS NOT DISTINCT FROM {over(o.source, 't')}"
        for o in shape.paired
        if o.source is not None and name in o.source.names() and {o.column.name, *o.source.names()} <= there
    ]
    # New code that gave the new columns what they held left the old one as it was.
    agree = [
        f"{_text(o.column.type.comparable, over(o.source, 't'))} IS NOT DISTINCT FROM "
        + _text(o.column.type.comparable, f"j.{quote(o.column.name)}")
        for o in shape.paired
        if o.source is not None and name in o.source.names()
    ]
    ways += [f"({' AND '.join(agree)})"] if agree and _sources(shape, name) <= there else []
    return f"{differs} AND NOT ({after} AND ({' OR '.join(ways)}))"


def _sources(shape: Shape, name: str) -> frozenset[str]:
    """All that is read for new columns for which this one is read."""
    found = [o.source.names() for o in shape.paired if o.source is not None and name in o.source.names()]
    return frozenset().union(*found)


def _backs(shape: Shape) -> Iterator[Back]:
    for made in shape.made:
        yield from made.backs


def _both(shape: Shape, view: View, there: frozenset[str]) -> Iterator[Condition]:
    """The new columns hold what the facts give, whoever wrote them."""
    for made in (o for o in shape.paired if o.column.name in there):
        name = quote(made.column.name)
        differs = f"{_text(made.column.type.comparable, f't.{name}')} IS DISTINCT FROM " + _text(
            made.column.type.comparable, f"j.{name}"
        )
        if not view.filled:
            differs += f" AND NOT (t.{name} IS NULL AND j.{LAST} = 'old')"
        yield "both_sides", f"{made.column.name} isn't what its `from` gives", f"{differs} AND NOT j.{STRAYED}"


def _text(comparable: bool, sql: str) -> str:
    return sql if comparable else f"({sql})::text"


def _record(number: int, row: Row) -> dict[str, object]:
    keys = {f"={place}": value for place, value in enumerate(row.key.values(), 1)}
    of = {NUMBER: number, LAST: row.last, GIVEN: sorted(row.given), STRAYED: row.strayed}
    return {**row.facts, **keys, **{name.strip('"'): each for name, each in of.items()}}


def _columns(connection: Connection, shape: Shape) -> frozenset[str]:
    query = (
        "SELECT attname FROM pg_attribute WHERE attrelid = coalesce(to_regclass(%s), to_regclass(%s)) AND attnum > 0"
    )
    found = connection.execute(f"{query} AND NOT attisdropped", (shape.name, shape.new_name)).fetchall()
    return frozenset(str(name) for (name,) in found)


def _exists(connection: Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return row is not None and row[0] is True


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _shown(values: object) -> str:
    return " ".join(map(str, values))  # type: ignore[call-overload]


def carried_apart(connection: Connection, journal: Journal) -> list[tuple[str, str]]:
    """Rows of new tables that aren't what their origin gives."""
    found: list[tuple[str, str]] = []
    for carried in journal.shape.carried:
        table = f"{quote(carried.table.schema)}.{quote(carried.table.name)}"
        if not _exists(connection, table):
            continue
        rows = [_record(n, row) for n, row in enumerate(journal.rows) if row.alive and not row.strayed]
        facts = (
            f"SELECT {typed(journal.shape.facts)} FROM jsonb_to_recordset($1::jsonb) AS r ({recorded(journal.shape)})"
        )
        values = dict(carried.source.values)
        key = " AND ".join(f"t.{quote(n)} = {over(values[n], 'j')}" for n in carried.table.key)
        wrong = " OR ".join(f"t.{quote(n)} IS DISTINCT FROM {over(e, 'j')}" for n, e in values.items())
        where = over(carried.source.where, "j") if carried.source.where is not None else "TRUE"
        query = f"""
SELECT {" || ' ' || ".join(f"{over(values[n], 'j')}::text" for n in carried.table.key)}, t.{quote(carried.table.key[0])} IS NULL
  FROM ({whole(journal.shape, facts)}) AS j
  LEFT JOIN {table} AS t ON {key}
 WHERE {where} AND (t.{quote(carried.table.key[0])} IS NULL OR {wrong})"""
        with psycopg.RawCursor(connection) as cursor:
            for key_, missing in cursor.execute(query.encode(), [json.dumps(rows)]).fetchall():
                what = "isn't there" if missing else "isn't what its origin gives"
                found.append(("both_sides", f"{carried.table.entity} {key_}: {what}"))
    return found
