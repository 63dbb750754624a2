"""What several sections of a plan say of a migration, worked out once."""

from __future__ import annotations

from migdsl.ops.model import Lowered, TablePlan
from migdsl.planning.beside import Beside
from migdsl.planning.paths import Paths
from migdsl.planning.release import stage_of_all
from migdsl.planning.words import listed, versions
from migdsl.semantics.model import AddColumn, Change, CheckedModule, ColumnOperation, Table
from migdsl.semantics.phrases import phrases, placed
from migdsl.semantics.phrases import sides as called
from migdsl.values import Value


class Facts(Value):
    """A module, what it was lowered to, where its files go, and which phases are released."""

    module: CheckedModule
    lowered: Lowered
    paths: Paths
    released: frozenset[str]
    beside: tuple[Beside, ...] = ()

    @property
    def migration(self) -> str:
        return self.lowered.migration

    @property
    def tables(self) -> tuple[TablePlan, ...]:
        return self.lowered.tables

    @property
    def stage(self) -> str:
        return stage_of_all(self.module)

    @property
    def fills(self) -> bool:
        """Whether rows from before are carried over."""
        return any(t.fills for t in self.tables)

    @property
    def pairs(self) -> bool:
        """Whether old and new columns live side by side for a while."""
        return any(t.switched for t in self.tables)

    @property
    def ramps(self) -> bool:
        """Whether tenants, or requests, move step by step."""
        return self.pairs or any(b.ramps for b in self.beside)

    @property
    def subjects(self) -> str:
        """What the migration is about, where a sentence needs its names."""
        return listed([*(p.table.entity for p in self.tables), *(b.subject for b in self.beside)])

    @property
    def two_way(self) -> bool:
        """Whether something leads back from the new to the old."""
        return any(t.switched and (t.origin is None or t.move is not None) for t in self.tables)

    @property
    def swaps(self) -> tuple[str, ...]:
        """The columns that get another type in one swap, for everybody at once."""
        return tuple(name for t in self.tables for name in t.swapped)

    @property
    def versions(self) -> str:
        """The oldest PostgreSQL that the file was checked against: `PostgreSQL 15 or later`, in each database its own."""
        return versions({name: self.module.database(name).version for name in self.lowered.databases})

    @property
    def whom(self) -> str:
        """Who moves in the rollout: tenants, or requests where there are none, or where the file says so."""
        tenants = self.module.tenants
        by_request = self.module.rollout.by_request or tenants is None or tenants.key is None
        return "request" if by_request else "tenant"

    @property
    def everybody(self) -> str:
        """Those whom the rollout moves, all of them: tenants where rows of theirs are moved one after another."""
        tenants = self.whom == "tenant" and not self.at_once and any(p.table.owned for p in self.tables)
        return "all tenants" if tenants else "everybody"

    @property
    def at_once(self) -> bool:
        """Whether the rollout has one step, for everybody."""
        return self.module.rollout.steps == (100.0,) and not self.module.rollout.canary

    @property
    def soak_seconds(self) -> int | None:
        """The longest soak, or None where nothing is contracted."""
        return max((t.soak_seconds for t in self.tables if t.soak_seconds is not None), default=None)

    @property
    def longest_soak(self) -> int | None:
        """The same, of what is no table too."""
        found = (self.soak_seconds, *(b.soak_seconds for b in self.beside))
        return max((seconds for seconds in found if seconds is not None), default=None)

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that DDL happens in."""
        return tuple(dict.fromkeys(s.phase for s in self.lowered.steps if s.up or s.down))

    @property
    def touched(self) -> tuple[Table, ...]:
        """The tables that change, and those that new ones are filled from."""
        origins = (t.origin.table for t in self.tables if t.origin is not None)
        every = (*(t.table for t in self.tables), *origins)
        return tuple({(t.entity, t.database, t.schema, t.name): t for t in every}.values())

    def shown(self, table: Table) -> str:
        """A table's place; its database, where both databases of a move have one of that name."""
        moved = [t for p in self.tables if p.moved is not None and p.move is not None for t in (p.move.table, p.table)]
        return placed(table) if table in moved else f"{table.schema}.{table.name}"

    def change(self, table: TablePlan) -> Change:
        """What the file says of a table."""
        return next(c for c in self.module.changes if c.table == table.table)

    def column_operations(self, table: TablePlan) -> tuple[ColumnOperation, ...]:
        """What the file says of a table's columns."""
        return tuple(o for o in self.change(table).operations if isinstance(o, ColumnOperation))


def summary(change: Change) -> str:
    """A table's operations in one line: `add contact_email, drop email`."""
    return ", ".join(phrases(change.operations))


def old_side(table: TablePlan, change: Change) -> str:
    """The columns that are the truth before the switch."""
    if table.origin is not None:
        read = {n for name, e in table.origin.values if name not in table.table.key for n in e.names()}
        read |= table.origin.where.names() if table.origin.where else set()
        read -= {table.origin.table.tenant or ""}
        return _columns(sides(table)[0], sorted(read) or list(table.origin.table.key))
    inputs = sorted({n for o in change.operations if isinstance(o, AddColumn) and o.source for n in o.source.names()})
    return _columns(table.table.entity, inputs) if inputs else f"{table.table.entity}'s constants"


def new_side(table: TablePlan) -> str:
    """The columns that are the truth after it."""
    return _columns(sides(table)[1], [c.column for c in table.switched])


def sides(plan: TablePlan) -> tuple[str, str]:
    """What people call the table that rows come from, and the one that they go to: of a move both have the entity's name."""
    if plan.move is None:
        return (plan.origin or plan).table.entity, plan.table.entity
    return called(plan.move.table, plan.move.target)


def _columns(entity: str, names: list[str]) -> str:
    return f"{entity}.{names[0]}" if len(names) == 1 else f"{entity}.{{{', '.join(names)}}}"
