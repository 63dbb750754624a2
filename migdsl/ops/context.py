"""What every lowering of an operation needs to know of its surroundings."""

from __future__ import annotations

from migdsl.ops import names, outside
from migdsl.ops.pairs import Kept, Pair
from migdsl.semantics.model import AddColumn, Change, CheckedModule, Table, Tenants
from migdsl.values import Value


class Context(Value):
    """One table's change within a migration."""

    migration: str
    change: Change
    module: CheckedModule
    pairs: tuple[Pair, ...]
    kept: tuple[Kept, ...]

    @property
    def table(self) -> Table:
        """The table that is changed."""
        return self.change.table

    @property
    def outside(self) -> tuple[AddColumn, ...]:
        """The new columns that nothing in the database can compute."""
        return outside.computed(self.change)

    @property
    def tenants(self) -> Tenants | None:
        """The tenant boundary."""
        return self.module.tenants

    @property
    def version(self) -> int:
        """The oldest PostgreSQL that the migration must run on."""
        return self.module.database(self.table.database).version

    @property
    def sql(self) -> str:
        """The table as SQL."""
        return names.table(self.table)

    def pair(self, column: str) -> Pair | None:
        """The pair of a new column."""
        return next((p for p in self.pairs if p.column == column), None)

    def is_target(self, column: str) -> Pair | None:
        """The pair that computes this old column back."""
        return next((p for p in self.pairs if any(b.column == column for b in p.backs)), None)
