"""An expression whose value depends on how a session is set up becomes the reason: its time zone, its style of dates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.dialect.pgquery import Tree
from migdsl.dialect.plain_types import TypeOf, plain_type, target
from migdsl.dialect.sql import walk
from migdsl.dialect.types import SqlType

_ZONED = frozenset(["timestamp with time zone", "time with time zone"])
_LOCAL = frozenset(["timestamp", "date", "time"])
_TEXTS = frozenset(["text", "character varying", "character", "citext"])
_STYLED = frozenset(["timestamp", "date", "interval", *_ZONED])
# They take values of any type as texts, JSON in a way of its own.
_PRINTING = frozenset(["concat", "concat_ws", "format", "quote_literal", "quote_nullable"])
_DOCUMENTS = frozenset(
    ["to_json", "to_jsonb", "json_build_object", "jsonb_build_object", "json_build_array", "jsonb_build_array"]
)
_IN_DOCUMENTS = frozenset(["timestamp with time zone", "interval"])
_ISO = re.compile(r"\s*\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d(\.\d+)?)?)?)?\s*")
_WITH_ZONE = re.compile(r".*\d\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)\s*", re.IGNORECASE)
_ZONE = "depends on the session's time zone"
_STYLE = "depends on the session's style of dates"


def dependence(tree: Tree, type_of: TypeOf, goes_into: SqlType) -> str | None:
    """Why the value may differ from session to session, or None where nothing is known of it.

    `type_of` gives a column's type, `goes_into` is the type of the column that takes the value.
    """
    return next(_found(tree, type_of, goes_into), None)


def _found(tree: Tree, type_of: TypeOf, goes_into: SqlType) -> Iterator[str]:
    for kind, node in walk(tree):
        if kind == "TypeCast":
            yield from _cast(node["arg"], plain_type(node["arg"], type_of), target(node))
        elif kind == "FuncCall":
            yield from _call(node, type_of)
        elif kind == "A_Expr" and node["kind"] == "AEXPR_OP":
            yield from _operator(node, type_of)
    if not goes_into.array:
        yield from _cast(tree, plain_type(tree, type_of), goes_into.base)


def _cast(value: Tree, source: str | None, target: str) -> Iterator[str]:
    constant = value.get("A_Const", {}).get("sval", {}).get("sval") if "A_Const" in value else None
    if constant is not None:
        if target == "timestamp with time zone" and not _WITH_ZONE.fullmatch(constant):
            yield f"the moment '{constant}' {_ZONE}"
        elif target in ("date", "timestamp") and not _ISO.fullmatch(constant):
            yield f"how '{constant}' is read {_STYLE}"
        return
    if source is None or source == target:
        return
    if (source in _ZONED and target in _LOCAL) or (source in _LOCAL and target in _ZONED):
        yield f"the cast from {source} to {target} {_ZONE}"
    elif source in _STYLED and target in _TEXTS:
        yield f"the cast from {source} to {target} {_ZONE if source in _ZONED else _STYLE}"
    elif source in _TEXTS and target in (*_ZONED, "date", "timestamp"):
        yield f"the cast from {source} to {target} {_ZONE if target in _ZONED else _STYLE}"


def _call(node: Tree, type_of: TypeOf) -> Iterator[str]:
    name = node["funcname"][-1]["String"]["sval"]
    types = [plain_type(argument, type_of) for argument in node.get("args", [])]
    zoned = any(t in _ZONED for t in types)
    if (name, len(types)) in (("to_timestamp", 2), ("make_timestamptz", 6)):
        yield f"{name}() {_ZONE}"
    elif zoned and (
        name == "to_char"
        or (name == "date_trunc" and len(types) == 2)
        or (name in ("date_part", "extract") and not _is_epoch(node))
    ):
        yield f"{name}() of a time with a zone {_ZONE}"
    elif name in _PRINTING or name in _DOCUMENTS:
        styled = next((t for t in types if t in (_STYLED if name in _PRINTING else _IN_DOCUMENTS)), None)
        if styled is not None:
            yield f"{name}() of a value of type {styled} {_ZONE if styled in _ZONED else _STYLE}"


def _is_epoch(node: Tree) -> bool:
    return node["args"][0].get("A_Const", {}).get("sval", {}).get("sval", "").lower() in ("epoch", "microseconds")


def _operator(node: Tree, type_of: TypeOf) -> Iterator[str]:
    if "lexpr" not in node:
        return
    name = node["name"][-1]["String"]["sval"]
    left, right = plain_type(node["lexpr"], type_of), plain_type(node["rexpr"], type_of)
    if name in ("+", "-") and "timestamp with time zone" in (left, right) and "interval" in (left, right):
        yield f"a day's length, where the clocks change, {_ZONE}"
    elif {left, right} in ({"timestamp with time zone", "timestamp"}, {"timestamp with time zone", "date"}):
        yield f"{left} {name} {right} {_ZONE}"
    elif name == "||" and (left in _STYLED or right in _STYLED):
        styled = left if left in _STYLED else right
        yield f"the text of a {styled} {_ZONE if styled in _ZONED else _STYLE}"
