"""MIG402: a column is dropped that an index, a constraint or another operation still uses, or a table that others point at."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.lint.rules.cannot_follow import ForeignKeys, dropping, foreign_keys, pointing
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Constraint,
    DropColumn,
    DropConstraint,
    DropTable,
    Table,
)
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import written
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every use of a dropped column or table, all in one diagnostic."""
    keys = foreign_keys(module)
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, DropColumn):
                uses = list(_uses(change, operation.column.name))
                others = list(_pointing(keys, change, operation))
                uses += [(key.span, f"a foreign key of `{other.entity}` points at it") for other, key in others]
                if uses:
                    ways = (*_ways(change, operation.column.name), *(dropping(*each) for each in others))
                    yield _diagnostic(change, operation, uses, "; ".join(ways))
            elif isinstance(operation, DropTable):
                yield from _pointed_at(module, operation)


def _pointed_at(module: CheckedModule, operation: DropTable) -> Iterator[Diagnostic]:
    """Foreign keys to a table that goes: expand finds them and refuses, since it would be set aside under them."""
    table = operation.table
    every = [(t, c) for t in module.every for c in t.constraints]
    every += [(c.table, o.constraint) for c in module.changes for o in c.operations if isinstance(o, AddConstraint)]
    keys = [(t, c) for t, c in every if t is not table and c.target is not None and c.target.entity == table.entity]
    if keys:
        other, key = keys[0]
        drop = f"change {written(other.entity)} {{ drop constraint {written(called(other, key), folds=True)} }}"
        there = any(t is other and key in t.constraints for t in module.tables)
        yield Diagnostic(
            "MIG402",
            Severity.ERROR,
            f"`{table.entity}` can't be dropped: something still points at it",
            Label(operation.span, "dropped here"),
            tuple(Label(c.span, f"a foreign key of `{t.entity}` points at it") for t, c in keys),
            help=f"drop the key in a migration of its own, before: {drop}" if there else "leave the foreign key out",
        )


def _uses(change: Change, name: str) -> Iterator[tuple[Span, str]]:
    table = change.table
    column = table.column(name)
    if column is not None and column.tenant:
        yield column.span, "is the tenant column"
    if name in table.key:
        yield table.span, "is part of the key"
    gone = {id(found) for found in _going(change)}
    for constraint in table.constraints:
        if constraint.kind == "generated" and constraint.name in _dropped(change):
            continue  # it goes first
        if id(constraint) not in gone and constraint.kind != "key" and name in constraint.uses:
            what = {"unique": "a unique constraint", "generated": f"the generated column `{constraint.name}`"}
            yield constraint.span, f"{what.get(constraint.kind, f'this {constraint.kind}')} uses it"
    for other in change.operations:
        if isinstance(other, AddColumn) and any(name in unique.columns for unique in other.uniques):
            yield other.span, "the new unique constraint uses it"
        if isinstance(other, AddConstraint) and name in other.constraint.uses:
            yield other.span, f"the new {other.constraint.kind} uses it"


def _pointing(keys: ForeignKeys, change: Change, operation: DropColumn) -> Iterator[tuple[Table, Constraint]]:
    """Foreign keys of others; of a column that is renamed another rule speaks."""
    renamed = {o.like for o in change.operations if isinstance(o, AddColumn)}
    for other, constraint, columns in pointing(keys, change.table):
        # Its own foreign keys have been told of, if the column is on their side too.
        if operation.column.name in columns and operation.column.name not in renamed and other is not change.table:
            yield other, constraint


def _going(change: Change) -> Iterator[Constraint]:
    """What is dropped or replaced in this migration."""
    for operation in change.operations:
        if isinstance(operation, DropConstraint):
            yield operation.constraint
        elif isinstance(operation, AddConstraint) and operation.replaces is not None:
            yield operation.replaces


def _dropped(change: Change) -> frozenset[str]:
    return frozenset(o.column.name for o in change.operations if isinstance(o, DropColumn))


def _diagnostic(change: Change, operation: DropColumn, uses: list[tuple[Span, str]], ways: str) -> Diagnostic:
    name = operation.column.name
    return Diagnostic(
        "MIG402",
        Severity.ERROR,
        f"`{change.table.entity}.{name}` can't be dropped: something still uses it",
        Label(operation.span, "dropped here"),
        tuple(Label(span, text) for span, text in uses),
        body="PostgreSQL would take indexes and constraints along without a word, and refuse for the key.",
        help=(
            f"drop what uses the column too, here or in an earlier migration: {ways}"
            if ways
            else "leave the drop out, or what uses the column"
        ),
    )


def _ways(change: Change, name: str) -> Iterator[str]:
    """How each thing that uses it is dropped."""
    table, gone = change.table, {id(found) for found in _going(change)}
    for found in table.constraints:
        if name not in found.uses or found.kind == "key" or id(found) in gone:
            continue
        if found.kind != "generated":
            kind = "index" if found.kind == "index" else "constraint"
            yield f"drop {kind} {written(called(table, found), folds=True)}"
        elif found.name not in _dropped(change):
            yield f"drop {written(found.columns[0], folds=True)}"
