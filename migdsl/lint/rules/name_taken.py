"""MIG104: a new constraint would have the name of one that is there, so that its index would count as built."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.ops import names
from migdsl.semantics.model import AddColumn, CheckedModule, Constraint, Table, UniqueSet
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Indexes share their schema's names with each other, and with tables."""
    taken: dict[tuple[str, str, str], Span] = {}
    for table in module.every:
        taken.setdefault((table.database, table.schema, table.name), table.span)
        for constraint in table.constraints:
            name = _name(table, constraint)
            if name is not None:
                taken.setdefault((table.database, table.schema, name), constraint.span)
    for table, unique in _added(module):
        name = unique.name or names.unique(table, unique.columns)
        first = taken.setdefault((table.database, table.schema, name), unique.span)
        if first != unique.span:
            yield Diagnostic(
                "MIG104",
                Severity.ERROR,
                f"the name `{name}` is taken",
                Label(unique.span, "would be called so"),
                (Label(first, "called so already"),),
                body="An index is built only where none of its name is there: this one would never be.",
                help=f"leave one of the two out, or name it: unique ({', '.join(unique.columns)}) as {name[:56]}_new",
            )


def _added(module: CheckedModule) -> Iterator[tuple[Table, UniqueSet]]:
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn):
                yield from ((change.table, unique) for unique in operation.uniques)


def _name(table: Table, constraint: Constraint) -> str | None:
    """What a declared constraint's index is called: as it says, or as PostgreSQL calls one."""
    if constraint.name is None and constraint.kind == "unique":
        return names.unique(table, constraint.columns)
    return constraint.name if constraint.kind in ("unique", "index") else None
