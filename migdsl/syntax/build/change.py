"""`change`: the operations on one table."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import entity, nodes
from migdsl.syntax.build.nodes import Context, Node


def change(node: Node, context: Context) -> ast.Change:
    """`change NAME { … }`."""
    head, *rest = nodes.subtrees(node)
    operations = tuple(_OPERATIONS[child.data](child, context) for child in rest if child.data != "allow")
    return ast.Change(nodes.name(head, context), operations, nodes.allows(node, context), context.span(node))


def _add(node: Node, context: Context) -> ast.Add:
    targets = [t for back in nodes.subtrees(node, "back") for t in nodes.subtrees(back, "back_target")]
    return ast.Add(
        entity.column(node, context),
        _source(node, context),
        tuple(_back_target(target, context) for target in targets),
        tuple(_unique(child, context) for child in nodes.subtrees(node, "unique_per_tenant", "unique_with")),
        _reason(node, "complies", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _drop(node: Node, context: Context) -> ast.Drop:
    after = nodes.first(node, "after")
    return ast.Drop(
        nodes.names(node, context)[0],
        nodes.numbers(after, context)[0] if after else None,
        _own_back(node, context),
        _reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _require(node: Node, context: Context) -> ast.Require:
    return ast.Require(
        nodes.names(node, context)[0],
        _source(node, context),
        _reason(node, "complies", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _optional(node: Node, context: Context) -> ast.Optional:
    return ast.Optional(
        nodes.names(node, context)[0],
        _own_back(node, context),
        nodes.allows(node, context),
        context.span(node),
    )


def _source(node: Node, context: Context) -> ast.Sql | None:
    found = nodes.one(nodes.subtrees(node, "from"))
    return nodes.only_sql(found, context) if found else None


def _back_target(node: Node, context: Context) -> ast.Back:
    return ast.Back(nodes.names(node, context)[0], nodes.only_sql(node, context), context.span(node))


def _own_back(node: Node, context: Context) -> ast.Back | None:
    found = nodes.one(nodes.subtrees(node, "drop_back"))
    return ast.Back(None, nodes.only_sql(found, context), context.span(found)) if found else None


def _unique(node: Node, context: Context) -> ast.Unique:
    if node.data == "unique_per_tenant":
        return ast.Unique((), None, True, context.span(node))
    return entity.unique(node, context)


def _reason(node: Node, kind: str, context: Context) -> ast.Text | None:
    found = nodes.one(nodes.subtrees(node, kind))
    return nodes.texts(found, context)[0] if found else None


_OPERATIONS: dict[str, Callable[[Node, Context], ast.Operation]] = {
    "add": _add,
    "drop": _drop,
    "require": _require,
    "optional": _optional,
}
