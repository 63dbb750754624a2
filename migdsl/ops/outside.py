"""Columns that Python computes become what a trigger can do for them: a value of other inputs never stays.

Nothing in the database can compute them. What it can tell is who knows them: new code names such a column in every INSERT,
and in every UPDATE that changes an input. Of a row that others write the value goes, and the backfill computes it anew.
"""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import names
from migdsl.ops.pairs import column_name
from migdsl.semantics.model import AddColumn, Change, RequireColumn, Table

# The trigger's function has no other way to hear which columns a statement named.
_SETTING = "migdsl.named_"


def computed(change: Change) -> tuple[AddColumn, ...]:
    """The new columns that Python computes."""
    return tuple(o for o in change.operations if isinstance(o, AddColumn) and o.python is not None)


def wanted(operation: AddColumn | RequireColumn) -> str:
    """Which rows `t` still need a value. A column that may be NULL has none where all of its inputs are NULL."""
    assert operation.python is not None
    empty = f"t.{quote(operation.column.name)} IS NULL"
    if not operation.column.nullable or isinstance(operation, RequireColumn):
        return empty
    given = " OR ".join(f"t.{quote(name)} IS NOT NULL" for name in operation.python.inputs)
    return f"({empty} AND ({given}))"


def function(migration: str, table: Table) -> str:
    """CREATE OR REPLACE FUNCTION of what leaves word that an UPDATE named a column."""
    body = f"""
BEGIN
  PERFORM set_config({literal(_SETTING)} || TG_RELID || '_' || TG_ARGV[0], 'yes', true);
  RETURN NEW;
END"""
    tag = dollar_tag(body, "named")
    return (
        f"CREATE OR REPLACE FUNCTION {names.named(migration, table)}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS {tag}{body}\n{tag}"
    )


def drop_function(migration: str, table: Table) -> str:
    """Takes it away."""
    return f"DROP FUNCTION IF EXISTS {names.named(migration, table)}()"


def triggers(migration: str, table: Table, columns: tuple[AddColumn, ...]) -> tuple[str, ...]:
    """The triggers that call it: UPDATE OF fires for what a statement names, also where the value stays as it is."""
    found: list[str] = []
    for number, operation in enumerate(columns, 1):
        name, on = names.named_trigger(migration, operation.column.name), names.table(table)
        called = f"EXECUTE FUNCTION {names.named(migration, table)}({literal(str(number))})"
        found += [
            f"CREATE TRIGGER {name} BEFORE UPDATE OF {quote(operation.column.name)} ON {on}\n  FOR EACH ROW {called}",
            f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}",
        ]
    return tuple(found)


def drop_triggers(migration: str, table: Table, columns: tuple[AddColumn, ...]) -> tuple[str, ...]:
    """Takes them away."""
    on = names.table(table)
    return tuple(f"DROP TRIGGER IF EXISTS {names.named_trigger(migration, o.column.name)} ON {on}" for o in columns)


def clauses(migration: str, table: Table, columns: tuple[AddColumn, ...], *, fill: bool) -> list[str]:
    """What the trigger function does for them. `fill`: a value whose inputs changed goes; later it is only counted."""
    return [
        line
        for number, operation in enumerate(columns, 1)
        for line in _clause(migration, table, operation, number, fill=fill)
    ]


def _clause(migration: str, table: Table, operation: AddColumn, number: int, *, fill: bool) -> list[str]:
    assert operation.python is not None
    new = column_name(operation.column.name)
    inputs = [column_name(name) for name in operation.python.inputs]
    count = f"PERFORM nextval({literal(names.counter(migration, table))});"
    setting = f"{literal(_SETTING)} || TG_RELID || {literal(f'_{number}')}"
    silent = f"NEW.{new} IS NULL"
    if operation.column.nullable:
        silent += f" AND ({' OR '.join(f'NEW.{name} IS NOT NULL' for name in inputs)})"
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in inputs)
    gone = [f"    NEW.{new} := NULL;  -- it was computed from other inputs"] if fill else []
    return [
        f"  -- {' '.join(operation.column.name.split())}: Python computes it, and who writes an input without it is old code",
        "  IF TG_OP = 'INSERT' THEN",
        f"    IF {silent} THEN",
        f"      {count}",
        "    END IF;",
        f"  ELSIF current_setting({setting}, true) = 'yes' THEN",
        f"    PERFORM set_config({setting}, '', true);",
        f"  ELSIF ({changed})",
        f"    AND NEW.{new} IS NOT DISTINCT FROM OLD.{new} THEN",
        *gone,
        f"    {count}",
        "  END IF;",
    ]
