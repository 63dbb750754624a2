"""MIG407: a column or a table is dropped sooner than trouble shows."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.semantics.model import CheckedModule, DropColumn, DropTable, Table
from migdsl.source import Span

SHORTEST = 7 * 86_400


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A soak of less than a week."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, DropColumn) and operation.soak_seconds < SHORTEST:
                after = operation.after_span
                yield Diagnostic(
                    "MIG407",
                    Severity.WARNING,
                    f"`{operation.column.name}` is dropped after less than a week",
                    Label(operation.span, "a weekly job would not have run once"),
                    help=f'drop {operation.column.name} after 14d; or, in `change`: allow MIG407 because "…"',
                    fix=fixes.replacing(after, "14d", "the default, 14d", safe=False) if after else None,
                )
            elif isinstance(operation, DropTable) and operation.soak_seconds < SHORTEST:
                yield _table(operation.table, operation.span, f"drop entity {operation.table.entity} after 14d")
    for move in module.moves:
        if move.soak_seconds < SHORTEST:
            yield _table(move.table, move.span, "after 14d")


def _table(table: Table, span: Span, instead: str) -> Diagnostic:
    title = f"the table {table.name} is dropped after less than a week"
    help_ = f'{instead}; or: allow MIG407 because "…"'
    return Diagnostic(
        "MIG407", Severity.WARNING, title, Label(span, "a weekly job would not have run once"), help=help_
    )
