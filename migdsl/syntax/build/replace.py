"""`service` and `replace`: who owns what, and what is swapped for something else."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import nodes, rollout
from migdsl.syntax.build.nodes import Context, Node


def service(node: Node, context: Context) -> ast.Service:
    """`service NAME { … }`."""
    settings = tuple(nodes.setting(child, context) for child in nodes.subtrees(node, "owner"))
    return ast.Service(nodes.names(node, context)[0], settings, context.span(node))


def replace(node: Node, context: Context) -> ast.Replace:
    """`replace NAME { … }`."""
    settings = nodes.subtrees(node, "kind", "old", "new", "rollback_by")
    affects = nodes.subtrees(node, "affects")
    return ast.Replace(
        nodes.names(node, context)[0],
        tuple(nodes.setting(child, context) for child in settings),
        tuple(ast.Affects(nodes.names(child, context), context.span(child)) for child in affects),
        tuple(rollout.canary(child, context) for child in nodes.subtrees(node, "canary")),
        tuple(rollout.ramp(child, context) for child in nodes.subtrees(node, "ramp", "ramp_by_request")),
        tuple(_verify(child, context) for child in nodes.subtrees(node, "verify")),
        tuple(text for child in nodes.subtrees(node, "strangled") for text in nodes.texts(child, context)),
        tuple(number for child in nodes.subtrees(node, "after") for number in nodes.numbers(child, context)),
        nodes.allows(node, context),
        context.span(node),
    )


def _verify(node: Node, context: Context) -> ast.Verify:
    run, within = nodes.first(node, "run"), nodes.first(node, "within")
    return ast.Verify(
        nodes.texts(node, context)[0],
        nodes.texts(run, context)[0] if run else None,
        nodes.numbers(within, context)[0] if within else None,
        context.span(node),
    )
