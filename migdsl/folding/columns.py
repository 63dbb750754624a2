"""Operations on columns become the entity's columns as they are afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.dialect import sql as dialect
from migdsl.dialect.names import quote
from migdsl.folding.schema import Schema, plain_or_quoted
from migdsl.folding.text import Edit, edited, inserted, removed, unmarked
from migdsl.semantics.model import RetypeColumn
from migdsl.semantics.problems import sql_name
from migdsl.semantics.retypes import default_after
from migdsl.source import Span
from migdsl.syntax import ast

_NULLABLE = re.compile(r"\s*\?")


def add(schema: Schema, entity: str, operation: ast.Add) -> Schema:
    """A column more, behind the others, and what shall be unique."""
    found = added(schema, entity, operation.column, operation.span)
    for unique in operation.uniques:
        line = schema.said(unique.span)
        if unique.per_tenant:
            sheet = found.sheets[entity]
            tenant = next(c for c in sheet.columns if any(m.kind == "tenant" for m in c.marks))
            line = f"unique ({sheet.said(tenant.name.span)}, {schema.said(operation.column.name.span)})"
        found = constrained(found, entity, line, ast.Unique, operation.span)
    return found


def added(schema: Schema, entity: str, column: ast.Column, place: Span) -> Schema:
    """A column more, behind the others."""
    sheet, last = schema.sheets[entity], schema.sheets[entity].columns[-1].span
    type_ = schema.said(column.type.span) + ("?" if column.nullable else "")
    rest = " ".join([type_, *(schema.said(mark.span) for mark in column.marks)])

    def make(name: str) -> list[Edit]:
        return [inserted(sheet.text, last.start, last.end, f"{name} {rest}")]

    edits = plain_or_quoted(sheet, column.name, schema.said(column.name.span), make)
    return schema.edited(entity, edits, place)


def constrained(schema: Schema, entity: str, line: str, kind: type, place: Span) -> Schema:
    """A line more, behind those of its kind, or behind the columns."""
    sheet = schema.sheets[entity]
    alike = [item for item in sheet.node.items if isinstance(item, kind)]
    behind = (alike or [item for item in sheet.node.items if isinstance(item, ast.Column)])[-1].span
    return schema.edited(entity, [inserted(sheet.text, behind.start, behind.end, line)], place)


def drop(schema: Schema, entity: str, operation: ast.Drop) -> Schema:
    """A column less, and what was said of it."""
    return dropped(schema, entity, operation.column, operation.span)


def dropped(schema: Schema, entity: str, column: ast.Name, place: Span) -> Schema:
    """A column less, and what was said of it."""
    sheet = schema.sheets[entity]
    name = sql_name(column)
    gone = [sheet.column(column).span]
    gone += [i.span for i in sheet.node.items if isinstance(i, ast.Legacy) and sql_name(i.column) == name]
    return schema.edited(entity, [removed(sheet.text, span.start, span.end) for span in gone], place)


def require(schema: Schema, entity: str, operation: ast.Require) -> Schema:
    """No `?` any more."""
    sheet = schema.sheets[entity]
    column = sheet.column(operation.column)
    found = _NULLABLE.match(sheet.text, column.type.span.end)
    if found is None:
        return schema
    # A blank in its place: what stands behind it stays in its column.
    blank = " " if column.marks else ""
    return schema.edited(entity, [(found.start(), found.end(), blank)], operation.span)


def optional(schema: Schema, entity: str, operation: ast.Optional) -> Schema:
    """A `?` behind the type."""
    column = schema.sheets[entity].column(operation.column)
    if column.nullable:
        return schema
    end = column.type.span.end
    return schema.edited(entity, [(end, end, "?")], operation.span)


def retype(schema: Schema, entity: str, operation: ast.Retype) -> Schema:
    """Another type, and what its default is then; the other marks stay."""
    column = schema.sheets[entity].column(operation.column)
    said = schema.said(operation.type.span)
    return schema.edited(entity, _retyped(schema, entity, column, said), operation.span)


def follow(schema: Schema, entity: str, operation: RetypeColumn) -> Schema:
    """The type of what another column, which it references, brings along."""
    column = next(c for c in schema.sheets[entity].columns if sql_name(c.name) == operation.column.name)
    return schema.edited(entity, _retyped(schema, entity, column, schema.said(operation.to.span)), operation.span)


def _retyped(schema: Schema, entity: str, column: ast.Column, type_: str) -> Iterator[Edit]:
    yield column.type.span.start, column.type.span.end, type_
    operations = (o for c in schema.module.changes if c.table.entity == entity for o in c.operations)
    of = next(o for o in operations if isinstance(o, RetypeColumn) and o.column.name == sql_name(column.name))
    mark = next((m.span for m in column.marks if m.kind == "default"), None)
    if mark is None or of.column.default is None or of.in_place:
        return
    default = default_after(of, of.column.default)
    if default != of.column.default:
        yield mark.start, mark.end, f"default `{default.replace('`', '``')}`"


def set_default(schema: Schema, entity: str, operation: ast.SetDefault) -> Schema:
    """Another default, or none; nothing where another operation has taken the column away."""
    sheet = schema.sheets[entity]
    column = next((c for c in sheet.columns if sql_name(c.name) == sql_name(operation.column)), None)
    if column is None:
        return schema
    mark = next((m.span for m in column.marks if m.kind == "default"), None)
    value = f"default {schema.said(operation.literal.span)}" if operation.literal else ""
    if mark is None and not value:
        return schema
    if mark is None:
        edit = (column.span.end, column.span.end, f" {value}")
    elif value:
        edit = (mark.start, mark.end, value)
    else:
        edit = unmarked(sheet.text, mark.start, mark.end)
    return schema.edited(entity, [edit], operation.span)


def split(schema: Schema, entity: str, operation: ast.Split) -> Schema:
    """Several columns more, one less."""
    for column in operation.into:
        schema = added(schema, entity, column, operation.span)
    return dropped(schema, entity, operation.column, operation.span)


def merge(schema: Schema, entity: str, operation: ast.Merge) -> Schema:
    """One column more, several less."""
    schema = added(schema, entity, operation.into, operation.span)
    for column in operation.columns:
        schema = dropped(schema, entity, column, operation.span)
    return schema


def rename(schema: Schema, entity: str, operation: ast.Rename) -> Schema:
    """Another name wherever the column is spoken of, in other entities too."""
    sheet, old = schema.sheets[entity], sql_name(operation.column)
    column = sheet.column(operation.column)
    new = schema.said(operation.to.span)
    uses = [edit for item in sheet.node.items for edit in _renamed(item, old, operation.to, new)]

    def make(name: str) -> list[Edit]:
        return [(column.name.span.start, column.name.span.end, name), *uses]

    found = schema.edited(entity, plain_or_quoted(sheet, operation.to, new, make), operation.span)
    for other, there in found.sheets.items():
        names = [n for t in _targets(there.node) if t.entity.text == entity for n in t.columns if sql_name(n) == old]
        if names:
            found = found.edited(other, [(n.span.start, n.span.end, new) for n in names], operation.span)
    return found


def _renamed(item: ast.EntityItem, old: str, to: ast.Name, new: str) -> list[Edit]:
    """The edits of one line that speaks of the column. A name that it has stays its name."""
    edits = [(n.span.start, n.span.end, new) for n in _names_in(item) if sql_name(n) == old]
    for sql in _sqls_in(item):
        expression = dialect.expression(sql.text)
        if old in expression.names():
            spelt = quote(sql_name(to))
            text = edited(sql.text, [(use.start, use.end, spelt) for use in expression.columns if use.name == old])
            edits.append((sql.body.start, sql.body.end, text.replace("`", "``")))
    return edits


def _names_in(item: ast.EntityItem) -> list[ast.Name]:
    if isinstance(item, ast.Key | ast.Unique | ast.Reference):
        return list(item.columns)
    if isinstance(item, ast.Index):
        return [*(p.column for p in item.parts if p.column), *item.include]
    if isinstance(item, ast.Exclude):
        return [p.column for p in item.parts if p.column]
    return [item.column] if isinstance(item, ast.Legacy | ast.TenantVia) else []


def _sqls_in(item: ast.EntityItem) -> list[ast.Sql]:
    if isinstance(item, ast.Check):
        return [item.sql]
    if isinstance(item, ast.Index | ast.Exclude):
        return [sql for sql in (*(p.sql for p in item.parts), item.where) if sql]
    if isinstance(item, ast.Column):
        return [mark.sql for mark in item.marks if mark.kind == "generated" and mark.sql]
    return []


def _targets(node: ast.Entity) -> Iterator[ast.Target]:
    for item in node.items:
        if isinstance(item, ast.Reference):
            yield item.target
        elif isinstance(item, ast.Column):
            yield from (mark.target for mark in item.marks if mark.target)
