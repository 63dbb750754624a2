"""`use`, `finished`, `migration`, `database` and `tenants`: who migrates what, where, and within which boundary."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import conditions, nodes
from migdsl.syntax.build.nodes import Context, Node


def use(node: Node, context: Context) -> ast.Use:
    """`use "…"`."""
    return ast.Use(nodes.texts(node, context)[0], context.span(node))


def finished(node: Node, context: Context) -> ast.Finished:
    """`finished DATE`."""
    return ast.Finished(nodes.numbers(node, context)[0], context.span(node))


def migration(node: Node, context: Context) -> ast.Migration:
    """`migration NAME { … }`."""
    head, *rest = nodes.subtrees(node)
    settings = tuple(nodes.setting(child, context) for child in rest if child.data not in ("allow", "slo"))
    slos = conditions.whens(node, context, "slo")
    return ast.Migration(nodes.name(head, context), settings, nodes.allows(node, context), context.span(node), slos)


def database(node: Node, context: Context) -> ast.Database:
    """`database NAME { … }`."""
    head, *rest = nodes.subtrees(node)
    named = ("schema", "of_service")
    settings = tuple(nodes.setting(child, context) for child in rest if child.data not in named)
    schema = nodes.one(child for child in rest if child.data == "schema")
    return ast.Database(
        nodes.name(head, context),
        settings,
        nodes.names(schema, context)[0] if schema else None,
        context.span(node),
        tuple(nodes.names(child, context)[0] for child in rest if child.data == "of_service"),
    )


def tenants(node: Node, context: Context) -> ast.Tenants:
    """`tenants { … }`."""
    keys = tuple(_key(child, context) for child in nodes.subtrees(node, "tenant_key"))
    lists = tuple(_list(child, context) for child in nodes.subtrees(node, "tenant_list"))
    return ast.Tenants(keys, lists, None, context.span(node))


def tenants_none(node: Node, context: Context) -> ast.Tenants:
    """`tenants none because "…"`."""
    return ast.Tenants((), (), nodes.texts(node, context)[0], context.span(node))


def _key(node: Node, context: Context) -> ast.TenantKey:
    return ast.TenantKey(nodes.names(node, context)[0], nodes.find_type(node, context), context.span(node))


def _list(node: Node, context: Context) -> ast.TenantList:
    where = next(iter(nodes.names(node, context)), None)
    return ast.TenantList(where, nodes.only_sql(node, context), context.span(node))
