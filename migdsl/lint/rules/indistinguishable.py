"""MIG405: a nullable pair in which an explicit NULL can't be told from silence."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.dialect.names import quote
from migdsl.dialect.nulls import surely_null
from migdsl.dialect.sql import Expression
from migdsl.semantics.model import AddColumn, Change, CheckedModule, SetDefault
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A nullable new column with a `back` whose old column has a default, or whose from(back(NULL)) may be something."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.column.nullable and operation.source and operation.backs:
                yield from _pair(change, operation)


def _pair(change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    assert operation.source is not None
    new = operation.column.name
    for back in operation.backs:
        default = _default(change, back.column)
        if default is not None:
            yield _defaulted(change, operation, back.column, default)
            return
    nulls = {b.column for b in operation.backs if _null(change, b.expression, {new})}
    if not _null(change, operation.source, nulls):
        yield Diagnostic(
            "MIG405",
            Severity.ERROR,
            f"a NULL that new code writes into `{new}` would come back as something else",
            Label(operation.column.span, "may be NULL"),
            tuple(Label(b.span, "takes the NULL back") for b in operation.backs),
            body="from(back(NULL)) is not surely NULL: an explicit NULL looks like a row that was never filled, and gets filled.",
            help=f"make `{new}` NOT NULL, or write `from` so that NULL gives NULL",
            fix=_required(operation),
        )


def _defaulted(change: Change, operation: AddColumn, old: str, default: Span) -> Diagnostic:
    new = operation.column.name
    way = f"say `drop default {quote(old)}` {'in an earlier migration' if operation.like else 'here too'}"
    if any(o.span == default for o in change.operations):
        way = "leave the default to a later migration"
    return Diagnostic(
        "MIG405",
        Severity.ERROR,
        f"an explicit NULL in `{new}` can't be told from silence",
        Label(operation.column.span, "may be NULL"),
        (Label(default, f"has a default, so an INSERT that leaves `{old}` out is not NULL"),),
        body="The trigger would take the old column's default for old code's value, and write it over the NULL "
        "that new code meant.",
        help=f"make `{new}` NOT NULL, or {way}",
        fix=_required(operation),
    )


def _default(change: Change, name: str) -> Span | None:
    """Where an old column has its default from, while the migration is on its way."""
    for operation in change.operations:
        if isinstance(operation, SetDefault) and operation.column.name == name:
            return operation.span if operation.default is not None else None
    column = change.table.column(name)
    return column.span if column is not None and column.default is not None else None


def _required(operation: AddColumn) -> Fix | None:
    null = operation.column.null_span
    return fixes.replacing(null, "", f"`{operation.column.name}` is NOT NULL", safe=False) if null else None


def _null(change: Change, expression: Expression, nulls: set[str]) -> bool:
    """Whether an expression is surely NULL where these columns are. `NULL || array` is the array."""
    # A way back may read other new columns too.
    added = {o.column.name: o.column for o in change.operations if isinstance(o, AddColumn)}
    columns = [added.get(name) or change.table.column(name) for name in expression.names()]
    if any(c is None or c.type.array for c in columns):
        return False
    return surely_null(expression.tree, lambda name: name in nulls)
