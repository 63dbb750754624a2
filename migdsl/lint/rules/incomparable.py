"""MIG109: a column is filled or computed back whose type has no equality."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.dialect.names import quote
from migdsl.semantics.model import AddColumn, Change, CheckedModule, Column, CreateTable, RetypeColumn
from migdsl.semantics.move_model import Move
from migdsl.source import Span

_BETTER = {"json": "jsonb", "xml": "text"}
_EQUAL = "use a type with equality: jsonb for json, text for xml, two numbers for a point"


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A new column with a `from`, one of its inputs, or a target of its `back`, of a type like json or xml."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.filled:
                yield from _columns(change, operation)
            elif isinstance(operation, CreateTable):
                yield from _made(operation)
            elif isinstance(operation, RetypeColumn) and not operation.in_place and not operation.to.type.comparable:
                yield _retyped(operation)


def _made(operation: CreateTable) -> Iterator[Diagnostic]:
    """What another table gives, and, where rows move, what goes back: the source's row as a whole needn't be comparable."""
    move, told = operation.move, set[str]()
    for source in operation.sources:
        for column in (c for name, _ in source.values if (c := operation.table.column(name)) and not c.type.comparable):
            theirs = dict(move.copied).get(column.name) if move is not None else None
            if move is None or theirs is None:
                yield _incomparable(column, source.place(column.name), column)
            else:
                told.add(theirs)
                yield _moving(move, theirs, source.place(column.name))
    if move is None or move.across:
        return  # between databases what goes back is compared as text
    for back in move.backs:
        if not move.table.type_of(back.column).comparable and back.column not in told:
            yield _moving(move, back.column, back.span)


def _moving(move: Move, name: str, span: Span) -> Diagnostic:
    """A column that is there already, and moves: nothing but another type before helps."""
    entity, type_ = move.table.entity, move.table.type_of(name)
    better = _BETTER.get(type_.sql)
    help_ = (
        f'leave it behind: omit {name} because "…"; or keep it as what has equality, such as numbers or a text, before'
    )
    if better is not None:
        said = f"change {entity} {{ retype {name} {better} {{ from `{quote(name)}::{better}` }} }}"
        help_ = f"give it another type first, in a migration of its own: {said}"
    return Diagnostic(
        "MIG109",
        Severity.ERROR,
        f"values of `{entity}.{name}` can't be compared: PostgreSQL has no equality for {type_.sql}",
        Label(span, f"of type {type_.sql}"),
        body="While both tables live, each write is compared with what the other side has.",
        help=help_,
    )


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
        help=_EQUAL,
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
        help=_EQUAL,
        fix=fixes.replacing(to.span, better, f"`{to.name}` is {better}", safe=False) if better else None,
    )


def _of_a_new_column(new: Column, column: Column) -> Fix | None:
    """A type with equality, where the column is still to be made."""
    better = _BETTER.get(column.type.sql)
    if column is not new or better is None or column.type_span is None:
        return None
    return fixes.replacing(column.type_span, better, f"`{column.name}` is {better}", safe=False)
