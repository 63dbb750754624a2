"""A table that is to go to two, and two that are to become one, become what does it otherwise, in words of the file at hand."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING

from migdsl.dialect.names import literal, qualified, quote
from migdsl.dialect.sql import Expression
from migdsl.semantics.model import Column, Table
from migdsl.semantics.problems import written

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft


def to_two(first: Draft, second: Draft, taken: Mapping[str, Table]) -> str:
    """What to do instead of moving a table's rows to a second place as well; `taken` are the entities that there are."""
    entity = written(first.table.entity)
    made = f"create {_entity(second.target, taken)} in {_place(second.target)} {{ {'; '.join(_lines(second))}"
    if first.table.scope == "via" or first.target.database != second.target.database:
        return f"move it to one of them, and let the application fill the other:\n  {made} }}"
    only = [name for name in _read(second) if name not in first.copied]
    help_ = f"move it to {_place(first.target)} alone"
    if only:
        lines = "; ".join(f"{_name(c)} = {_name(c)}" for c in only)
        help_ += f", and take along what the other reads:\n  {lines}"
    filled = "; ".join(f"{_name(column)} = {_value(value, first.copied)}" for column, value in second.values)
    help_ += "" if only else "."
    help_ += "\nOnce that is finished, fill the other from there, in a migration of its own"
    help_ += ", where you also drop what only that keeps" if only else ""
    help_ += f":\n  {made}; from {entity} {{ {filled} }} }}"
    if only:
        drops = "; ".join(f'drop {_name(c)} irreversible because "is in {_place(second.target)}"' for c in only)
        help_ += f"\n  change {entity} {{ {drops} }}"
    if second.target.schema not in {"public", first.target.schema, *(t.schema for t in taken.values())}:
        help_ += f"\nThe schema {quote(second.target.schema)} has to be there"
    return help_


def to_one(first: Table, other: Draft) -> str:
    """What to do instead of moving another table's rows to where a first one's go: a view of both."""
    entity, values = other.table.entity, dict(other.values)
    columns = [c for c in first.columns if c.name in values]
    mine = ", ".join(quote(c.name) for c in columns)
    theirs = ", ".join(f"CAST({_sql(values[c.name])} AS {c.type.sql})" for c in columns)
    view = qualified(first.schema, f"{first.name}_and_{other.table.name}")
    here, there = (qualified(t.schema, t.name) for t in (first, other.table))
    up = f"CREATE VIEW {view} AS SELECT {literal(first.entity)} AS entity, {mine} FROM {here} "
    up += f"UNION ALL SELECT {literal(entity)}, {theirs} FROM {there}"
    both = f"change {written(first.entity)} {{ sql \"both\" {{ up {_quoted(up)}; back {_quoted(f'DROP VIEW {view}')}; "
    both += "phase expand; lock access exclusive } }"
    help_ = f"two of them may have one key: let `{entity}` stay, or give it a table of its own. "
    if first.database != other.table.database:
        return help_ + "Who reads both asks both"
    return f"{help_}Who reads both can read a view; where `{entity}` stays, once this is finished:\n  {both}"


def _lines(draft: Draft) -> Iterator[str]:
    table, way = draft.target, draft.table.via
    for column in table.columns:
        yield _column(column, key=table.key == (column.name,))
    if len(table.key) > 1:
        yield f"key ({', '.join(map(_name, table.key))})"
    if way is not None:
        leads = draft.copied.get(way.hops[0].column, way.hops[0].column)
        yield f"tenant via {_name(leads)} -> {written(way.hops[0].entity)}"


def _column(column: Column, *, key: bool) -> str:
    marks = {"key": key, "tenant": column.tenant, "pii": column.pii, "phi": column.phi}
    said = [
        f"{_name(column.name)} {column.type.sql}{'?' if column.nullable else ''}",
        *(m for m, is_ in marks.items() if is_),
    ]
    said += [f"default {_quoted(column.default)}"] if column.default is not None else []
    return " ".join(said)


def _read(draft: Draft) -> list[str]:
    """The source's columns that a target takes or reads, but for those that say which row it is, and whose."""
    read = {name for _, value in draft.values for name in value.names()}
    return [c.name for c in draft.table.columns if c.name in read and c.name not in draft.table.key and not c.tenant]


def _value(value: Expression, copied: Mapping[str, str]) -> str:
    """What the source gives, by the names that its columns have once they have moved."""
    names = value.names()
    if len(names) == 1 and _sql(value) == quote(name := next(iter(names))):
        return _name(copied.get(name, name))
    return _quoted(value.rewritten(lambda name: quote(copied.get(name, name))))


def _sql(value: Expression) -> str:
    return value.rewritten(quote)


def _quoted(sql: str) -> str:
    doubled = " ".join(sql.split()).replace("`", "``")
    return f"`{doubled}`"


def _name(column: str) -> str:
    return written(column, folds=True)


def _entity(table: Table, taken: Container[str]) -> str:
    """A name that no entity has yet."""
    plain = "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", table.name)) or "Second"
    name = plain if not plain[0].isdigit() else f"T{plain}"
    while name in taken:
        name += "2"
    return name


def _place(table: Table) -> str:
    parts = [table.database, *([table.schema] if table.schema != "public" else []), table.name]
    return ".".join(map(written, parts))
