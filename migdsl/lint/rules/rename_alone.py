"""MIG425: a table is renamed, and something else is done to it in the same migration."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule, RenameTable


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every table that is renamed beside other operations."""
    for change in module.changes:
        renamed = next((o for o in change.operations if isinstance(o, RenameTable)), None)
        others = [o for o in change.operations if o is not renamed]
        if renamed is not None and others:
            yield Diagnostic(
                "MIG425",
                Severity.ERROR,
                f"`{change.table.entity}` is renamed, and changed in the same migration",
                Label(renamed.span, "renamed here"),
                tuple(Label(o.span, "changed here") for o in others),
                body="Jobs, triggers and later revisions would have to follow the table from one name to the other.",
                help="rename it in a migration of its own",
            )
