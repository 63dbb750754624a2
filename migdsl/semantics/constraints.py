"""Constraints and indexes as written become checked ones: names known, SQL parsed, all that a twin needs at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migdsl.dialect import sql as dialect
from migdsl.dialect.names import quote
from migdsl.dialect.plain_types import TypeOf
from migdsl.dialect.sql import Expression
from migdsl.semantics.expressions import condition, expression
from migdsl.semantics.model import Column, Constraint
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.relations import referred
from migdsl.semantics.shapes import ExcludePart, ExcludeShape, IndexPart, IndexShape
from migdsl.syntax import ast

Item = ast.Unique | ast.Index | ast.Check | ast.Reference | ast.Exclude | ast.Key
_ENDS = ("first", "last")
_ORDERED = (None, "btree")  # the methods of which an index has an order
Known = Collection[str] | None


def _nobody_knows(_: str) -> None:
    """The types of a table's columns while they change."""


def constraints(
    problems: Problems, node: ast.Entity, columns: tuple[Column, ...], known: Known
) -> Iterator[Constraint]:
    """All that stands on an entity's columns, but for the references behind a column's type."""
    for column in columns:
        if column.unique:
            yield Constraint("unique", (column.name,), frozenset([column.name]), None, column.span)
        if column.generated:
            uses = column.generated.names()
            yield Constraint("generated", (column.name,), uses, column.name, column.span)
    for item in node.items:
        if isinstance(item, Item):
            yield constraint(problems, item, known, node.name.text, type_of={c.name: c.type for c in columns}.get)


def constraint(
    problems: Problems,
    item: Item,
    known: Known,
    entity: str,
    gone: Collection[str] = frozenset(),
    type_of: TypeOf = _nobody_knows,
) -> Constraint:
    """One constraint or index over the columns `known` (None where they aren't all known), of which some have `gone`."""
    found = _constraint(problems, item, known, type_of)
    for name in _names_in(item):
        if known is not None and sql_name(name) not in known and sql_name(name) in gone:
            title, help_ = (
                f"`{entity}.{sql_name(name)}` goes in this file",
                "leave this line out, or what takes the column away",
            )
            problems.error("MIG102", name.span, title, "isn't there any more", help=help_)
        elif known is not None and sql_name(name) not in known:
            problems.unknown("MIG102", "column", sql_name(name), name.span, known, f"in `{entity}`")
    return found


def _constraint(problems: Problems, item: Item, known: Known, type_of: TypeOf) -> Constraint:
    name = sql_name(item.name) if not isinstance(item, ast.Key) and item.name else None
    if isinstance(item, ast.Index):
        return _index(problems, item, name, known, type_of)
    if isinstance(item, ast.Check):
        found = condition(problems, item.sql, "check", known, type_of)
        return Constraint("check", (), found.names() if found else frozenset(), name, item.span, check=found)
    if isinstance(item, ast.Exclude):
        return _exclude(problems, item, name, known, type_of)
    columns = tuple(sql_name(n) for n in item.columns)
    target = referred(item.target) if isinstance(item, ast.Reference) else None
    kind = {ast.Key: "key", ast.Unique: "unique", ast.Reference: "reference"}[type(item)]
    return Constraint(kind, columns, frozenset(columns), name, item.span, target=target)


def _names_in(item: Item) -> tuple[ast.Name, ...]:
    if isinstance(item, ast.Index):
        return tuple(p.column for p in item.parts if p.column) + item.include
    if isinstance(item, ast.Exclude):
        return tuple(p.column for p in item.parts if p.column)
    return () if isinstance(item, ast.Check) else item.columns


def _index(problems: Problems, item: ast.Index, name: str | None, known: Known, type_of: TypeOf) -> Constraint:
    parts = tuple(_part(problems, part, known) for part in item.parts)
    where = condition(problems, item.where, "index", known, type_of) if item.where else None
    include = tuple(sql_name(n) for n in item.include)
    uses = {*include, *(where.names() if where else ())}
    uses.update(*({p.column} if p.column else p.expression.names() if p.expression else () for p in parts))
    leading = []
    for part in parts:
        # A partial index says nothing of the rows that it leaves out, so nobody can walk along it.
        if part.column is None or item.where is not None:
            break
        leading.append(part.column)
    shape = IndexShape(parts, item.method.text.lower() if item.method else None, include, where, item.unique)
    _ordered(problems, item, shape)
    return Constraint("index", tuple(leading), frozenset(uses), name, item.span, index=shape)


def _ordered(problems: Problems, item: ast.Index, shape: IndexShape) -> None:
    """Only a B-tree can be read in an order."""
    if shape.method in _ORDERED:
        return
    for part in item.parts:
        if part.descending or part.nulls:
            title = f"an index of the kind {shape.method} has no order"
            problems.error("MIG439", part.span, title, "can't be said of it", help="leave `desc` and `nulls` out")


def _part(problems: Problems, part: ast.IndexPart, known: Known) -> IndexPart:
    first = part.descending  # as PostgreSQL has it, where nothing is said
    if part.nulls is not None:
        first = part.nulls.text == "first"
        if part.nulls.text not in _ENDS:
            problems.unknown("MIG106", "place of NULLs", part.nulls.text, part.nulls.span, _ENDS)
    column, over = _operand(problems, part, known)
    return IndexPart(column, over, part.descending, first, tuple(sql_name(n) for n in part.operators))


def _operand(problems: Problems, part: ast.IndexPart, known: Known) -> tuple[str | None, Expression | None]:
    if part.sql is not None:
        return None, expression(problems, part.sql, "index", known)
    assert part.column is not None
    column = sql_name(part.column)
    if part.function is None:
        return column, None
    return None, dialect.expression(f"{quote(sql_name(part.function))}({quote(column)})")


def _exclude(problems: Problems, item: ast.Exclude, name: str | None, known: Known, type_of: TypeOf) -> Constraint:
    parts = tuple(
        ExcludePart(
            sql_name(p.column) if p.column else None,
            expression(problems, p.sql, "index", known) if p.sql else None,
            p.operator.value,
        )
        for p in item.parts
    )
    where = condition(problems, item.where, "index", known, type_of) if item.where else None
    uses = set(where.names() if where else ())
    uses.update(*({p.column} if p.column else p.expression.names() if p.expression else () for p in parts))
    shape = ExcludeShape(item.method.text.lower(), parts, where)
    return Constraint("exclude", (), frozenset(uses), name, item.span, exclude=shape)
