"""A column that holds personal data, since it is computed from some, gets its mark where the file left that unsaid."""

from __future__ import annotations

from migdsl.folding.schema import Schema
from migdsl.semantics.model import AddColumn, Column, CreateTable
from migdsl.semantics.problems import sql_name
from migdsl.syntax import ast

_MARKS = ("pii", "phi")


def marked(schema: Schema, node: ast.Change | ast.Create | ast.Move) -> Schema:
    """The schema, with the marks of an entity's columns said that computed values bring: nothing else tells of them any more."""
    entity = node.entity.name.text if isinstance(node, ast.Create) else node.entity.text
    if entity not in schema.sheets:
        return schema
    filled = _filled(schema, entity) if isinstance(node, ast.Change) else []
    made = {column.name: column for column in (*filled, *_made(schema, entity))}
    edits = []
    for column in schema.sheets[entity].columns:
        checked, said = made.get(sql_name(column.name)), {mark.kind for mark in column.marks}
        missing = [mark for mark in _MARKS if checked is not None and getattr(checked, mark) and mark not in said]
        if missing:
            end = column.null.end if column.null is not None else column.type.span.end
            edits.append((end, end, "".join(f" {mark}" for mark in missing)))
    return schema.edited(entity, edits, node.span) if edits else schema


def _filled(schema: Schema, entity: str) -> list[Column]:
    """The columns from before: some get values of others."""
    return [column for table in schema.module.tables if table.entity == entity for column in table.columns]


def _made(schema: Schema, entity: str) -> list[Column]:
    operations = [o for c in schema.module.changes if c.table.entity == entity for o in c.operations]
    added = [o.column for o in operations if isinstance(o, AddColumn)]
    return [*added, *(c for o in operations if isinstance(o, CreateTable) for c in o.table.columns)]
