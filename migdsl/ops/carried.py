"""A new table and what it is filled from become SQL: keys that correspond, values, the batches' INSERT, both sides joined."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.failures import danger
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.ops import names
from migdsl.ops.batches import Walk
from migdsl.ops.pairs import assigned, compared, one_line, over
from migdsl.semantics.model import Column, Source, Table

# A cast of the parameter to these keeps tenants apart; what has a length would cut one short.
_PLAIN = frozenset(["uuid", "text", "character varying", "smallint", "integer", "bigint"])


def copied(expression: Expression) -> str | None:
    """The column whose value an expression is, unchanged; None where it computes something."""
    fields = expression.tree.get("ColumnRef", {}).get("fields", [])
    return str(fields[0]["String"]["sval"]) if len(fields) == 1 and "String" in fields[0] else None


def keys(table: Table, source: Source) -> tuple[tuple[str, str], ...]:
    """The columns of the new key, each with the source's column that it is."""
    given = dict(source.values)
    return tuple((c, copied(given[c]) or "") for c in table.key if c in given)


def identity(table: Table, source: Source) -> tuple[tuple[str, str], ...]:
    """Key and tenant of a new row, each with the source's column that it is."""
    found = dict(keys(table, source))
    if table.tenant and source.table.tenant:
        found.setdefault(table.tenant, source.table.tenant)
    return tuple(found.items())


def values(table: Table, source: Source) -> tuple[tuple[Column, Expression], ...]:
    """The other columns that the source gives, as they stand in the file."""
    own = {c for c, _ in identity(table, source)}
    return tuple((c, e) for name, e in source.values if name not in own and (c := table.column(name)))


def fragile(table: Table, source: Source) -> bool:
    """Whether a value, or the question which rows give one, may fail on a row."""
    return any(failure(source, e, c.type) for c, e in values(table, source)) or (
        source.where is not None and failure(source, source.where, SqlType("boolean", "boolean")) is not None
    )


def failure(source: Source, expression: Expression, into: SqlType) -> str | None:
    """Why an expression over the source's row may fail, or None."""

    def type_of(name: str) -> SqlType | None:
        column = source.table.column(name)
        return column.type if column else None

    return danger(expression.tree, type_of, into)


def late(table: Table, source: Source) -> tuple[str, ...]:
    """NOT NULL columns for which the source might give a NULL: until enforce they may hold one, for old code's sake."""
    return tuple(
        c.name for c, e in values(table, source) if not c.nullable and not _surely(source, e, e.tree, c.type)
    )


def _surely(source: Source, whole: Expression, tree: object, into: SqlType) -> bool:
    """Whether a value is surely there: a NOT NULL column, a constant, or a choice that ends with one."""
    if not isinstance(tree, dict) or failure(source, whole, into):
        return False
    (kind, node), *_ = tree.items()
    if kind == "A_Const":
        return "isnull" not in node
    if kind == "ColumnRef":
        column = source.table.column(node["fields"][-1].get("String", {}).get("sval", ""))
        return column is not None and not column.nullable
    return kind == "CoalesceExpr" and any(_surely(source, whole, each, into) for each in node["args"])


def where(source: Source, row: str) -> str | None:
    """Which rows give one, as SQL over a row; None where all do."""
    return over(source.table, source.where, row) if source.where is not None else None


def listed(table: Table, source: Source) -> str:
    """The columns that an INSERT gives."""
    return ", ".join(quote(c) for c in (*dict(identity(table, source)), *(c.name for c, _ in values(table, source))))


def matched(table: Table, source: Source, new: str, old: str) -> str:
    """The condition under which a row of the new table is that of a row of the source."""
    return " AND ".join(f"{new}.{quote(a)} = {old}.{quote(b)}" for a, b in keys(table, source))


def confined(table: Table, row: str) -> str:
    """` AND row.tenant = :tenant_id`, where there are tenants."""
    return f" AND {row}.{quote(table.tenant)} = :tenant_id" if table.tenant else ""


def batch(table: Table, source: Source) -> str:
    """Inserts what the rows of a range give and is not there yet: a replay changes nothing.

    The rows are locked as they are read. Unlocked, one that is changed meanwhile would be inserted as it was: its trigger
    finds nothing to change, and the batch doesn't see the change.
    """
    walk = Walk(source.table)
    conditions = [walk.after(), walk.upto(), *_missing(table, source)]
    given = [
        *(_own(table, column, of) for column, of in identity(table, source)),
        *(assigned(over(source.table, e, "t"), c.type) for c, e in values(table, source)),
    ]
    key = ", ".join(quote(c) for c in table.key)
    return f"""INSERT INTO {names.table(table)} AS n ({listed(table, source)})
SELECT {", ".join(given)}
  FROM {walk.source()}
 {walk.confined(*conditions)}
   FOR SHARE OF t
    ON CONFLICT ({key}) DO NOTHING"""


def _own(table: Table, column: str, of: str) -> str:
    """A column of the key or the tenant's, which is written as what the batch is confined to."""
    type_ = table.type_of(column)
    if column != table.tenant:
        return assigned(f"t.{quote(of)}", type_)
    return f"CAST(:tenant_id AS {type_.base})" if type_.base in _PLAIN else ":tenant_id"


def _missing(table: Table, source: Source) -> Iterator[str]:
    condition = where(source, "t")
    if condition is not None:
        yield f"({condition})"
    there = f"{matched(table, source, 'n', 't')}{confined(table, 'n')}"
    yield f"NOT EXISTS (SELECT FROM {names.table(table)} AS n WHERE {there})"


def remaining(table: Table, source: Source) -> str:
    """Counts the rows that have none of the new table's yet."""
    return Walk(source.table).count(*_missing(table, source))


def origin(table: Table, source: Source) -> str:
    """The source's rows of one tenant that give one, as a subselect `s`."""
    condition = where(source, "s")
    conditions = [f"s.{quote(source.table.tenant)} = :tenant_id"] if source.table.tenant else []
    conditions += [f"({condition})"] if condition is not None else []
    text = "\n         WHERE " + "\n           AND ".join(conditions) if conditions else ""
    return f"(SELECT s.*\n          FROM {names.table(source.table)} AS s{text}) AS s"


def key_of(table: Table, source: Source) -> tuple[str, ...]:
    """The new key as the row `s` gives it."""
    return tuple(compared(f"s.{quote(of)}", table.type_of(column)) for column, of in keys(table, source))


def value_of(source: Source, column: Column, expression: Expression, row: str) -> str:
    """What a row gives for a column, as an operand, as the column would hold it."""
    return one_line(compared(over(source.table, expression, row), column.type))
