"""What several operations have in common: `from`, `back`, `after`, reasons."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import nodes
from migdsl.syntax.build.nodes import Context, Node


def source(node: Node, context: Context) -> ast.Sql | None:
    """`from \\`SQL\\``."""
    found = nodes.one(nodes.subtrees(node, "from"))
    return nodes.only_sql(found, context) if found else None


def backs(node: Node, context: Context) -> tuple[ast.Back, ...]:
    """`back a = \\`SQL\\`, b = \\`SQL\\``."""
    targets = [t for back in nodes.subtrees(node, "back") for t in nodes.subtrees(back, "back_target")]
    return tuple(ast.Back(nodes.names(t, context)[0], nodes.only_sql(t, context), context.span(t)) for t in targets)


def own_back(node: Node, context: Context) -> ast.Back | None:
    """`back \\`SQL\\``, where the operation itself says which column."""
    found = nodes.one(nodes.subtrees(node, "drop_back"))
    return ast.Back(None, nodes.only_sql(found, context), context.span(found)) if found else None


def after(node: Node, context: Context) -> ast.Number | None:
    """`after 30d`."""
    found = nodes.one(nodes.subtrees(node, "after"))
    return nodes.numbers(found, context)[0] if found else None


def reason(node: Node, kind: str, context: Context) -> ast.Text | None:
    """`irreversible because "…"`, `complies because "…"`."""
    found = nodes.one(nodes.subtrees(node, kind))
    return nodes.texts(found, context)[0] if found else None


def computed(node: Node, context: Context) -> tuple[ast.Computed, ...]:
    """`column = \\`SQL\\`` and `column = other`, in order."""
    return tuple(_computed(child, context) for child in nodes.subtrees(node, "computed", "copied"))


def _computed(node: Node, context: Context) -> ast.Computed:
    column, *other = nodes.names(node, context)
    if not other:
        return ast.Computed(column, nodes.only_sql(node, context), context.span(node))
    # A column's name, quoted or not, is SQL already.
    name = other[0]
    text = '"' + name.text.replace('"', '""') + '"' if name.quoted else name.text
    return ast.Computed(column, ast.Sql(text, name.span, name.span), context.span(node))
