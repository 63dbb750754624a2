"""A new table and what it is filled from become SQL: keys that correspond, values, the batches' INSERT, both sides joined."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.failures import danger
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.ops import attempts, names
from migdsl.ops.batches import Walk
from migdsl.ops.pairs import Pair, assigned, compared, one_line, over
from migdsl.ops.ranges import Keyed
from migdsl.semantics.model import Column, Source, Table
from migdsl.semantics.policy import Order
from migdsl.semantics.table_model import Hop
from migdsl.values import Value

# A cast of the parameter to these keeps tenants apart; one that has a length would cut it short.
_UNCUT = {"character": "bpchar", "bit": "bit varying"}  # without a length these would mean one of 1
_PLAIN = frozenset(["uuid", "text", "character varying", "smallint", "integer", "bigint"])


def copied(expression: Expression) -> str | None:
    """The column whose value an expression is, unchanged; None where it computes something."""
    fields = expression.tree.get("ColumnRef", {}).get("fields", [])
    return str(fields[0]["String"]["sval"]) if len(fields) == 1 and "String" in fields[0] else None


def tenant(table: Table) -> str | None:
    """The column that a table's rows are confined by."""
    return table.tenant if table.scope == "tenant" else None


def failure(source: Source, expression: Expression, into: SqlType) -> str | None:
    """Why an expression over the source's row may fail, or None."""
    return danger(expression.tree, source.table.type_if_known, into)


