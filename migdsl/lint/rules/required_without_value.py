"""MIG401: a required column without a value for the rows that are there."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.dialect.nulls import surely_null
from migdsl.semantics.model import AddColumn, Change, CheckedModule, Column, CreateTable, RequireColumn
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """An `add` of a NOT NULL column, or a `require`, that says nothing of existing rows, or gives some of them NULL.

    Likewise a column of a new table that is filled.
    """
    yield from _of_new_tables(module)
    for change in module.changes:
        for operation in change.operations:
            if not isinstance(operation, AddColumn | RequireColumn):
                continue
            name = f"{change.table.entity}.{operation.column.name}"
            if isinstance(operation, AddColumn) and _lacks_value(operation):
                yield Diagnostic(
                    "MIG401",
                    Severity.ERROR,
                    f"`{name}` is required, and existing rows have no value for it",
                    Label(operation.column.span, "NOT NULL, without `from` and without `default`"),
                    body="The rows that are there, and those that old code still inserts, would have nothing to put into it.",
                    help=f"say how it is computed: add {operation.column.name} … {{ from `…` }}; "
                    f"or make it nullable: {operation.column.type.sql}?",
                    fix=_nullable(operation.column),
                )
            null = _null_for(change, operation)
            if null is not None:
                yield _without_value_where(change, operation, null)
            if isinstance(operation, RequireColumn) and not operation.filled and operation.complies is None:
                yield Diagnostic(
                    "MIG401",
                    Severity.ERROR,
                    f"`{name}` is to be required, and nothing says what becomes of its NULLs",
                    Label(operation.span, "without `from`"),
                    help=f"require {operation.column.name} {{ from `…` }}; "
                    f"or, where no row has a NULL and no code writes one: require {operation.column.name} "
                    '{ complies because "…" }',
                )


def _null_for(change: Change, operation: AddColumn | RequireColumn) -> Column | None:
    """A column that may be NULL, and surely makes the value NULL where it is."""
    if operation.source is None or operation.complies is not None:
        return None
    if operation.column.nullable and isinstance(operation, AddColumn):
        return None
    tree = operation.source.tree
    # What another operation fills is there by then: the trigger computes the value from that.
    required = {o.column.name for o in change.operations if isinstance(o, RequireColumn) and o is not operation}
    read = (change.table.column(name) for name in sorted(operation.source.names() - required))
    return next((c for c in read if c and c.nullable and surely_null(tree, c.name.__eq__)), None)


def _without_value_where(change: Change, operation: AddColumn | RequireColumn, column: Column) -> Diagnostic:
    name, source = operation.column.name, operation.source
    assert source is not None
    added = isinstance(operation, AddColumn)
    keep = f"; or make it nullable: {operation.column.type.sql}?" if added else ""
    # Of a `split` or a `merge` nobody can say that.
    said = isinstance(operation, AddColumn) and operation.said is not None
    proven = "" if said else '; or, where no row has a NULL there and no code writes one: complies because "…"'
    return Diagnostic(
        "MIG401",
        Severity.ERROR,
        f"`{change.table.entity}.{name}` is required, and rows without `{column.name}` get no value for it",
        Label(operation.column.span if added else operation.span, f"`from` gives NULL where `{column.name}` is NULL"),
        (Label(column.span, "may be NULL"),),
        body="No batch could fill such a row, old code goes on writing them, and enforce would wait for ever.",
        help=f"say what such a row gets: from `coalesce({source.text.strip()}, …)`{keep}{proven}",
        fix=_nullable(operation.column) if added else None,
    )


def _of_new_tables(module: CheckedModule) -> Iterator[Diagnostic]:
    for operation in module.created:
        for source in operation.sources[:1]:
            given = dict(source.values)
            for column in operation.table.columns:
                own = column.nullable or column.default or column.identity or column.type.serial or column.generated
                # Of the key and the tenant more is asked.
                if (
                    column.name not in given
                    and not own
                    and not column.tenant
                    and column.name not in operation.table.key
                ):
                    yield Diagnostic(
                        "MIG401",
                        Severity.ERROR,
                        f"`{operation.table.entity}.{column.name}` is required, and the rows of `{source.table.entity}` give no "
                        "value for it",
                        Label(column.span, "NOT NULL, without a value in `from` and without `default`"),
                        (Label(source.span, "filled from here"),),
                        help=f"say how it is computed: {_given(operation, column)} = `…`; or make it nullable: "
                        f"{column.type.sql}?",
                        fix=_nullable(column),
                    )


def _given(operation: CreateTable, column: Column) -> str:
    """What stands before the `=`: in a move the column is declared there too."""
    return f"{column.name} {column.type.sql}" if operation.move is not None else column.name


def _nullable(column: Column) -> Fix | None:
    if column.type_span is None:
        return None
    end = Span(column.type_span.path, column.type_span.end, column.type_span.end)
    return fixes.inserting(end, "?", f"`{column.name}` may be NULL", safe=False)


def _lacks_value(operation: AddColumn) -> bool:
    return not operation.column.nullable and not operation.filled and operation.column.default is None
