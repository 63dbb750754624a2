"""Conditions, wherever one stands."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import nodes
from migdsl.syntax.build.nodes import Context, Node


def whens(node: Node, context: Context, kind: str) -> tuple[ast.When, ...]:
    """All lines of this kind among a node's children, each with its condition."""
    return tuple(_when(child, context) for child in nodes.subtrees(node, kind))


def _when(node: Node, context: Context) -> ast.When:
    return ast.When(node.data.rsplit("_", 1)[-1], condition(node, context), context.span(node))


def condition(node: Node, context: Context) -> ast.Condition:
    """The condition among a node's children."""
    return _built(nodes.subtrees(node, *_KINDS)[0], context)


def _built(node: Node, context: Context) -> ast.Condition:
    return _KINDS[node.data](node, context)


def _comparison(node: Node, context: Context) -> ast.Condition:
    metric, number = nodes.words(node, context)[0], nodes.numbers(node, context)[0]
    return ast.Comparison(metric, _operator(node), number, context.span(node))


def _operator(node: Node) -> str:
    return str(nodes.subtrees(node, "operator")[0].children[0])


def _held(node: Node, context: Context) -> ast.Condition:
    return ast.Held(condition(node, context), nodes.numbers(node, context)[0], context.span(node))


def _joined(node: Node, context: Context) -> ast.Condition:
    parts = tuple(_built(child, context) for child in nodes.subtrees(node, *_KINDS))
    return ast.Joined(node.data == "condition", parts, context.span(node))


_KINDS: dict[str, Callable[[Node, Context], ast.Condition]] = {
    "comparison": _comparison,
    "held": _held,
    "conjunction": _joined,
    "condition": _joined,
}
