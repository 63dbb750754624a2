"""MIG424: a key, or a column that others point at, gets a type that is not wider than its own; or the key becomes itself."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.types import lossless
from migdsl.semantics.model import AddConstraint, Change, CheckedModule, RetypeColumn
from migdsl.semantics.retypes import Reference, references
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every `retype` of what rows are known by, but for one that a cast surely widens, and every `key` that can't be."""
    yield from _keys(module)
    found = [
        (change, operation)
        for change in module.changes
        for operation in change.operations
        if isinstance(operation, RetypeColumn) and (not operation.plain or risky(operation))
    ]
    declared = tuple(references(module.tables)) if found else ()
    for change, operation in found:
        place = known_by(change, operation, declared)
        if place is not None:
            yield _diagnostic(change, operation, place)


def risky(operation: RetypeColumn) -> bool:
    """Whether a cast alone doesn't say what becomes of every value."""
    return not lossless(operation.column.type, operation.to.type)


def _diagnostic(change: Change, operation: RetypeColumn, place: tuple[Span, str]) -> Diagnostic:
    label = f"not every {operation.column.type.sql} is sure to be a {operation.to.type.sql} of its own"
    if operation.follows:
        label += f"; it follows `{operation.follows}`, which it references"
    help_ = "add a new column of that type beside it, and make it the key later"
    if not operation.plain:
        label = "computed from the old value"
        help_ = help_ if risky(operation) else f"leave `from` out, since a cast keeps every value; or {help_}"
    return Diagnostic(
        "MIG424",
        Severity.ERROR,
        f"`{change.table.entity}.{operation.column.name}` is what rows are known by, and can only get a wider type",
        Label(operation.span, label),
        (Label(*place),),
        body="Batches, the ledger and other tables know rows by it. Computed values could meet, or be other rows'.",
        help=help_,
    )


def _keys(module: CheckedModule) -> Iterator[Diagnostic]:
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.constraint.kind == "key":
                found = operation.constraint.columns
                if found == change.table.key:
                    title = f"({', '.join(found)}) is the key of `{change.table.entity}` already"
                    label = Label(operation.span, "nothing would change")
                    yield Diagnostic(
                        "MIG424", Severity.ERROR, title, label, help="take the line out, or name other columns"
                    )


def known_by(change: Change, operation: RetypeColumn, declared: tuple[Reference, ...]) -> tuple[Span, str] | None:
    """Where it is said that rows are known by the column, and how; None where they aren't."""
    name, table = operation.column.name, change.table
    if name in table.key:
        return operation.column.span, "part of the key"
    for found in declared:
        if found.parent is table and name in found.theirs:
            return found.constraint.span, f"`{found.table.entity}` points at it"
        if found.table is table and name in found.constraint.columns:
            return found.constraint.span, f"points at `{found.parent.entity}`"
    return None
