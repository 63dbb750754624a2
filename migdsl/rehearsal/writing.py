"""A row's facts become the statements that old and new code run: values are parameters, and never part of a text.

A fact is what old code would write, as text. New code's columns are computed from the facts by the file's own expressions,
in the statement itself, so that nothing here depends on what is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from migdsl.dialect.names import literal, quote
from migdsl.dialect.sql import Expression
from migdsl.rehearsal.shapes import Carried, Shape
from migdsl.semantics.model import AddColumn, Column
from migdsl.values import Value

Facts = Mapping[str, str | None]
# What stands beside the columns of a row has names that no column has. Of its key there are the places.
NUMBER, LAST, GIVEN, STRAYED, DRAWN = ('"=n"', '"=last"', '"=given"', '"=strayed"', '"=drawn"')


class Write(Value):
    """A statement with `$1` and so on, and the facts (`=KEY`: parts of the key as it stands) that they stand for."""

    text: str
    names: tuple[str, ...]

    def values(self, facts: Facts) -> list[str | None]:
        """The parameters, in order."""
        return [facts[name] for name in self.names]


class Texts:
    """Numbers parameters as they are used: PostgreSQL refuses one that no statement uses. `drawn`: facts that are numbers which
    the statement draws itself."""

    def __init__(self, drawn: frozenset[str] = frozenset()) -> None:
        self.names: list[str] = []
        self.drawn = drawn

    def parameter(self, name: str, type_: str) -> str:
        """`$n::type` for a fact."""
        if name in self.drawn:
            return f"{DRAWN}.{quote(name)}"
        if name not in self.names:
            self.names.append(name)
        return f"CAST(${self.names.index(name) + 1} AS {type_})"

    def made(self, text: str) -> Write:
        return Write(text, tuple(self.names))


def fact_of(shape: Shape, texts: Texts) -> Callable[[str], str]:
    """How an expression over a row's old columns reads the facts instead."""
    types = {c.name: c.type.sql for c in (*shape.table.columns, *(o.column for o in shape.plain))}
    generated = {c.name: c.generated for c in shape.table.columns if c.generated is not None}

    def read(name: str) -> str:
        if name in generated:
            return f"CAST(({generated[name].rewritten(read)}) AS {types[name]})"
        return texts.parameter(name, types.get(name, "text"))

    return read


