"""A foreign key becomes the table that it points at, and the phase from which on its columns there are unique."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from migdsl.semantics.model import (
    PHASES,
    AddColumn,
    AddConstraint,
    CheckedModule,
    Column,
    Constraint,
    CreateTable,
    DropColumn,
    DropConstraint,
    Operation,
    OptionalColumn,
    RequireColumn,
    RetypeColumn,
    Table,
)
from migdsl.source import Span
from migdsl.values import Value

BEFORE = ""  # the phase of what is there before the migration


class Since(Value):
    """From which phase on something holds, and where the file says so."""

    phase: str
    span: Span

    @property
    def order(self) -> int:
        """Its place among the phases; what is there before comes first."""
        return order(self.phase)


def order(phase: str) -> int:
    """A phase's place among the others; what is there before comes first."""
    return PHASES.index(phase) + 1 if phase else 0


def bound_late(operation: CreateTable) -> tuple[Constraint, ...]:
    """The constraints of a new table that rows of old code might break, where there are such rows."""
    move = operation.move
    kept = move.kept if move is not None else ()  # by the table that they come from
    if move is not None and move.across:
        # No write of old code reaches the table. What it refuses waits as a dead letter, but for a row whose parent comes later.
        return tuple(c for c in operation.table.constraints if c.target is not None and c.target.moved)
    found = (c for c in operation.table.constraints if c.kind != "exclude" and c.binds and c not in kept)
    return tuple(found) if operation.sources else ()


def late_phase(operation: CreateTable) -> str:
    """When they bind: across databases a row deleted over there takes others along, so they stand before anybody is switched."""
    return "validate" if operation.move is not None and operation.move.across else "enforce"


class Around(Value):
    """The tables that foreign keys point at, by entity, as they are before (`old`) and as they come (`new`), and what becomes
    of each (`fates`, by the table's identity)."""

    old: Mapping[str, Table]
    new: Mapping[str, Table]
    fates: Mapping[int, tuple[Operation, ...]]

    @classmethod
    def of(cls, module: CheckedModule) -> Around:
        """All of a module's."""
        new = {o.table.entity: o.table for o in module.created}
        old = {**new, **{t.entity: t for t in reversed(module.tables)}}
        return cls(old, new, {id(change.table): change.operations for change in module.changes})

    def parent(self, constraint: Constraint) -> Table | None:
        """The table that a foreign key points at; both tables of a move have one name."""
        target = constraint.target
        return (self.new if target.moved else self.old).get(target.entity) if target is not None else None

    def fate(self, table: Table) -> tuple[Operation, ...]:
        """What becomes of a table."""
        return self.fates.get(id(table), ())


def unique_before(parent: Table, columns: Iterable[str]) -> bool:
    """Whether no two rows have the same in these columns before the migration, as far as the file says."""
    wanted = frozenset(columns)
    return wanted == frozenset(parent.key) or any(tells_apart(c, wanted) for c in parent.constraints)


def unique_from(around: Around, parent: Table, columns: Iterable[str]) -> Since | None:
    """From which phase on no two rows have the same in these columns, for good; None where some may."""
    wanted, operations = frozenset(columns), around.fate(parent)
    found = [*_standing(parent, operations, wanted), *_coming(operations, wanted)]
    return min(found, key=lambda since: since.order, default=None)


def comes_along(module: CheckedModule, constraint: Constraint, phase: str) -> bool:
    """Whether what a foreign key points at is made unique in the same phase, and so has to be first."""
    around = Around.of(module)
    parent = around.parent(constraint)
    if parent is None or constraint.target is None:
        return False
    since = unique_from(around, parent, constraint.target.columns or parent.key)
    return since is not None and since.phase == phase


def own_index(table: Table, operations: Iterable[Operation], constraint: Constraint) -> tuple[str, ...]:
    """The columns of the index that a foreign key to come brings along; none where one of the file's serves it already.

    Without one on the referring side each delete of a parent would read the whole table.
    """
    added = (o.constraint for o in operations if isinstance(o, AddConstraint))
    listed = (c.columns for c in (*table.constraints, *added) if c.kind in ("index", "unique"))
    size = len(constraint.columns)
    served = any(found[:size] == constraint.columns for found in (table.key, *listed))
    return () if served else constraint.columns


def column_after(around: Around, table: Table, name: str) -> Column | None:
    """A column as it is after the migration; None where there is none of that name by then."""
    found = table.column(name)
    for operation in around.fate(table):
        if isinstance(operation, AddColumn) and operation.column.name == name:
            return operation.column
        if isinstance(operation, RetypeColumn) and operation.column.name == name:
            return operation.to
        if isinstance(operation, DropColumn) and operation.column.name == name:
            found = None
    return found


def nullable_after(around: Around, table: Table, column: Column) -> bool:
    """Whether a column may be NULL after the migration."""
    found = column.nullable and column.name not in table.key
    for operation in around.fate(table):
        if isinstance(operation, OptionalColumn) and operation.column.name == column.name:
            found = True
        elif isinstance(operation, RequireColumn) and operation.column.name == column.name:
            found = False
        elif isinstance(operation, AddConstraint) and operation.constraint.kind == "key":
            found = found and column.name not in operation.constraint.columns
    return found


def _standing(parent: Table, operations: tuple[Operation, ...], wanted: frozenset[str]) -> Iterator[Since]:
    """What is there, or comes with the table, and doesn't go."""
    made = next((o for o in operations if isinstance(o, CreateTable)), None)
    first, late = ("expand", bound_late(made)) if made is not None else (BEFORE, ())
    gone = {id(o.constraint) for o in operations if isinstance(o, DropConstraint)}
    gone |= {id(o.replaces) for o in operations if isinstance(o, AddConstraint)}
    another = any(isinstance(o, AddConstraint) and o.constraint.kind == "key" for o in operations)
    if wanted == frozenset(parent.key) and not another:
        yield Since(first, parent.span)
    for found in parent.constraints:
        if found.kind != "key" and id(found) not in gone and tells_apart(found, wanted):
            yield Since("enforce" if found in late else first, found.span)


def _coming(operations: tuple[Operation, ...], wanted: frozenset[str]) -> Iterator[Since]:
    for operation in operations:
        if isinstance(operation, AddConstraint):
            phase = "validate" if operation.complies and operation.constraint.kind != "key" else "enforce"
            if tells_apart(operation.constraint, wanted):
                yield Since(phase, operation.span)
        elif isinstance(operation, AddColumn):
            phase = "validate" if operation.complies else "enforce"
            yield from (Since(phase, u.span) for u in operation.uniques if frozenset(u.columns) == wanted)


def tells_apart(constraint: Constraint, wanted: frozenset[str]) -> bool:
    """Whether it is a key or a unique over just these columns, of which PostgreSQL lets a foreign key make use."""
    if constraint.index is None:
        return constraint.kind in ("unique", "key") and frozenset(constraint.columns) == wanted
    parts = constraint.index.parts
    whole = constraint.index.where is None and all(part.column is not None for part in parts)
    return constraint.index.unique and whole and frozenset(part.column or "" for part in parts) == wanted
