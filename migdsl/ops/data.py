"""What the data must become: fills for the backfill, comparisons and violations for the reconciliation."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import quote
from migdsl.ops.context import Context
from migdsl.ops.model import Comparison, Fill, Violation
from migdsl.ops.triggers import Pair, over
from migdsl.semantics.model import AddColumn, RequireColumn, Table


def fills(context: Context) -> Iterator[Fill]:
    """The columns that rows from before still need. Only NULLs are filled: a written value is never overwritten."""
    for operation in context.change.operations:
        if isinstance(operation, AddColumn | RequireColumn) and operation.source is not None:
            column = f"t.{quote(operation.column.name)}"
            source = over(context.table, operation.source, "t")
            wanted = f"{column} IS NULL"
            if operation.column.nullable and isinstance(operation, AddColumn):
                wanted = f"({wanted} AND ({source}) IS NOT NULL)"
            yield Fill(operation.column.name, source, wanted)


def comparisons(context: Context) -> Iterator[Comparison]:
    """Each pair, held against its `from` and `back`."""
    for operation in context.change.operations:
        pair = context.pair(operation.column.name) if isinstance(operation, AddColumn) else None
        if pair is not None and isinstance(operation, AddColumn):
            yield _comparison(context.table, pair, operation.column.pii or operation.column.phi)


def _comparison(table: Table, pair: Pair, pii: bool) -> Comparison:
    new = f"t.{quote(pair.column)}"
    source = over(table, pair.source, "t")
    differs = f"{new} IS DISTINCT FROM ({source})"
    if not pair.backs:
        # Nothing leads back, so once new code writes it the column is on its own.
        return Comparison(pair.column, pii, source, new, differs, "FALSE", None)
    backs = {b.column: over(table, b.expression, "t") for b in pair.backs}
    apart = " OR ".join(f"t.{quote(c)} IS DISTINCT FROM ({sql})" for c, sql in backs.items())
    there_and_back = pair.source.rewritten(
        lambda name: f"({backs[name]})" if name in backs else over_column(table, name)
    )
    return Comparison(
        pair.column,
        pii,
        source,
        new,
        differs,
        f"({differs} AND ({apart}))",
        f"({there_and_back}) IS DISTINCT FROM {new}",
    )


def over_column(table: Table, name: str) -> str:
    """One column of the row `t`; the stored value, also of a generated one."""
    return f"t.{quote(name)}"


def violations(context: Context) -> Iterator[Violation]:
    """The constraints to come, as questions to the rows of today."""
    for operation in context.change.operations:
        if isinstance(operation, RequireColumn) or (isinstance(operation, AddColumn) and operation.source is not None):
            if isinstance(operation, RequireColumn) or not operation.column.nullable:
                name = operation.column.name
                yield Violation(f"{name} is NULL", f"t.{quote(name)} IS NULL", ())
        if isinstance(operation, AddColumn):
            for unique in operation.uniques:
                yield Violation(f"{', '.join(unique.columns)} twice", None, unique.columns)
