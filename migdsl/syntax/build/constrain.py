"""Constraints and indexes that come and go, and tables that do."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import entity, nodes, parts
from migdsl.syntax.build.nodes import Context, Node


def create(node: Node, context: Context) -> ast.Create:
    """`create NAME in DATABASE.TABLE { … }`."""
    head, table, *rest = nodes.subtrees(node)
    span = context.span(node)
    items = tuple(entity.ITEMS[child.data](child, context) for child in rest if child.data != "filled")
    made = ast.Entity(nodes.name(head, context), nodes.names(table, context), items, span)
    sources = tuple(_filled(child, context) for child in nodes.subtrees(node, "filled"))
    return ast.Create(made, sources, nodes.allows(node, context), span)


def _filled(node: Node, context: Context) -> ast.Filled:
    where = nodes.one(nodes.subtrees(node, "filled_where"))
    return ast.Filled(
        nodes.names(node, context)[0],
        parts.computed(node, context),
        nodes.only_sql(where, context) if where else None,
        context.span(node),
    )


def drop_entity(node: Node, context: Context) -> ast.DropEntity:
    """`drop entity NAME`."""
    return ast.DropEntity(
        nodes.names(node, context)[0],
        parts.after(node, context),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _constrain(node: Node, context: Context) -> ast.Constrain:
    inner = nodes.subtrees(node)[0]
    item = entity.ITEMS[inner.data](inner, context)
    assert isinstance(item, ast.Unique | ast.Index | ast.Check | ast.Reference | ast.Exclude | ast.Key)
    return _constrained(node, item, context)


def _reference(node: Node, context: Context) -> ast.Constrain:
    inner = nodes.subtrees(node)[0]
    ours, theirs, column = nodes.names(inner, context)
    target = ast.Target(theirs, (column,), entity.on_delete(inner, context), context.span(inner))
    item = ast.Reference((ours,), target, entity.constraint_name(node, context), context.span(inner))
    return _constrained(node, item, context)


def _constrained(
    node: Node,
    item: ast.Unique | ast.Index | ast.Check | ast.Reference | ast.Exclude | ast.Key,
    context: Context,
) -> ast.Constrain:
    complies = parts.reason(node, "complies", context)
    return ast.Constrain(item, complies, nodes.allows(node, context), context.span(node))


def _drop_named(node: Node, context: Context) -> ast.DropNamed:
    return ast.DropNamed(
        str(node.data).removeprefix("drop_"),
        nodes.names(node, context)[0],
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
        parts.after(node, context),
    )


OPERATIONS: dict[str, Callable[[Node, Context], ast.Operation]] = {
    "constrain_unique": _constrain,
    "constrain_index": _constrain,
    "constrain_check": _constrain,
    "constrain_reference": _reference,
    "constrain_references": _constrain,
    "constrain_exclude": _constrain,
    "constrain_key": _constrain,
    "drop_index": _drop_named,
    "drop_constraint": _drop_named,
}
