"""MIG602: a migration that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A header without an operation."""
    if module.header is None or module.apis or module.replacements:
        return
    if not any(change.operations for change in module.changes):
        yield Diagnostic(
            "MIG602",
            Severity.ERROR,
            f"`{module.header.name}` changes nothing",
            Label(module.header.span, "no `change` with an operation"),
            help="change User { add contact_email text? }",
        )
