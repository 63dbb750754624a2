"""MIG305: a key that is personal data, while keys stand in the ledger, in logs and in reports."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A changed table with a column of its key marked `pii` or `phi`."""
    for change in module.changes:
        for name in change.table.key:
            column = change.table.column(name)
            if column is not None and (column.pii or column.phi):
                yield Diagnostic(
                    "MIG305",
                    Severity.ERROR,
                    f"the key `{change.table.entity}.{name}` is personal data",
                    Label(column.span, "part of the key"),
                    body="Rows are named by their key: in the ledger, in logs and in reports, where personal data has no place.",
                    help="change the table by a surrogate key, or leave the mark out where the key tells nothing of a person",
                )
