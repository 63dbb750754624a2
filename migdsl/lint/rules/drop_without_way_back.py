"""MIG404: a column goes away and nothing can bring its values back."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, CheckedModule, DropColumn


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A `drop` for which no `back` computes the column, and that doesn't say `irreversible because`."""
    for change in module.changes:
        returned = {b.column for o in change.operations if isinstance(o, AddColumn) for b in o.backs}
        for operation in change.operations:
            if not isinstance(operation, DropColumn) or operation.back or operation.irreversible:
                continue
            name = operation.column.name
            if name not in returned:
                yield Diagnostic(
                    "MIG404",
                    Severity.ERROR,
                    f"`{change.table.entity}.{name}` is dropped, and there is no way back",
                    Label(operation.span, "nothing computes it back"),
                    body="Rollback after the first write of new code needs the value that old code would look for.",
                    help=f"back {name} = `…` in the operation that replaces it; or drop {name} {{ back `…` }}; "
                    f'or drop {name} irreversible because "…"',
                )
