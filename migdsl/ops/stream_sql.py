"""A table's move to another database becomes the DDL of both sides: outbox, triggers, fence, lanes, and their way back.

Each side has the same objects. Its trigger lets a tenant's writers pass while the side is the tenant's, and writes the keys of
what they write; what the appliers write is let pass without a word, or changes would come back as an echo.
"""

from __future__ import annotations

from migdsl.dialect.names import derived, dollar_tag, literal, quote
from migdsl.ops import stream_cascade, stream_owner
from migdsl.ops.stream_model import Moved, Side

# Made with the first stream in a database, and kept with the ledger.
SHARED = (
    """CREATE TABLE IF NOT EXISTS migdsl.side (
    migration text        NOT NULL,
    stream    text        NOT NULL,
    tenant    text        NOT NULL,
    state     text        NOT NULL DEFAULT 'old',
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, stream, tenant),
    CONSTRAINT side_state CHECK (state IN ('old', 'moving', 'new'))
)""",
    """COMMENT ON TABLE migdsl.side IS
    'Which side may write a tenant: each database has its own row, and refuses writers while it does not name that side.'""",
    """CREATE TABLE IF NOT EXISTS migdsl.switch (
    migration text        NOT NULL,
    stream    text        NOT NULL,
    tenant    text        NOT NULL,
    attempt   text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, stream, tenant)
)""",
    """COMMENT ON TABLE migdsl.switch IS
    'Which attempt may move the row of a tenant in migdsl.side: apart from it, since writers may hold that one locked.'""",
    """CREATE TABLE IF NOT EXISTS migdsl.lane (
    migration text    NOT NULL,
    entity    text    NOT NULL,
    lane      integer NOT NULL,
    events    bigint  NOT NULL DEFAULT 0,
    changed   bigint  NOT NULL DEFAULT 0,
    at        timestamptz,
    PRIMARY KEY (migration, entity, lane)
) WITH (fillfactor = 50)""",
    """COMMENT ON TABLE migdsl.lane IS
    'Keys that hash alike: who applies them here holds the row locked, from before it reads the other side until it commits.'""",
    """CREATE TABLE IF NOT EXISTS migdsl.dead_letter (
    migration   text        NOT NULL,
    entity      text        NOT NULL,
    row_key     jsonb       NOT NULL,
    tenant      text,
    tenant_was  text,
    error_class text        NOT NULL,
    template    text        NOT NULL,
    tries       integer     NOT NULL DEFAULT 1,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, entity, row_key)
)""",
    """COMMENT ON TABLE migdsl.dead_letter IS
    'Rows of this database that could not be applied on the other side: their key and the class of the error, never a value.'""",
)


def objects(moved: Moved, side: Side) -> tuple[str, ...]:
    """What the triggers of a side need; they may be made again."""
    made = (_fence(moved, side), *_functions(moved, side), *stream_cascade.function(moved, side))
    return (*SHARED, *_outbox(moved, side), *_newcomers(moved), *made)


def triggers(moved: Moved, side: Side) -> tuple[str, ...]:
    """The triggers of a side's table; ALWAYS, or what a subscription applies there would be missed."""
    table, row, whole = moved.at(side).table, trigger(moved), trigger(moved, "truncate")
    call = f"EXECUTE FUNCTION {moved.named(side, 'stream')}()"
    call_whole = f"EXECUTE FUNCTION {moved.named(side, 'truncated')}()"
    return (
        f"CREATE TRIGGER {row} AFTER INSERT OR UPDATE OR DELETE ON {table}\n  FOR EACH ROW {call}",
        f"CREATE TRIGGER {whole} BEFORE TRUNCATE ON {table}\n  FOR EACH STATEMENT {call_whole}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row}, ENABLE ALWAYS TRIGGER {whole}",
        *stream_cascade.create(moved, side, trigger(moved, "kept")),
    )


def drop_triggers(moved: Moved, side: Side) -> tuple[str, ...]:
    """The way back of `triggers`."""
    table = moved.at(side).table
    drops = (f"DROP TRIGGER IF EXISTS {trigger(moved, what)} ON {table}" for what in ("truncate", "stream"))
    return (*stream_cascade.drop(moved, side, trigger(moved, "kept")), *drops)


