"""MIG413: a `from` that has no answer for some values leaves the new column empty there."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.failures import danger
from migdsl.dialect.sql import Expression
from migdsl.semantics.model import AddColumn, CheckedModule, Column, CreateTable, Table
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """An `add` or a `create` whose `from` casts a value, divides, or goes into a column of limited length."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.source is not None:
                yield from _value(change.table, change.table, operation.column, operation.source, operation.span)
            elif isinstance(operation, CreateTable):
                for source in operation.sources[:1]:
                    for name, expression in source.values:
                        column = change.table.column(name)
                        if column is not None and name not in change.table.key:
                            across = operation.move is not None and operation.move.across
                            body = _SET_ASIDE if across else _LEFT_OUT
                            yield from _value(change.table, source.table, column, expression, source.place(name), body)


_LEFT_OUT = (
    "Old code's writes go on: where it fails the new column stays NULL, each write costs a little more, and "
    "reconciliation counts "
    "such rows, which stop enforce until they are mended."
)
_SET_ASIDE = (
    "Old code's writes go on: where it fails the row is not carried over and waits as a dead letter, by its key; its "
    "tenant can't be "
    "switched until it is mended."
)


def _value(
    table: Table, over: Table, column: Column, source: Expression, span: Span, body: str = _LEFT_OUT
) -> Iterator[Diagnostic]:
    why = danger(source.tree, over.type_if_known, column.type)
    if why is not None:
        yield Diagnostic(
            "MIG413",
            Severity.WARNING,
            f"`from` of `{table.entity}.{column.name}` may fail on a row",
            Label(span, why),
            body=body,
            help="write it so that it can't fail: CASE WHEN … THEN … END, nullif(x, 0), left(x, 200); or, when no value "
            'can: allow MIG413 because "…"',
        )
