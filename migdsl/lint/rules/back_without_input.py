"""MIG412: a `back` that no `from` could see, or that the old column could not take."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.nulls import surely_null
from migdsl.ops.pairs import inputs_of
from migdsl.semantics.model import AddColumn, Back, Change, CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A `back` without a `from`, into a column that `from` doesn't read, or of NULLs into a column that is NOT NULL."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn) and operation.python is None:
                yield from _unseen(change, operation)
                yield from _null_into_required(change, operation)


def _unseen(change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    # A generated column can't be written: `back` goes into what it is generated from.
    inputs = inputs_of(change.table, operation.source) if operation.source else ()
    for back in operation.backs:
        if back.column not in inputs:
            why = f"`from` doesn't read `{back.column}`" if operation.source else "there is no `from`"
            yield Diagnostic(
                "MIG412",
                Severity.ERROR,
                f"`back` writes `{back.column}`, and {why}",
                Label(back.span, "nobody would see this value again"),
                body="from(back(x)) = x must hold: what goes back must be what `from` starts from.",
                help=f"let `from` read `{back.column}`, or leave this `back` out",
            )


def _null_into_required(change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    new = operation.column
    for back in operation.backs if new.nullable else ():
        old = change.table.column(back.column)
        if old is not None and not old.nullable and _gives_null(back, new.name):
            yield Diagnostic(
                "MIG412",
                Severity.ERROR,
                f"a NULL in `{new.name}` can't go back: `{old.name}` is NOT NULL",
                Label(back.span, "gives NULL for NULL"),
                ((Label(new.span, "may be NULL")), Label(old.span, "is required")),
                body="Every write of a NULL by new code would fail, until the old column is gone.",
                help=f"make `{new.name}` required (no `?`), or let `{old.name}` be NULL in an earlier migration: "
                f"optional {old.name}",
            )


def _gives_null(back: Back, new: str) -> bool:
    return surely_null(back.expression.tree, lambda name: name == new)
