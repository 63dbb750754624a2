"""MIG601: nobody will know what this migration was for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.semantics.model import CheckedModule, Header

_TICKET = re.compile(r"\b[A-Z][A-Z0-9]+-[1-9][0-9]*\b", re.ASCII)


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A migration without a ticket."""
    if module.header is not None and module.header.ticket is None and module.header.ticket_file is None:
        yield Diagnostic(
            "MIG601",
            Severity.WARNING,
            "the migration names no ticket",
            Label(module.header.span, "who asked for it, and why?"),
            help='ticket "MIG-77"',
            fix=_from_title(module.header),
        )


def _from_title(header: Header) -> Fix | None:
    """The one ticket that the title names, if there is one."""
    named = set(_TICKET.findall(header.title or ""))
    if len(named) != 1 or header.title_span is None:
        return None
    line = f'ticket "{named.pop()}"'
    return fixes.inserting(header.title_span, line, f"the title's: {line}", safe=False, statement=True)
