"""Pairs of old and new columns become the trigger that keeps them equal while old and new code both write.

Each clause answers a loss that was seen (docs/decisions/004-two-way-trigger.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.ops import names
from migdsl.semantics.model import AddColumn, Back, Change, DropColumn, Table, UniqueSet


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pair:
    """A new column, what it is computed from, and what is computed back from it.

    `counted` are the inputs whose change shows that old code still writes; `locked` the new unique columns for which an
    advisory lock keeps two writers of one fact apart.
    """

    column: str
    source: Expression
    backs: tuple[Back, ...]
    counted: tuple[str, ...]
    locked: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Kept:
    """A NOT NULL column that new code no longer writes: `back` fills it on INSERT until it is dropped."""

    column: str
    back: Back


def pairs(change: Change) -> tuple[Pair, ...]:
    """The pairs of a change: one for each added column that has a `from`."""
    dropped = {o.column.name for o in change.operations if isinstance(o, DropColumn)}
    found = []
    for operation in change.operations:
        if isinstance(operation, AddColumn) and operation.source is not None:
            inputs = inputs_of(change.table, operation.source)
            going = tuple(name for name in inputs if name in dropped)
            locked = _locked(change.table, operation.uniques, {b.column for b in operation.backs})
            found.append(Pair(operation.column.name, operation.source, operation.backs, going or inputs, locked))
    return tuple(found)


def kept(change: Change) -> tuple[Kept, ...]:
    """Dropped NOT NULL columns with a way home of their own."""
    return tuple(
        Kept(o.column.name, o.back)
        for o in change.operations
        if isinstance(o, DropColumn) and o.back is not None and not o.column.nullable
    )


def _locked(table: Table, uniques: tuple[UniqueSet, ...], old: set[str]) -> tuple[str, ...]:
    """ON CONFLICT names one unique index; a second one for the same fact would raise instead of resolving."""
    twice = any(c.kind in ("unique", "key") and old & set(c.columns) for c in table.constraints)
    return uniques[0].columns if twice and uniques else ()


def inputs_of(table: Table, source: Expression) -> tuple[str, ...]:
    """The stored columns that an expression reads; a generated column stands for what it is generated from."""
    found: list[str] = []
    for name in sorted(source.names()):
        column = table.column(name)
        found += sorted(column.generated.names()) if column and column.generated else [name]
    return tuple(dict.fromkeys(found))


def over(table: Table, source: Expression, row: str) -> str:
    """The expression over the columns of `row`. Generated columns are inlined: they are NULL in a BEFORE trigger."""

    def spell(name: str) -> str:
        column = table.column(name)
        if column and column.generated:
            return "(" + column.generated.rewritten(lambda inner: f"{row}.{quote(inner)}") + ")"
        return f"{row}.{quote(name)}"

    return _one_line(source.rewritten(spell))


def _one_line(sql: str) -> str:
    """Comments to the end of a line would swallow what follows the expression, so such an expression keeps its lines."""
    return sql.strip() if "--" not in sql else sql.strip() + "\n"


def function(migration: str, table: Table, pairs_: tuple[Pair, ...], kept_: tuple[Kept, ...], fill: bool) -> str:
    """CREATE OR REPLACE FUNCTION of the trigger. `fill`: rows that the backfill hasn't reached are filled on UPDATE."""
    counter = names.counter(migration, table)
    lines = ["BEGIN"]
    for pair in pairs_:
        lines += _pair(table, pair, counter, fill)
    for one in kept_:
        lines += _kept(table, one)
    lines += ["  RETURN NEW;", "END"]
    body = "\n".join(lines)
    tag = dollar_tag(body, "sync")
    schemas = ", ".join(dict.fromkeys(["pg_catalog", quote(table.schema), "public", "pg_temp"]))
    return (
        f"CREATE OR REPLACE FUNCTION {names.function(migration, table)}() RETURNS trigger\n"
        f"  LANGUAGE plpgsql SET search_path = {schemas} AS {tag}\n{body}\n{tag}"
    )


def trigger(migration: str, table: Table) -> tuple[str, ...]:
    """The statements that create the trigger; ALWAYS, or a replica that applies changes would skip it."""
    name = names.trigger(migration)
    return (
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {names.table(table)}\n"
        f"  FOR EACH ROW EXECUTE FUNCTION {names.function(migration, table)}()",
        f"ALTER TABLE {names.table(table)} ENABLE ALWAYS TRIGGER {name}",
    )


