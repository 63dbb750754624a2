"""A retype becomes functions: a value from the old type to the new one and back, and both sides of a row held together.

Those over a row hold on to the columns themselves, not to their names, so that they say the same before the swap and after it.
"""

from __future__ import annotations

from collections.abc import Callable

from migdsl.dialect.names import conforming, dollar_tag, literal, quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import WHOLE, SqlType, lossless
from migdsl.ops import names
from migdsl.ops.context import Context
from migdsl.ops.pairs import assigned, column_name, compared, inputs_of, one_line
from migdsl.semantics.model import RetypeColumn, Table

_BOUNDS = {"smallint": 32_767, "integer": 2_147_483_647, "bigint": 9_223_372_036_854_775_807}
# What a conversion may meet in a row: a value that isn't one of the new type, or a domain's check.
_CAUGHT = "data_exception OR integrity_constraint_violation"


def create(context: Context, operation: RetypeColumn, old: str, new: str) -> tuple[str, ...]:
    """The functions of one column; `old` and `new` are what its two sides are called now."""
    made = [_into(context, operation), _back(context, operation)]
    if not operation.plain:
        made.append(_fails(context, operation))
    return (*made, *_sides(context, operation, old, new))


def drop(context: Context, operation: RetypeColumn) -> tuple[str, ...]:
    """Takes the functions away, those that use others first."""
    own = [f"{_name(context, operation, what)}({context.sql})" for what in _over_rows(operation)]
    back = ", ".join(_back_types(context.table, operation))
    into = ", ".join(_types(context.table, operation))
    own += [f"{_name(context, operation, 'back')}({back})", f"{_name(context, operation, 'into')}({into})"]
    if not operation.plain:
        own.append(f"{_name(context, operation, 'fails')}({into})")
    return tuple(f"DROP FUNCTION IF EXISTS {one}" for one in own)


def into(context: Context, operation: RetypeColumn, row: str, old: str | None = None) -> str:
    """The new value, from the row `row` whose old column is called `old`."""
    return _call(context, operation, "into", row, old or operation.column.name)


def back(context: Context, operation: RetypeColumn, row: str, new: str | None = None) -> str:
    """The old value, NULL where the old type has none that leads to the new one."""
    if operation.back is None:
        return "NULL"
    return _call(context, operation, "back", row, new or operation.column.name)


def side(context: Context, operation: RetypeColumn, what: str, row: str = "t") -> str:
    """`was`: what the new value should be; `is`: what it is; `strays`: the old one isn't what leads back.

    `lost`: the old type can't hold the new value. `unfit`: the new type can't hold the old one.
    """
    return f"{over_row(context, operation, what)}({row})"


def over_row(context: Context, operation: RetypeColumn, what: str) -> str:
    """The function behind `side`, which takes a row of the table itself: that of a subselect has no such type."""
    return _name(context, operation, what)


def _over_rows(operation: RetypeColumn) -> tuple[str, ...]:
    return ("was", "is", "strays", "lost") if operation.plain else ("was", "is", "strays", "lost", "unfit")


def _name(context: Context, operation: RetypeColumn, what: str) -> str:
    return names.retyping(context.migration, context.table, operation.column.name, what)


def _inputs(table: Table, operation: RetypeColumn) -> tuple[str, ...]:
    return inputs_of(table, operation.source)


def _back_inputs(table: Table, operation: RetypeColumn) -> tuple[str, ...]:
    """The new value, then what else is needed to prove that it comes out again."""
    of = (*(inputs_of(table, operation.back) if operation.back else ()), *_inputs(table, operation))
    own = operation.column.name
    return (own, *dict.fromkeys(c for c in of if c != own))


def _types(table: Table, operation: RetypeColumn) -> list[str]:
    return [table.type_of(c).sql for c in _inputs(table, operation)]


def _back_types(table: Table, operation: RetypeColumn) -> list[str]:
    _, *others = _back_inputs(table, operation)
    return [operation.to.type.sql, *(table.type_of(c).sql for c in others)]


def _call(context: Context, operation: RetypeColumn, what: str, row: str, called: str) -> str:
    found = _inputs if what in ("into", "fails") else _back_inputs
    own = operation.column.name
    given = (called if c == own else c for c in found(context.table, operation))
    prefix = f"{row}." if row else ""
    return f"{_name(context, operation, what)}({', '.join(prefix + column_name(c) for c in given)})"


def _spelled(table: Table, of: Expression, spell: Callable[[str], str]) -> str:
    """An expression with other names for the columns; a generated one is computed from what it is generated from."""

    def inner(name: str) -> str:
        column = table.column(name)
        generated = column.generated if column else None
        return f"({one_line(generated.rewritten(spell))})" if generated else spell(name)

    return one_line(of.rewritten(inner))


def _number(columns: tuple[str, ...]) -> Callable[[str], str]:
    return lambda name: f"${columns.index(name) + 1}"


def _function(name: str, types: list[str], returns: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}({', '.join(types)}) RETURNS {returns}\n  LANGUAGE sql STABLE RETURN {body}"
    )


