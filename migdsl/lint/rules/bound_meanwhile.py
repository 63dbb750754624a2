"""MIG115: a foreign key is made while what it points at gets another name, another key, or loses what keeps it unique."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.lint.foreign_keys import Key
from migdsl.semantics import referring
from migdsl.semantics.model import (
    AddConstraint,
    CheckedModule,
    Constraint,
    CreateTable,
    DropConstraint,
    RenameTable,
    Table,
)
from migdsl.semantics.phrases import pointing
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around
from migdsl.semantics.retypes import references
from migdsl.source import Span

_RENAMED = "From expand on the old name is a view's, and PostgreSQL makes no foreign key of a view, nor to one."
_BOUND = "PostgreSQL binds a foreign key to one key or unique that is there when it is made, and won't let that one go under it."
_APART = "rename the table in a migration of its own, before this one or after it"


def renamed(module: CheckedModule, around: Around) -> Iterator[Diagnostic]:
    """Foreign keys to a table that is renamed, and those that a new key would have to make again on one."""
    names = {id(c.table): o for c in module.changes for o in c.operations if isinstance(o, RenameTable)}
    if not names:
        return
    for owner, constraint, span in _made(module):
        parent = around.parent(constraint)
        if parent is not None and parent is not owner and id(parent) in names:
            yield _renamed(names[id(parent)], parent, owner, span)
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.constraint.kind == "key":
                yield from _carried(module, change.table, operation, names)


def _made(module: CheckedModule) -> Iterator[tuple[Table, Constraint, Span]]:
    """Foreign keys that are made once tables have their new names, and where each is said."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint):
                yield change.table, operation.constraint, operation.span
            elif isinstance(operation, CreateTable):
                late = operation.table.constraints if operation.move is not None else referring.bound_late(operation)
                yield from ((operation.table, c, c.span) for c in late)


def _renamed(operation: RenameTable, parent: Table, owner: Table, span: Span) -> Diagnostic:
    title = f"`{parent.entity}` gets another name, and a foreign key of `{owner.entity}` to it would be made afterwards"
    return Diagnostic(
        "MIG115",
        Severity.ERROR,
        title,
        Label(span, f"points at `{parent.entity}`"),
        (Label(operation.span, "renamed here"),),
        body=_RENAMED,
        help=_APART,
    )


def _carried(
    module: CheckedModule, table: Table, operation: AddConstraint, names: dict[int, RenameTable]
) -> Iterator[Diagnostic]:
    for found in references(module.tables):
        if found.parent is not table or set(found.theirs) != set(table.key) or id(found.table) not in names:
            continue
        who = found.table.entity
        title = (
            f"`{who}` gets another name, and its foreign key to `{table.entity}` would be made again for the new key"
        )
        more = (
            Label(names[id(found.table)].span, "renamed here"),
            Label(found.constraint.span, "points at the old key"),
        )
        label = Label(operation.span, "another key")
        yield Diagnostic("MIG115", Severity.ERROR, title, label, more, body=_RENAMED, help=_APART)


def wrong(around: Around, key: Key) -> Diagnostic | None:
    """What the file takes away from under a foreign key that it makes."""
    if key.phase == referring.BEFORE:
        return None  # it is carried over, or another rule speaks of it
    wanted, operations = frozenset(key.theirs), around.fate(key.parent)
    added = [o for o in operations if isinstance(o, AddConstraint) and o.constraint.kind == "key"]
    if added and wanted == frozenset(key.parent.key) and added[0].constraint.columns != key.parent.key:
        return _another_key(key, added[0])
    drops = (o for o in operations if isinstance(o, DropConstraint) and referring.tells_apart(o.constraint, wanted))
    drop = next(drops, None)
    return _dropped(around, key, drop) if drop is not None and not _told_already(key) else None


def _told_already(key: Key) -> bool:
    """Whether it comes along with a table that moves: of the one that stands there another rule speaks."""
    move = key.made.move if key.made is not None else None
    return move is not None and any(c.span == key.constraint.span for c in move.table.constraints)


def _another_key(key: Key, operation: AddConstraint) -> Diagnostic:
    target, new = key.constraint.target, operation.constraint.columns
    help_ = f"do one of the two in a migration of its own: {_first(key)} before, and the key in the next"
    if target is not None and not target.columns and len(new) == len(key.constraint.columns):
        help_ = f"say that it points at the new key: {pointing(key.constraint, new)}"
    return Diagnostic(
        "MIG115",
        Severity.ERROR,
        f"the key of `{key.parent.entity}` changes in the same file, and the foreign key would point at the old one",
        Label(key.constraint.span, f"points at {key.shown}"),
        (Label(operation.span, f"({', '.join(new)}) becomes the key"),),
        body=_BOUND,
        help=help_,
    )


def _dropped(around: Around, key: Key, operation: DropConstraint) -> Diagnostic:
    stays = referring.unique_from(around, key.parent, key.theirs) is not None
    help_ = f"do one of the two in a migration of its own: the drop first, and {_first(key)} in the next"
    return Diagnostic(
        "MIG115",
        Severity.ERROR,
        f"what keeps {key.shown} unique is dropped in the same file, and the foreign key would need it",
        Label(key.constraint.span, f"points at {key.shown}"),
        (Label(operation.span, "dropped here"),),
        body=_BOUND,
        help=help_ if stays else "leave the drop out, or the foreign key",
    )


def _first(key: Key) -> str:
    """What makes the foreign key, as one says it in a row of two."""
    if key.made is None:
        return "the foreign key"
    entity = written(key.owner.entity)
    return f"`move {entity}`" if key.made.move is not None else f"`create {entity}`"
