"""A file's own migration becomes what its tables may look like while it is under way: other columns, and names that it gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from migdsl.introspect.connect import Session
from migdsl.ops import claims, names
from migdsl.ops.lower import lower
from migdsl.ops.model import Made
from migdsl.semantics import model
from migdsl.semantics.model import CheckedModule, Column, Operation
from migdsl.semantics.phrases import called
from migdsl.semantics.retypes import default_after
from migdsl.values import replace

_READABLE = """SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'migdsl' AND c.relname = 'event'"""
_BEGUN = """SELECT kind FROM migdsl.event WHERE migration = $1 AND kind IN ('stage', 'left') ORDER BY id DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Underway:
    """What a migration makes of its tables; `begun`: as far as the ledger tells, its first revision has run."""

    module: CheckedModule
    begun: bool
    made: frozenset[Made]

    def coming(self, table: model.Table) -> frozenset[str]:
        """The columns that are there for a while, or from now on: new ones, and both shadows of a retyped one."""
        found = [o.column.name for o in self._operations(table) if isinstance(o, model.AddColumn)]
        return frozenset([*found, *_both(self._shadowed(table))])

    def given(self, table: model.Table) -> frozenset[str]:
        """The names of constraints and indexes that the migration makes."""
        own, shadowed = names.table(table), self._shadowed(table)
        twins = _both(called(table, c) for c in table.constraints if c.uses & shadowed)
        return frozenset([*twins, *(m.name for m in self.made if m.kind == "relation" or m.relation == own)])

    def ways(self, table: model.Table, column: Column) -> tuple[Column, ...]:
        """All that a column may be: as it is declared, and with some of its changes behind it."""
        found: tuple[Column, ...] = (column,)
        for operation in self._operations(table) if self.begun else ():
            if getattr(operation, "column", None) is column:
                change = _CHANGED.get(type(operation))
                found = (*found, *(change(each, operation) for each in found)) if change else found
        return found

    def place(self, table: model.Table) -> tuple[str, str]:
        """Schema and name under which the table stands, if not under its own."""
        renamed = (o.to for o in self._operations(table) if isinstance(o, model.RenameTable) and self.begun)
        return table.schema, next(renamed, table.name)

    def _shadowed(self, table: model.Table) -> frozenset[str]:
        operations = self._operations(table)
        return frozenset(o.column.name for o in operations if isinstance(o, model.RetypeColumn) and not o.in_place)

    def _operations(self, table: model.Table) -> tuple[Operation, ...]:
        return tuple(o for c in self.module.changes if c.table.entity == table.entity for o in c.operations)


def _both(shadowed: Iterable[str]) -> Iterator[str]:
    """The names that a shadow has before the swap, and after it."""
    for name in shadowed:
        yield from (names.incoming(name), names.outgoing(name))


def _retyped(column: Column, operation: model.RetypeColumn) -> Column:
    default = column.default
    if default is not None and not operation.in_place:
        default = default_after(operation, default)
    return replace(column, type=operation.to.type, default=default)


_CHANGED: Mapping[type, Callable[[Column, Any], Column]] = MappingProxyType(
    {
        model.RequireColumn: lambda column, _: replace(column, nullable=False),
        model.OptionalColumn: lambda column, _: replace(column, nullable=True),
        model.SetDefault: lambda column, operation: replace(column, default=operation.default),
        model.RetypeColumn: _retyped,
    }
)


def underway(module: CheckedModule, session: Session) -> Underway:
    """Of a file without a migration: nothing. Where the ledger is closed to this role, it is taken to have begun."""
    if module.header is None or not module.changes:
        return Underway(module, False, frozenset())
    ledger = session.rows(_READABLE)
    begun = bool(ledger)
    if ledger and ledger[0]["readable"]:
        begun = [row["kind"] for row in session.rows(_BEGUN, (module.header.name,))] == ["stage"]
    made = (each for found in claims.by_phase(lower(module).steps).values() for each in found)
    return Underway(module, begun, frozenset(made))
