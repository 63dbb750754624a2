"""MIG409: columns that can't be made unique, or not by this operation."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, Change, CheckedModule, UniqueSet


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A unique set with a type without an order, with a column twice, or without the column that it is said of."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn):
                for unique in operation.uniques:
                    reason = _reason(change, operation, unique)
                    if reason:
                        yield Diagnostic(
                            "MIG409",
                            Severity.ERROR,
                            f"`{', '.join(unique.columns)}` can't be made unique here",
                            Label(unique.span, reason),
                            help=f"unique ({operation.column.name}), over columns of types that have an order",
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
    return ""
