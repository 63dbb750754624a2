"""A table's move to another database becomes what captures its writes from the WAL: publication, checks, and their way back."""

from __future__ import annotations

from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.ops.stream_model import Moved
from migdsl.values import Value


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


def publish(tables: tuple[Moved, ...]) -> tuple[str, ...]:
    """The publication of a stream's tables in the old side's database, after a look at what would break their updates."""
    listed = ", ".join(f"TABLE {moved.old.table} ({', '.join(map(quote, _published(moved)))})" for moved in tables)
    name = quote(publication_name(tables[0]))
    # Deletes, and what changes a key or a tenant, come from the trigger: it knows the tenant of before.
    return (
        *(checked(moved) for moved in tables),
        f"CREATE PUBLICATION {name} FOR {listed}\n  WITH (publish = 'insert, update')",
    )


def unpublish(tables: tuple[Moved, ...]) -> str:
    """The way back of `publish`; the slot goes before, with the sync job's `slot --drop`."""
    return f"DROP PUBLICATION IF EXISTS {quote(publication_name(tables[0]))}"


def no_slot(moved: Moved) -> str:
    """A DO block that refuses to go on while the slot is there: without its publication it would fail, and keep all WAL."""
    body = f"""
BEGIN
  IF EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {literal(slot_name(moved))}) THEN
    RAISE EXCEPTION 'the replication slot % is still there', {literal(slot_name(moved))}
      USING ERRCODE = '55000', HINT = 'run the sync job''s `slot --drop` first';
  END IF;
END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def checked(moved: Moved) -> str:
    """A DO block that refuses a table whose updates would fail once it is published."""
    place = moved.old
    body = f"""
DECLARE
  identity "char";
  names text[];
BEGIN
  SELECT c.relreplident INTO identity FROM pg_catalog.pg_class AS c WHERE c.oid = {literal(place.table)}::regclass;
  IF identity = 'f' THEN
    RAISE EXCEPTION '% has REPLICA IDENTITY FULL, and then a publication of some columns makes every UPDATE fail',
      {literal(place.table)} USING ERRCODE = '55000', HINT = 'set it to DEFAULT, or sync by outbox';
  END IF;
  SELECT array_agg(a.attname::text) INTO names
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
   WHERE i.indrelid = {literal(place.table)}::regclass
     AND CASE identity WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END;
  IF names IS NULL OR NOT names <@ ARRAY[{", ".join(map(literal, _published(moved)))}] THEN
    RAISE EXCEPTION 'the replica identity of % is not its key, and a publication would make every UPDATE fail',
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
SELECT {moved.lane(given)}, {", ".join(given)}, o.tenant, o.at
  FROM unnest({keys}, CAST(:tenants AS text[]), CAST(:ats AS timestamptz[])) AS o ({names}, tenant, at)"""
    return Capture((moved.old.schema, moved.old.name), moved.old.key, moved.old.tenant_column, enqueue)


def _published(moved: Moved) -> tuple[str, ...]:
    column = moved.old.tenant_column
    return tuple(dict.fromkeys([*moved.old.key, *([column] if column else [])]))
