"""`move` becomes the entity as its target is: another place, other columns, and what stands on them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.folding import columns
from migdsl.folding.schema import Schema, Unfoldable
from migdsl.folding.text import Edit, edited, removed, unmarked
from migdsl.semantics.model import Constraint
from migdsl.semantics.move_model import Move
from migdsl.semantics.problems import sql_name, written
from migdsl.syntax import ast

_MARKS = {"unique": "unique", "reference": "reference"}
_AS = re.compile(r"\s+as\s*$")


def move(schema: Schema, node: ast.Move) -> Schema:
    """The entity keeps its name, by which others refer to it."""
    entity = node.entity.text
    done = next((m for m in schema.module.moves if m.table.entity == entity), None)
    if done is None:
        raise Unfoldable(f"nothing moves `{entity}`", node.span, "has an error in it", "")
    for constraint in done.table.constraints:
        schema = _stood(schema, entity, constraint, done)
    for item in node.columns:
        if isinstance(item, ast.Moved):
            schema = columns.added(schema, entity, item.column, item.span)
    copied = {sql_name(i.source): i for i in node.columns if isinstance(i, ast.Copied)}
    for column in schema.sheets[entity].columns[: len(done.table.columns)]:
        if sql_name(column.name) not in copied:
            schema = columns.dropped(schema, entity, column.name, node.span)
    for source, item in copied.items():
        if source != sql_name(item.column):
            schema = columns.rename(schema, entity, ast.Rename(item.source, item.column, None, (), item.span))
    for line in node.standing:
        schema = columns.constrained(schema, entity, _line(schema, line), type(line), line.span)
    sheet, place = schema.sheets[entity], schema.said(node.table[0].span.to(node.table[-1].span))
    there = sheet.node.table
    return schema.edited(entity, [(there[0].span.start, there[-1].span.end, place)], node.span)


def _line(schema: Schema, item: ast.Unique | ast.Index | ast.Check | ast.Reference | ast.Exclude) -> str:
    """A line of the target's as its entity has it: what moves too is pointed at by the names that it has by then."""
    said = schema.said(item.span)
    if not isinstance(item, ast.Reference):
        return said
    parent = next((m for m in schema.module.moves if m.table.entity == item.target.entity.text), None)
    new = {theirs: ours for ours, theirs in parent.copied} if parent is not None else {}
    names = [(name, new[sql_name(name)]) for name in item.target.columns if sql_name(name) in new]
    start = item.span.start
    return edited(
        said, [(name.span.start - start, name.span.end - start, written(to, folds=True)) for name, to in names]
    )


def _stood(schema: Schema, entity: str, constraint: Constraint, done: Move) -> Schema:
    """What has a counterpart stays, without the name that it had; what has none, or another, goes."""
    sheet, said = schema.sheets[entity], schema.said(constraint.span)
    goes = not _stays(constraint, done)
    for item in sheet.node.items:
        if not isinstance(item, ast.Column) and sheet.said(item.span) == said:
            name = getattr(item, "name", None)
            if goes:
                return schema.edited(entity, [removed(sheet.text, item.span.start, item.span.end)], constraint.span)
            if isinstance(name, ast.Name):
                return schema.edited(entity, _unnamed(sheet.text, name), constraint.span)
    for column in sheet.columns if goes else ():
        for mark in column.marks:
            if (sql_name(column.name),) == constraint.columns and mark.kind == _MARKS.get(constraint.kind):
                return schema.edited(entity, [unmarked(sheet.text, mark.span.start, mark.span.end)], constraint.span)
    return schema


def _stays(constraint: Constraint, done: Move) -> bool:
    if constraint.kind in ("key", "generated"):
        return True
    if not constraint.uses <= {theirs for _, theirs in done.copied}:
        return False
    # One that the file says again, or does without, is another.
    return any(c.span == constraint.span for c in done.target.constraints)


def _unnamed(text: str, name: ast.Name) -> Iterator[Edit]:
    found = _AS.search(text, 0, name.span.start)
    if found is not None:
        yield found.start(), name.span.end, ""
