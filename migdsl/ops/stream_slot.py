"""A table's move to another database becomes what captures its writes from the WAL: publication, checks, and their way back."""

from __future__ import annotations

from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.ops.stream_model import Moved
from migdsl.values import Value

COLUMN_LISTS = 15  # the first version that publishes some of a table's columns


class Capture(Value):
    """What of a table comes from the slot: its schema and name, key and tenant as published, and what enqueues the keys."""

    table: tuple[str, str]
    key: tuple[str, ...]
    tenant: str
    enqueue: str


def slot_name(moved: Moved) -> str:
    """The stream's slot: lower case, digits and underscores are all that PostgreSQL allows."""
    whole = derived("migdsl", moved.migration, moved.stream).lower()
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in whole)


def publication_name(moved: Moved) -> str:
    """The stream's publication, bare."""
    return derived("migdsl", moved.migration, moved.stream)


def publish(tables: tuple[Moved, ...], version: int) -> tuple[str, ...]:
    """The publication of a stream's tables in the old side's database, after a look at what would break their updates.

    `version` is that database's: before 15 a publication has whole rows, of which the sync job takes what it needs.
    """
    listed = ", ".join(moved.old.table + _columns(moved, version) for moved in tables)
    name = quote(publication_name(tables[0]))
    # Deletes, and what changes a key or a tenant, come from the trigger: it knows the tenant of before.
    return (
        *(checked(moved, version) for moved in tables),
        f"CREATE PUBLICATION {name} FOR TABLE {listed}\n  WITH (publish = 'insert, update')",
    )


def _columns(moved: Moved, version: int) -> str:
    return f" ({', '.join(map(quote, _published(moved)))})" if version >= COLUMN_LISTS else ""


def unpublish(tables: tuple[Moved, ...]) -> str:
    """The way back of `publish`; the slot goes before: in contract by `released`, else with the sync job's `slot --drop`."""
    return f"DROP PUBLICATION IF EXISTS {quote(publication_name(tables[0]))}"


def no_slot(moved: Moved) -> str:
    """A DO block that refuses to go on while the slot is there: without its publication it would fail, and keep all WAL."""
    body = f"""
BEGIN
  IF EXISTS (SELECT FROM pg_replication_slots
              WHERE slot_name = {literal(slot_name(moved))} AND database = current_database()) THEN
    RAISE EXCEPTION 'the replication slot % is still there', {literal(slot_name(moved))}
      USING ERRCODE = '55000', HINT = 'run the sync job''s `slot --drop` first';
  END IF;
END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def released(moved: Moved) -> str:
    """A DO block that drops the slot, and leaves word that it was meant; so the way back may make another."""
    told = "migdsl.event (migration, kind, subject, value)"
    word = f"INSERT INTO {told} VALUES ({literal(moved.migration)}, 'slot', {literal(slot_name(moved))}, 'dropped')"
    busy = "end what reads from it, then run this again"
    denied = "run the sync job's `slot --drop`, as a role that has REPLICATION, then this again"
    return dropped(slot_name(moved), busy, denied, word)


def dropped(slot: str, busy: str, denied: str, word: str = "NULL") -> str:
    """A DO block that drops a slot where it is there. `busy` and `denied` are hints: where somebody reads from it, and where
    the role may not drop it. `word` is a statement that goes with it."""
    # Whoever peeks at a slot for the sync job holds this lock meanwhile; to let go of what was peeked at takes a moment more.
    body = f"""
