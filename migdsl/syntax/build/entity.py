"""`entity`: a table as it is before the migration."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.syntax.build import nodes
from migdsl.syntax.build.nodes import Context, Node
from migdsl.syntax.tree import Token

_ACTIONS = ("cascade", "restrict", "set null", "set default", "no action")


def entity(node: Node, context: Context) -> ast.Entity:
    """`entity NAME in DATABASE.TABLE { … }`."""
    head, table, *rest = nodes.subtrees(node)
    items = tuple(ITEMS[child.data](child, context) for child in rest)
    return ast.Entity(nodes.name(head, context), nodes.names(table, context), items, context.span(node))


def column(node: Node, context: Context) -> ast.Column:
    """A column with its type and marks; also the first part of an `add`."""
    found = nodes.subtrees(node)
    null = nodes.first(node, "nullable")
    return ast.Column(
        nodes.name(found[0], context),
        nodes.find_type(node, context),
        null is not None,
        tuple(_mark(child, context) for child in found if child.data.startswith("mark_")),
        context.span(node),
        context.span(null) if null else None,
    )


def _mark(node: Node, context: Context) -> ast.Mark:
    literals = nodes.subtrees(node, "string_literal", "number_literal", "word_literal", "sql_literal")
    sqls = nodes.tokens(node, "SQL")
    return ast.Mark(
        node.data.removeprefix("mark_"),
        literal(literals[0], context) if literals else None,
        nodes.sql(sqls[0], context) if sqls else None,
        target(node, context) if node.data == "mark_reference" else None,
        nodes.first(node, "always") is not None,
        context.span(node),
    )


def literal(node: Node, context: Context) -> ast.Literal:
    """A default's value."""
    span = context.span(node)
    if node.data == "sql_literal":
        return ast.Literal("", nodes.only_sql(node, context), span)
    if node.data == "string_literal":
        value = nodes.texts(node, context)[0].value
        return ast.Literal("'" + value.replace("'", "''") + "'", None, span)
    if node.data == "word_literal":
        return ast.Literal(nodes.words(node, context)[0].text, None, span)
    return ast.Literal("".join(str(child) for child in node.children if isinstance(child, Token)), None, span)


def target(node: Node, context: Context) -> ast.Target:
    """What `-> Other.id` points at."""
    found = nodes.names(node, context)
    return ast.Target(found[0], found[1:], on_delete(node, context), context.span(node))


def on_delete(node: Node, context: Context) -> str | None:
    """What becomes of a row when the one that it points at is deleted, where that is said."""
    rule = nodes.first(node, "on_delete")
    if rule is None:
        return None
    if nodes.first(rule, "on_set_default") is not None:
        return "set default"
    emptied = nodes.first(rule, "on_set")
    words = nodes.words(emptied or rule, context)
    found = " ".join([*(["set"] if emptied is not None else []), *(word.text for word in words)])
    if found.lower() not in _ACTIONS:
        span = Span(context.path, emptied.start if emptied is not None else words[0].span.start, words[-1].span.end)
        nodes.unknown(context, span, "action", found, _ACTIONS)
        return None
    return found


def unique(node: Node, context: Context) -> ast.Unique:
    """`unique (a, b) as name` inside an `add`."""
    over = nodes.first(node, "names")
    assert over is not None
    return ast.Unique(nodes.names(over, context), constraint_name(node, context), False, context.span(node))


def constraint_name(node: Node, context: Context) -> ast.Name | None:
    """`as name`, where it is said."""
    found = nodes.first(node, "constraint_name")
    return nodes.names(found, context)[0] if found else None


def _unique(node: Node, context: Context) -> ast.Unique | ast.Index:
    """Over columns alone it is a constraint; for more than that PostgreSQL has an index."""
    found = _index(node, context)
    columns = tuple(part.column for part in found.parts if part.column and part.span == part.column.span)
    if len(columns) < len(found.parts) or found.include or found.where:
        return found
    return ast.Unique(columns, found.name, False, found.span)


def _key(node: Node, context: Context) -> ast.Key:
    return ast.Key(nodes.names(nodes.subtrees(node, "names")[0], context), context.span(node))


def _index(node: Node, context: Context) -> ast.Index:
    called = nodes.first(node, "index_name")
    method = nodes.first(node, "index_method")
    include = nodes.first(node, "index_include")
    where = nodes.first(node, "index_where")
    return ast.Index(
        tuple(_part(child, context) for child in nodes.subtrees(node, "index_part")),
        nodes.names(called, context)[0] if called else None,
        nodes.words(method, context)[0] if method else None,
        nodes.names(nodes.subtrees(include, "names")[0], context) if include else (),
        nodes.only_sql(where, context) if where else None,
        context.span(node),
        node.data == "entity_unique",
    )


def _part(node: Node, context: Context) -> ast.IndexPart:
    over, nulls = nodes.subtrees(node)[0], nodes.first(node, "nulls")
    operators = nodes.first(node, "index_class")
    column = function = sql = None
    if over.data == "name":
        column = nodes.name(over, context)
    elif over.data == "sql_part":
        sql = nodes.only_sql(over, context)
    else:
        function, column = nodes.names(over, context)
    return ast.IndexPart(
        column,
        function,
        sql,
        context.span(node),
        nodes.first(node, "descending") is not None,
        nodes.words(nulls, context)[0] if nulls else None,
        nodes.names(operators, context) if operators else (),
    )


def _check(node: Node, context: Context) -> ast.Check:
    return ast.Check(nodes.only_sql(node, context), constraint_name(node, context), context.span(node))


def _reference(node: Node, context: Context) -> ast.Reference:
    ours, *theirs = nodes.subtrees(node, "names")
    points_at = ast.Target(
        nodes.names(node, context)[0],
        nodes.names(theirs[0], context) if theirs else (),
        on_delete(node, context),
        context.span(node),
    )
    return ast.Reference(nodes.names(ours, context), points_at, constraint_name(node, context), context.span(node))


def _exclude(node: Node, context: Context) -> ast.Exclude:
    where = nodes.first(node, "exclude_where")
    return ast.Exclude(
        nodes.words(node, context)[0],
        tuple(_exclude_part(child, context) for child in nodes.subtrees(node, "exclude_part")),
        nodes.only_sql(where, context) if where else None,
        constraint_name(node, context),
        context.span(node),
    )


def _exclude_part(node: Node, context: Context) -> ast.ExcludePart:
    sqls = nodes.tokens(node, "SQL")
    return ast.ExcludePart(
        None if sqls else nodes.names(node, context)[0],
        nodes.sql(sqls[0], context) if sqls else None,
        nodes.texts(node, context)[0],
        context.span(node),
    )


def _legacy(node: Node, context: Context) -> ast.Legacy:
    return ast.Legacy(nodes.names(node, context)[0], nodes.texts(node, context)[0], context.span(node))


def _via(node: Node, context: Context) -> ast.TenantVia:
    over, parent = nodes.names(node, context)
    return ast.TenantVia(over, parent, context.span(node))


ITEMS: dict[str, Callable[[Node, Context], ast.EntityItem]] = {
    "column": column,
    "entity_key": _key,
    "entity_unique": _unique,
    "entity_index": _index,
    "entity_check": _check,
    "entity_exclude": _exclude,
    "reference": _reference,
    "legacy": _legacy,
    "tenant_via": _via,
    "rows": nodes.setting,
    "sensitivity": nodes.setting,
    "global_entity": nodes.setting,
    "allow": nodes.allow,
}
