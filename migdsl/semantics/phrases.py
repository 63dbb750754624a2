"""Operations become the few words that people know them by, and the names of what they change."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.dialect.names import derived, qualified, quote
from migdsl.semantics import model
from migdsl.semantics.model import Constraint, Operation, Table
from migdsl.semantics.move_model import Move
from migdsl.semantics.problems import written

_VERBS = {
    model.AddColumn: "add",
    model.DropColumn: "drop",
    model.RequireColumn: "require",
    model.OptionalColumn: "make optional",
    model.RetypeColumn: "retype",
    model.SetDefault: "default",
}
_SUFFIX = {"unique": "key", "check": "check", "reference": "fkey", "index": "idx", "exclude": "excl", "key": "pkey"}
# What changes no column that code reads or writes.
_STEADY = (
    *(model.AddConstraint, model.DropConstraint, model.Comment, model.SetDefault),
    *(model.ReplicaIdentity, model.ExtendEnum),
)
_KINDS = {"reference": "foreign key", "key": "primary key", "exclude": "exclusion constraint"}


def phrases(operations: Iterable[Operation]) -> tuple[str, ...]:
    """Each operation in a few words; what is one operation in the file is said once."""
    every = tuple(operations)
    said = (
        _phrase(o)
        for o in every
        if not (isinstance(o, model.AddConstraint) and o.replaces is not None) and not followed(every, o)
    )
    return tuple(dict.fromkeys(said))


def switches_nothing(change: model.Change) -> bool:
    """Whether no column takes the place of another, so that there is nothing that code could move to, some of it first."""
    return all(isinstance(operation, _STEADY) for operation in change.operations)


def followed(operations: Iterable[Operation], operation: Operation) -> bool:
    """Whether a foreign key is dropped because one takes its place that points at where its parent's rows move."""
    if not isinstance(operation, model.DropConstraint):
        return False
    added = (o.constraint for o in operations if isinstance(o, model.AddConstraint))
    return any(c.target is not None and c.target.moved and c.columns == operation.constraint.columns for c in added)


def _phrase(operation: Operation) -> str:
    if isinstance(operation, model.AddColumn | model.DropColumn) and operation.said:
        return operation.said
    if isinstance(operation, model.ColumnOperation):
        return f"{_VERBS[type(operation)]} {operation.column.name}"
    if isinstance(operation, model.AddConstraint):
        target = operation.constraint.target
        if target is not None and target.moved:
            return f"let {described(operation.constraint)} follow {target.entity}"
        return f"add {described(operation.constraint)}"
    if isinstance(operation, model.DropConstraint):
        return f"drop {described(operation.constraint)}"
    return _other(operation)


def _other(operation: Operation) -> str:
    if isinstance(operation, model.ExtendEnum):
        return f"add a label to {operation.type}"
    if isinstance(operation, model.RenameTable):
        return f"rename the table to {operation.to}"
    if isinstance(operation, model.Comment):
        return f"comment on {operation.column or 'the table'}"
    if isinstance(operation, model.ReplicaIdentity):
        return f"replica identity {operation.kind.lower()}"
    if isinstance(operation, model.CreateTable | model.DropTable):
        return _whole(operation)
    assert isinstance(operation, model.RawSql)
    return operation.why


def _whole(operation: model.CreateTable | model.DropTable) -> str:
    if isinstance(operation, model.DropTable):
        return f"drop the table {operation.table.name}"
    if operation.move is None:
        return f"create the table {operation.table.name}"
    return f"move to {placed(operation.table) if operation.move.across else within(operation.table)}"


def within(table: Table) -> str:
    """Where a table is in its database: `sales.orders`."""
    return qualified(table.schema, table.name)


def placed(table: Table) -> str:
    """Where a table is, of several databases: `shop.orders`, with the schema where it isn't the usual one."""
    return f"{quote(table.database)}.{quote(table.name) if table.schema == 'public' else within(table)}"


def sides(old: Table, new: Table) -> tuple[str, str]:
    """What people call the two tables of a move, which both have the entity's name: as little as tells them apart."""
    if old.database != new.database:
        return placed(old), placed(new)
    return (quote(old.name), quote(new.name)) if old.name != new.name else (within(old), within(new))


def known_as(table: Table, moves: Iterable[Move]) -> str:
    """What people call a table: by its entity's name, but for the two of a move, which share it."""
    for move in moves:
        if table in (move.table, move.target):
            return sides(move.table, move.target)[table == move.target]
    return table.entity


def described(constraint: Constraint) -> str:
    """A constraint or an index in a few words: `unique (a, b)`, `index (lower(b))`."""
    kind = "unique index" if constraint.unique_index else _KINDS.get(constraint.kind, constraint.kind)
    if constraint.name:
        return f"{kind} {constraint.name}"
    if constraint.index is not None:
        parts = [p.column or (p.expression.text if p.expression else "") for p in constraint.index.parts]
        return f"{kind} ({', '.join(parts)})"
    if constraint.check is not None:
        return f"check ({constraint.check.text.strip()})"
    columns = ", ".join(constraint.columns or sorted(constraint.uses))
    return f"{kind} ({columns})"


def subject(operation: Operation) -> str | None:
    """What no other operation of the same table may change: a column, or a thing by its kind and name."""
    if isinstance(operation, model.ColumnOperation):
        return operation.column.name
    if isinstance(operation, model.RenameTable | model.ReplicaIdentity):
        return type(operation).__name__
    if isinstance(operation, model.Comment):
        return f"the comment on {operation.column or 'the table'}"
    if isinstance(operation, model.ExtendEnum):
        return f"label {quote(operation.label)} of {operation.type}"
    return None


def called(table: Table, of: Constraint) -> str:
    """What a constraint or an index is called: as declared, or as PostgreSQL calls one that has no name."""
    return of.name or derived(table.name, *(of.columns or sorted(of.uses)), suffix=_SUFFIX.get(of.kind, of.kind))


def pointing(constraint: Constraint, theirs: tuple[str, ...] | None = None) -> str:
    """A foreign key as the language writes it in a line of its own, at other columns (`theirs`; none: the key) if need be."""
    target = constraint.target
    assert target is not None
    columns = target.columns if theirs is None else theirs
    found = f"({listed(constraint.columns)}) -> {written(target.entity)}"
    found += f" ({listed(columns)})" if columns else ""
    found += f" on delete {target.on_delete.lower()}" if target.on_delete else ""
    return found + (f" as {written(constraint.name, folds=True)}" if constraint.name else "")


def listed(names: tuple[str, ...]) -> str:
    """Columns as the language lists them."""
    return ", ".join(written(name, folds=True) for name in names)