def _pair(table: Table, pair: Pair, counter: str, fill: bool) -> list[str]:
    new = quote(pair.column)
    source = over(table, pair.source, "NEW")
    count = f"PERFORM nextval({literal(counter)});"
    lines = [
        f"  -- {pair.column.replace(chr(10), ' ')}",
        "  IF TG_OP = 'INSERT' THEN",
        f"    IF NEW.{new} IS NULL THEN",
        f"      NEW.{new} := {source};",
        f"      IF NEW.{new} IS NOT NULL THEN",
        f"        {count}",
        "      END IF;",
    ]
    lines += _insert_back(table, pair, source)
    lines += ["    END IF;", f"  ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN"]
    lines += _new_changed(table, pair, source)
    lines += _inputs_changed(table, pair, source, count, fill)
    lines += ["  END IF;"]
    return lines + _advisory_lock(table, pair)


def _insert_back(table: Table, pair: Pair, source: str) -> list[str]:
    if not pair.backs:
        return []
    return [f"    ELSIF NEW.{quote(pair.column)} IS DISTINCT FROM {_operand(source)} THEN", *_set_backs(table, pair, 6)]


def _new_changed(table: Table, pair: Pair, source: str) -> list[str]:
    if not pair.backs:
        return ["    NULL;  -- new code wrote it, and nothing goes back"]
    untouched = " AND ".join(f"NEW.{quote(b.column)} IS NOT DISTINCT FROM OLD.{quote(b.column)}" for b in pair.backs)
    return [
        f"    IF {untouched}",
        f"       AND NEW.{quote(pair.column)} IS DISTINCT FROM {_operand(source)} THEN",
        *_set_backs(table, pair, 6),
        "    END IF;",
    ]


def _inputs_changed(table: Table, pair: Pair, source: str, count: str, fill: bool) -> list[str]:
    new = quote(pair.column)
    condition = _changed(inputs_of(table, pair.source))
    if not pair.backs:
        old_source = _operand(over(table, pair.source, "OLD"))
        condition = f"({condition}) AND OLD.{new} IS NOT DISTINCT FROM {old_source}"
    if fill:
        condition = f"{condition} OR NEW.{new} IS NULL"
    counted = _changed(pair.counted)
    return [
        f"  ELSIF {condition} THEN",
        f"    IF NEW.{new} IS DISTINCT FROM {_operand(source)} THEN",
        f"      NEW.{new} := {source};",
        f"      IF {counted} THEN",
        f"        {count}",
        "      END IF;",
        "    END IF;",
    ]


def _advisory_lock(table: Table, pair: Pair) -> list[str]:
    if not pair.locked:
        return []
    row = ", ".join(f"NEW.{quote(name)}" for name in pair.locked)
    new = quote(pair.column)
    fact = literal(f"{names.table(table)} {', '.join(pair.locked)} ")
    return [
        f"  IF TG_OP = 'INSERT' OR NEW.{new} IS DISTINCT FROM OLD.{new} THEN",
        f"    PERFORM pg_advisory_xact_lock(hashtextextended({fact} || ROW({row})::text, 0));",
        "  END IF;",
    ]


def _kept(table: Table, one: Kept) -> list[str]:
    column = quote(one.column)
    return [
        f"  -- {one.column.replace(chr(10), ' ')}: new code no longer writes it",
        f"  IF TG_OP = 'INSERT' AND NEW.{column} IS NULL THEN",
        f"    NEW.{column} := {over(table, one.back.expression, 'NEW')};",
        "  END IF;",
    ]


def _set_backs(table: Table, pair: Pair, indent: int) -> list[str]:
    return [f"{' ' * indent}NEW.{quote(b.column)} := {over(table, b.expression, 'NEW')};" for b in pair.backs]


def _changed(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"NEW.{quote(c)} IS DISTINCT FROM OLD.{quote(c)}" for c in columns) or "FALSE"


def _operand(source: str) -> str:
    """The expression as one operand, in parentheses unless it plainly is one."""
    return (
        source if source.isidentifier() or source.replace(".", "_").replace('"', "_").isidentifier() else f"({source})"
    )
