"""What an applier takes away would take along by foreign keys: a trigger that leaves those rows to their own keys.

Each row that a cascade took away where it was written has left its key there. One that hangs on something else by now is still
there; were it taken away here, nothing would tell of it, or of what belongs to it, once more.
"""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops.stream_model import Moved, Side


def function(moved: Moved, side: Side) -> tuple[str, ...]:
    """CREATE OR REPLACE of the trigger's function, where a cascade may reach the table."""
    if not moved.cascaded:
        return ()
    body = f"""
BEGIN
  IF current_setting('migdsl.applier', true) = {literal(moved.marker)} AND pg_trigger_depth() > 1 THEN
    RETURN NULL;  -- not asked for by its key
  END IF;
  RETURN OLD;
END"""
    tag = dollar_tag(body, "kept")
    name = moved.named(side, "kept")
    head = f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger"
    how = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
    return f"{head}\n  {how} AS {tag}{body}\n{tag}", f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"


def create(moved: Moved, side: Side, trigger: str) -> tuple[str, ...]:
    """The trigger, on a side's table; `trigger` is its name."""
    table = moved.at(side).table
    if not moved.cascaded:
        return ()
    call = f"FOR EACH ROW EXECUTE FUNCTION {moved.named(side, 'kept')}()"
    return (
        f"CREATE TRIGGER {trigger} BEFORE DELETE ON {table}\n  {call}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
    )


def drop(moved: Moved, side: Side, trigger: str) -> tuple[str, ...]:
    """The way back of `create`."""
    return (f"DROP TRIGGER IF EXISTS {trigger} ON {moved.at(side).table}",) if moved.cascaded else ()


def drop_function(moved: Moved, side: Side) -> tuple[str, ...]:
    """The way back of `function`."""
    return (f"DROP FUNCTION IF EXISTS {moved.named(side, 'kept')}()",) if moved.cascaded else ()
