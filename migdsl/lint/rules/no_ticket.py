"""MIG601: nobody will know what this migration was for."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A migration without a ticket."""
    if module.header is not None and module.header.ticket is None:
        yield Diagnostic(
            "MIG601",
            Severity.WARNING,
            "the migration names no ticket",
            Label(module.header.span, "who asked for it, and why?"),
            help='ticket "MIG-77"',
        )