def _guarded(context: Context, name: str, types: list[str], returns: str, lines: list[str], caught: str) -> str:
    """A function that a value can't make fail: old code's writes would fail with it."""
    body = "\n".join([*lines, f"EXCEPTION WHEN {_CAUGHT} THEN", f"  RETURN {caught};", "END"])
    tag = dollar_tag(body, "convert")
    path = ", ".join(dict.fromkeys(["pg_catalog", quote(context.table.schema), "public", "pg_temp"]))
    return (
        f"CREATE OR REPLACE FUNCTION {name}({', '.join(types)}) RETURNS {returns}\n"
        f"  LANGUAGE plpgsql STABLE SET search_path = {path}{conforming(body)} AS {tag}\n{body}\n{tag}"
    )


def _into(context: Context, operation: RetypeColumn) -> str:
    table, type_ = context.table, operation.to.type
    source = _spelled(table, operation.source, _number(_inputs(table, operation)))
    name, types = _name(context, operation, "into"), _types(table, operation)
    if operation.plain:
        return _function(name, types, type_.sql, compared(source, type_))
    lines = ["DECLARE", f"  found {type_.sql};", "BEGIN", f"  found := {assigned(source, type_)};", "  RETURN found;"]
    return _guarded(context, name, types, type_.sql, lines, "NULL")


def _fails(context: Context, operation: RetypeColumn) -> str:
    """Whether a value can't be converted, which is not the same as becoming NULL."""
    table, type_ = context.table, operation.to.type
    source = _spelled(table, operation.source, _number(_inputs(table, operation)))
    lines = ["DECLARE", f"  found {type_.sql};", "BEGIN", f"  found := {assigned(source, type_)};", "  RETURN FALSE;"]
    return _guarded(context, _name(context, operation, "fails"), _types(table, operation), "boolean", lines, "TRUE")


def _back(context: Context, operation: RetypeColumn) -> str:
    table, old = context.table, operation.column.type
    name, types = _name(context, operation, "back"), _back_types(table, operation)
    if operation.back is None:
        return _function(name, types, old.sql, f"CAST(NULL AS {old.sql})")
    columns = _back_inputs(table, operation)
    found = _spelled(table, operation.back, _number(columns))
    if operation.plain and lossless(operation.to.type, old):
        return _function(name, types, old.sql, compared(found, old))
    if operation.plain and old.base in WHOLE and operation.to.type.base in WHOLE:
        return _function(name, types, old.sql, _within(found, old))
    own = operation.column.name
    again = ", ".join("found" if c == own else _number(columns)(c) for c in _inputs(table, operation))
    lines = [
        *("DECLARE", f"  found {old.sql};", "BEGIN", f"  found := {assigned(found, old)};"),
        f"  IF {_name(context, operation, 'into')}({again}) IS DISTINCT FROM $1 THEN",
        *("    RETURN NULL;", "  END IF;", "  RETURN found;"),
    ]
    return _guarded(context, name, types, old.sql, lines, "NULL")


def _within(value: str, type_: SqlType) -> str:
    most = _BOUNDS[type_.base]
    return f"CASE WHEN $1 BETWEEN {-most - 1} AND {most} THEN {value} END"


def _sides(context: Context, operation: RetypeColumn, old: str, new: str) -> list[str]:
    type_, row = operation.to.type, "($1)"
    was = into(context, operation, row, old)
    home = back(context, operation, row, new)
    before, now = f"{row}.{column_name(old)}", f"{row}.{column_name(new)}"
    as_text = not operation.column.type.comparable  # json has no equality
    strays = (
        f"CAST({before} AS text) IS DISTINCT FROM CAST({home} AS text)"
        if as_text
        else f"{before} IS DISTINCT FROM {home}"
    )
    made = [
        ("was", type_.sql, was),
        ("is", type_.sql, now),
        ("strays", "boolean", f"({strays})"),
        ("lost", "boolean", f"({now} IS NOT NULL AND {before} IS NULL AND {now} IS DISTINCT FROM {was})"),
    ]
    if not operation.plain:
        fails = _call(context, operation, "fails", row, old)
        empty = "" if operation.column.nullable else f" OR {was} IS NULL"
        made.append(("unfit", "boolean", f"({fails}{empty})"))
    return [_function(_name(context, operation, what), [context.sql], of, f"{body}") for what, of, body in made]


def proof(context: Context, operation: RetypeColumn, new: str) -> str:
    """Has PostgreSQL resolve every name and type of `from` and `back`, on no row: a function's body it doesn't look into."""
    table, column = context.table, operation.column.name
    found = [assigned(_spelled(table, operation.source, lambda c: f"t.{column_name(c)}"), operation.to.type)]
    if operation.back is not None:
        back_ = _spelled(table, operation.back, lambda c: f"t.{column_name(new if c == column else c)}")
        found.append(assigned(back_, operation.column.type))
    path = ", ".join(dict.fromkeys(["pg_catalog", quote(table.schema), "public", "pg_temp"]))
    body = f"""
DECLARE
  before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', {literal(path)}, true);
  PERFORM {", ".join(found)}
     FROM {context.sql} AS t WHERE FALSE;
  PERFORM set_config('search_path', before, true);
END"""
    tag = dollar_tag(body, "proof")
    return f"DO {tag}{body}\n{tag}"
