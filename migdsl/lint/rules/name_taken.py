"""MIG104: a new constraint would have the name of one that is there: it would never be built, or the other one would go."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Constraint,
    CreateTable,
    RenameTable,
    Table,
)
from migdsl.semantics.phrases import called
from migdsl.semantics.succession import predecessor
from migdsl.source import Span

Place = tuple[str, ...]
_RELATIONS = frozenset(["unique", "index", "exclude"])  # their names are their schema's, and tables' too
_CONSTRAINTS = frozenset(["unique", "check", "reference", "exclude"])  # theirs are their table's


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Names of what comes, against all that is declared or comes before it."""
    taken: dict[Place, Span] = {}
    for table in module.every:
        taken.setdefault((table.database, table.schema, table.name), table.span)
    for table in module.tables:
        for constraint in table.constraints:
            if _is_known(constraint):
                for place in _places(table, constraint):
                    taken.setdefault(place, constraint.span)
    yield from _tables(taken, module)
    for change in module.changes:
        for constraint in _added(change):
            yield from _taken(taken, change, constraint)


def _tables(taken: dict[Place, Span], module: CheckedModule) -> Iterator[Diagnostic]:
    """Tables that get a name which another one has, or gets too."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, RenameTable):
                first = taken.setdefault((change.table.database, change.table.schema, operation.to), operation.span)
                if first != operation.span:
                    title = f"there would be two tables or indexes called `{operation.to}`"
                    label, more = Label(operation.span, "would be called so"), (Label(first, "called so already"),)
                    yield Diagnostic("MIG104", Severity.ERROR, title, label, more, help="give one of them another name")


def _taken(taken: dict[Place, Span], change: Change, constraint: Constraint) -> Iterator[Diagnostic]:
    table, first = change.table, None
    for place in _places(table, constraint):
        found = taken.setdefault(place, constraint.span)
        first = found if found != constraint.span else first
    if first is not None:
        # Only what is an operation of its own can take a place; a column's `unique` is built with the column.
        able = any(isinstance(o, AddConstraint) and o.constraint is constraint for o in change.operations)
        standing = next((c for c in table.constraints if able and c.span == first), None)
        yield _diagnostic(called(table, constraint), constraint, first, standing)


def _diagnostic(name: str, constraint: Constraint, first: Span, standing: Constraint | None) -> Diagnostic:
    index = constraint.kind in _RELATIONS
    body = "An index is built only where none of its name is there: this one would never be."
    if not index:
        body = "A table can't have two constraints of one name."
    said = f"unique ({', '.join(constraint.columns)})" if constraint.kind == "unique" else "…"
    drop = "index" if standing is not None and standing.kind == "index" else "constraint"
    instead = f"; or `drop {drop} {name}` in the same change, if it takes the other's place"
    return Diagnostic(
        "MIG104",
        Severity.ERROR,
        f"the name `{name}` is taken",
        Label(constraint.span, "would be called so"),
        (Label(first, "called so already"),),
        body=body,
        help=f"give it another name: {said} as {name[:56]}_new{instead if standing is not None else ''}",
    )


def _added(change: Change) -> Iterator[Constraint]:
    """What comes; what takes the place, and the name, of one that goes is built beside it."""
    for operation in change.operations:
        if isinstance(operation, AddColumn):
            for unique in operation.uniques:
                yield Constraint("unique", unique.columns, frozenset(unique.columns), unique.name, unique.span)
        elif isinstance(operation, AddConstraint):
            if operation.replaces is None and predecessor(change, operation) is None:
                yield operation.constraint
        elif isinstance(operation, CreateTable):
            yield from operation.table.constraints


def _places(table: Table, constraint: Constraint) -> Iterator[Place]:
    name = called(table, constraint)
    if constraint.kind in _RELATIONS:
        yield table.database, table.schema, name
    if constraint.kind in _CONSTRAINTS:
        yield table.database, table.schema, table.name, name


def _is_known(constraint: Constraint) -> bool:
    """Whether the database calls it as we would, where the file gives no name: it numbers names, and goes by expressions."""
    if constraint.name is not None or constraint.kind in ("unique", "reference"):
        return True
    if constraint.index is not None:
        plain = all(part.column for part in constraint.index.parts) and not constraint.index.include
        return plain and constraint.uses == frozenset(constraint.columns)
    return constraint.kind == "check" and len(constraint.uses) == 1
