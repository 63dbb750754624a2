"""The tree of a file becomes the syntax tree, one module a group of constructs."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.syntax import ast
from migdsl.syntax.build import api, change, constrain, entity, header, move, policy, replace, rollout
from migdsl.syntax.build.nodes import Context, Node
from migdsl.syntax.tree import Tree

_BUILDERS: dict[str, Callable[[Node, Context], ast.Declaration]] = {
    "use": header.use,
    "finished": header.finished,
    "migration": header.migration,
    "database": header.database,
    "tenants": header.tenants,
    "tenants_none": header.tenants_none,
    "entity": entity.entity,
    "change": change.change,
    "create": constrain.create,
    "drop_entity": constrain.drop_entity,
    "cutover": rollout.cutover,
    "flag": rollout.flag,
    "boolean_flag": rollout.boolean_flag,
    "phase": rollout.phase,
    "rollback": rollout.rollback,
    "backfill": policy.backfill,
    "validate": policy.validate,
    "metric": policy.metric,
    "alert": policy.alert,
    "gate": policy.gate,
    "accept": policy.accept,
    "impact": policy.impact,
    "output": policy.output,
    "api": api.api,
    "service": replace.service,
    "replace": replace.replace,
    "move": move.move,
    "sync": move.sync,
}


def declarations(tree: Node, context: Context) -> tuple[ast.Declaration, ...]:
    """The declarations below a `start` node."""
    return tuple(_BUILDERS[child.data](child, context) for child in tree.children if isinstance(child, Tree))