class Codes:
    """What code of both ages writes of one table. `swapped`: columns that are of their new type by now."""

    def __init__(self, shape: Shape, swapped: frozenset[str] = frozenset()) -> None:
        self.shape = shape
        self.swapped = swapped

    def columns(self, side: str) -> tuple[str, ...]:
        """What code of that age writes."""
        old = tuple(c.name for c in self.shape.written)
        if side == "old":
            return old
        return (*(n for n in old if n not in self.shape.gone), *(o.column.name for o in self.shape.made))

    def insert(self, side: str) -> Write:
        """What the database answers is `shape.answered`, as text."""
        columns = self.columns(side)
        own = {name: o.source for o in self.shape.paired if (name := o.column.name) in columns}
        return self._inserted(side, {name: own.get(name) for name in columns}, {n: n for n in self.shape.answered})

    def _inserted(self, side: str, columns: Mapping[str, Expression | None], answered: Mapping[str, str]) -> Write:
        """A new row. Where something is computed from a number that the database gives, that is drawn first, as an application
        has to; `answered`: what they are called on this side."""
        read = {name for each in columns.values() if each is not None for name in self.shape.read_by(each)}
        drawn = {name: answered[name] for name in sorted(read & {c.name for c in self.shape.numbered})}
        texts = Texts(frozenset(drawn))
        values = [self._said(side, name, texts) for name in columns] + [f"{DRAWN}.{quote(name)}" for name in drawn]
        table, listed = self._name(side), ", ".join(map(quote, (*columns, *drawn.values())))
        given = f"VALUES ({', '.join(values)})"
        if drawn:
            numbers = ", ".join(f"{_next(table, column)} AS {quote(name)}" for name, column in drawn.items())
            given = f"OVERRIDING SYSTEM VALUE SELECT {', '.join(values)} FROM (SELECT {numbers}) AS {DRAWN}"
        back = ", ".join(f"{quote(name)}::text" for name in answered.values())
        return texts.made(f"INSERT INTO {table} ({listed}) {given} RETURNING {back}")

    def put(self) -> Write:
        """A row whose numbers are given, too; the database answers as to an insert."""
        texts = Texts()
        columns = [c.name for c in (*self.shape.written, *self.shape.numbered)]
        values = ", ".join(texts.parameter(name, self.shape.table.type_of(name).sql) for name in columns)
        listed, back = ", ".join(map(quote, columns)), ", ".join(f"{quote(n)}::text" for n in self.shape.answered)
        return texts.made(
            f"INSERT INTO {self.shape.name} ({listed}) OVERRIDING SYSTEM VALUE VALUES ({values}) RETURNING {back}"
        )

    def update(self, side: str, columns: Iterable[str]) -> Write:
        """The key comes back where the row was there."""
        texts = Texts()
        sets = ", ".join(f"{quote(name)} = {self._value(name, texts)}" for name in columns)
        return texts.made(f"UPDATE {self._name(side)} SET {sets} WHERE {self._where(texts)} RETURNING {self.keys()}")

    def delete(self, side: str) -> Write:
        texts = Texts()
        return texts.made(f"DELETE FROM {self._name(side)} WHERE {self._where(texts)} RETURNING {self.keys()}")

    def read(self, side: str, columns: Sequence[str], by: Sequence[str] = ()) -> Write:
        """For each column whether it holds what the facts say; by the key, or by what is unique."""
        texts = Texts()
        asked = ", ".join(f"{quote(name)} IS NOT DISTINCT FROM {self._value(name, texts)}" for name in columns)
        where = " AND ".join(f"{quote(n)} = {self._value(n, texts)}" for n in by) if by else self._where(texts)
        return texts.made(f"SELECT {asked or 'true'} FROM {self._name(side)} WHERE {where}")

    def carry(self, carried: Carried) -> Write:
        """What new code writes of a new table: the row that comes of these facts, as an upsert; none where there is none."""
        texts = Texts()
        read = fact_of(self.shape, texts)
        values = {name: f"({e.rewritten(read)})" for name, e in carried.source.values}
        where = f" WHERE {carried.source.where.rewritten(read)}" if carried.source.where is not None else ""
        listed = ", ".join(map(quote, values))
        key = ", ".join(map(quote, carried.table.key))
        rest = [name for name in values if name not in carried.table.key]
        sets = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in rest)
        name = f"{quote(carried.table.schema)}.{quote(carried.table.name)}"
        act = f"DO UPDATE SET {sets}" if rest else "DO NOTHING"
        select = f"SELECT {', '.join(values.values())}{where}"
        return texts.made(f"INSERT INTO {name} ({listed}) {select} ON CONFLICT ({key}) {act}")

    def uncarry(self, carried: Carried) -> Write:
        """New code takes away what it wrote of a new table, before the row that it belongs to."""
        texts = Texts()
        read = fact_of(self.shape, texts)
        values = dict(carried.source.values)
        where = " AND ".join(f"{quote(n)} = ({values[n].rewritten(read)})" for n in carried.table.key)
        return texts.made(f"DELETE FROM {quote(carried.table.schema)}.{quote(carried.table.name)} WHERE {where}")

    def keys(self) -> str:
        return ", ".join(f"{quote(name)}::text" for name in self.shape.key)

    def _name(self, side: str) -> str:
        return self.shape.name if side == "old" else self.shape.new_name

    def _where(self, texts: Texts) -> str:
        parts = [f"{quote(n)} = {self._key(n, texts)}" for n in self.shape.key]
        tenant = self.shape.table.tenant
        if tenant is not None and tenant not in self.shape.key:
            parts.append(f"{quote(tenant)} = {texts.parameter(tenant, self.shape.table.type_of(tenant).sql)}")
        return " AND ".join(parts)

    def _key(self, name: str, texts: Texts) -> str:
        return texts.parameter(f"={name}", self._type(name))

    def _type(self, name: str) -> str:
        if name in self.swapped:
            return self.shape.retyped[name].to.type.sql
        return self.shape.table.type_of(name).sql

    def _said(self, side: str, name: str, texts: Texts) -> str:  # noqa: ARG002 - of a table that moves sides differ
        return self._value(name, texts)

    def _value(self, name: str, texts: Texts) -> str:
        made = next((o for o in self.shape.made if o.column.name == name), None)
        if made is not None:
            return self._of_new(made, texts)
        if name in self.swapped:
            return f"({self.shape.retyped[name].source.rewritten(fact_of(self.shape, texts))})"
        return texts.parameter(name, self.shape.table.type_of(name).sql)

    def _of_new(self, made: AddColumn, texts: Texts) -> str:
        if made.source is not None:
            return f"({made.source.rewritten(fact_of(self.shape, texts))})"
        return texts.parameter(made.column.name, made.column.type.sql)


def over(expression: Expression, alias: str) -> str:
    """An expression that reads the columns of a row called `alias`."""
    return f"({expression.rewritten(lambda name: f'{alias}.{quote(name)}')})"


def _next(table: str, column: str) -> str:
    return f"nextval(pg_get_serial_sequence({literal(table)}, {literal(column)}))"


def whole(shape: Shape, query: str) -> str:
    """A query of facts, with what the table itself computes of them."""
    generated = [c for c in shape.table.columns if c.generated is not None]
    more = [f"CAST({over(c.generated, 'g')} AS {c.type.sql}) AS {quote(c.name)}" for c in generated if c.generated]
    return f"SELECT g.*, {', '.join(more)} FROM ({query}) AS g" if more else query


def recorded(shape: Shape) -> str:
    """The fields of a record of facts, as texts."""
    return ", ".join([f"{NUMBER} integer", *(f"{quote(c.name)} text" for c in shape.facts)])


def place(shape: Shape, name: str) -> str:
    """What a part of the key as it stands is called, beside the facts."""
    return f"={shape.key.index(name) + 1}"


def typed(columns: Iterable[Column], alias: str = "r") -> str:
    """The columns of a record of texts, each as its own type."""
    return ", ".join(f"CAST({alias}.{quote(c.name)} AS {c.type.sql}) AS {quote(c.name)}" for c in columns)
