"""MIG413: a `from` that has no answer for some values leaves the new column empty there; a `back` of a move stops the row."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.failures import danger
from migdsl.dialect.sql import Expression
from migdsl.semantics.model import AddColumn, CheckedModule, Column, CreateTable, Table
from migdsl.semantics.move_model import Move
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """An `add`, a `create` or a `move` with a value that is cast, divided, or put into a column of limited length."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.source is not None:
                yield from _value(change.table, change.table, operation.column, operation.source, operation.span)
            elif isinstance(operation, CreateTable):
                yield from _filled(operation)
                if operation.move is not None:
                    yield from _homes(operation.move)


def _filled(operation: CreateTable) -> Iterator[Diagnostic]:
    """The values of a new table's rows."""
    table = operation.table
    body = _SET_ASIDE if operation.move is not None and operation.move.across else _LEFT_OUT
    for source in operation.sources[:1]:
        for name, expression in source.values:
            column = table.column(name)
            if column is not None and name not in table.key:
                yield from _value(table, source.table, column, expression, source.place(name), body)


def _homes(move: Move) -> Iterator[Diagnostic]:
    """The ways home of columns that are computed. What came from there fits there: only other values are a danger."""
    for back in move.backs:
        column = move.table.column(back.column)
        if column is None or move.copy_of(back.column) is not None:
            continue
        why = danger(back.expression.tree, move.target.type_if_known, column.type, overflow=False)
        if why is not None:
            title = f"`back` of `{move.table.entity}.{back.column}` may fail on a row"
            body = _SET_ASIDE_AT_HOME if move.across else _REFUSED
            yield Diagnostic("MIG413", Severity.WARNING, title, Label(back.span, why), body=body, help=_HELP)


_HELP = (
    "write it so that it can't fail: CASE WHEN … THEN … END, nullif(x, 0), left(x, 200); or, when no value "
    'can: allow MIG413 because "…"'
)
_REFUSED = (
    "Each row that new code writes goes back to the old table in the same transaction, until contract: where it fails, new "
    "code's write fails with it."
)
_SET_ASIDE_AT_HOME = (
    "Each row that new code writes goes back to the old table, until contract: where it fails the row waits as a dead letter, "
    "and its tenant can't be switched back until it is mended."
)
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
            help=_HELP,
        )
