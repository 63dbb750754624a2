"""`rename table to`: the table gets its new name at once, and a view answers to the old one until nobody asks."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified, quote
from migdsl.ops.add_column import EXPAND_TABLE
from migdsl.ops.context import Context
from migdsl.ops.model import Group, Lock, Step
from migdsl.semantics.model import RenameTable

SECURITY_INVOKER = 15  # the first version whose views can ask with their caller's rights
MERGE_INTO_VIEWS = 17


def lower(context: Context, operation: RenameTable) -> Iterator[Step]:
    """The steps of a `rename table`."""
    table = context.table
    new = qualified(table.schema, operation.to)
    lock = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    both = ((context.sql, Lock.ACCESS_EXCLUSIVE), (new, Lock.ACCESS_EXCLUSIVE))
    yield Step(
        "expand",
        "rename_table",
        f"Rename the table {table.name} to {operation.to}; a view of the old name passes reads and writes on",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group(lock, (_rename(context, operation, new),)),),
        down=(Group(both, (_rename_back(context, new),)),),
        precondition=_limits(context),
    )
    yield Step(
        "contract",
        "drop_view",
        f"Drop the view {table.name}: all code knows the table as {operation.to}",
        table,
        Lock.ACCESS_EXCLUSIVE,
        rank=EXPAND_TABLE,
        up=(Group((), (f"DROP VIEW IF EXISTS {context.sql}",)),),
        down=(Group(((new, Lock.ACCESS_EXCLUSIVE),), (_view_again(context, new),)),),
    )


def _limits(context: Context) -> str:
    """What a view can't do, so that old code which does it must change first."""
    lacking = "ON CONFLICT ON CONSTRAINT, COPY FROM, TRUNCATE, xmin and ctid, new foreign keys"
    merge = "" if context.version >= MERGE_INTO_VIEWS else ", MERGE"
    return (
        f"old code uses none of what a view can't do: {lacking}{merge}; "
        "and pools reconnect: prepared statements are planned anew"
    )


def _kind(context: Context) -> str:
    return f"(SELECT relkind::text FROM pg_class WHERE oid = to_regclass({literal(context.sql)}))"


def _rename(context: Context, operation: RenameTable, new: str) -> str:
    # Run again after a kill, the old name is the view's already.
    body = f"""
BEGIN
  IF {_kind(context)} = 'r' THEN
{_refuse_hidden_rows(context)}    ALTER TABLE {context.sql} RENAME TO {quote(operation.to)};
{_view(context, new)}
  END IF;
END"""
    tag = dollar_tag(body, "rename")
    return f"DO {tag}{body}\n{tag}"


def _refuse_hidden_rows(context: Context) -> str:
    """Before 15 a view asks with its owner's rights, whom no policy stops."""
    if context.version >= SECURITY_INVOKER:
        return ""
    return f"""    IF (SELECT relrowsecurity FROM pg_class WHERE oid = {literal(context.sql)}::regclass) THEN
      RAISE EXCEPTION 'table % has row-level security, which a view of PostgreSQL 14 would pass by', {literal(context.sql)}
        USING ERRCODE = '55000', HINT = 'upgrade to PostgreSQL 15, or rename the table in a window without old code';
    END IF;
"""


def _view(context: Context, new: str) -> str:
    """The view, the table's owner and grants with it, those of single columns too."""
    options = " WITH (security_invoker = true)" if context.version >= SECURITY_INVOKER else ""
    old = literal(context.sql)
    return f"""    CREATE VIEW {context.sql}{options} AS SELECT * FROM {new};
    EXECUTE (SELECT format('ALTER VIEW %s OWNER TO %I', {old}, r.rolname)
               FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.oid = {literal(new)}::regclass);
    EXECUTE coalesce((SELECT string_agg(format('GRANT %s%s ON %s TO %s%s', g.privilege_type, g.part, {old},
               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '; ')
          FROM (SELECT '' AS part, c.relowner, x.* FROM pg_class AS c, aclexplode(c.relacl) AS x
                 WHERE c.oid = {literal(new)}::regclass
                 UNION ALL
                SELECT format(' (%I)', a.attname), c.relowner, x.*
                  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS x
                 WHERE c.oid = {literal(new)}::regclass) AS g
         WHERE g.grantee <> g.relowner
           AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')), 'SELECT 1');"""


def _view_again(context: Context, new: str) -> str:
    body = f"""
BEGIN
  IF to_regclass({literal(context.sql)}) IS NULL THEN
{_view(context, new)}
  END IF;
END"""
    tag = dollar_tag(body, "view")
    return f"DO {tag}{body}\n{tag}"


def _rename_back(context: Context, new: str) -> str:
    body = f"""
BEGIN
  IF {_kind(context)} = 'v' THEN
    DROP VIEW {context.sql};
    ALTER TABLE {new} RENAME TO {quote(context.table.name)};
  END IF;
END"""
    tag = dollar_tag(body, "rename")
    return f"DO {tag}{body}\n{tag}"
