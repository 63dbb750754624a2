"""A table's move to another database becomes the statements that carry rows over, which the generated job shows.

Keys come from the outbox; the rows are read again where they are the truth, copied into a staging table over there, and put in
place by one statement. So whatever is carried twice, or late, is what the row is now.
"""

from __future__ import annotations

import hashlib

from migdsl.dialect.names import derived, literal, quote
from migdsl.ops.stream_kept import Kept, beside, inputs, kept, taken
from migdsl.ops.stream_model import Column, Moved, Place, Side, other
from migdsl.ops.stream_owner import advisory
from migdsl.ops.stream_slot import slot_name
from migdsl.values import Value


class Carry(Value):
    """One direction's statements. `read` runs where the rows come from, with the keys in the settings `migdsl.key_1` …;
    all others where they go, `gone` with the keys as arrays `:key_1` …"""

    outbox: str
    take: str
    read: str
    stage: str
    copy: str
    gone: str
    upsert: str


def carry(moved: Moved, origin: Side) -> Carry:
    """What carries a side's rows to the other one."""
    source, target = moved.at(origin), moved.at(other(origin))
    found = kept(moved, origin)
    sent = _sent(target, found)
    stage = f"pg_temp.{quote(_stage_name(moved, target, sent))}"
    return Carry(
        outbox=moved.outbox(origin),
        take=_take(moved, origin),
        read=_read(moved, source, sent),
        stage=_stage(stage, sent),
        copy=f"COPY {stage} ({', '.join(quote(name) for name, _, _ in sent)}) FROM STDIN (FORMAT binary)",
        gone=_gone(moved, target, stage, other(origin)),
        upsert=_upsert(moved, target, stage, other(origin), found),
    )


def _sent(target: Place, found: tuple[Kept, ...]) -> tuple[tuple[str, str, str], ...]:
    """What is read of a row `t` and staged: its name there, the SQL, its type on the way."""
    own = ((column.name, column.value, column.wire) for column in target.columns)
    return (*own, *((each.staged, f"t.{quote(each.column.name)}", each.column.wire) for each in inputs(found)))


def _take(moved: Moved, origin: Side) -> str:
    keys = ", ".join(f"o.{name}" for name in moved.key_columns)
    return f"""SELECT o.lane, o.id, o.tenant, o.tenant_was, {keys}
  FROM {moved.outbox(origin)} AS o
 WHERE o.lane = :lane
 ORDER BY o.id
 LIMIT :events"""


def _read(moved: Moved, source: Place, sent: tuple[tuple[str, str, str], ...]) -> str:
    values = [f"CAST({_operand(value)} AS {wire}) AS {quote(name)}" for name, value, wire in sent]
    lines = ",\n       ".join(values)
    arrays = ", ".join(
        f"CAST(current_setting('migdsl.{name}') AS {type_.sql}[])"
        for name, type_ in zip(moved.key_columns, moved.key_types, strict=True)
    )
    # Equal keys may be spelt in several ways: DISTINCT knows.
    return f"""SELECT {lines}
  FROM (SELECT DISTINCT * FROM unnest({arrays}) AS given ({", ".join(moved.key_columns)})) AS o
  JOIN {source.table} AS t ON {_matched(source, moved, "t")}"""


def _stage_name(moved: Moved, target: Place, sent: tuple[tuple[str, str, str], ...]) -> str:
    # Behind a pooler a session may have one from another release of the file.
    shape = ", ".join(f"{name} {wire}" for name, _, wire in sent)
    digest = hashlib.sha256(shape.encode()).hexdigest()[:8]
    return derived("migdsl", moved.migration, target.name, suffix=f"{digest}_stage")


def _stage(stage: str, sent: tuple[tuple[str, str, str], ...]) -> str:
    columns = ",\n    ".join(f"{quote(name)} {wire}" for name, _, wire in sent)
    return f"CREATE TEMP TABLE IF NOT EXISTS {stage.removeprefix('pg_temp.')} (\n    {columns}\n) ON COMMIT DELETE ROWS"


def _names(place: Place) -> str:
    return ", ".join(quote(column.name) for column in place.columns)


def _gone(moved: Moved, target: Place, stage: str, side: Side) -> str:
    arrays = ", ".join(
        f"CAST(:{name} AS {type_.sql}[])" for name, type_ in zip(moved.key_columns, moved.key_types, strict=True)
    )
    staged = " AND ".join(f"{_held(target, name, 's')} = t.{quote(name)}" for name in target.key)
    return f"""DELETE FROM {target.table} AS t
 USING unnest({arrays}) AS o ({", ".join(moved.key_columns)})
 WHERE {_matched(target, moved, "t")}
   AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {staged}){_elsewhere(moved, target, "t", side)}"""


