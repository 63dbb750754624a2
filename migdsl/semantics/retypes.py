"""A retyped column brings along what references it: the retypes of foreign keys' columns follow from the declared ones."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.types import WHOLE
from migdsl.semantics.model import Change, Column, Constraint, RetypeColumn, Table
from migdsl.semantics.reshape import retyped
from migdsl.values import Value, replace

Retyped = dict[tuple[str, str], tuple[Table, RetypeColumn]]


class Reference(Value):
    """A declared foreign key, and the table that it points at."""

    table: Table
    constraint: Constraint
    parent: Table
    theirs: tuple[str, ...]


def references(tables: tuple[Table, ...]) -> Iterator[Reference]:
    """All declared foreign keys between the tables."""
    known = {t.entity: t for t in reversed(tables)}
    for table in tables:
        for found in table.constraints:
            parent = known.get(found.target.entity) if found.target else None
            if found.target is not None and parent is not None and parent.database == table.database:
                theirs = found.target.columns or parent.key
                if len(theirs) == len(found.columns):
                    yield Reference(table, found, parent, theirs)


def default_after(operation: RetypeColumn, default: str) -> str:
    """What `default`, SQL of the old type, becomes once the column has its new type: `from` over its value there."""
    old, new = operation.column.type, operation.to.type
    # Its value there, and not as it is written: `now()` in a date is a day, 1.26 in a numeric(4,1) is 1.3.
    value = f"CAST(({default}) AS {old.sql})"
    if operation.plain:
        return default if old.base in WHOLE and new.base in WHOLE else value
    if operation.source.names() != {operation.column.name}:
        return default
    text = operation.source.rewritten(lambda _: value)
    # A comment to the end of the line would swallow the rest.
    return f"CAST({text.strip()}{chr(10) if '--' in text else ''} AS {new.sql})"


def follow(changes: tuple[Change, ...], tables: tuple[Table, ...]) -> tuple[Change, ...]:
    """The changes, with the columns retyped too that reference one whose values no longer fit into them."""
    found: Retyped = {}
    for change in changes:
        for operation in change.operations:
            if isinstance(operation, RetypeColumn):
                found[change.table.entity, operation.column.name] = change.table, operation
    said = set(found)
    waiting = list(found.values())
    declared = tuple(references(tables)) if waiting else ()
    while waiting:
        table, operation = waiting.pop()
        for child, column in _referring(declared, table, operation):
            if (child.entity, column.name) not in found:
                following = _following(child, column, table, operation)
                found[child.entity, column.name] = child, following
                waiting.append((child, following))
    return _merged(changes, {place: each for place, each in found.items() if place not in said})


def _referring(
    declared: tuple[Reference, ...], table: Table, operation: RetypeColumn
) -> Iterator[tuple[Table, Column]]:
    for reference in declared:
        if reference.parent.entity != table.entity:
            continue
        for ours, theirs in zip(reference.constraint.columns, reference.theirs, strict=True):
            column = reference.table.column(ours)
            if theirs == operation.column.name and column and column.type.sql != operation.to.type.sql:
                yield reference.table, column


def _following(child: Table, column: Column, table: Table, operation: RetypeColumn) -> RetypeColumn:
    found = retyped(child, column, operation.to.type, operation.span)
    return replace(
        found,
        to=replace(found.to, span=operation.to.span),
        soak_seconds=operation.soak_seconds,
        irreversible=operation.irreversible,
        follows=operation.follows or f"{table.entity}.{operation.column.name}",
    )


def _merged(changes: tuple[Change, ...], more: Retyped) -> tuple[Change, ...]:
    found = []
    for change in changes:
        own = tuple(o for (entity, _), (_, o) in more.items() if entity == change.table.entity)
        found.append(replace(change, operations=(*change.operations, *own)) if own else change)
    known = {c.table.entity for c in changes}
    for entity in dict.fromkeys(e for e, _ in more if e not in known):
        own = tuple(o for (e, _), (_, o) in more.items() if e == entity)
        found.append(Change(next(t for (e, _), (t, _) in more.items() if e == entity), own, own[0].span))
    return tuple(found)
