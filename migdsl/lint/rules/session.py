"""MIG416: an expression that gives another value in a session that is set up in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.session import dependence
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.semantics.model import (
    AddColumn,
    Change,
    CheckedModule,
    CreateTable,
    DropColumn,
    OptionalColumn,
    RequireColumn,
    Table,
)
from migdsl.source import Span

TypeOf = Callable[[str], SqlType | None]

_WAY_OUT = (
    "say which zone: (ts AT TIME ZONE 'UTC')::date, or how it is written: to_char(d, 'YYYY-MM-DD'), "
    "to_date(text, 'YYYY-MM-DD')"
)


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every `from` and `back`: clients compute them in the trigger, jobs in sessions of their own."""
    for change in module.changes:
        own: TypeOf = partial(_type_of, change)
        given = [(own, each) for each in _expressions(change)]
        for type_of, (what, expression, type_, span) in (*given, *_between(change)):
            why = dependence(expression.tree, type_of, type_)
            if why is not None:
                yield Diagnostic(
                    "MIG416",
                    Severity.ERROR,
                    f"{what} gives another value in another session",
                    Label(span, why),
                    body="Clients compute it in the trigger, the backfill and the reconciliation in sessions of their own: "
                    "where those are set up in another way, rows would differ.",
                    help=_WAY_OUT,
                )


def _expressions(change: Change) -> Iterator[tuple[str, Expression, SqlType, Span]]:
    for operation in change.operations:
        if isinstance(operation, AddColumn | RequireColumn) and operation.source is not None:
            yield f"`from` of `{operation.column.name}`", operation.source, operation.column.type, operation.span
        if isinstance(operation, AddColumn):
            for back in operation.backs:
                yield f"`back` of `{back.column}`", back.expression, change.table.type_of(back.column), back.span
        if isinstance(operation, DropColumn | OptionalColumn) and operation.back is not None:
            back = operation.back
            yield f"`back` of `{back.column}`", back.expression, operation.column.type, back.span


def _between(change: Change) -> Iterator[tuple[TypeOf, tuple[str, Expression, SqlType, Span]]]:
    """What one table gives another, in sessions of two databases perhaps."""
    for operation in (o for o in change.operations if isinstance(o, CreateTable)):
        for source in operation.sources:
            for column, expression in source.values:
                what = f"what `{source.table.entity}` gives `{column}`"
                yield partial(_of_table, source.table), (
                    what, expression, operation.table.type_of(column), source.place(column),
                )  # fmt: skip
        for back in operation.move.backs if operation.move is not None else ():
            theirs = operation.move.table if operation.move is not None else operation.table
            yield partial(_of_table, operation.table), (
                f"`back` of `{back.column}`", back.expression, theirs.type_of(back.column), back.span,
            )  # fmt: skip


def _of_table(table: Table, name: str) -> SqlType | None:
    column = table.column(name)
    return column.type if column is not None else None


def _type_of(change: Change, name: str) -> SqlType | None:
    added = next((o.column for o in change.operations if isinstance(o, AddColumn) and o.column.name == name), None)
    column = added or change.table.column(name)
    return column.type if column is not None else None
