"""`rename`, `retype`, `split`, `merge`, defaults: operations on what columns there are."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import entity, nodes, parts
from migdsl.syntax.build.nodes import Context, Node


def _rename(node: Node, context: Context) -> ast.Rename:
    column, to = nodes.names(node, context)
    return ast.Rename(column, to, parts.after(node, context), nodes.allows(node, context), context.span(node))


def _retype(node: Node, context: Context) -> ast.Retype:
    return ast.Retype(
        nodes.names(node, context)[0],
        nodes.find_type(node, context),
        parts.source(node, context),
        parts.own_back(node, context),
        parts.after(node, context),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _split(node: Node, context: Context) -> ast.Split:
    return ast.Split(
        nodes.names(node, context)[0],
        tuple(entity.column(child, context) for child in nodes.subtrees(node, "split_column")),
        parts.computed(node, context),
        parts.own_back(node, context),
        parts.after(node, context),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _merge(node: Node, context: Context) -> ast.Merge:
    return ast.Merge(
        nodes.names(node, context),
        entity.column(nodes.subtrees(node, "split_column")[0], context),
        parts.source(node, context),
        parts.backs(node, context),
        parts.after(node, context),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


def _set_default(node: Node, context: Context) -> ast.SetDefault:
    literals = nodes.subtrees(node, "string_literal", "number_literal", "word_literal", "sql_literal")
    value = entity.literal(literals[0], context) if literals else None
    return ast.SetDefault(nodes.names(node, context)[0], value, nodes.allows(node, context), context.span(node))


def _extend_enum(node: Node, context: Context) -> ast.ExtendEnum:
    place = nodes.first(node, "enum_place")
    beside = nodes.subtrees(place)[0] if place else None
    return ast.ExtendEnum(
        nodes.names(node, context)[0],
        nodes.labels(node, context)[0],
        str(beside.data).removeprefix("enum_") if beside else None,
        nodes.texts(beside, context)[0] if beside else None,
        nodes.allows(node, context),
        context.span(node),
    )


def _rename_table(node: Node, context: Context) -> ast.RenameTable:
    to = nodes.names(node, context)[0]
    return ast.RenameTable(to, parts.after(node, context), nodes.allows(node, context), context.span(node))


def _comment(node: Node, context: Context) -> ast.Comment:
    column = nodes.names(node, context)
    return ast.Comment(column[0] if column else None, nodes.texts(node, context)[0], context.span(node))


def _replica_identity(node: Node, context: Context) -> ast.ReplicaIdentity:
    index = nodes.names(node, context)
    return ast.ReplicaIdentity(nodes.words(node, context)[0], index[0] if index else None, context.span(node))


def _raw_sql(node: Node, context: Context) -> ast.RawSql:
    phases, locks = nodes.subtrees(node, "raw_phase"), nodes.subtrees(node, "raw_lock")
    return ast.RawSql(
        nodes.texts(node, context)[0],
        tuple(nodes.only_sql(child, context) for child in nodes.subtrees(node, "raw_up")),
        tuple(nodes.only_sql(child, context) for child in nodes.subtrees(node, "raw_back")),
        nodes.words(phases[-1], context)[0] if phases else None,
        nodes.words(locks[-1], context) if locks else (),
        parts.reason(node, "irreversible", context),
        nodes.allows(node, context),
        context.span(node),
    )


OPERATIONS: dict[str, Callable[[Node, Context], ast.Operation]] = {
    "rename": _rename,
    "retype": _retype,
    "split": _split,
    "merge": _merge,
    "set_default": _set_default,
    "drop_default": _set_default,
    "extend_enum": _extend_enum,
    "rename_table": _rename_table,
    "comment_table": _comment,
    "comment_column": _comment,
    "replica_identity": _replica_identity,
    "raw_sql": _raw_sql,
}
