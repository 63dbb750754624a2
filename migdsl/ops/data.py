"""What the data must become: fills for the backfill, comparisons and violations for the reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.ops import attempts, constraints, key, names, outside, retype
from migdsl.ops.both_ways import Ways
from migdsl.ops.carried import Carried
from migdsl.ops.context import Context
from migdsl.ops.model import Comparison, Fill, Violation
from migdsl.ops.pairs import Pair, assigned, compared, one_line, over
from migdsl.semantics.model import AddColumn, AddConstraint, Back, CreateTable, RequireColumn, Source, Table

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
        if isinstance(operation, AddColumn | RequireColumn) and operation.python is not None:
            python = operation.python
            said = f"{python.function}({', '.join(python.inputs)})"
            yield Fill(operation.column.name, said, outside.wanted(operation), python, operation.column.type)
        if isinstance(operation, CreateTable):
            yield from (fill for source in operation.sources for fill in _rows(context, source))
    yield from retype.fills(context)


def _rows(context: Context, source: Source) -> Iterator[Fill]:
    """Of a new table whole rows are filled."""
    of = Carried(context.migration, context.table, source)
    for column, theirs in of.key_pairs():
        yield Fill(column, f"t.{quote(theirs)}", "TRUE")
    yield from (Fill(column.name, of.written(column, sql, "t"), "TRUE") for column, sql in of.values())


def comparisons(context: Context) -> Iterator[Comparison]:
    """Each pair, held against its `from` and `back`."""
    yield from retype.comparisons(context)
    for operation in context.change.operations:
        pair = context.pair(operation.column.name) if isinstance(operation, AddColumn) else None
        if pair is not None and isinstance(operation, AddColumn):
            yield _comparison(context, pair, operation.column.pii or operation.column.phi)
        if isinstance(operation, CreateTable):
            yield from (found for source in operation.sources for found in _carried(context, operation, source))


def _carried(context: Context, operation: CreateTable, source: Source) -> Iterator[Comparison]:
    """Each column of a new table, held against what its row comes from; where there is none but the key, that."""
    of, given = Carried(context.migration, context.table, source), dict(source.values)
    keys = tuple((c, given[name]) for name in context.table.key if (c := context.table.column(name)))
    for column, expression in of.values() or keys:
        new, old = f"t.{quote(column.name)}", of.held(column, expression, "s")
        hashed = _hashable(old, column.type), _hashable(new, column.type)
        differs = f"{new} IS DISTINCT FROM {old}"
        restored = Ways(of, operation.move).restored(column, expression) if operation.move is not None else None
        # Where nothing leads back the new table is on its own once new code writes it.
        apart = f"{restored} IS DISTINCT FROM {old}" if restored is not None else "FALSE"
        text = _hashable(restored, column.type) if restored is not None else None
        yield Comparison(column.name, column.pii or column.phi, *hashed, differs, apart, None, restored=text)


def _comparison(context: Context, pair: Pair, pii: bool) -> Comparison:
    table, new = context.table, f"t.{quote(pair.column)}"
    source = attempts.held(context.migration, table, pair, "t")
    differs = f"{new} IS DISTINCT FROM {source}"
    hashed = _hashable(source, pair.type), _hashable(new, pair.type)
    mended = ((pair.column, attempts.written(context.migration, table, pair, "t")),)
    if not pair.way_back:
        # Nothing leads back, so once new code writes it the column is on its own.
        return Comparison(pair.column, pii, *hashed, differs, "FALSE", None, mended_old=mended)
    backs = {b.column: compared(over(table, b.expression, "t"), table.type_of(b.column)) for b in pair.way_back}
    apart = " OR ".join(f"t.{quote(c)} IS DISTINCT FROM {sql}" for c, sql in backs.items())
    return Comparison(
        pair.column,
        pii,
        *hashed,
        differs,
        f"({differs} AND ({apart}))",
        f"{_there_and_back(context, pair, backs)} IS DISTINCT FROM {new}",
        mended_old=mended,
        mended_new=tuple((b.column, _given_back(table, b)) for b in pair.way_back),
    )


def _given_back(table: Table, back: Back) -> str:
    return assigned(over(table, back.expression, "t"), table.type_of(back.column))


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
        if isinstance(operation, AddColumn | RequireColumn):
            yield from _of_a_column(context, operation)
        # What another database's table refuses never gets there.
        if isinstance(operation, CreateTable) and not (operation.move is not None and operation.move.across):
            yield from _of_new_rows(context, operation)
        # What the old one keeps, its twin over equal values keeps too.
        if isinstance(operation, AddConstraint) and operation.constraint.kind == "key":
            yield from key.violations(context, operation)
        elif isinstance(operation, AddConstraint) and operation.replaces is None:
            found = constraints.violation(context, operation.constraint)
            if found is not None:
                yield found


def _of_a_column(context: Context, operation: AddColumn | RequireColumn) -> Iterator[Violation]:
    name, added = operation.column.name, isinstance(operation, AddColumn)
    if not added or (operation.filled and not operation.column.nullable):
        yield Violation(f"{name} is NULL", f"t.{quote(name)} IS NULL", ())
    elif operation.python is not None:
        yield Violation(f"{name} is not computed yet", outside.wanted(operation), ())
    pair = context.pair(name) if added else None
    if pair is not None and pair.guarded:
        failing = attempts.fails(context.migration, context.table, pair, "t")
        yield Violation(f"{name} can't be computed", f"(t.{quote(name)} IS NULL AND {failing})", ())
    for unique in operation.uniques if isinstance(operation, AddColumn) else ():
        yield Violation(f"{', '.join(unique.columns)} twice", None, unique.columns)


def _of_new_rows(context: Context, operation: CreateTable) -> Iterator[Violation]:
    """What binds a new table's rows in enforce only, since old code's may break it."""
    for source in operation.sources:
        of = Carried(context.migration, context.table, source)
        yield from (Violation(f"{column} is NULL", f"t.{quote(column)} IS NULL", ()) for column in of.late())
        for column, failing in of.failing():
            yield Violation(f"{column} can't be computed", f"(t.{quote(column)} IS NULL AND {failing})", ())
        for constraint in context.table.constraints:
            if operation.move is not None and constraint in operation.move.kept:
                continue  # kept by the table that the rows come from
            found = constraints.violation(context, constraint)
            if found is not None:
                yield found
