"""An expression's tree becomes the name of its type, where that is plain: columns, casts, and a few functions."""

from __future__ import annotations

from collections.abc import Callable

from migdsl.dialect.pgquery import Tree
from migdsl.dialect.types import SqlType

TypeOf = Callable[[str], SqlType | None]
_SHORT = {
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varchar": "character varying",
    "bpchar": "character",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
}
_TEXT_FUNCTIONS = frozenset(
    "btrim concat concat_ws left lower lpad ltrim replace right rpad rtrim split_part substr upper".split()
)


def plain_type(node: Tree, type_of: TypeOf) -> str | None:
    """The type of an expression without length and precision, where it is plain; None where it isn't known."""
    (kind, inner), *_ = node.items()
    if kind == "ColumnRef":
        found = type_of(inner["fields"][-1].get("String", {}).get("sval", ""))
        return found.base if found is not None and not found.array else None
    if kind == "TypeCast":
        return target(inner)
    if kind == "FuncCall":
        return _returned(inner, type_of)
    if kind == "A_Expr":
        joined = inner["kind"] == "AEXPR_OP" and inner["name"][-1]["String"]["sval"] == "||"
        return "text" if joined else None
    return next((t for branch in _branches(kind, inner) if (t := plain_type(branch, type_of)) is not None), None)


def _branches(kind: str, node: Tree) -> list[Tree]:
    """The expressions of which one is the value."""
    if kind == "CoalesceExpr":
        return list(node["args"])
    if kind == "CaseExpr":
        results = [branch["CaseWhen"]["result"] for branch in node["args"]]
        return [*results, *([node["defresult"]] if "defresult" in node else [])]
    return []


def _returned(node: Tree, type_of: TypeOf) -> str | None:
    *schema, name = (part["String"]["sval"] for part in node["funcname"])
    if schema not in ([], ["pg_catalog"]):
        return None
    arguments = node.get("args", [])
    if name == "timezone" and len(arguments) == 2:
        inner = plain_type(arguments[1], type_of)
        return {"timestamp with time zone": "timestamp", "timestamp": "timestamp with time zone"}.get(inner or "")
    if name == "date_trunc" and len(arguments) > 1:
        return plain_type(arguments[1], type_of)
    if name == "to_timestamp":
        return "timestamp with time zone"
    return "text" if name in _TEXT_FUNCTIONS or name == "to_char" else None


def target(node: Tree) -> str:
    names: list[str] = [part["String"]["sval"] for part in node["typeName"]["names"]]
    if "arrayBounds" in node["typeName"]:
        return f"{names[-1]}[]"
    return _SHORT.get(names[-1], names[-1])
