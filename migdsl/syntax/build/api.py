"""`api`: the versions of an HTTP API, their dates and routes."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import nodes
from migdsl.syntax.build.nodes import Context, Node

_SETTINGS = ("strategy", "route", "breaking", "announce", "grace", "guide")


def api(node: Node, context: Context) -> ast.Api:
    """`api NAME { … }`."""
    return ast.Api(
        nodes.names(node, context)[0],
        tuple(nodes.setting(child, context) for child in nodes.subtrees(node, *_SETTINGS)),
        tuple(_version(child, context) for child in nodes.subtrees(node, "version")),
        tuple(_date(child, context) for child in nodes.subtrees(node, "deprecate", "sunset")),
        nodes.allows(node, context),
        context.span(node),
    )


def _version(node: Node, context: Context) -> ast.ApiVersion:
    at, replaces = nodes.first(node, "version_at"), nodes.first(node, "replaces")
    return ast.ApiVersion(
        nodes.names(node, context)[0],
        nodes.texts(at, context)[0] if at else None,
        nodes.names(replaces, context)[0] if replaces else None,
        context.span(node),
    )


def _date(node: Node, context: Context) -> ast.ApiDate:
    version, date = nodes.names(node, context)[0], nodes.numbers(node, context)[0]
    return ast.ApiDate(str(node.data), version, date, context.span(node))
