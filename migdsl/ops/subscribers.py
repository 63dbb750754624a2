"""What a migration changes under PostgreSQL's own subscribers becomes a refusal that says what they need first.

Who is sent a column or a table that it hasn't got applies nothing any more, and its slot keeps WAL until the disk is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.types import SqlType
from migdsl.ops import names
from migdsl.ops.model import Group, Step
from migdsl.semantics.model import (
    AddColumn,
    Change,
    CheckedModule,
    CreateTable,
    DropColumn,
    ExtendEnum,
    Operation,
    OptionalColumn,
    RenameTable,
    RetypeColumn,
    Table,
)
from migdsl.values import Value

FIRST = -1  # the rank: a row of the ledger is sent, too, where all tables are published
READY = "migdsl.subscribers"
_OURS = "migdsl_"  # what streams of ours read, and by what
_SAY = f". Then say that they are ready, for this run: PGOPTIONS='-c {READY}=ready' before the command"
# Its connector makes do with columns and tables that it hasn't seen before.
_DEBEZIUM = "Debezium Streaming"
_LEDGER = (
    "the tables of schema migdsl, which are here once expand has been refused: pg_dump --schema-only --schema=migdsl"
)
_ALEMBIC = (
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY), or what your Alembic calls it"
)


class Wanted(Value):
    """What subscribers need: `starts` and `action` are DDL of which neighbours with one start are one statement.

    `place` is the table that is published, or, of one that is to come, its `schema` alone. A publication of some columns is
    concerned where it has one of `touched`; None: always.
    """

    starts: str
    action: str = ""
    place: str = ""
    schema: str = ""
    touched: tuple[str, ...] | None = None

    @property
    def row(self) -> str:
        """The same as the rest of a row of VALUES."""
        touched = "NULL" if self.touched is None else f"ARRAY[{', '.join(map(literal, self.touched))}]"
        place, schema = (literal(name) if name else "NULL" for name in (self.place, self.schema))
        return f"{literal(self.starts)}, {literal(self.action)}, {place}, {schema}, CAST({touched} AS text[]))"


def lower(migration: str, module: CheckedModule, database: str, steps: Sequence[Step]) -> Iterator[Step]:
    """The steps that refuse, of one database's steps: in expand, and where a swap gives names to other columns."""
    table = next((s.table for s in steps if s.table is not None and s.table.database == database), None)
    if table is None:
        return
    added = list(dict.fromkeys(_added(module, database)))
    ledger = [Wanted(each, schema=names.LEDGER) for each in (_LEDGER, *_queues(steps))]
    wanted = {"expand": [*added, Wanted(_ALEMBIC, schema="public"), *ledger]}
    for step in steps:
        if step.operation == "swap":
            wanted.setdefault(step.phase, []).extend(_swapped(module, database))
        elif step.operation == "swap_key" and step.table is not None:
            wanted.setdefault(step.phase, []).append(_rekeyed(step.table))
    for phase, found in wanted.items():
        what = f"{phase} of {migration}"
        title = (
            f"Refuse where {what} would leave native subscribers of {database} standing, and say what they need first"
        )
        have = (
            f"native subscribers (CREATE SUBSCRIPTION) have what {what} changes: it says what, and refuses until then"
        )
        up = (Group((), (refuse(phase, found),)),)
        told = have if phase != "expand" or added else None
        yield Step(phase, "check_table", title, table, rank=FIRST, up=up, precondition=told)


# ----------------------------------------------------------------------------------- what is needed


def _added(module: CheckedModule, database: str) -> Iterator[Wanted]:
    for change in module.changes:
        if change.table.database == database:
            for operation in change.operations:
                yield from _of(change, operation)


def _of(change: Change, operation: Operation) -> Iterator[Wanted]:
    table = change.table
    if isinstance(operation, AddColumn):
        yield from _column(table, operation.column.name, operation.column.type)
    elif isinstance(operation, RetypeColumn) and operation.in_place:
        yield _altered(table, operation.column.name, f"TYPE {operation.to.type.sql}")
    elif isinstance(operation, RetypeColumn):
        yield from _column(table, names.incoming(operation.column.name), operation.to.type)
    elif isinstance(operation, DropColumn | OptionalColumn) and not operation.column.nullable:
        # It is no longer sent one day, or as a NULL.
        yield _altered(table, operation.column.name, "DROP NOT NULL")
    elif isinstance(operation, ExtendEnum):
        yield Wanted(
            f"ALTER TYPE {operation.type} ADD VALUE IF NOT EXISTS {literal(operation.label)}", place=names.table(table)
        )
    elif isinstance(operation, RenameTable):
        renamed = f"ALTER TABLE {names.table(table)} RENAME TO {quote(operation.to)}"
        yield Wanted(f"{renamed}, but when it stands still for want of {operation.to}", place=names.table(table))
    elif isinstance(operation, CreateTable):
        yield from _table(operation.table)


def _column(table: Table, name: str, type_: SqlType) -> Iterator[Wanted]:
    place = names.table(table)
    yield from (Wanted(sql, place=place, touched=()) for sql in _labelled(type_))
    yield Wanted(f"ALTER TABLE {place} ", f"ADD COLUMN IF NOT EXISTS {quote(name)} {type_.sql}", place, touched=())


