"""MIG415: something stands on a column or a unique that goes, and nothing can take its place while both live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, AddConstraint, Change, CheckedModule, Constraint, DropConstraint, Table
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around, tells_apart, unique_from


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Exclusion constraints on renamed columns, and foreign keys that point at what is renamed or dropped."""
    keys, around = foreign_keys(module), Around.of(module)
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.replaces and operation.replaces.kind == "exclude":
                yield _excluded(change, operation.replaces)
            elif isinstance(operation, AddColumn) and operation.like is not None:
                yield from _pointed_at(keys, change, operation)
            elif isinstance(operation, DropConstraint):
                yield from _needed(keys, around, change, operation)


ForeignKeys = Mapping[str, list[tuple[Table, Constraint, tuple[str, ...]]]]


def foreign_keys(module: CheckedModule) -> ForeignKeys:
    """Foreign keys that stay, with their own table and the columns that they name, by the entity that they point at."""
    gone = {id(o.constraint) for c in module.changes for o in c.operations if isinstance(o, DropConstraint)}
    found: dict[str, list[tuple[Table, Constraint, tuple[str, ...]]]] = {}
    for table in module.tables:
        for constraint in table.constraints:
            target = constraint.target
            if target is not None and id(constraint) not in gone:
                found.setdefault(target.entity, []).append((table, constraint, target.columns))
    return found


def pointing(keys: ForeignKeys, table: Table) -> Iterator[tuple[Table, Constraint, tuple[str, ...]]]:
    """Those that point at a table, with their own table and the columns that they point at."""
    for other, constraint, columns in keys.get(table.entity, ()):
        yield other, constraint, columns or table.key


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


def _pointed_at(keys: ForeignKeys, change: Change, operation: AddColumn) -> Iterator[Diagnostic]:
    old = operation.like or ""
    for other, constraint, columns in pointing(keys, change.table):
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


def _needed(keys: ForeignKeys, around: Around, change: Change, operation: DropConstraint) -> Iterator[Diagnostic]:
    for other, constraint, columns in pointing(keys, change.table):
        if tells_apart(operation.constraint, frozenset(columns)):
            yield Diagnostic(
                "MIG415",
                Severity.ERROR,
                f"a foreign key of `{other.entity}` needs what is dropped here",
                Label(operation.span, "dropped here"),
                (Label(constraint.span, f"points at {', '.join(columns)}"),),
                body="A foreign key points at columns that are unique: without the constraint it could not stand.",
                help=(
                    _way_out(other, constraint)
                    if unique_from(around, change.table, columns) is not None
                    else _for_good(other, constraint)
                ),
            )


def _way_out(other: Table, constraint: Constraint) -> str:
    return f"drop the foreign key in the same migration, and make it again in the next: {dropping(other, constraint)}"


def _for_good(other: Table, constraint: Constraint) -> str:
    """Where nothing else is unique over these columns, it can't be made again either."""
    return (
        f"leave the drop out; or let the foreign key go in the same migration, for good: {dropping(other, constraint)}"
    )


def dropping(other: Table, constraint: Constraint) -> str:
    """What takes a foreign key away."""
    return f"change {written(other.entity)} {{ drop constraint {written(called(other, constraint), folds=True)} }}"