class Carried(Value):
    """A new table, and the source of its rows; rows are `t` in statements on one of the two, `s` and `t` where both meet."""

    migration: str
    table: Table
    source: Source

    def key_pairs(self) -> tuple[tuple[str, str], ...]:
        """The columns of the new key, each with the source's column that it is."""
        given = dict(self.source.values)
        return tuple((c, copied(given[c]) or "") for c in self.table.key if c in given)

    def identity(self) -> tuple[tuple[str, str], ...]:
        """Key and tenant of a new row, each with the source's column that it is."""
        found = dict(self.key_pairs())
        ours, theirs = tenant(self.table), tenant(self.source.table)
        if ours and theirs:
            found.setdefault(ours, theirs)
        return tuple(found.items())

    def leading(self) -> tuple[str, str] | None:
        """Of rows that have their tenant by way of another: the column that leads there, with the source's that it is."""
        here, there = self.table.via, self.source.table.via
        return (here.hops[0].column, there.hops[0].column) if here is not None and there is not None else None

    def one_owner(self) -> bool:
        """Whether the rows of both tables belong to the same rows of another one."""
        here, there = self.table.via, self.source.table.via
        return here is not None and there is not None and _place(here.hops[0]) == _place(there.hops[0])

    def values(self) -> tuple[tuple[Column, Expression], ...]:
        """The other columns that the source gives, as they stand in the file."""
        own = dict(self.identity())
        found = ((self.table.column(name), e) for name, e in self.source.values if name not in own)
        return tuple((column, expression) for column, expression in found if column is not None)

    def columns(self) -> tuple[str, ...]:
        """All that an INSERT gives."""
        return (*dict(self.identity()), *(c.name for c, _ in self.values()))

    def guarded(self) -> tuple[Pair, ...]:
        """The values that may fail on a row, each as what the functions are made from that give NULL there."""
        pairs = (self._pair(column, expression) for column, expression in self.values())
        return tuple(pair for pair in pairs if pair.guarded)

    def _pair(self, column: Column, expression: Expression) -> Pair:
        name = f"{self.table.name}_{column.name}"  # the source may get a column of that name
        risky = failure(self.source, expression, column.type) is not None
        return Pair(name, column.type, expression, (), (), (), (), False, (), risky)

    def written(self, column: Column, expression: Expression, row: str) -> str:
        """What a row of the source gives, as what is written into the new column."""
        leading = self.leading()
        if leading is not None and leading[0] == column.name:
            return f"{row}.{quote(leading[1])}"  # uncast, as it can be proven whose row it leads to
        return attempts.written(self.migration, self.source.table, self._pair(column, expression), row)

    def held(self, column: Column, expression: Expression, row: str) -> str:
        """The same as an operand, as the new column would hold it."""
        return one_line(attempts.held(self.migration, self.source.table, self._pair(column, expression), row))

    def attempted(self, column: Column, expression: Expression, given: list[str]) -> str | None:
        """A value that may fail, computed from other inputs than a row's; None for one that can't."""
        pair = self._pair(column, expression)
        return (
            f"{names.attempt(self.migration, self.source.table, pair.column)}({', '.join(given)})"
            if pair.guarded
            else None
        )

    def failing(self) -> Iterator[tuple[str, str]]:
        """The columns whose value may fail, each with the question whether it does on the row `s`."""
        for column, expression in self.values():
            pair = self._pair(column, expression)
            if pair.guarded:
                yield column.name, attempts.fails(self.migration, self.source.table, pair, "s")

    def late(self) -> tuple[str, ...]:
        """NOT NULL columns for which the source might give a NULL: until enforce they may hold one, for old code's sake."""
        return tuple(
            c.name
            for c, e in self.values()
            if not c.nullable and (self._pair(c, e).guarded or not _surely(self.source.table, e.tree))
        )

    def where(self, row: str) -> str | None:
        """Which rows of the source give one; None where all do."""
        return over(self.source.table, self.source.where, row) if self.source.where is not None else None

    def matched(self, new: str, old: str) -> str:
        """The condition under which a row of the new table is that of a row of the source."""
        return " AND ".join(f"{new}.{quote(a)} = {old}.{quote(b)}" for a, b in self.key_pairs())

    def _missing(self, *, singly: bool = False) -> Iterator[str]:
        """The conditions under which a row of the source has none yet; `singly`: each row is looked up by its key."""
        condition, column, leading = self.where("t"), tenant(self.table), self.leading()
        if condition is not None:
            yield f"({condition})"
        confined = f" AND n.{quote(column)} = :tenant_id" if column else ""
        if leading is not None and leading not in self.key_pairs():
            # By the owner of the row that is there: the other one may come later.
            confined = f" AND n.{quote(leading[0])} = t.{quote(leading[1])}"
        # A join would read all that the tenant has in the new table, for each batch anew.
        alone = " OFFSET 0" if singly else ""
        yield f"NOT EXISTS (SELECT FROM {names.table(self.table)} AS n WHERE {self.matched('n', 't')}{confined}{alone})"

    def on_conflict(self) -> str:
        """What an INSERT does where a row stands in the way: of its key, or in the sense of an exclusion constraint."""
        excluding = any(c.kind == "exclude" for c in self.table.constraints)
        key = "" if excluding else f" ({', '.join(map(quote, self.table.key))})"
        return f"ON CONFLICT{key} DO NOTHING"

    def batch(self, order: Order | None = None) -> str:
        """Inserts what the rows of a range give and is not there yet: a replay changes nothing."""
        walk = Walk(self.source.table, order=order)
        return self._insert(walk, walk.after(), walk.upto())

    def insert(self) -> str:
        """Inserts what the row with one key gives, as a batch does."""
        return self._insert(Walk(self.source.table), *self.sought("t").equal())

    def sought(self, row: str) -> Keyed:
        """The new key over a row of the source, by columns that have an index."""
        columns = tuple(f"{row}.{quote(of)}" for _, of in self.key_pairs())
        types = ((self.table.type_of(column), self.source.table.type_of(of)) for column, of in self.key_pairs())
        # A parameter of the source's type could not hold every key of the new table.
        return Keyed(columns, tuple("" if new.sql == old.sql else _UNCUT.get(new.base, new.base) for new, old in types))

    def _insert(self, walk: Walk, *conditions: str) -> str:
        """An INSERT of what the rows of the source give that meet the conditions.

        They are locked as they are read. Unlocked, one that is changed meanwhile would be inserted as it was: its trigger
        finds nothing to change, and the batch doesn't see the change.
        """
        given = [
            *(self._own(column, of) for column, of in self.identity()),
            *(self.written(column, expression, "t") for column, expression in self.values()),
        ]
        return f"""INSERT INTO {names.table(self.table)} ({", ".join(map(quote, self.columns()))})
SELECT {", ".join(given)}
  FROM {walk.source()}
 {walk.confined(*conditions, *self._missing(singly=True))}
   {walk.shared(owner=self.one_owner())}
    {self.on_conflict()}"""

    def _own(self, column: str, of: str) -> str:
        """A column of the key; the tenant's is written as what the batch is confined to."""
        if (column, of) == self.leading():
            return f"t.{quote(of)}"  # uncast, as in `written`
        if column != tenant(self.table):
            return assigned(f"t.{quote(of)}", self.table.type_of(column))
        return self.confined_to(column)

    def confined_to(self, column: str) -> str:
        """The tenant that a statement is confined to, as what is written into the tenant's column."""
        type_ = self.table.type_of(column)
        return f"CAST(:tenant_id AS {type_.base})" if type_.base in _PLAIN else ":tenant_id"

    def remaining(self) -> str:
        """Counts the source's rows that have none of the new table's yet."""
        return Walk(self.source.table).count(*self._missing())

    def origin(self) -> str:
        """The source's rows of one tenant that give one, as a subselect `s`."""
        condition, walk = self.where("s"), Walk(self.source.table, "s", "o")
        conditions = [f"{walk.tenant} = :tenant_id"] if walk.tenant else []
        conditions += [f"({condition})"] if condition is not None else []
        text = "\n         WHERE " + "\n           AND ".join(conditions) if conditions else ""
        source = walk.source().replace("\n", "\n        ")
        return f"(SELECT s.*\n          FROM {source}{text}) AS s"

    def key_of(self) -> tuple[str, ...]:
        """The new key as the row `s` gives it."""
        return tuple(compared(f"s.{quote(of)}", self.table.type_of(column)) for column, of in self.key_pairs())


def _place(hop: Hop) -> tuple[str, str]:
    return hop.schema, hop.name


def _surely(table: Table, tree: object) -> bool:
    """Whether a value is surely there: a NOT NULL column, a constant, or a choice that ends with one."""
    if not isinstance(tree, dict):
        return False
    (kind, node), *_ = tree.items()
    if kind == "A_Const":
        return "isnull" not in node
    if kind == "ColumnRef":
        column = table.column(node["fields"][-1].get("String", {}).get("sval", ""))
        return column is not None and not column.nullable
    return kind == "CoalesceExpr" and any(_surely(table, each) for each in node["args"])