def _upsert(moved: Moved, target: Place, stage: str, side: Side, found: tuple[Kept, ...]) -> str:
    values = ", ".join(taken(found, column.name, _held(target, column.name, "s")) for column in target.columns)
    matched = " AND ".join(f"t.{quote(name)} = {_held(target, name, 's')}" for name in target.key)
    key = ", ".join(map(quote, target.key))
    rest = [column for column in target.columns if column.name not in target.key]
    if rest:
        sets = ", ".join(f"{quote(c.name)} = excluded.{quote(c.name)}" for c in rest)
        differ = "\n        OR ".join(f"{_compared(c, 't')} IS DISTINCT FROM {_compared(c, 'excluded')}" for c in rest)
        action = f"DO UPDATE SET {sets}\n WHERE ({differ}){_elsewhere(moved, target, 't', side)}"
    else:
        action = "DO NOTHING"
    # In one order, so that two lanes that meet in another unique index wait for each other and don't lock each other out.
    return f"""INSERT INTO {target.table} AS t ({_names(target)})
OVERRIDING SYSTEM VALUE
SELECT {values}
  FROM {stage} AS s{beside(found, target, matched)}
 WHERE TRUE{_elsewhere(moved, target, "s", side)}
 ORDER BY {", ".join(f"s.{quote(name)}" for name in target.key)}
    ON CONFLICT ({key}) {action}"""


def _elsewhere(moved: Moved, place: Place, row: str, side: Side) -> str:
    """A tenant that is written here already takes nothing from the other side: a second wall behind the fence."""
    if not place.tenant:
        return ""
    return f"""
   AND NOT EXISTS (SELECT FROM migdsl.side AS side
                    WHERE {moved.scope}
                      AND side.tenant = {place.tenant_of(row)} AND side.state = {literal(side)})"""


def _held(place: Place, name: str, row: str) -> str:
    """A staged value as the column holds it."""
    column = next(column for column in place.columns if column.name == name)
    text = f"{row}.{quote(name)}"
    return f"CAST({text} AS {column.type.sql})" if column.wire == "text" and column.type.sql != "text" else text


def _compared(column: Column, row: str) -> str:
    text = f"{row}.{quote(column.name)}"
    return text if column.comparable else f"{text}::text"


def _matched(place: Place, moved: Moved, row: str) -> str:
    pairs = zip(place.key, moved.key_columns, strict=True)
    return " AND ".join(f"{row}.{quote(name)} = o.{key}" for name, key in pairs)


def _operand(sql: str) -> str:
    return f"({sql})" if not sql.replace(".", "_").replace('"', "_").isidentifier() else sql


class Enqueue(Value):
    """The statements of the backfill job that enqueues what was there before; parameters as in a BackfillJob."""

    upper: str
    next_bound: str
    batch: str
    count: str
    remaining: str
    hold: str


def enqueue(moved: Moved, most: int = 20_000) -> Enqueue:
    """A backfill whose batches put keys into the outbox; it waits while more than `most` events do.

    The tenant's fence is passed first: of who is switched already nothing is enqueued, or what the old side holds would
    overwrite what the new one has by now.
    """
    place, outbox = moved.old, moved.outbox("old")
    reads = place.reads or f"{place.table} AS t"
    key = ", ".join(place.keyed("t"))
    tenant = f"{place.confined}\n   AND " if place.tenant else ""
    given = f"CAST(CAST(:tenant_id AS {place.tenant_type}) AS text)" if place.tenant else "''"
    several = len(place.key) > 1
    after = ", ".join(f":after_{n}" for n in range(1, len(place.key) + 1)) if several else ":after"
    upto = ", ".join(f":upto_{n}" for n in range(1, len(place.key) + 1)) if several else ":upto"
    row = f"({key})" if several else key
    first = ":after_1" if several else ":after"
    within = (
        f"({row} > {f'({after})' if several else after} OR {first} IS NULL)\n"
        f"   AND {row} <= {f'({upto})' if several else upto}"
    )
    own = f"migration = {literal(moved.migration)} AND entity = {literal(moved.entity)}"
    backwards = ", ".join(f"{column} DESC" for column in place.keyed("t"))
    confined = f" WHERE {place.confined}\n" if place.tenant else ""
    left = f" AND tenant = {given}" if place.tenant else ""
    return Enqueue(
        upper=f"SELECT {key}\n  FROM {reads}\n{confined} ORDER BY {backwards}\n LIMIT 1",
        next_bound=f"SELECT {key}\n  FROM {reads}\n WHERE {tenant}{within}\n ORDER BY {key}\nOFFSET :skip\n LIMIT 1",
        batch=f"""INSERT INTO {outbox} (lane, {", ".join(moved.key_columns)}, tenant)
SELECT {moved.lane(place.keyed("t"))}, {key}, {given}
  FROM {moved.fence}({given}, false) AS fence (passed), {reads}
 WHERE fence.passed
   AND {tenant}{within}""",
        count=f"SELECT count(*)\n  FROM {reads}\n WHERE {tenant}{within}",
        # What could not be applied: the rows themselves are compared by the reconciliation.
        remaining=f"SELECT count(*)\n  FROM migdsl.dead_letter\n WHERE {own}{left}",
        hold=_slot_missing(moved)
        + f"""SELECT 'more than {most:d} keys wait to be carried over: is the sync job running?'
 WHERE (SELECT count(*) FROM (SELECT FROM {outbox} LIMIT {most + 1:d}) AS waiting) > {most:d}""",
    )


def _slot_missing(moved: Moved) -> str:
    """What is enqueued before the slot is there would miss what is written meanwhile."""
    if not moved.captured:
        return ""
    name = literal(slot_name(moved))
    return f"""SELECT 'there is no slot to read writes from: the sync job''s `slot --create` makes it'
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {name} AND database = current_database()
                      AND confirmed_flush_lsn IS NOT NULL AND wal_status IS DISTINCT FROM 'lost')
 UNION ALL
"""


__all__ = ["Carry", "Enqueue", "advisory", "carry", "enqueue"]
