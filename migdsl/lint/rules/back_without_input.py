"""MIG412: a `back` that no `from` could see."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.ops.triggers import inputs_of
from migdsl.semantics.model import AddColumn, CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A `back` without a `from`, or into a column that `from` doesn't read."""
    for change in module.changes:
        for operation in change.operations:
            if not isinstance(operation, AddColumn):
                continue
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
