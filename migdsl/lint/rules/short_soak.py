"""MIG407: a column is dropped sooner than trouble shows."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.semantics.model import CheckedModule, DropColumn

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
