"""What the data must become: fills for the backfill, comparisons and violations for the reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.ops import attempts, constraints, names, retype
from migdsl.ops.context import Context
from migdsl.ops.model import Comparison, Fill, Violation
from migdsl.ops.pairs import Pair, assigned, compared, one_line, over
from migdsl.semantics.model import AddColumn, AddConstraint, RequireColumn, Table

# Types with equality and without a hash function.
_UNHASHED = frozenset(["money", "bit", "bit varying", "tsvector", "tsquery", "txid_snapshot", "pg_snapshot", "vector"])


def fills(context: Context) -> Iterator[Fill]:
    """The columns that rows from before still need. Only NULLs are filled: a written value is never overwritten."""
    for operation in context.change.operations:
        if isinstance(operation, AddColumn | RequireColumn) and operation.source is not None:
            column = f"t.{quote(operation.column.name)}"
            source = assigned(over(context.table, operation.source, "t"), operation.column.type)
            wanted = f"{column} IS NULL"
            pair = context.pair(operation.column.name)
            guarded = pair is not None and pair.guarded
            if pair is not None and guarded:
                source = attempts.written(context.migration, context.table, pair, "t")
            # Rows that can't be filled are the reconciliation's to tell: the batches go on.
            if guarded or (operation.column.nullable and isinstance(operation, AddColumn)):
                wanted = f"({wanted} AND ({source}) IS NOT NULL)"
            yield Fill(operation.column.name, source, wanted)
    yield from retype.fills(context)


def comparisons(context: Context) -> Iterator[Comparison]:
    """Each pair, held against its `from` and `back`."""
    yield from retype.comparisons(context)
    for operation in context.change.operations:
        pair = context.pair(operation.column.name) if isinstance(operation, AddColumn) else None
        if pair is not None and isinstance(operation, AddColumn):
            yield _comparison(context, pair, operation.column.pii or operation.column.phi)


def _comparison(context: Context, pair: Pair, pii: bool) -> Comparison:
    table, new = context.table, f"t.{quote(pair.column)}"
    source = attempts.held(context.migration, table, pair, "t")
    differs = f"{new} IS DISTINCT FROM {source}"
    hashed = _hashable(source, pair.type), _hashable(new, pair.type)
    if not pair.way_back:
        # Nothing leads back, so once new code writes it the column is on its own.
        return Comparison(pair.column, pii, *hashed, differs, "FALSE", None)
    backs = {b.column: compared(over(table, b.expression, "t"), table.type_of(b.column)) for b in pair.way_back}
    apart = " OR ".join(f"t.{quote(c)} IS DISTINCT FROM {sql}" for c, sql in backs.items())
    return Comparison(
        pair.column,
        pii,
        *hashed,
        differs,
        f"({differs} AND ({apart}))",
        f"{_there_and_back(context, pair, backs)} IS DISTINCT FROM {new}",
    )


def _there_and_back(context: Context, pair: Pair, backs: Mapping[str, str]) -> str:
    if not pair.guarded:
        return compared(there_and_back(context.table, pair.source, backs), pair.type)
    given = (backs.get(c, f"t.{quote(c)}") for c in attempts.inputs(context.table, pair))
    return f"{names.attempt(context.migration, context.table, pair.column)}({', '.join(given)})"


def _hashable(sql: str, type_: SqlType) -> str:
    return f"CAST({sql} AS text)" if type_.base in _UNHASHED else sql


def there_and_back(table: Table, source: Expression, backs: Mapping[str, str]) -> str:
    """`from` over what `back` gives: stored columns of the row `t` elsewhere, a generated one computed anew."""

    def stored(name: str) -> str:
        return backs.get(name, f"t.{quote(name)}")

    def spell(name: str) -> str:
        column = table.column(name)
        return f"({one_line(column.generated.rewritten(stored))})" if column and column.generated else stored(name)

    return one_line(source.rewritten(spell))


def violations(context: Context) -> Iterator[Violation]:
    """The constraints to come, as questions to the rows of today."""
    yield from retype.violations(context)
    for operation in context.change.operations:
        filled = isinstance(operation, AddColumn) and operation.source is not None and not operation.column.nullable
        if isinstance(operation, AddColumn | RequireColumn) and (filled or isinstance(operation, RequireColumn)):
            name = operation.column.name
            yield Violation(f"{name} is NULL", f"t.{quote(name)} IS NULL", ())
        pair = context.pair(operation.column.name) if isinstance(operation, AddColumn) else None
        if pair is not None and pair.guarded:
            unfilled = f"t.{quote(pair.column)} IS NULL"
            failing = attempts.fails(context.migration, context.table, pair, "t")
            yield Violation(f"{pair.column} can't be computed", f"({unfilled} AND {failing})", ())
        if isinstance(operation, AddColumn):
            for unique in operation.uniques:
                yield Violation(f"{', '.join(unique.columns)} twice", None, unique.columns)
        # What the old one keeps, its twin over equal values keeps too.
        if isinstance(operation, AddConstraint) and operation.replaces is None:
            found = constraints.violation(context, operation.constraint)
            if found is not None:
                yield found
