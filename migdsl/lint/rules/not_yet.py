"""MIG007: operations that are part of the language, and not of this release."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics import model
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.phrases import phrases

LATER: tuple[type, ...] = ()


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every operation that nothing lowers yet."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, LATER) or (isinstance(operation, model.CreateTable) and operation.sources):
                words = ", ".join(phrases([operation]))
                title = f"`{words}` is part of the language, and not of this release"
                yield Diagnostic("MIG007", Severity.ERROR, title, Label(operation.span, "not supported yet"))
