"""A checked module becomes one whose columns are marked as personal data where their values are such data, or made of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    CheckedModule,
    Column,
    ColumnOperation,
    Constraint,
    CreateTable,
    DropColumn,
    DropTable,
    Operation,
    OptionalColumn,
    RequireColumn,
    RetypeColumn,
)
from migdsl.semantics.move_model import Move
from migdsl.semantics.referring import Around
from migdsl.semantics.table_model import Table
from migdsl.values import replace

_Place = tuple[str, str, str, str]  # database, schema and table, and a column of it
_Marks = tuple[bool, bool]  # pii, phi


def spread(module: CheckedModule) -> CheckedModule:
    """The module; the same where nothing was left unsaid."""
    said = {_place(t, c.name): (c.pii, c.phi) for t in _tables(module) for c in t.columns}
    added = ((c.table, o.column) for c in module.changes for o in c.operations if isinstance(o, AddColumn))
    said |= {_place(table, column.name): (column.pii, column.phi) for table, column in added}
    marks = _spread(said, list(_feeds(module)))
    if marks == said:
        return module
    # A table stays one value wherever it stands: values are compared by identity.
    tables = {id(t): _table(t, marks) for t in _tables(module)}
    changes = tuple(_change(change, tables, marks) for change in module.changes)
    return replace(module, tables=tuple(tables[id(t)] for t in module.tables), changes=changes)


def _tables(module: CheckedModule) -> Iterator[Table]:
    yield from module.every
    yield from (change.table for change in module.changes)
    yield from (source.table for made in module.created for source in made.sources)
    for move in module.moves:
        yield from (move.table, move.target, *(child.table for child in move.children))


def _place(table: Table, column: str) -> _Place:
    return table.database, table.schema, table.name, column


def _spread(said: Mapping[_Place, _Marks], feeds: list[tuple[_Place, _Place]]) -> dict[_Place, _Marks]:
    """The marks after as many steps as they go."""
    marks, before = dict(said), None
    while marks != before:
        before = dict(marks)
        for to, of in feeds:
            if to in marks and of in marks:
                marks[to] = (marks[to][0] or marks[of][0], marks[to][1] or marks[of][1])
    return marks


def _feeds(module: CheckedModule) -> Iterator[tuple[_Place, _Place]]:
    """Each column, with each that its values are made of, or are among."""
    yield from _pointing(module)
    for table in _tables(module):
        computed = ((c.name, name) for c in table.columns if c.generated is not None for name in c.generated.names())
        yield from ((_place(table, column), _place(table, name)) for column, name in computed)
    for change in module.changes:
        for operation in change.operations:
            for column, names in _values(operation):
                yield from ((_place(change.table, column), _place(change.table, name)) for name in names)
    for made in module.created:
        for source in made.sources:
            feeds = ((column, name) for column, value in source.values for name in value.names())
            yield from ((_place(made.table, column), _place(source.table, name)) for column, name in feeds)
    for move in module.moves:
        backs = ((back.column, name) for back in move.backs for name in back.expression.names())
        yield from ((_place(move.table, column), _place(move.target, name)) for column, name in backs)


def _pointing(module: CheckedModule) -> Iterator[tuple[_Place, _Place]]:
    """Each column of a foreign key, with the one that it points at: it has no values but those."""
    around = Around.of(module)
    for table, constraint in _constraints(module):
        parent, target = around.parent(constraint), constraint.target
        if parent is not None and target is not None:
            # That there are as many on either side is asked later.
            pairs = zip(constraint.columns, target.columns or parent.key, strict=False)
            yield from ((_place(table, ours), _place(parent, theirs)) for ours, theirs in pairs)


def _constraints(module: CheckedModule) -> Iterator[tuple[Table, Constraint]]:
    """Those that are there, with their tables, and those that come."""
    for table in _tables(module):
        yield from ((table, constraint) for constraint in table.constraints)
    for change in module.changes:
        yield from ((change.table, o.constraint) for o in change.operations if isinstance(o, AddConstraint))


def _values(operation: Operation) -> Iterator[tuple[str, Collection[str]]]:
    """The columns that an operation computes, and those that it computes each from."""
    if isinstance(operation, AddColumn | RequireColumn) and operation.python is not None:
        yield operation.column.name, operation.python.inputs
    if isinstance(operation, AddColumn | RequireColumn | RetypeColumn) and operation.source is not None:
        yield operation.column.name, operation.source.names()
    if isinstance(operation, AddColumn):
        if operation.column.generated is not None:
            yield operation.column.name, operation.column.generated.names()
        yield from ((back.column, back.expression.names()) for back in operation.backs)
    if isinstance(operation, RetypeColumn) and operation.back is not None:
        yield operation.column.name, operation.back.names()
    if isinstance(operation, DropColumn | OptionalColumn) and operation.back is not None:
        yield operation.column.name, operation.back.expression.names()


def _table(table: Table, marks: Mapping[_Place, _Marks]) -> Table:
    columns = tuple(_column(table, column, marks) for column in table.columns)
    changed = any(new is not old for new, old in zip(columns, table.columns, strict=True))
    return replace(table, columns=columns) if changed else table


def _column(table: Table, column: Column, marks: Mapping[_Place, _Marks]) -> Column:
    pii, phi = marks.get(_place(table, column.name), (column.pii, column.phi))
    return column if (pii, phi) == (column.pii, column.phi) else replace(column, pii=pii, phi=phi)


def _change(change: Change, tables: Mapping[int, Table], marks: Mapping[_Place, _Marks]) -> Change:
    operations = tuple(_operation(o, change.table, tables, marks) for o in change.operations)
    return replace(change, table=tables[id(change.table)], operations=operations)


def _operation(
    operation: Operation, table: Table, tables: Mapping[int, Table], marks: Mapping[_Place, _Marks]
) -> Operation:
    if isinstance(operation, CreateTable):
        sources = tuple(replace(source, table=tables[id(source.table)]) for source in operation.sources)
        move = _move(operation.move, tables) if operation.move is not None else None
        return replace(operation, table=tables[id(operation.table)], sources=sources, move=move)
    if isinstance(operation, DropTable):
        return replace(operation, table=tables.get(id(operation.table), operation.table))
    if isinstance(operation, RetypeColumn):
        operation = replace(operation, to=_column(table, operation.to, marks))
    if isinstance(operation, ColumnOperation):
        return replace(operation, column=_column(table, operation.column, marks))
    return operation


def _move(move: Move, tables: Mapping[int, Table]) -> Move:
    children = tuple(replace(child, table=tables[id(child.table)]) for child in move.children)
    return replace(move, table=tables[id(move.table)], target=tables[id(move.target)], children=children)
