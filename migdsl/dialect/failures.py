"""An expression that has no answer for some values becomes the reason: a cast, a division, a value that is too long."""

from __future__ import annotations

from migdsl.dialect.pgquery import Tree
from migdsl.dialect.plain_types import TypeOf, plain_type, target
from migdsl.dialect.sql import walk
from migdsl.dialect.types import SqlType

_SAFE = frozenset(["text", "character varying", "character"])  # cut short without a word, and never refused
_ROUNDED = ("time", "interval")  # a precision that rounds, and refuses nothing
# Each takes all values of the whole numbers before it.
_WIDER = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_WHOLE = frozenset(_WIDER[:3])
_ARITHMETIC = frozenset("+-*/%")
_NO_VALUE = "value isn't one"
_ROUNDING = frozenset("round trunc ceil ceiling floor abs".split())
_TIMES = frozenset(["date", "timestamp", "timestamp with time zone"])


def danger(tree: Tree, type_of: TypeOf, goes_into: SqlType, *, overflow: bool = True) -> str | None:
    """Why a row's values could make it fail, or None. `goes_into` is the type of the column that takes the value.

    `overflow`: False where a number that is too large for its type needn't be thought of.
    """
    for kind, node in walk(tree):
        if kind == "TypeCast" and "A_Const" not in node["arg"]:
            to = target(node)
            if not overflow and to in _WIDER and _is_number(node["arg"], type_of):
                continue
            rounds = to == "numeric" and "typmods" in node["typeName"]
            if rounds or not _safe(plain_type(node["arg"], type_of), to):
                too_large = to in _WIDER and _is_number(node["arg"], type_of)
                return f"the cast to {to} fails where the {'number is too large' if too_large else _NO_VALUE}"
        if kind == "A_Expr" and node["kind"] == "AEXPR_OP" and node["name"][-1]["String"]["sval"] in ("/", "%"):
            if _divides(node["rexpr"]):
                continue
            return "division by zero fails"
    if "(" in goes_into.sql and not goes_into.base.startswith(_ROUNDED) and not _same(tree, type_of, goes_into):
        return f"what doesn't fit into {goes_into.sql} is refused"
    return None


def _divides(tree: Tree) -> bool:
    """Whether it is a constant by which every number can be divided: the lowest one has no opposite."""
    constant = tree.get("A_Const", {})
    value = constant.get("ival", {}).get("ival") or constant.get("fval", {}).get("fval")
    return value is not None and float(value) not in (0, -1)


def _is_number(tree: Tree, type_of: TypeOf) -> bool:
    """Whether it is a number, whatever the row holds: a column, arithmetic, what rounds one."""
    (kind, node), *_ = tree.items()
    if kind == "A_Const":
        return bool({"ival", "fval"} & set(node))
    if kind == "A_Expr" and node["kind"] == "AEXPR_OP" and node["name"][-1]["String"]["sval"] in _ARITHMETIC:
        return all(_is_number(node[side], type_of) for side in ("lexpr", "rexpr") if side in node)
    if kind == "FuncCall" and node["funcname"][-1]["String"]["sval"] in _ROUNDING:
        return all(_is_number(each, type_of) for each in node.get("args", []))
    return plain_type(tree, type_of) in _WIDER


def _safe(source: str | None, to: str) -> bool:
    if to in _SAFE or source == to or {source, to} <= _TIMES or (source, to) == ("jsonb", "json"):
        return True
    return source in _WHOLE and to in _WIDER and _WIDER.index(source) < _WIDER.index(to)


def _same(tree: Tree, type_of: TypeOf, goes_into: SqlType) -> bool:
    """Whether it is a column of that very type."""
    fields = tree.get("ColumnRef", {}).get("fields", [{}])
    found = type_of(fields[-1].get("String", {}).get("sval", ""))
    return found is not None and found.sql == goes_into.sql
