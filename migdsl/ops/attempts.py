"""A `from` that may fail on a row becomes a function that gives NULL there: old code's write must not fail for it."""

from __future__ import annotations

from migdsl.dialect.names import conforming, dollar_tag, quote
from migdsl.ops import names
from migdsl.ops.pairs import Pair, Sibling, assigned, column_name, compared, inputs_of, one_line, over
from migdsl.semantics.model import Table

# What an expression may meet in a row: a value that isn't one of a type, or a domain's check. The block costs each row a
# subtransaction, so that only those have one of which it is known that they may fail.
_CAUGHT = "data_exception OR integrity_constraint_violation"


def functions(migration: str, table: Table, pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    """CREATE OR REPLACE of what computes each such `from`, and of what tells that it fails."""
    return tuple(
        sql
        for pair in pairs
        if pair.guarded
        for sql in (_value(migration, table, pair), _fails(migration, table, pair))
    )


def drops(migration: str, table: Table, pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    """Takes them away."""
    found = []
    for pair in pairs:
        if pair.guarded:
            types = ", ".join(_types(table, pair))
            made = names.attempt(migration, table, pair.column), names.failure(migration, table, pair.column)
            found += [f"DROP FUNCTION IF EXISTS {name}({types})" for name in made]
    return tuple(found)


def written(migration: str, table: Table, pair: Pair, row: str) -> str:
    """What `from` gives for a row, as what is written into the new column."""
    if pair.guarded:
        return _call(names.attempt(migration, table, pair.column), inputs(table, pair), row)
    return assigned(over(table, pair.source, row), pair.type)


def held(migration: str, table: Table, pair: Pair | Sibling, row: str) -> str:
    """What `from` gives for a row, as an operand, as the new column would hold it."""
    assert pair.source is not None
    if pair.guarded:
        return _call(names.attempt(migration, table, pair.column), inputs(table, pair), row)
    return compared(over(table, pair.source, row), pair.type)


def fails(migration: str, table: Table, pair: Pair, row: str) -> str:
    """Whether `from` has no answer for a row."""
    return _call(names.failure(migration, table, pair.column), inputs(table, pair), row)


def inputs(table: Table, pair: Pair | Sibling) -> tuple[str, ...]:
    """The stored columns that the functions take, in their order."""
    assert pair.source is not None
    return inputs_of(table, pair.source)


def _call(function: str, columns: tuple[str, ...], row: str) -> str:
    return f"{function}({', '.join(f'{row}.{column_name(c)}' for c in columns)})"


def _types(table: Table, pair: Pair) -> list[str]:
    return [table.type_of(c).sql for c in inputs(table, pair)]


def _value(migration: str, table: Table, pair: Pair) -> str:
    body = f"""
DECLARE
  found {pair.type.sql};  -- what doesn't fit into the column fails here, and not when it is written
BEGIN
  found := {_expression(table, pair)};
  RETURN found;
EXCEPTION WHEN {_CAUGHT} THEN
  RETURN NULL;
END"""
    return _function(names.attempt(migration, table, pair.column), table, pair, pair.type.sql, body)


def _fails(migration: str, table: Table, pair: Pair) -> str:
    body = f"""
DECLARE
  found {pair.type.sql};
BEGIN
  found := {_expression(table, pair)};
  RETURN FALSE;
EXCEPTION WHEN {_CAUGHT} THEN
  RETURN TRUE;
END"""
    return _function(names.failure(migration, table, pair.column), table, pair, "boolean", body)


def _expression(table: Table, pair: Pair) -> str:
    """`from` over the arguments: a generated column stands for what it is generated from."""
    numbers = {column: f"${number}" for number, column in enumerate(inputs(table, pair), 1)}

    def spell(name: str) -> str:
        column = table.column(name)
        if column and column.generated:
            return f"({one_line(column.generated.rewritten(lambda of: numbers[of]))})"
        return numbers[name]

    return assigned(one_line(pair.source.rewritten(spell)), pair.type)


def _function(name: str, table: Table, pair: Pair, returns: str, body: str) -> str:
    tag = dollar_tag(body, "from")
    path = ", ".join(dict.fromkeys(["pg_catalog", quote(table.schema), "public", "pg_temp"]))
    return (
        f"CREATE OR REPLACE FUNCTION {name}({', '.join(_types(table, pair))}) RETURNS {returns}\n"
        f"  LANGUAGE plpgsql STABLE SET search_path = {path}{conforming(body)} AS {tag}{body}\n{tag}"
    )
