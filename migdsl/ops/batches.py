"""The SQL that walks a table in batches of keys, confined to one tenant."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.dialect.names import quote
from migdsl.ops import names
from migdsl.semantics.model import Table


@dataclass(frozen=True, slots=True)
class Walk:
    """Statements over the row `t` of a table. A range of keys is `(:after, :upto]`; of several columns `:after_1` …"""

    table: Table

    @property
    def tenant(self) -> str | None:
        """The tenant column as SQL; None where the table has no tenants."""
        return quote(self.table.tenant) if self.table.scope == "tenant" and self.table.tenant else None

    def source(self) -> str:
        """`table AS t`."""
        return f"{names.table(self.table)} AS t"

    def confined(self, *conditions: str) -> str:
        """A WHERE clause: the tenant, then the conditions; empty where there is neither."""
        all_ = [*([f"t.{self.tenant} = :tenant_id"] if self.tenant else []), *conditions]
        return "WHERE " + "\n   AND ".join(all_) if all_ else ""

    def keys(self) -> str:
        """The key's columns."""
        return ", ".join(f"t.{quote(c)}" for c in self.table.key)

    def after(self) -> str:
        """Keys behind `:after`, where NULL stands for before the first. A custom plan folds the second half away."""
        names_ = parameters("after", self.table.key)
        return f"({self._compared('>', names_)} OR :{names_[0]} IS NULL)"

    def upto(self) -> str:
        """Keys up to `:upto`, it included."""
        return self._compared("<=", parameters("upto", self.table.key))

    def upper(self) -> str:
        """The last key."""
        return f"SELECT {self.keys()}\n  FROM {self.source()}\n {self.confined()}\n ORDER BY {self._descending()}\n LIMIT 1"

    def bound(self) -> str:
        """The key `:skip` rows behind `:after`, by index from there: never an OFFSET over the table."""
        where = self.confined(self.after(), self.upto())
        return f"SELECT {self.keys()}\n  FROM {self.source()}\n {where}\n ORDER BY {self.keys()}\nOFFSET :skip LIMIT 1"

    def update(self, assignments: str, condition: str) -> str:
        """Writes the rows of a range that need it, and no other: a replay changes nothing."""
        where = self.confined(self.after(), self.upto(), condition)
        return f"UPDATE {self.source()}\n   SET {assignments}\n {where}"

    def count(self, *conditions: str) -> str:
        """Counts rows."""
        return f"SELECT count(*)\n  FROM {self.source()}\n {self.confined(*conditions)}".rstrip()

    def _descending(self) -> str:
        return ", ".join(f"t.{quote(c)} DESC" for c in self.table.key)

    def _compared(self, operator: str, parameters_: tuple[str, ...]) -> str:
        if len(self.table.key) == 1:
            return f"{self.keys()} {operator} :{parameters_[0]}"
        return f"({self.keys()}) {operator} ({', '.join(':' + p for p in parameters_)})"


def parameters(base: str, key: tuple[str, ...]) -> tuple[str, ...]:
    """The parameters that carry a key."""
    return (base,) if len(key) == 1 else tuple(f"{base}_{n}" for n in range(1, len(key) + 1))
