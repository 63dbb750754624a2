"""MIG808: a stage that is for tables, where no table changes."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import CheckedModule

_OF_TABLES = frozenset(["dualwrite", "shadow", "rampdown"])


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Lines of the flag of a migration that is an API alone."""
    if not module.apis or module.replacements or any(change.operations for change in module.changes):
        return
    for line in module.stages:
        if line.stage in _OF_TABLES and line.span is not None:
            yield Diagnostic(
                "MIG808",
                Severity.ERROR,
                f"an API has no stage `{line.stage}`",
                Label(line.span, "changes nothing for anybody"),
                help="off: your own clients call the old version; live: the new one; complete: nobody asks any more",
            )
