"""SQL expressions become forms in which two that mean the same are mostly equal, however each was written or printed.

PostgreSQL prints an expression otherwise than it was written: casts are added, names qualified, `IN` and `BETWEEN` spelt out.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from migdsl.dialect import pgquery
from migdsl.dialect.pgquery import SqlError, Tree

Form = tuple[Any, ...]
# Where something was written, or how it will be printed, changes no value.
_NO_MATTER = frozenset("location funcformat rexpr_list_start rexpr_list_end list_start list_end".split())
_IN = {"=": ("AEXPR_OP_ANY", "="), "<>": ("AEXPR_OP_ALL", "<>")}


def same(one: str, other: str) -> bool:
    """Whether two expressions mean the same, casts aside; what can't be parsed is compared as text."""
    if one == other:
        return True
    left, right = form(one), form(other)
    return left is not None and left == right


def is_constant(text: str) -> bool:
    """Whether an expression is one value, written out."""
    found = form(text)
    return found is not None and found[:1] == ("constant",)


def form(text: str) -> Form | None:
    """The form of an expression, or None where it can't be parsed."""
    try:
        trees = pgquery.parse(f"SELECT {text}")
    except SqlError:
        return None
    targets = trees[0]["stmt"].get("SelectStmt", {}).get("targetList", []) if len(trees) == 1 else []
    return _node(targets[0]["ResTarget"]["val"]) if len(targets) == 1 else None


def on_one_line(text: str) -> str:
    """The SQL with a blank for each line break between its words; those in strings stay."""
    if "\n" not in text:
        return text
    try:
        words = pgquery.scan(text)
    except SqlError:
        return text
    pieces, at = [], 0
    for word in words:
        gap = text[at : word.start]
        pieces += [" " if "\n" in gap else gap, word.text]
        at = word.end
    return "".join(pieces).strip()


def _node(node: Any) -> Form:
    if isinstance(node, list):
        return tuple(_node(each) for each in node)
    if not isinstance(node, dict):
        return (node,)
    if len(node) == 1:
        ((kind, value),) = node.items()
        rule = _RULES.get(kind)
        if rule is not None:
            return rule(value)
    return tuple((key, _node(value)) for key, value in sorted(node.items()) if key not in _NO_MATTER)


def _constant(node: Tree) -> Form:
    if node.get("isnull"):
        return ("constant", None)
    kind, value = next(((k, v) for k, v in node.items() if k != "location"), ("ival", {}))
    missing = {"ival": 0, "boolval": False}.get(kind, "")
    held = value.get(kind, missing) if isinstance(value, dict) else value
    if kind == "fval":
        held = format(Decimal(held).normalize(), "f")
    return ("constant", str(held).lower() if isinstance(held, bool) else str(held))


def _cast(node: Tree) -> Form:
    return _node(node["arg"])


def _column(node: Tree) -> Form:
    return ("column", _node(node["fields"][-1]))


def _call(node: Tree) -> Form:
    name = node["funcname"][-1]["String"]["sval"]
    rest = {key: value for key, value in node.items() if key not in ("funcname", *_NO_MATTER)}
    return ("call", name, tuple((key, _node(value)) for key, value in sorted(rest.items())))


def _clock(node: Tree) -> Form:
    return ("call", "now", ()) if node["op"] == "SVFOP_CURRENT_TIMESTAMP" else ("clock", node["op"])


def _logic(node: Tree) -> Form:
    """`a AND (b AND c)` is `a AND b AND c`."""
    kind = node["boolop"]
    found: list[Form] = []
    for each in map(_node, node["args"]):
        found += each[1:] if kind != "NOT_EXPR" and each[:1] == (kind,) else (each,)
    return (kind, *found)


def _operation(node: Tree) -> Form:
    kind, name = node["kind"], node["name"][-1]["String"]["sval"]
    left, right = _node(node.get("lexpr", {})), node.get("rexpr", {})
    if kind in ("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"):
        low, high = (_node(each) for each in right["List"]["items"])
        logic, first, last = ("AND_EXPR", ">=", "<=") if kind == "AEXPR_BETWEEN" else ("OR_EXPR", "<", ">")
        return (logic, ("operator", "AEXPR_OP", first, left, low), ("operator", "AEXPR_OP", last, left, high))
    if kind == "AEXPR_IN":
        kind, name = _IN[name]
        return ("operator", kind, name, left, tuple(_node(each) for each in right["List"]["items"]))
    if kind in ("AEXPR_LIKE", "AEXPR_ILIKE"):
        kind = "AEXPR_OP"
    if name == "-" and "lexpr" not in node and "A_Const" in right:
        return ("constant", f"-{_node(right)[1]}")
    return ("operator", kind, name, left, _node(right))


def _array(node: Tree) -> Form:
    return tuple(_node(each) for each in node.get("elements", []))


_RULES: dict[str, Callable[[Tree], Form]] = {
    "A_Const": _constant,
    "TypeCast": _cast,
    "ColumnRef": _column,
    "FuncCall": _call,
    "SQLValueFunction": _clock,
    "BoolExpr": _logic,
    "A_Expr": _operation,
    "A_ArrayExpr": _array,
    "CollateClause": _cast,
}
