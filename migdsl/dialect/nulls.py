"""An expression's tree and the columns that are NULL become a verdict: is the value surely NULL?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from migdsl.dialect.functions import STRICT
from migdsl.dialect.pgquery import Tree

# `NULL = ANY ('{}')` is false.
_NEVER_STRICT = frozenset(["AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_OP_ANY", "AEXPR_OP_ALL"])


def surely_null(tree: Tree, is_null: Callable[[str], bool]) -> bool:
    """Whether the expression is NULL in every row in which the columns are that `is_null` names.

    False also where it can't be told: the caller must treat False as "may be something". `||` is taken for that of texts;
    the one of arrays is not strict.
    """
    try:
        return _surely_null(tree, is_null)
    except RecursionError:
        return False


def _surely_null(tree: Tree, is_null: Callable[[str], bool]) -> bool:
    (kind, node), *_ = tree.items()
    rule = _RULES.get(kind)
    return rule(node, is_null) if rule else False


def _all(nodes: list[Tree], is_null: Callable[[str], bool]) -> bool:
    return all(_surely_null(node, is_null) for node in nodes)


def _any(nodes: list[Tree], is_null: Callable[[str], bool]) -> bool:
    return any(_surely_null(node, is_null) for node in nodes)


def _operator(node: Tree, is_null: Callable[[str], bool]) -> bool:
    if node["kind"] == "AEXPR_NULLIF":
        return _surely_null(node["lexpr"], is_null)
    if node["kind"] in _NEVER_STRICT or len(node["name"]) > 1:
        return False
    return _any(
        [node[side] for side in ("lexpr", "rexpr") if isinstance(node.get(side), dict) and "List" not in node[side]],
        is_null,
    )


def _case(node: Tree, is_null: Callable[[str], bool]) -> bool:
    results = [branch["CaseWhen"]["result"] for branch in node["args"]]
    return _all(results, is_null) and ("defresult" not in node or _surely_null(node["defresult"], is_null))


def _call(node: Tree, is_null: Callable[[str], bool]) -> bool:
    *schema, name = (part["String"]["sval"] for part in node["funcname"])
    return name in STRICT and schema in ([], ["pg_catalog"]) and _any(node.get("args", []), is_null)


_RULES: dict[str, Callable[[Any, Callable[[str], bool]], bool]] = {
    "ColumnRef": lambda node, is_null: is_null(node["fields"][-1].get("String", {}).get("sval", "")),
    "A_Const": lambda node, _: bool(node.get("isnull")),
    "TypeCast": lambda node, is_null: _surely_null(node["arg"], is_null),
    "CollateClause": lambda node, is_null: _surely_null(node["arg"], is_null),
    "A_Expr": _operator,
    "CoalesceExpr": lambda node, is_null: _all(node["args"], is_null),
    "MinMaxExpr": lambda node, is_null: _all(node["args"], is_null),
    "CaseExpr": _case,
    "FuncCall": _call,
}
