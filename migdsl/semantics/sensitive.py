"""A new column, and what it is computed from, become the column marked as personal data where it is made of such data."""

from __future__ import annotations

from collections.abc import Collection

from migdsl.dialect.sql import Expression
from migdsl.semantics.table_model import Column, Table
from migdsl.values import replace


def marked(column: Column, table: Table, value: Expression | None) -> Column:
    """A new column that is computed from columns of `table`."""
    return private(column, table, value.names()) if value is not None else column


def private(column: Column, table: Table, names: Collection[str]) -> Column:
    """A new column, and the columns of `table` that its values are made of."""
    read = [c for c in table.columns if c.name in names]
    pii, phi = any(c.pii for c in read), any(c.phi for c in read)
    if (pii and not column.pii) or (phi and not column.phi):
        return replace(column, pii=column.pii or pii, phi=column.phi or phi)
    return column