DECLARE
  reader integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended({literal(slot)}, 9));
  FOR attempt IN 1 .. 30 LOOP
    SELECT s.active_pid INTO reader FROM pg_catalog.pg_replication_slots AS s
     WHERE s.slot_name = {literal(slot)} AND s.database = current_database();
    IF NOT FOUND OR reader IS NULL THEN
      BEGIN
        {word};
        PERFORM pg_drop_replication_slot(s.slot_name) FROM pg_catalog.pg_replication_slots AS s
          WHERE s.slot_name = {literal(slot)} AND s.database = current_database();
        RETURN;
      EXCEPTION WHEN object_in_use THEN
        NULL;  -- just now
      END;
    END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
  RAISE EXCEPTION 'process % reads from the replication slot %', reader, {literal(slot)}
    USING ERRCODE = '55000', HINT = {literal(busy)};
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION 'the role % may not drop the replication slot %', current_user, {literal(slot)}
    USING ERRCODE = '55000', HINT = {literal(denied)};
END"""
    tag = dollar_tag(body, "slot")
    return f"DO {tag}{body}\n{tag}"


def checked(moved: Moved, version: int) -> str:
    """A DO block that refuses a table whose updates would fail once it is published; `version` as for `publish`."""
    place, some = moved.old, version >= COLUMN_LISTS
    full = f"""  IF identity = 'f' THEN
    RAISE EXCEPTION '% has REPLICA IDENTITY FULL, and then a publication of some columns makes every UPDATE fail',
      {literal(place.table)} USING ERRCODE = '55000', HINT = 'set it to DEFAULT, or sync by outbox';
  END IF;
"""
    # Of whole rows any identity will do.
    lacking = f"names IS NULL OR NOT names <@ ARRAY[{', '.join(map(literal, _published(moved)))}]"
    lacking = lacking if some else "names IS NULL AND identity <> 'f'"
    title = "is not its key, and a publication would make" if some else "is missing, and a publication would make"
    body = f"""
DECLARE
  identity "char";
  names text[];
BEGIN
  SELECT c.relreplident INTO identity FROM pg_catalog.pg_class AS c WHERE c.oid = {literal(place.table)}::regclass;
{full if some else ""}  SELECT array_agg(a.attname::text) INTO names
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
   WHERE i.indrelid = {literal(place.table)}::regclass
     AND CASE identity WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END;
  IF {lacking} THEN
    RAISE EXCEPTION 'the replica identity of % {title} every UPDATE fail',
      {literal(place.table)} USING ERRCODE = '55000', HINT = 'set REPLICA IDENTITY DEFAULT, or sync by outbox';
  END IF;
END"""
    tag = dollar_tag(body, "check")
    return f"DO {tag}{body}\n{tag}"


def capture(moved: Moved) -> Capture:
    """What the sync job needs to enqueue a table's keys. Raises ValueError for one that isn't captured."""
    if not moved.captured:
        raise ValueError(f"{moved.entity} is not captured from the WAL")
    keys = ", ".join(
        f"CAST(:{name} AS {type_.sql}[])" for name, type_ in zip(moved.key_columns, moved.key_types, strict=True)
    )
    names = ", ".join(moved.key_columns)
    given = tuple(f"o.{name}" for name in moved.key_columns)
    enqueue = f"""INSERT INTO {moved.outbox("old")} (lane, {names}, tenant, at)
SELECT {moved.lane(given)}, {", ".join(given)}, {_tenant(moved)}, o.at
  FROM unnest({keys}, CAST(:tenants AS text[]), CAST(:ats AS timestamptz[])) AS o ({names}, tenant, at)"""
    return Capture((moved.old.schema, moved.old.name), moved.old.key, moved.old.tenant_column, enqueue)


def _tenant(moved: Moved) -> str:
    """Whose the key `o` is: as the WAL says, or, where that has no such column, as its row says now; NULL if it is gone."""
    place = moved.old
    if not place.looked_up:
        return "o.tenant"
    own = " AND ".join(f"{column} = o.{key}" for column, key in zip(place.keyed("t"), moved.key_columns, strict=True))
    return f"coalesce(nullif(o.tenant, ''), (SELECT {place.tenant_of('t')} FROM {place.table} AS t WHERE {own}))"


def _published(moved: Moved) -> tuple[str, ...]:
    column = moved.old.tenant_column
    return tuple(dict.fromkeys([*moved.old.key, *([column] if column else [])]))
