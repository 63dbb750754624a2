"""`default`, `comment` and `replica identity`: what a table says of itself changes at once, and comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import memory, names
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import Comment, ReplicaIdentity, SetDefault

AFTER_TABLE = EXPAND_TABLE + 1  # a comment may be on a column that the same revision adds


def default(context: Context, operation: SetDefault) -> Iterator[Step]:
    """Rows to come get another default; those that are there keep their values."""
    column = operation.column.name
    alter = f"ALTER TABLE {context.sql} ALTER COLUMN {quote(column)}"
    new = f"SET DEFAULT {operation.default}" if operation.default is not None else "DROP DEFAULT"
    # The linter's rule thinks of code that relies on the default: here it was asked for.
    ignored = "-- squawk-ignore ban-drop-default\n" if operation.default is None else ""
    old = (
        "format('ALTER TABLE %s ALTER COLUMN %I ', a.attrelid::regclass, a.attname)"
        " || coalesce('SET DEFAULT ' || pg_get_expr(f.adbin, f.adrelid), 'DROP DEFAULT')"
    )
    source = (
        "pg_attribute AS a LEFT JOIN pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum\n"
        f" WHERE a.attrelid = {literal(context.sql)}::regclass AND a.attname = {literal(column)}"
    )
    what = (
        f"Give {context.table.entity}.{column} another default"
        if operation.default is not None
        else (f"Take the default of {context.table.entity}.{column} away")
    )
    yield _step(
        context,
        "set_default",
        f"{what}; rows that are there keep their values",
        f"default {context.sql}.{column}",
        (old, source),
        f"{ignored}{alter} {new}",
        Lock.ACCESS_EXCLUSIVE,
    )


def comment(context: Context, operation: Comment) -> Iterator[Step]:
    """Another comment on the table or a column."""
    if operation.column is None:
        on, number = f"TABLE {context.sql}", "0"
        shown = f"'COMMENT ON TABLE ' || {literal(context.sql)}"
        source = "(VALUES (1)) AS one"
    else:
        on, number = f"COLUMN {context.sql}.{quote(operation.column)}", "a.attnum"
        shown = f"'COMMENT ON COLUMN ' || {literal(f'{context.sql}.{quote(operation.column)}')}"
        wanted = f"a.attrelid = {literal(context.sql)}::regclass AND a.attname = {literal(operation.column)}"
        source = f"pg_attribute AS a\n WHERE {wanted}"
    described = "obj_description" if operation.column is None else "col_description"
    second = "'pg_class'" if operation.column is None else number
    old = f"{shown} || format(' IS %L', {described}({literal(context.sql)}::regclass, {second}))"
    subject = f"{context.table.entity}.{operation.column}" if operation.column else context.table.entity
    yield _step(
        context,
        "comment",
        f"Say what {subject} is, in a comment",
        f"comment {on}",
        (old, source),
        f"COMMENT ON {on} IS {literal(operation.text)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
    )


def replica_identity(context: Context, operation: ReplicaIdentity) -> Iterator[Step]:
    """What logical replication tells rows apart by."""
    new = f"USING INDEX {quote(operation.index)}" if operation.index else operation.kind
    old = (
        "format('ALTER TABLE %s REPLICA IDENTITY ', c.oid::regclass) || CASE c.relreplident WHEN 'd' THEN 'DEFAULT'"
        " WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL' ELSE (SELECT format('USING INDEX %I', x.relname)"
        " FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid"
        " WHERE i.indrelid = c.oid AND i.indisreplident) END"
    )
    yield _step(
        context,
        "replica_identity",
        f"Tell the rows of {context.table.entity} apart by {new.lower() if not operation.index else new} in logical replication",
        f"replica identity {context.sql}",
        (old, f"pg_class AS c\n WHERE c.oid = {literal(context.sql)}::regclass"),
        f"ALTER TABLE {context.sql} REPLICA IDENTITY {new}",
        Lock.ACCESS_EXCLUSIVE,
        _refuse_unpublishable(context),
    )


def _refuse_unpublishable(context: Context) -> str:
    """A DO block that has PostgreSQL start an UPDATE and a DELETE, and run neither.

    Where a publication filters by a column that the new identity lacks, or the identity is more than it publishes, every
    UPDATE would fail from now on. EXPLAIN finds that out and wakes no trigger.
    """
    table = literal(context.sql)
    body = f"""
DECLARE
  writable text := (SELECT quote_ident(attname) FROM pg_attribute
                     WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
                       AND attidentity <> 'a' AND attgenerated = '' ORDER BY attnum LIMIT 1);
BEGIN
  IF writable IS NOT NULL THEN
    EXECUTE 'EXPLAIN UPDATE ' || {table} || ' SET ' || writable || ' = DEFAULT WHERE FALSE';
  END IF;
  EXECUTE 'EXPLAIN DELETE FROM ' || {table} || ' WHERE FALSE';
EXCEPTION WHEN invalid_column_reference OR object_not_in_prerequisite_state THEN
  RAISE EXCEPTION 'with this replica identity nobody could update or delete rows of %, because of publication %', {table},
    (SELECT string_agg(DISTINCT quote_ident(p.pubname), ', ') FROM pg_publication_tables AS p
      WHERE format('%I.%I', p.schemaname, p.tablename)::regclass = {table}::regclass)
    USING ERRCODE = '55000', HINT = 'what a publication filters by must be in the replica identity, and that in its columns';
END"""
    tag = dollar_tag(body, "published")
    return f"DO {tag}{body}\n{tag}"


def _step(
    context: Context,
    kind: str,
    title: str,
    subject: str,
    old: tuple[str, str],
    statement: str,
    lock: Lock,
    *proofs: str,
) -> Step:
    locks = ((names.table(context.table), lock),)
    return Step(
        "expand",
        kind,
        title,
        context.table,
        lock,
        rank=AFTER_TABLE,
        up=(Group(locks, (memory.in_full(memory.remember(context, subject, *old)), statement, *proofs)),),
        down=(Group(locks, (memory.restore(context, subject),)),),
    )
