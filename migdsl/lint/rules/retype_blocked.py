"""MIG423: a `retype` of a column that can't have a shadow, or beside what can't live with one."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.types import WHOLE
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Constraint,
    DropColumn,
    DropConstraint,
    Operation,
    RequireColumn,
    RetypeColumn,
)
from migdsl.source import Span

Reason = tuple[str, Span | None, str, str]


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """What stands in the way of every `retype`, one reason each."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, RetypeColumn):
                reason = next((r for r in _reasons(change, operation)), None)
                if reason is not None:
                    yield _diagnostic(change, operation, reason)


def _diagnostic(change: Change, operation: RetypeColumn, reason: Reason) -> Diagnostic:
    title, place, label, help_ = reason
    follows = f", which follows `{operation.follows}`" if operation.follows else ""
    return Diagnostic(
        "MIG423",
        Severity.ERROR,
        f"`{change.table.entity}.{operation.column.name}`{follows} can't get another type: {title}",
        Label(operation.span, "retyped here"),
        (Label(place, label),) if place is not None else (),
        help=help_,
    )


def _reasons(change: Change, operation: RetypeColumn) -> Iterator[Reason]:
    yield from _of_column(operation)
    yield from _of_table(change, operation)
    if not operation.in_place:
        yield from _of_neighbours(change, operation)


def _of_column(operation: RetypeColumn) -> Iterator[Reason]:
    column = operation.column
    if operation.plain and column.type.sql == operation.to.type.sql:
        yield "it is of that type", column.span, f"{column.type.sql} already", "take the line out"
    if column.tenant:
        yield "it tells the tenants apart", column.span, "the tenant column", "every statement is confined by it: it stays"
    if column.generated is not None:
        help_ = "drop it in one migration, and add it anew in the next"
        yield "it is generated", column.span, "computed by the database", help_
    if column.identity is not None and operation.to.type.base not in WHOLE:
        yield "it is an identity", column.span, "numbers the rows", f"such a column is one of {', '.join(WHOLE)}"


def _of_table(change: Change, operation: RetypeColumn) -> Iterator[Reason]:
    for found in change.table.constraints:
        if operation.column.name not in found.uses:
            continue
        if found.kind == "generated":
            help_ = "drop the generated column first, and add it anew afterwards"
            yield f"the generated column `{found.name}` is computed from it", found.span, "reads it", help_
        if found.kind == "exclude":
            help_ = "drop the exclusion first, and make it again afterwards, in a new table"
            yield "an exclusion can't be built beside another", found.span, "stands on it", help_
        if found.index is not None and not operation.in_place and any(p.operators for p in found.index.parts):
            help_ = "drop the index in a migration of its own, and make it again afterwards"
            yield "an index on it has an operator class, which belongs to a type", found.span, "has one", help_


def _of_neighbours(change: Change, operation: RetypeColumn) -> Iterator[Reason]:
    """In one table the shadow's names change in the middle, which other jobs and triggers can't follow."""
    apart = "do it in a migration of its own, before this one or after it"
    for other in change.operations:
        if other is operation:
            continue
        if _fills(other):
            yield "rows of its table are filled for something else in the same migration", other.span, "filled here", apart
        found = _constraint(other)
        used = {*(found.uses if found else ()), *(change.table.key if found and found.kind == "key" else ())}
        if operation.column.name in used:
            yield "what stands on it changes in the same migration", other.span, "this", apart
        if isinstance(other, RetypeColumn) and _reads(operation) & {other.column.name}:
            yield f"its `from` or `back` reads `{other.column.name}`, which is retyped too", other.span, "retyped", apart


def _fills(other: Operation) -> bool:
    filled = isinstance(other, AddColumn | RequireColumn) and other.filled
    return filled or (isinstance(other, DropColumn) and other.back is not None)


def _constraint(other: Operation) -> Constraint | None:
    return other.constraint if isinstance(other, AddConstraint | DropConstraint) else None


def _reads(operation: RetypeColumn) -> frozenset[str]:
    return operation.source.names() | (operation.back.names() if operation.back else frozenset())
