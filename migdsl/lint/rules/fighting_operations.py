"""MIG403: two operations that want different things of one column."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import (
    AddColumn,
    Change,
    CheckedModule,
    DropColumn,
    Operation,
    OptionalColumn,
    RequireColumn,
    RetypeColumn,
    SetDefault,
)
from migdsl.semantics.phrases import subject
from migdsl.source import Span

_BACK = "The two would undo each other, row by row."


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Two operations on one column, or two columns computed back into one."""
    for change in module.changes:
        yield from _changed(change)
        yield from _computed_back(change)


def _changed(change: Change) -> Iterator[Diagnostic]:
    seen: dict[str, list[Operation]] = {}
    for operation in change.operations:
        name = subject(operation)
        if name is None:
            continue
        for earlier in seen.setdefault(name, []):
            why = _clash(change, earlier, operation)
            if why is not None:
                yield _diagnostic(f"`{change.table.entity}.{name}` is changed twice", why, earlier.span, operation.span)
                break
        seen[name].append(operation)


def _clash(change: Change, one: Operation, other: Operation) -> str | None:
    """Why the two can't both be; None where they compose."""
    if type(one) is type(other):
        return "Only one of the two could stay, and nothing says which."
    kinds = {type(one), type(other)}
    if SetDefault in kinds and RetypeColumn not in kinds:
        return _default(change, one if isinstance(one, SetDefault) else other)
    if kinds == {SetDefault, RetypeColumn}:
        return "Before the swap the default would have to be of the old type, and after it of the new one."
    if RetypeColumn in kinds and DropColumn not in kinds:
        return (
            "At cutover a column of the new type takes the place of this one, made from what the entity says of it: "
            "what the other operation changes would be lost."
        )
    if kinds == {RequireColumn, OptionalColumn}:
        return "The one takes back what the other does."
    return "What the one makes of the column goes with it." if DropColumn in kinds else _BACK


def _default(change: Change, default: Operation) -> str | None:
    """A default is said of rows to come, whatever becomes of those that are there; but a new name brings its own."""
    name = subject(default)
    if any(isinstance(o, AddColumn) and o.like == name for o in change.operations):
        return "The new name gets the default that the entity says: this one would be lost with the old name."
    return None


def _computed_back(change: Change) -> Iterator[Diagnostic]:
    seen: dict[str, Span] = {}
    for name, span in _targets(change):
        if name in seen:
            yield _diagnostic(f"`{change.table.entity}.{name}` is computed back twice", _BACK, seen[name], span)
        seen.setdefault(name, span)


def _targets(change: Change) -> Iterator[tuple[str, Span]]:
    for operation in change.operations:
        if isinstance(operation, AddColumn):
            yield from ((back.column, back.span) for back in operation.backs)
        elif isinstance(operation, DropColumn) and operation.back is not None:
            yield operation.column.name, operation.back.span


def _diagnostic(title: str, why: str, first: Span, second: Span) -> Diagnostic:
    return Diagnostic(
        "MIG403",
        Severity.ERROR,
        title,
        Label(second, "and here"),
        (Label(first, "here"),),
        body=why,
        help="say it once, or do the second in a migration of its own",
    )
