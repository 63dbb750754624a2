"""What constraints and indexes are made of, so that a twin of one can be built over other columns."""

from __future__ import annotations

from migdsl.dialect.sql import Expression
from migdsl.values import Value


class IndexPart(Value):
    """One thing that an index is sorted by: a column, or an expression. `operators` is its operator class, with
    its schema where that is said."""

    column: str | None
    expression: Expression | None
    descending: bool = False
    nulls_first: bool = False
    operators: tuple[str, ...] = ()

    @property
    def bits(self) -> int:
        """Its order, as pg_index.indoption has it: 1 for descending, 2 for NULLs first."""
        return self.descending + 2 * self.nulls_first


class IndexShape(Value):
    """An index. `method` is None for a B-tree; `unique` where no two of its rows may be alike."""

    parts: tuple[IndexPart, ...]
    method: str | None
    include: tuple[str, ...]
    where: Expression | None
    unique: bool = False


class Referred(Value):
    """What a foreign key points at: an entity's columns (none: its key), and what happens on delete, as SQL.

    `moved`: it points at the table that the entity's rows move to.
    """

    entity: str
    columns: tuple[str, ...]
    on_delete: str | None
    moved: bool = False


class ExcludePart(Value):
    """A column or an expression, and the operator that must not be true of two rows."""

    column: str | None
    expression: Expression | None
    operator: str


class ExcludeShape(Value):
    """An exclusion constraint."""

    method: str
    parts: tuple[ExcludePart, ...]
    where: Expression | None
