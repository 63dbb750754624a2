"""The SQL that walks a table in batches of keys, confined to one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migdsl.dialect.names import qualified, quote
from migdsl.ops import names
from migdsl.semantics.model import Table
from migdsl.semantics.policy import Order


@dataclass(frozen=True, slots=True)
class Walk:
    """Statements over the row `t` of a table (`row`); where it doesn't say whose it is, `p1`, `p2` … (`parents`) lead there.

    A range of keys is `(:after, :upto]`; of several columns `:after_1` … Rows are walked along the table's key, or by
    `order`, which their key follows.
    """

    table: Table
    row: str = "t"
    parents: str = "p"
    order: Order | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that rows are walked along."""
        first = [self.order.column] if self.order is not None else []
        return tuple(dict.fromkeys([*first, *self.table.key]))

    @property
    def tenant(self) -> str | None:
        """What says whose a row is, as SQL: its own column, or that of the last table on the way there; None: nobody's."""
        if self.table.via is not None:
            return f"{self.parents}{len(self.table.via.hops)}.{quote(self.table.via.tenant)}"
        return f"{self.row}.{quote(self.table.tenant)}" if self.table.scope == "tenant" and self.table.tenant else None

    def source(self) -> str:
        """`table AS t`, and the tables on the way to the tenant, of each of which a row belongs to one row at most."""
        joined = "".join(f"\n  JOIN {table} ON {condition}" for table, condition in self.way())
        return f"{names.table(self.table)} AS {self.row}{joined}"

    def way(self) -> Iterator[tuple[str, str]]:
        """Each table on the way to the tenant under its alias, and how it is met."""
        row = self.row
        for number, hop in enumerate(self.table.via.hops if self.table.via is not None else (), 1):
            alias = f"{self.parents}{number}"
            yield f"{qualified(hop.schema, hop.name)} AS {alias}", f"{alias}.{quote(hop.key)} = {row}.{quote(hop.column)}"
            row = alias

    def nobodys(self) -> str:
        """The condition under which no tenant's walk comes to a row; nothing where there are no tenants."""
        if self.tenant is None or self.table.via is None:
            return f"{self.tenant} IS NULL" if self.tenant is not None else ""
        parents, met = zip(*self.way(), strict=True)
        leads = " AND ".join([*met, f"{self.tenant} IS NOT NULL"])
        return f"NOT EXISTS (SELECT FROM {', '.join(parents)} WHERE {leads})"

    def shared(self, *, owner: bool = False) -> str:
        """What keeps the rows that a statement reads as they are, until what it writes of them is there.

        `owner`: first the row that each belongs to. Who deletes that takes its rows along, and would wait for them here
        while a foreign key of what is written waits for it there.
        """
        if self.table.via is None:
            return "FOR SHARE"
        first = f"FOR KEY SHARE OF {self.parents}1\n   " if owner else ""
        return f"{first}FOR SHARE OF {self.row}"

    def confined(self, *conditions: str) -> str:
        """A WHERE clause: the tenant, then the conditions; empty where there is neither."""
        all_ = [*([f"{self.tenant} = :tenant_id"] if self.tenant else []), *conditions]
        return "WHERE " + "\n   AND ".join(all_) if all_ else ""

    def keys(self) -> str:
        """The key's columns."""
        return ", ".join(f"t.{quote(c)}" for c in self.key)

    def after(self) -> str:
        """Keys behind `:after`, where NULL stands for before the first. A custom plan folds the second half away."""
        names_ = parameters("after", self.key)
        return f"({self._compared('<' if self._down else '>', names_)} OR :{names_[0]} IS NULL)"

    def upto(self) -> str:
        """Keys up to `:upto`, it included."""
        return self._compared(">=" if self._down else "<=", parameters("upto", self.key))

    def upper(self) -> str:
        """The last key."""
        order = self._ordered(down=not self._down)
        return f"SELECT {self.keys()}\n  FROM {self.source()}\n {self.confined()}\n ORDER BY {order}\n LIMIT 1"

    def bound(self) -> str:
        """The key `:skip` rows behind `:after`, by index from there: never an OFFSET over the table."""
        where = self.confined(self.after(), self.upto())
        order = self._ordered(down=self._down)
        return f"SELECT {self.keys()}\n  FROM {self.source()}\n {where}\n ORDER BY {order}\nOFFSET :skip LIMIT 1"

    def update(self, assignments: str, condition: str) -> str:
        """Writes the rows of a range that need it, and no other: a replay changes nothing."""
        return self.write(assignments, (self.after(), self.upto(), condition))

    def write(self, assignments: str, conditions: tuple[str, ...], given: str = "") -> str:
        """Writes the rows that meet the conditions; `given` is a relation that is there besides."""
        # The row that is written can't be named in a JOIN: it meets the first of its parents in WHERE.
        first, *others = list(self.way()) or [("", "")]
        joined = first[0] + "".join(f"\n  JOIN {table} ON {met}" for table, met in others)
        from_ = ",\n       ".join(part for part in (joined, given) if part)
        meets = [first[1]] if first[1] else []
        from_ = f"\n  FROM {from_}" if from_ else ""
        return (
            f"UPDATE {names.table(self.table)} AS {self.row}\n   SET {assignments}{from_}\n"
            f" {self.confined(*meets, *conditions)}"
        )

    def delete(self, *conditions: str) -> str:
        """Takes away the rows that meet the conditions."""
        first, *others = list(self.way()) or [("", "")]
        using = f"\n USING {first[0]}" if first[0] else ""
        using += "".join(f"\n  JOIN {table} ON {met}" for table, met in others)
        where = self.confined(*([first[1]] if first[1] else []), *conditions)
        return f"DELETE FROM {names.table(self.table)} AS {self.row}{using}\n {where}"

    def count(self, *conditions: str) -> str:
        """Counts rows."""
        return f"SELECT count(*)\n  FROM {self.source()}\n {self.confined(*conditions)}".rstrip()

    @property
    def _down(self) -> bool:
        return self.order is not None and self.order.descending

    def _ordered(self, *, down: bool) -> str:
        return ", ".join(f"t.{quote(c)} DESC" for c in self.key) if down else self.keys()

    def _compared(self, operator: str, parameters_: tuple[str, ...]) -> str:
        if len(self.key) == 1:
            return f"{self.keys()} {operator} :{parameters_[0]}"
        return f"({self.keys()}) {operator} ({', '.join(':' + p for p in parameters_)})"


def parameters(base: str, key: tuple[str, ...]) -> tuple[str, ...]:
    """The parameters that carry a key."""
    return (base,) if len(key) == 1 else tuple(f"{base}_{n}" for n in range(1, len(key) + 1))
