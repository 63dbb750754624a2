"""A condition's tree becomes what is surely neither true nor false in it, which PostgreSQL would refuse."""

from __future__ import annotations

from migdsl.dialect import types
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.plain_types import TypeOf, plain_type

_CALCULATES = frozenset(["+", "-", "*", "/", "%", "^", "||"])
_NUMBERS = ("ival", "fval")


def no_condition(tree: Tree, type_of: TypeOf) -> str | None:
    """What a condition or a part of it is instead, as one says it ("of type integer"); None where it may be one.

    Of what isn't plain only PostgreSQL knows, and of a type of one's own, which may be a domain.
    """
    (kind, inner), *_ = tree.items()
    if kind == "BoolExpr":
        return next((said for part in inner["args"] if (said := no_condition(part, type_of)) is not None), None)
    if kind == "A_Const":
        return "a number" if any(name in inner for name in _NUMBERS) else None
    found = plain_type(tree, type_of)
    known = types.resolve(found, None, False, (), "", 0) if found is not None else None
    if known is not None and known.base != "boolean":
        return f"of type {known.base}"
    calculated = kind == "A_Expr" and inner["kind"] == "AEXPR_OP" and inner["name"][-1]["String"]["sval"] in _CALCULATES
    return "the result of a calculation" if calculated else None
