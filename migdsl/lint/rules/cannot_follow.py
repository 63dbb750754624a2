"""MIG415: something stands on a column or a unique that goes, and nothing can take its place while both live."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, AddConstraint, Change, CheckedModule, Constraint, DropConstraint, Table
from migdsl.semantics.phrases import called


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Exclusion constraints on renamed columns, and foreign keys that point at what is renamed or dropped."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.replaces and operation.replaces.kind == "exclude":
                yield _excluded(change, operation.replaces)
            elif isinstance(operation, AddColumn) and operation.like is not None:
                yield from _pointed_at(module, change, operation)
            elif isinstance(operation, DropConstraint) and operation.constraint.kind == "unique":
                yield from _needed(module, change, operation)


def pointing(module: CheckedModule, table: Table) -> Iterator[tuple[Table, Constraint, tuple[str, ...]]]:
    """Foreign keys to a table that stay, with their own table and the columns that they point at."""
    for other in module.tables:
        gone = {id(c) for c in _dropped(module, other)}
        for constraint in other.constraints:
            if (
                constraint.target is not None
                and constraint.target.entity == table.entity
                and id(constraint) not in gone
            ):
                yield other, constraint, constraint.target.columns or table.key


def _dropped(module: CheckedModule, table: Table) -> Iterator[Constraint]:
    for change in module.changes:
        if change.table.entity == table.entity:
            yield from (o.constraint for o in change.operations if isinstance(o, DropConstraint))


def _excluded(change: Change, constraint: Constraint) -> Diagnostic:
    renames = (o for o in change.operations if isinstance(o, AddColumn) and o.like in constraint.uses)
    return Diagnostic(
        "MIG415",
        Severity.ERROR,
        f"the exclusion constraint {called(change.table, constraint)} can't follow a column to its new name",
        Label(next(renames).span, "renamed here"),
        (Label(constraint.span, "uses the column"),),
        body="PostgreSQL makes an exclusion constraint under a lock that stops every writer until it has read the table.",
        help="leave the column's name as it is in the database, and give it another one in the application; "
        "or make a new table, with `create`",
    )


def _pointed_at(module: CheckedModule, change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    old = operation.like or ""
    for other, constraint, columns in pointing(module, change.table):
        if old in columns:
            yield Diagnostic(
                "MIG415",
                Severity.ERROR,
                f"a foreign key of `{other.entity}` points at `{change.table.entity}.{old}`, which is to be renamed",
                Label(operation.span, "renamed here"),
                (Label(constraint.span, "points at it"),),
                body="It would have to point at both columns while both live, and only one of them is unique yet.",
                help=_way_out(other, constraint),
            )


def _needed(module: CheckedModule, change: Change, operation: DropConstraint) -> Iterator[Diagnostic]:
    for other, constraint, columns in pointing(module, change.table):
        if set(columns) == set(operation.constraint.columns):
            yield Diagnostic(
                "MIG415",
                Severity.ERROR,
                f"a foreign key of `{other.entity}` needs what is dropped here",
                Label(operation.span, "dropped here"),
                (Label(constraint.span, f"points at {', '.join(columns)}"),),
                body="A foreign key points at columns that are unique: without the constraint it could not stand.",
                help=_way_out(other, constraint),
            )


def _way_out(other: Table, constraint: Constraint) -> str:
    change = f"change {other.entity} {{ drop constraint {called(other, constraint)} }}"
    return f"drop the foreign key in the same migration, and make it again in the next: {change}"
