"""MIG416: an expression that gives another value in a session that is set up in another way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.session import dependence
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.semantics.model import AddColumn, Change, CheckedModule, DropColumn, OptionalColumn, RequireColumn
from migdsl.source import Span

_WAY_OUT = (
    "say which zone: (ts AT TIME ZONE 'UTC')::date, or how it is written: to_char(d, 'YYYY-MM-DD'), "
    "to_date(text, 'YYYY-MM-DD')"
)


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every `from` and `back`: clients compute them in the trigger, jobs in sessions of their own."""
    for change in module.changes:
        for what, expression, type_, span in _expressions(change):
            why = dependence(expression.tree, partial(_type_of, change), type_)
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


def _type_of(change: Change, name: str) -> SqlType | None:
    added = next((o.column for o in change.operations if isinstance(o, AddColumn) and o.column.name == name), None)
    column = added or change.table.column(name)
    return column.type if column is not None else None
