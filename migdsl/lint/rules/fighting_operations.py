"""MIG403: two operations that want different things of one column."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, Change, CheckedModule, DropColumn
from migdsl.semantics.phrases import subject
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Two operations on one column, or two columns computed back into one."""
    for change in module.changes:
        yield from _twice(change, "is changed twice", _subjects(change))
        yield from _twice(change, "is computed back twice", _targets(change))


def _subjects(change: Change) -> Iterator[tuple[str, Span]]:
    for operation in change.operations:
        name = subject(operation)
        if name is not None:
            yield name, operation.span


def _targets(change: Change) -> Iterator[tuple[str, Span]]:
    for operation in change.operations:
        if isinstance(operation, AddColumn):
            yield from ((back.column, back.span) for back in operation.backs)
        elif isinstance(operation, DropColumn) and operation.back is not None:
            yield operation.column.name, operation.back.span


def _twice(change: Change, what: str, found: Iterator[tuple[str, Span]]) -> Iterator[Diagnostic]:
    seen: dict[str, Span] = {}
    for name, span in found:
        if name in seen:
            yield Diagnostic(
                "MIG403",
                Severity.ERROR,
                f"`{change.table.entity}.{name}` {what}",
                Label(span, "and here"),
                (Label(seen[name], "here"),),
                body="The two would undo each other, row by row.",
                help="say it once, or do the second in a migration of its own",
            )
        seen.setdefault(name, span)