def drop_objects(moved: Moved, side: Side) -> tuple[str, ...]:
    """The way back of `objects`, without the tables of the ledger, of which only this table's rows go."""
    own = f"migration = {literal(moved.migration)} AND entity = {literal(moved.entity)}"
    return (
        *stream_cascade.drop_function(moved, side),
        f"DROP FUNCTION IF EXISTS {moved.named(side, 'truncated')}()",
        f"DROP FUNCTION IF EXISTS {moved.named(side, 'stream')}()",
        f"DROP TABLE IF EXISTS {moved.outbox(side)}",
        _forget(own, "lane", "dead_letter"),
    )


def _forget(own: str, *tables: str) -> str:
    """Where a killed downgrade is repeated the ledger may have gone."""
    lines = "".join(f"    DELETE FROM migdsl.{table} WHERE {own};\n" for table in tables)
    body = f"\nBEGIN\n  IF to_regclass('migdsl.side') IS NOT NULL THEN\n{lines}  END IF;\nEND"
    tag = dollar_tag(body, "forget")
    return f"DO {tag}{body}\n{tag}"


def drop_fence(moved: Moved) -> str:
    """The way back of the stream's fence, once no table of it has triggers; which side was whose stays known."""
    return f"DROP FUNCTION IF EXISTS {moved.fence}(text, boolean)"


def drop_stream(moved: Moved) -> tuple[str, ...]:
    """What goes after the objects of the stream's last table."""
    streams = f"{literal(moved.stream)}, {literal(moved.others)}"
    own = f"migration = {literal(moved.migration)} AND stream IN ({streams})"
    return (
        drop_fence(moved),
        _forget(own, "side", "switch"),
    )


def gate(moved: Moved, state: Side, reason: str) -> str:
    """A DO block that refuses to go on while a tenant isn't on that side: to undo expand, or to contract."""
    who = "'tenant % is not on the % side: %', first"
    way_out = f"run the sync job's `switch --to {state}` for every tenant first"
    if not moved.old.tenant:
        who = f"'% is not written on the % side: %', {literal(moved.entity)}"
        way_out = f"run the sync job's `switch --to {state}` first"
    body = f"""
DECLARE
  first text;
BEGIN
  IF to_regclass('migdsl.side') IS NULL THEN
    RETURN;  -- a killed downgrade is repeated: all of it was done, and the ledger has gone
  END IF;
  SELECT side.tenant INTO first FROM migdsl.side
   WHERE {moved.scope} AND side.state <> {literal(state)} ORDER BY side.tenant LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION {who}, {literal(state)}, {literal(reason)}
      USING ERRCODE = '55000', HINT = {literal(way_out)};
  END IF;
{_gate_of_newcomers(moved, state, reason)}END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def _gate_of_newcomers(moved: Moved, state: Side, reason: str) -> str:
    if not moved.old.tenant:
        return ""
    who = f"'tenants that come are not on the % side: %', {literal(state)}, {literal(reason)}"
    return f"""  IF EXISTS (SELECT FROM migdsl.side AS others WHERE {moved.newcomers} AND others.state <> {literal(state)}) THEN
    RAISE EXCEPTION {who}
      USING ERRCODE = '55000', HINT = {literal(f"run the sync job's `switch --all --to {state}` first")};
  END IF;
"""


def drained(moved: Moved, side: Side) -> str:
    """A DO block that refuses to go on while something that was written on a side hasn't been carried over."""
    own = f"migration = {literal(moved.migration)} AND entity = {literal(moved.entity)}"
    body = f"""
BEGIN
  IF to_regclass({literal(moved.outbox(side))}) IS NULL THEN
    RETURN;  -- a killed run is repeated: all of it was done
  END IF;
  IF EXISTS (SELECT FROM {moved.outbox(side)}) OR EXISTS (SELECT FROM migdsl.dead_letter WHERE {own}) THEN
    RAISE EXCEPTION 'what was written to % has not all been carried over', {literal(moved.at(side).table)}
      USING ERRCODE = '55000', HINT = 'run the sync job''s `drain`, and look at its `dead-letters`';
  END IF;
END"""
    tag = dollar_tag(body, "gate")
    return f"DO {tag}{body}\n{tag}"