def _altered(table: Table, name: str, what: str) -> Wanted:
    place = names.table(table)
    return Wanted(f"ALTER TABLE {place} ", f"ALTER COLUMN {quote(name)} {what}", place, touched=(name,))


def _labelled(type_: SqlType) -> Iterator[str]:
    if type_.labels:
        yield f"CREATE TYPE {type_.base} AS ENUM ({', '.join(map(literal, type_.labels))})"


def _table(table: Table) -> Iterator[Wanted]:
    columns = [f"{quote(column.name)} {column.type.sql}" for column in table.columns]
    key = [f"PRIMARY KEY ({', '.join(map(quote, table.key))})"] if table.key else []
    made = f"CREATE TABLE IF NOT EXISTS {names.table(table)} ({', '.join([*columns, *key])})"
    schema = [] if table.schema == "public" else [f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}"]
    labels = [sql for column in table.columns for sql in _labelled(column.type)]
    yield from (Wanted(sql, schema=table.schema) for sql in (*schema, *labels, made))


def _queues(steps: Sequence[Step]) -> Iterator[str]:
    """The tables in the ledger's schema that expand makes when it goes on."""
    groups = (part for s in steps if s.phase == "expand" for part in s.up if isinstance(part, Group))
    for sql in dict.fromkeys(statement for group in groups for statement in group.statements):
        lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
        if lines and lines[0].startswith(
            (f"CREATE TABLE IF NOT EXISTS {names.LEDGER}.", f"ALTER TABLE {names.LEDGER}.")
        ):
            yield " ".join(" ".join(lines).split())


def _swapped(module: CheckedModule, database: str) -> Iterator[Wanted]:
    """The column keeps its name, and is the other one: what it was is sent under a name of its own."""
    for change in module.changes:
        for operation in change.operations if change.table.database == database else ():
            if isinstance(operation, RetypeColumn) and not operation.in_place:
                name = operation.column.name
                yield from _column(change.table, names.outgoing(name), operation.column.type)
                yield _altered(change.table, name, f"TYPE {operation.to.type.sql}")


def _rekeyed(table: Table) -> Wanted:
    place = names.table(table)
    return Wanted(
        f"the same key of {place}, but when it stands still for want of a replica identity column", place=place
    )


# --------------------------------------------------------------------------------------- the question


def refuse(phase: str, wanted: Sequence[Wanted]) -> str:
    """A DO block that refuses where somebody else's publication has one of these, and a native subscriber may read it."""
    rows = ",\n      ".join(f"({n}, {each.row}" for n, each in enumerate(wanted))
    body = f"""
DECLARE
  published text;
  way text;
  slots text;
BEGIN
  WITH wanted (n, starts, action, place, schema, touched) AS (VALUES
      {rows}
  ), met AS (
    SELECT w.*, p.pubname
      FROM wanted AS w JOIN pg_publication AS p
        ON NOT starts_with(p.pubname::text, {literal(_OURS)}) AND CASE WHEN w.place IS NULL THEN p.puballtables OR EXISTS (
           -- The tables of a schema, from PostgreSQL 15 on, are known by what depends on both.
           SELECT FROM pg_depend AS s JOIN pg_depend AS d USING (classid, objid)
            WHERE s.refclassid = 'pg_namespace'::regclass AND s.refobjid = to_regnamespace(quote_ident(w.schema))
              AND d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid)
        ELSE EXISTS (
           SELECT FROM pg_publication_tables AS t
            WHERE t.pubname = p.pubname
              AND to_regclass(format('%I.%I', t.schemaname, t.tablename)) = to_regclass(w.place)
              AND (w.touched IS NULL OR to_jsonb(t) -> 'attnames' ?| w.touched OR NOT EXISTS (
                   SELECT FROM pg_publication_rel AS r
                    WHERE r.prpubid = p.oid AND r.prrelid = to_regclass(w.place) AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)))
        END
  ), ddl AS (
    SELECT min(n) AS n, starts || string_agg(action, ', ' ORDER BY n) AS said
      FROM (SELECT DISTINCT n, starts, action FROM met) AS each GROUP BY starts
  )
  SELECT (SELECT string_agg(DISTINCT quote_ident(pubname), ', ') FROM met), (SELECT string_agg(said, '; ' ORDER BY n) FROM ddl),
         (SELECT string_agg(quote_ident(s.slot_name), ', ' ORDER BY s.slot_name) FROM pg_replication_slots AS s
           WHERE s.database = current_database() AND s.plugin = 'pgoutput' AND s.wal_status <> 'lost'
             AND NOT starts_with(s.slot_name::text, {literal(_OURS)})
             AND NOT EXISTS (SELECT FROM pg_stat_replication AS a
                              WHERE a.pid = s.active_pid AND a.application_name = {literal(_DEBEZIUM)}))
    INTO published, way, slots;
  IF published IS NOT NULL AND slots IS NOT NULL AND current_setting({literal(READY)}, true) IS DISTINCT FROM 'ready' THEN
    RAISE EXCEPTION 'native subscribers of publication % (slot %) would stand still: they lack what % changes',
      published, slots, {literal(phase)}
      USING ERRCODE = '55000', HINT = 'first, where they are: ' || way || {literal(_SAY)};
  END IF;
END"""
    tag = dollar_tag(body, "subscribed")
    return f"DO {tag}{body}\n{tag}"
