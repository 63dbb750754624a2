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
_TIMES = frozenset(["date", "timestamp", "timestamp with time zone"])


def danger(tree: Tree, type_of: TypeOf, goes_into: SqlType) -> str | None:
    """Why a row's values could make it fail, or None. `goes_into` is the type of the column that takes the value."""
    for kind, node in walk(tree):
        if kind == "TypeCast" and "A_Const" not in node["arg"]:
            to = target(node)
            rounds = to == "numeric" and "typmods" in node["typeName"]
            if rounds or not _safe(plain_type(node["arg"], type_of), to):
                return f"the cast to {to} fails where the value isn't one"
        if kind == "A_Expr" and node["kind"] == "AEXPR_OP" and node["name"][-1]["String"]["sval"] in ("/", "%"):
            return "division by zero fails"
    if "(" in goes_into.sql and not goes_into.base.startswith(_ROUNDED) and not _same(tree, type_of, goes_into):
        return f"what doesn't fit into {goes_into.sql} is refused"
    return None


def _safe(source: str | None, to: str) -> bool:
    if to in _SAFE or source == to or {source, to} <= _TIMES:
        return True
    return source in _WHOLE and to in _WIDER and _WIDER.index(source) < _WIDER.index(to)


def _same(tree: Tree, type_of: TypeOf, goes_into: SqlType) -> bool:
    """Whether it is a column of that very type."""
    fields = tree.get("ColumnRef", {}).get("fields", [{}])
    found = type_of(fields[-1].get("String", {}).get("sval", ""))
    return found is not None and found.sql == goes_into.sql