def trigger(moved: Moved, what: str = "stream") -> str:
    """A trigger's name, as SQL."""
    return quote(derived("~migdsl", moved.migration, suffix=what))


def _outbox(moved: Moved, side: Side) -> tuple[str, ...]:
    name = moved.outbox(side)
    keys = "".join(
        f"    {column} {type_.sql} NOT NULL,\n"
        for column, type_ in zip(moved.key_columns, moved.key_types, strict=True)
    )
    index = derived(moved.migration, *_owner(moved, side), suffix="outbox_tenant")
    was = derived(moved.migration, *_owner(moved, side), suffix="outbox_was")
    # A queue is all dead rows: vacuum by number, not by share.
    table = f"""CREATE TABLE IF NOT EXISTS {name} (
    lane       integer     NOT NULL,
    id         bigint      GENERATED ALWAYS AS IDENTITY,
{keys}    tenant     text,
    tenant_was text,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 10000)"""
    lanes = f"""INSERT INTO migdsl.lane (migration, entity, lane)
SELECT {literal(moved.migration)}, {literal(moved.entity)}, lane
  FROM generate_series(0, {moved.lanes - 1:d}) AS lane
    ON CONFLICT DO NOTHING"""
    return (
        table,
        f"CREATE INDEX IF NOT EXISTS {quote(index)} ON {name} (tenant)",
        f"CREATE INDEX IF NOT EXISTS {quote(was)} ON {name} (tenant_was) WHERE tenant_was IS NOT NULL",
        f"COMMENT ON TABLE {name} IS\n    'Keys of rows to be carried over to the other database; never their values.'",
        lanes,
    )


def _newcomers(moved: Moved) -> tuple[str, ...]:
    """Who comes is of the old side, until all are on the new one; on the way back out of contract that is known still."""
    if not moved.old.tenant:
        return ()
    values = f"{literal(moved.migration)}, {literal(moved.others)}, ''"
    return (f"INSERT INTO migdsl.side (migration, stream, tenant)\nVALUES ({values}) ON CONFLICT DO NOTHING",)


def _owner(moved: Moved, side: Side) -> tuple[str, ...]:
    place = moved.at(side)
    return (place.name,) if place.schema == "public" else (place.schema, place.name)


def _fence(moved: Moved, side: Side) -> str:
    """A row that isn't there yet is made: a snapshot from before the switch must meet it, and fail.

    Not `strict`: false where the tenant is on the other side, and no error.
    """
    found = f"""SELECT side.state INTO found_state FROM migdsl.side AS side
       WHERE {moved.scope} AND side.tenant = of_tenant"""
    unknown = f"{literal(moved.migration)}, {literal(moved.stream)}, of_tenant"
    made = f"VALUES ({unknown}) ON CONFLICT DO NOTHING"
    if moved.old.tenant:
        # Locked until the writer commits: who turns newcomers over finds its row. The soak doesn't begin anew with each.
        made = f"""SELECT {unknown}, others.state, others.since FROM migdsl.side AS others
     WHERE {moved.newcomers} AND others.state <> 'moving' FOR SHARE
        ON CONFLICT DO NOTHING"""
    columns = "migration, stream, tenant, state, since" if moved.old.tenant else "migration, stream, tenant"
    # Who closes a side has the lock for itself until that is committed. So where each statement has a snapshot of its own, a
    # look that comes after the lock is enough: a row that all writers of a tenant lock has ever more of them to remember.
    body = f"""
DECLARE
  found_state text;
BEGIN
  IF of_tenant IS NULL THEN
    RETURN true;  -- its owner has gone in the same transaction, and passed the fence then
  END IF;
  PERFORM pg_advisory_xact_lock_shared({stream_owner.advisory(moved, "of_tenant")});
  FOR look IN 1 .. 2 LOOP
    IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
      {found};  -- after the lock, and so what was committed before it
    ELSE
      {found} FOR SHARE;  -- a snapshot from before a switch fails
    END IF;
    EXIT WHEN found_state IS NOT NULL OR look = 2;
    INSERT INTO migdsl.side ({columns})
    {made};
  END LOOP;
  found_state := coalesce(found_state, 'moving');  -- as newcomers are just then
  IF found_state = {literal(side)} THEN
    RETURN true;
  ELSIF NOT strict AND found_state <> 'moving' THEN
    RETURN false;
  ELSIF found_state = 'moving' THEN
    RAISE EXCEPTION 'tenant % is being switched to the other database just now', of_tenant
      USING ERRCODE = '40001', HINT = 'try the transaction again in a moment';
  END IF;
  RAISE EXCEPTION 'tenant % is not written in this database', of_tenant
    USING ERRCODE = '55000', HINT = 'its writes belong to the {"new" if side == "old" else "old"} side';
END"""
    return _function(f"{moved.fence}(of_tenant text, strict boolean DEFAULT true) RETURNS boolean", body)


