"""MIG409: columns that can't be made unique, or not by this operation."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Constraint,
    DropConstraint,
    RequireColumn,
    UniqueSet,
)

_SAME = "every row that is there would have the same value"
_WAY_OUT = "fill the new column by `from`, with something that tells the rows apart"


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A unique set with a type without an order, with a column twice, without the column that it is said of, or of which
    every row would have the same."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, RequireColumn):
                yield from _filled_alike(change, operation)
            if isinstance(operation, AddConstraint) and _apart(operation.constraint):
                yield from _added_alike(change, operation)
            if isinstance(operation, AddColumn):
                for unique in operation.uniques:
                    reason = _reason(change, operation, unique)
                    if reason:
                        yield Diagnostic(
                            "MIG409",
                            Severity.ERROR,
                            f"`{', '.join(unique.columns)}` can't be made unique here",
                            Label(unique.span, reason),
                            help=(
                                _WAY_OUT
                                if reason == _SAME
                                else f"unique ({operation.column.name}), over columns of types that have an order"
                            ),
                        )


def _reason(change: Change, operation: AddColumn, unique: UniqueSet) -> str:
    added = {o.column.name: o.column for o in change.operations if isinstance(o, AddColumn)}
    for name in unique.columns:
        column = added.get(name) or change.table.column(name)
        if column is not None and not column.type.comparable:
            return f"PostgreSQL has no order for {column.type.sql}, the type of `{name}`"
    if len(set(unique.columns)) < len(unique.columns):
        return "names a column twice"
    if operation.column.name not in unique.columns:
        return f"leaves out `{operation.column.name}`, which it is said of"
    if _same_in_all(change, unique.columns, _alike(change)):
        return _SAME
    return ""


def _added_alike(change: Change, operation: AddConstraint) -> Iterator[Diagnostic]:
    columns = _apart(operation.constraint)
    if _same_in_all(change, columns, _alike(change)):
        title = f"`{', '.join(columns)}` can't be made unique here"
        yield Diagnostic("MIG409", Severity.ERROR, title, Label(operation.span, _SAME), help=_WAY_OUT)


def _same_in_all(change: Change, columns: tuple[str, ...], alike: set[str]) -> bool:
    """Whether the rows of a tenant, if there are several, all have the same in these columns."""
    tenant = change.table.tenant
    one_each = tenant in columns and set(change.table.key) == {tenant}
    return not one_each and set(columns) & alike != set() and set(columns) <= {*alike, tenant}


def _alike(change: Change) -> set[str]:
    """New columns that are given the same value in every row that is there."""
    found: set[str] = set()
    for operation in change.operations:
        if isinstance(operation, AddColumn):
            source = operation.source
            # With a `from` the default comes only when rows have their values.
            if operation.column.default is not None if source is None else not source.names():
                found.add(operation.column.name)
    return found


def _filled_alike(change: Change, operation: RequireColumn) -> Iterator[Diagnostic]:
    """Where the NULLs of several rows become one value, a unique that didn't mind the NULLs does."""
    if operation.source is None or operation.source.names():
        return
    for unique in _uniques(change):
        if _same_in_all(change, _apart(unique), {operation.column.name}):
            yield Diagnostic(
                "MIG409",
                Severity.ERROR,
                f"`{operation.column.name}` is unique, and all its NULLs would become the same value",
                Label(operation.span, "fills every NULL with a constant"),
                (Label(unique.span, "must be unique"),),
                help=f"from `…`, over columns that tell the rows apart: `'none-' || {change.table.key[0]}`",
            )


def _uniques(change: Change) -> Iterator[Constraint]:
    gone = {id(o.constraint) for o in change.operations if isinstance(o, DropConstraint)}
    yield from (c for c in change.table.constraints if _apart(c) and id(c) not in gone)
    yield from (o.constraint for o in change.operations if isinstance(o, AddConstraint) and _apart(o.constraint))


def _apart(constraint: Constraint) -> tuple[str, ...]:
    """The columns that keep rows apart, where nothing but columns does."""
    if constraint.index is not None:
        columns = tuple(p.column for p in constraint.index.parts if p.column)
        return columns if constraint.index.unique and len(columns) == len(constraint.index.parts) else ()
    return constraint.columns if constraint.kind == "unique" else ()
