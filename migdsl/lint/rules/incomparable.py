"""MIG109: a column is filled or computed back whose type has no equality."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.semantics.model import AddColumn, Change, CheckedModule, Column, CreateTable, RetypeColumn, Source, Table
from migdsl.source import Span

_BETTER = {"json": "jsonb", "xml": "text"}


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A new column with a `from`, one of its inputs, or a target of its `back`, of a type like json or xml."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.filled:
                yield from _columns(change, operation)
            elif isinstance(operation, CreateTable):
                yield from (found for source in operation.sources for found in _carried(operation.table, source))
            elif isinstance(operation, RetypeColumn) and not operation.in_place and not operation.to.type.comparable:
                yield _retyped(operation)


def _carried(table: Table, source: Source) -> Iterator[Diagnostic]:
    """The source's row as a whole needn't be: only what it gives is compared."""
    for column in (c for name, _ in source.values if (c := table.column(name)) and not c.type.comparable):
        yield _incomparable(column, source.place(column.name), column)


def _columns(change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    read = operation.source.names() if operation.source else frozenset()
    names = sorted(read | {b.column for b in operation.backs})
    columns: list[Column] = [operation.column, *(c for n in names if (c := change.table.column(n)))]
    for column in columns:
        if not column.type.comparable:
            yield _incomparable(column, operation.span, operation.column)


def _incomparable(column: Column, span: Span, new: Column) -> Diagnostic:
    return Diagnostic(
        "MIG109",
        Severity.ERROR,
        f"values of `{column.name}` can't be compared: PostgreSQL has no equality for {column.type.sql}",
        Label(column.span, f"of type {column.type.sql}"),
        (Label(span, "takes part in this operation"),),
        body="Trigger and reconciliation must tell whether two values differ.",
        help="use a type with equality: jsonb for json, text for xml",
        fix=_of_a_new_column(new, column),
    )


def _retyped(operation: RetypeColumn) -> Diagnostic:
    to = operation.to
    better = _BETTER.get(to.type.sql)
    return Diagnostic(
        "MIG109",
        Severity.ERROR,
        f"values of `{to.name}` could not be compared: PostgreSQL has no equality for {to.type.sql}",
        Label(to.span, f"of type {to.type.sql}"),
        body="Trigger and reconciliation must tell whether two values differ.",
        help="use a type with equality: jsonb for json, text for xml",
        fix=fixes.replacing(to.span, better, f"`{to.name}` is {better}", safe=False) if better else None,
    )


def _of_a_new_column(new: Column, column: Column) -> Fix | None:
    """A type with equality, where the column is still to be made."""
    better = _BETTER.get(column.type.sql)
    if column is not new or better is None or column.type_span is None:
        return None
    return fixes.replacing(column.type_span, better, f"`{column.name}` is {better}", safe=False)
