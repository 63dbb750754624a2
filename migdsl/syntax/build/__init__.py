"""Lark's tree of a file becomes the syntax tree, one module a group of constructs."""

from __future__ import annotations

from collections.abc import Callable

from lark import Tree

from migdsl.syntax import ast
from migdsl.syntax.build import change, entity, header, rollout
from migdsl.syntax.build.nodes import Context, Node

_BUILDERS: dict[str, Callable[[Node, Context], ast.Declaration]] = {
    "migration": header.migration,
    "database": header.database,
    "tenants": header.tenants,
    "tenants_none": header.tenants_none,
    "entity": entity.entity,
    "change": change.change,
    "cutover": rollout.cutover,
    "flag": rollout.flag,
    "boolean_flag": rollout.boolean_flag,
    "phase": rollout.phase,
}


def declarations(tree: Node, context: Context) -> tuple[ast.Declaration, ...]:
    """The declarations below a `start` node."""
    return tuple(_BUILDERS[child.data](child, context) for child in tree.children if isinstance(child, Tree))
