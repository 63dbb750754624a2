"""Operations on constraints, indexes and keys become the entity's lines as they are afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.folding.columns import constrained
from migdsl.folding.schema import Schema, Unfoldable
from migdsl.folding.text import Edit, inserted, removed, unmarked
from migdsl.semantics.model import AddConstraint, Change, Constraint, DropConstraint
from migdsl.semantics.phrases import listed
from migdsl.semantics.problems import sql_name
from migdsl.semantics.referring import own_index
from migdsl.source import Span
from migdsl.syntax import ast

_MARKS = {"unique": "unique", "reference": "reference"}


def constrain(schema: Schema, entity: str, operation: ast.Constrain) -> Schema:
    """A line more; a new key takes the place of the old one."""
    item = operation.item
    if isinstance(item, ast.Key):
        return _key(schema, entity, item, operation.span)
    return constrained(schema, entity, _line(schema, item), type(item), operation.span)


def _key(schema: Schema, entity: str, key: ast.Key, place: Span) -> Schema:
    sheet, line = schema.sheets[entity], schema.said(key.span)
    marks = [mark.span for column in sheet.columns for mark in column.marks if mark.kind == "key"]
    edits: list[Edit] = [unmarked(sheet.text, span.start, span.end) for span in marks]
    old = [item.span for item in sheet.node.items if isinstance(item, ast.Key)]
    if old:
        edits.append((old[0].start, old[0].end, line))
    else:
        last = sheet.columns[-1].span
        edits.append(inserted(sheet.text, last.start, last.end, line))
    return schema.edited(entity, edits, place)


def _line(schema: Schema, item: ast.Unique | ast.Index | ast.Check | ast.Reference | ast.Exclude) -> str:
    """As an entity says it: `a -> Other.b` of a change has no mark to go to, so it becomes a line."""
    said = schema.said(item.span)
    if not isinstance(item, ast.Reference) or said.startswith("("):
        return said
    target = item.target
    words = [f"({schema.said(item.columns[0].span)}) -> {schema.said(target.entity.span)}"]
    words += [f"({', '.join(schema.said(name.span) for name in target.columns)})"] if target.columns else []
    words += [f"on delete {target.on_delete}"] if target.on_delete else []
    words += [f"as {schema.said(item.name.span)}"] if item.name else []
    return " ".join(words)


def brought(schema: Schema) -> Schema:
    """A line more for each index that a foreign key to come brings along, as the plan builds it."""
    said: set[tuple[str, tuple[str, ...]]] = set()
    for change in schema.module.changes:
        entity = change.table.entity
        for operation in _keys(change):
            columns = own_index(change.table, change.operations, operation.constraint)
            if not columns or (entity, columns) in said:
                continue
            said.add((entity, columns))
            schema = constrained(schema, entity, f"index ({listed(columns)})", ast.Index, operation.span)
    return schema


def _keys(change: Change) -> Iterator[AddConstraint]:
    """The foreign keys to come, but for those that take another's place, over another column."""
    added = (o for o in change.operations if isinstance(o, AddConstraint) and o.replaces is None)
    return (o for o in added if o.constraint.kind == "reference")


def drop_named(schema: Schema, entity: str, operation: ast.DropNamed) -> Schema:
    """A line less, or a mark."""
    sheet, constraint = schema.sheets[entity], _meant(schema, operation)
    said = schema.said(constraint.span)
    for item in sheet.node.items:
        if not isinstance(item, ast.Column) and sheet.said(item.span) == said:
            return schema.edited(entity, [removed(sheet.text, item.span.start, item.span.end)], operation.span)
    for column in sheet.columns:
        for mark in column.marks:
            if (sql_name(column.name),) == constraint.columns and mark.kind == _MARKS.get(constraint.kind):
                edit = unmarked(sheet.text, mark.span.start, mark.span.end)
                return schema.edited(entity, [edit], operation.span)
    title = f"`{sql_name(operation.name)}` is not where it was in `{entity}`"
    raise Unfoldable(title, operation.span, "another operation has changed it", "take it out of the entity by hand")


def _meant(schema: Schema, operation: ast.DropNamed) -> Constraint:
    found = [o for change in schema.module.changes for o in change.operations if o.span == operation.span]
    return next(o.constraint for o in found if isinstance(o, DropConstraint))