def _functions(moved: Moved, side: Side) -> tuple[str, ...]:
    made = (_row_function(moved, side), _truncate_function(moved, side))
    named = (f"{moved.fence}(text, boolean)", *(f"{moved.named(side, what)}()" for what in ("stream", "truncated")))
    return (*made, *(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC" for name in named))


def _unmarked(moved: Moved) -> str:
    return (
        f"  IF current_setting('migdsl.applier', true) = {literal(moved.marker)} THEN\n"
        "    RETURN NULL;  -- it was fenced and told on the other side\n  END IF;"
    )


def _row_function(moved: Moved, side: Side) -> str:
    place, outbox = moved.at(side), moved.outbox(side)
    columns = ", ".join(["lane", *moved.key_columns, "tenant", "tenant_was"])

    def event(row: str, tenant: str, was: str) -> str:
        key = place.keyed(row)
        values = ", ".join([moved.lane(key), *key, tenant, f"nullif({was}, {tenant})"])
        return f"    INSERT INTO {outbox} ({columns})\n    VALUES ({values});"

    old, new = (f"ROW({', '.join(place.keyed(row))})" for row in ("OLD", "NEW"))
    told = "TG_OP <> 'DELETE'"
    if moved.captured and side == "old":
        # The WAL doesn't say whose the row was before.
        told = f"TG_OP = 'UPDATE' AND (its_tenant IS DISTINCT FROM was_tenant OR {old} IS DISTINCT FROM {new})"
    body = f"""
DECLARE
  was_tenant text;
  its_tenant text;
BEGIN
{_unmarked(moved)}
{stream_owner.leaves(moved, side)}  IF TG_OP <> 'INSERT' THEN
{stream_owner.passed(moved, side, "was_tenant", "OLD")}
  END IF;
  IF TG_OP <> 'DELETE' THEN
{stream_owner.passed(moved, side, "its_tenant", "NEW")}
  END IF;
  IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND {old} IS DISTINCT FROM {new}) THEN
{event("OLD", "was_tenant", "its_tenant")}
  END IF;
  IF {told} THEN
{event("NEW", "its_tenant", "was_tenant")}
  END IF;
{stream_owner.taken_along(moved, side)}  RETURN NULL;
END"""
    reads = place.looked_up or bool(moved.followers)
    return _function(f"{moved.named(side, 'stream')}() RETURNS trigger", body, reads=reads)


def _truncate_function(moved: Moved, side: Side) -> str:
    place = moved.at(side)
    columns = ", ".join(["lane", *moved.key_columns, "tenant"])
    key = place.keyed("t")
    body = f"""
BEGIN
{_unmarked(moved)}
  PERFORM {moved.fence}(listed.tenant)
     FROM (SELECT DISTINCT {place.tenant_of("t")} AS tenant FROM {place.table} AS t) AS listed;
  INSERT INTO {moved.outbox(side)} ({columns})
  SELECT {", ".join([moved.lane(key), *key, place.tenant_of("t")])} FROM {place.table} AS t;
  RETURN NULL;
END"""
    return _function(f"{moved.named(side, 'truncated')}() RETURNS trigger", body, reads=True)


def _function(head: str, body: str, *, reads: bool = False) -> str:
    """`reads`: rows of the tables themselves; one that a policy hides would belong to nobody, and pass the fence."""
    # With its owner's rights: who writes the table has none on the ledger.
    tag, whole = dollar_tag(body, "stream"), " SET row_security = off" if reads else ""
    return (
        f"CREATE OR REPLACE FUNCTION {head}\n"
        f"  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp{whole} AS {tag}{body}\n{tag}"
    )
