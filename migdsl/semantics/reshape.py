"""`rename`, `split`, `merge`: what can be said with `add` and `drop`, and is shorter; `retype`, defaults, enum labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from migdsl.dialect import sql as dialect
from migdsl.dialect.names import qualified, quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType, in_place
from migdsl.semantics import tables
from migdsl.semantics.defaults import default
from migdsl.semantics.enums import is_extensible
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Back,
    Column,
    Constraint,
    DropColumn,
    ExtendEnum,
    Operation,
    RetypeColumn,
    SetDefault,
    Table,
)
from migdsl.semantics.problems import sql_name
from migdsl.semantics.scene import DEFAULT_SOAK, Scene, cast, just, said
from migdsl.semantics.shapes import ExcludePart, ExcludeShape
from migdsl.semantics.types import column_type
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import replace


def rename(scene: Scene, item: ast.Rename) -> Iterator[Operation]:
    """A column of the new name beside the old one, twins of what stands on it, and the old one goes."""
    column = scene.existing(item.column)
    scene.free(item.to)
    tables.free_name(scene.problems, item.to)
    if column is None or not _movable(scene, item.column, column, "renamed"):
        return
    to = sql_name(item.to)
    added = replace(column, name=to, span=item.to.span, key=False, tenant=False, unique=False)
    words = f"rename {column.name} to {to}"
    back = Back(column.name, just(to), item.span)
    yield AddColumn(added, just(column.name), (back,), (), None, item.span, words, column.name)
    yield from twins(scene.table, scene.renamed, column.name)
    yield DropColumn(column, scene.soak(item.after), None, None, item.span, words)


Adding = Callable[[Scene, ast.Add], Iterator[Operation]]


def split(scene: Scene, item: ast.Split, add: Adding) -> Iterator[Operation]:
    """New columns, each as `add` makes one, computed from one that goes."""
    column = scene.existing(item.column)
    values = {sql_name(v.column): v for v in item.values}
    added: list[Operation] = []
    for node in item.into:
        value = values.pop(sql_name(node.name), None)
        if value is None:
            _no_value(scene, node, f"{sql_name(node.name)} = `…`")
        added += add(scene, ast.Add(node, value.sql if value else None, (), (), None, (), item.span))
    known = [sql_name(node.name) for node in item.into]
    for name, value in values.items():
        scene.problems.unknown("MIG102", "column", name, value.column.span, known, "in this split")
    if column is None or not _movable(scene, item.column, column, "split"):
        return
    words = f"split {column.name} into {', '.join(known)}"
    # One way back for all of them: the first carries it, the others are its siblings.
    back = scene.own_back(item.back, column)
    for operation in added:
        if isinstance(operation, AddColumn):
            backs, back = ((back,) if back else ()), None
            yield replace(operation, backs=backs, said=words)
        else:
            yield operation
    yield DropColumn(column, scene.soak(item.after), None, said(item.irreversible), item.span, words)


def merge(scene: Scene, item: ast.Merge, add: Adding) -> Iterator[Operation]:
    """One new column, as `add` makes one, computed from several that go."""
    columns = [c for name in item.columns if (c := scene.existing(name)) and _movable(scene, name, c, "merged")]
    if item.source is None:
        _no_value(scene, item.into, "from `…`, over the columns that are merged")
    words = f"merge {', '.join(c.name for c in columns)} into {sql_name(item.into.name)}"
    for operation in add(scene, ast.Add(item.into, item.source, item.backs, (), None, (), item.span)):
        yield replace(operation, said=words) if isinstance(operation, AddColumn) else operation
    for column in columns:
        yield DropColumn(column, scene.soak(item.after), None, said(item.irreversible), item.span, words)


def _no_value(scene: Scene, node: ast.Column, help_: str) -> None:
    title = f"nothing says what `{sql_name(node.name)}` is computed from"
    scene.problems.error("MIG401", node.name.span, title, "has no value for the rows that are there", help=help_)


def _movable(scene: Scene, name: ast.Name, column: Column, verb: str) -> bool:
    """Whether another column may take its place: a generated one has nothing to carry over, the key carries everything."""
    why = (
        "is the tenant column"
        if column.tenant
        else (
            "is part of the key"
            if column.name in scene.table.key
            else (
                "is generated"
                if column.generated is not None
                else "numbers the rows" if column.identity is not None else None
            )
        )
    )
    if why is None:
        return True
    title = f"`{scene.table.entity}.{column.name}` can't be {verb}"
    body = "Batches walk along the key and are confined by the tenant column; a generated value can be declared anew instead."
    help_ = "leave its name as it is in the database and give it another one in the application"
    scene.problems.error("MIG414", name.span, title, why, body=body, help=help_)
    return False


def twins(table: Table, new: Mapping[str, str], column: str) -> Iterator[AddConstraint]:
    """What stands on a column that another takes the place of, over the new ones: each once, whichever columns it has."""
    for constraint in table.constraints:
        if constraint.kind in ("key", "generated"):
            continue
        if column == next((name for name in new if name in constraint.uses), None):
            yield AddConstraint(over(constraint, new), None, constraint, constraint.span)


def over(constraint: Constraint, new: Mapping[str, str]) -> Constraint:
    """The same constraint with other columns in the place of some, and without a name."""

    def names(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new.get(c, c) for c in columns)

    def sql(found: Expression | None) -> Expression | None:
        return dialect.expression(found.rewritten(lambda c: quote(new.get(c, c)))) if found else None

    index, exclude = constraint.index, constraint.exclude
    if index:
        parts = tuple(
            replace(p, column=p.column and new.get(p.column, p.column), expression=sql(p.expression))
            for p in index.parts
        )
        index = replace(index, parts=parts, include=names(index.include), where=sql(index.where))
    if exclude:
        kept = tuple(
            ExcludePart(p.column and new.get(p.column, p.column), sql(p.expression), p.operator) for p in exclude.parts
        )
        exclude = ExcludeShape(exclude.method, kept, sql(exclude.where))
    return replace(
        constraint,
        columns=names(constraint.columns),
        uses=frozenset(names(tuple(constraint.uses))),
        name=None,
        index=index,
        check=sql(constraint.check),
        exclude=exclude,
    )


def retype(scene: Scene, item: ast.Retype) -> Iterator[Operation]:
    """Another type, in place where PostgreSQL can, else by a shadow column."""
    column = scene.existing(item.column)
    type_ = column_type(scene.problems, item.type)
    source, back = scene.source(item.source), scene.own_back(item.back, column) if column else None
    if column is None:
        return
    found = retyped(scene.table, column, type_, item.span)
    yield replace(
        found,
        to=replace(found.to, span=item.type.span),
        source=source or found.source,
        back=back.expression if back else None if item.irreversible else found.back,
        soak_seconds=scene.soak(item.after),
        irreversible=said(item.irreversible),
        in_place=found.in_place and source is None,
        plain=source is None,
    )


def retyped(table: Table, column: Column, type_: SqlType, span: Span) -> RetypeColumn:
    """A column's retype by casts there and back."""
    source = just(column.name) if column.type.sql == type_.sql else cast(column.name, type_.sql)
    back = cast(column.name, column.type.sql)
    kept = in_place(column.type, type_) and not any(_rebuilt(c, column.name) for c in table.constraints)
    return RetypeColumn(column, replace(column, type=type_), source, back, DEFAULT_SOAK, None, kept, span)


def _rebuilt(constraint: Constraint, column: str) -> bool:
    """Whether PostgreSQL would build it again under the lock: it compares no expressions, and so builds anew."""
    index = constraint.index
    computed = index is not None and (index.where is not None or any(p.expression for p in index.parts))
    return column in constraint.uses and (computed or constraint.kind == "exclude")


def set_default(scene: Scene, item: ast.SetDefault) -> Iterator[Operation]:
    """A default for rows to come."""
    column = scene.existing(item.column)
    value = default(scene.problems, item.literal) if item.literal else None
    if column is not None:
        yield SetDefault(column, value, item.span)


_ARRAY = re.compile(r"(\[\d*\])+$")


def extend_enum(scene: Scene, item: ast.ExtendEnum) -> Iterator[Operation]:
    """A label more. The name is a column's, whose type is meant, or the type's own."""
    if not is_extensible(scene, item):
        return
    column = scene.table.column(sql_name(item.name))
    type_ = _ARRAY.sub("", column.type.sql) if column else qualified(scene.table.schema, sql_name(item.name))
    neighbour = item.neighbour.value if item.neighbour else None
    yield ExtendEnum(type_, item.label.value, item.side.upper() if item.side else None, neighbour, item.span)
