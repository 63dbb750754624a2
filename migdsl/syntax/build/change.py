"""`change`: the operations on one table."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import constrain, entity, nodes, parts, shape
from migdsl.syntax.build.nodes import Context, Node


def change(node: Node, context: Context) -> ast.Change:
    """`change NAME { … }`."""
    head, *rest = nodes.subtrees(node)
    operations = tuple(_OPERATIONS[child.data](child, context) for child in rest if child.data != "allow")
    return ast.Change(nodes.name(head, context), operations, nodes.allows(node, context), context.span(node))


def _add(node: Node, context: Context) -> ast.Add:
    return ast.Add(
        entity.column(node, context),
        parts.source(node, context),
        parts.backs(node, context),
        tuple(_unique(child, context) for child in nodes.subtrees(node, "unique_per_tenant", "unique_with")),
        parts.reason(node, "complies", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _drop(node: Node, context: Context) -> ast.Drop:
    return ast.Drop(
        nodes.names(node, context)[0],
        parts.after(node, context),
        parts.own_back(node, context),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _require(node: Node, context: Context) -> ast.Require:
    return ast.Require(
        nodes.names(node, context)[0],
        parts.source(node, context),
        parts.reason(node, "complies", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _optional(node: Node, context: Context) -> ast.Optional:
    return ast.Optional(
        nodes.names(node, context)[0],
        parts.own_back(node, context),
        nodes.allows(node, context),
        context.span(node),
    )


def _unique(node: Node, context: Context) -> ast.Unique:
    if node.data == "unique_per_tenant":
        return ast.Unique((), None, True, context.span(node))
    return entity.unique(node, context)


_OPERATIONS: dict[str, Callable[[Node, Context], ast.Operation]] = {
    "add": _add,
    "drop": _drop,
    "require": _require,
    "optional": _optional,
    **shape.OPERATIONS,
    **constrain.OPERATIONS,
}
