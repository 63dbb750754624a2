"""`move` and `sync`: rows that go to another table."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import entity, nodes, parts
from migdsl.syntax.build.nodes import Context, Node
from migdsl.values import replace


def move(node: Node, context: Context) -> ast.Move:
    """`move NAME to DATABASE.TABLE { … }`."""
    head, table, *_ = nodes.subtrees(node)
    standing = nodes.subtrees(node, "entity_unique", "entity_index", "entity_check", "reference")
    return ast.Move(
        nodes.name(head, context),
        nodes.names(table, context),
        tuple(_column(child, context) for child in nodes.subtrees(node, "copied", "moved")),
        parts.backs(node, context),
        tuple(_omit(child, context) for child in nodes.subtrees(node, "omit", "omit_reference")),
        tuple(_standing(child, context) for child in standing),
        parts.after(node, context),
        nodes.allows(node, context),
        context.span(node),
    )


def _column(node: Node, context: Context) -> ast.Copied | ast.Moved:
    if node.data == "copied":
        ours, theirs = nodes.names(node, context)
        return ast.Copied(ours, theirs, context.span(node))
    values = nodes.tokens(node, "SQL")
    value = nodes.sql(values[0], context) if values else None
    return ast.Moved(entity.column(node, context), value, context.span(node))


def _omit(node: Node, context: Context) -> ast.Omit:
    column, *target = nodes.names(node, context)
    return ast.Omit(column, target[0] if target else None, nodes.texts(node, context)[0], context.span(node))


def _standing(node: Node, context: Context) -> ast.Unique | ast.Index | ast.Check | ast.Reference:
    item = entity.ITEMS[node.data](node, context)
    assert isinstance(item, ast.Unique | ast.Index | ast.Check | ast.Reference)
    return item


def sync(node: Node, context: Context) -> ast.Sync:
    """`sync NAME { … }`."""
    settings = nodes.subtrees(node, "sync_by", "sync_lag", "sync_conflict")
    return ast.Sync(
        nodes.names(node, context)[0],
        tuple(_setting(child, context) for child in settings),
        nodes.allows(node, context),
        context.span(node),
    )


def _setting(node: Node, context: Context) -> ast.Setting:
    return replace(nodes.setting(node, context), key=node.data.removeprefix("sync_"))
