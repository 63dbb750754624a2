"""A checked module becomes its foreign keys: of each, what it points at and in which phase it is made."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.semantics import referring
from migdsl.semantics.model import AddConstraint, CheckedModule, Column, Constraint, CreateTable, Table
from migdsl.semantics.phrases import listed
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around
from migdsl.values import Value


class Key(Value):
    """A foreign key: whose, to what, and in which phase it is made. `made` is what makes its table, where that is new."""

    owner: Table
    constraint: Constraint
    parent: Table
    theirs: tuple[str, ...]
    phase: str
    made: CreateTable | None = None

    @property
    def shown(self) -> str:
        """What it points at, as a person says it."""
        return f"{self.parent.entity} ({', '.join(self.theirs)})"

    @property
    def said(self) -> str:
        """The same as the language writes it."""
        return f"{written(self.parent.entity)} ({listed(self.theirs)})"


def keys(module: CheckedModule, around: Around) -> Iterator[Key]:
    """Those of entities, of `change`, of `create` and of `move`; of another that takes its place only the first is told."""
    for table in module.tables:
        for found in table.constraints:
            yield from _key(table, found, around, referring.BEFORE)
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddConstraint) and operation.replaces is None:
                phase = "validate" if operation.complies else "enforce"
                yield from _key(change.table, operation.constraint, around, phase)
            elif isinstance(operation, CreateTable):
                late = referring.bound_late(operation)
                for found in operation.table.constraints:
                    phase = referring.late_phase(operation) if found in late else "expand"
                    yield from _key(operation.table, found, around, phase, operation)


def _key(
    owner: Table, constraint: Constraint, around: Around, phase: str, made: CreateTable | None = None
) -> Iterator[Key]:
    """None where the file is wrong about something else: it was told of."""
    parent = around.parent(constraint)
    if constraint.target is None or parent is None or not (owner.complete and parent.complete):
        return
    theirs = constraint.target.columns or parent.key
    if theirs and parent.database == owner.database:
        yield Key(owner, constraint, parent, theirs, phase, made)


def column(around: Around, key: Key, table: Table, name: str) -> Column | None:
    """A column on either side, as it is when the foreign key is asked for."""
    return table.column(name) if key.phase == referring.BEFORE else referring.column_after(around, table, name)
