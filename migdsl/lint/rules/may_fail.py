"""MIG413: a `from` that has no answer for some values leaves the new column empty there."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.failures import danger
from migdsl.semantics.model import AddColumn, CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """An `add` whose `from` casts a value, divides, or goes into a column of limited length."""
    for change in module.changes:
        for operation in change.operations:
            if not isinstance(operation, AddColumn) or operation.source is None:
                continue
            why = danger(operation.source.tree, change.table.type_if_known, operation.column.type)
            if why is not None:
                yield Diagnostic(
                    "MIG413",
                    Severity.WARNING,
                    f"`from` of `{change.table.entity}.{operation.column.name}` may fail on a row",
                    Label(operation.span, why),
                    body="Old code's writes go on: where it fails the new column stays NULL, each write costs a little more, and "
                    "reconciliation counts such rows, which stop enforce until they are mended.",
                    help="write it so that it can't fail: CASE WHEN … THEN … END, nullif(x, 0), left(x, 200); or, when no value "
                    'can: allow MIG413 because "…"',
                )
