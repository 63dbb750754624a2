"""SQL becomes what of it PostgreSQL has only had since some version: functions, and spellings that older ones can't read.

From the release notes of PostgreSQL 15 to 18. Functions count where they have no schema: a user's own may be called alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType

from migdsl.dialect import pgquery
from migdsl.dialect.pgquery import SqlError, Tree
from migdsl.dialect.sql import expression, statement, walk
from migdsl.values import Value

_FUNCTIONS = MappingProxyType(
    {
        15: "regexp_count regexp_instr regexp_like regexp_substr",
        16: "any_value array_sample array_shuffle date_add date_subtract erf erfc json_array json_arrayagg json_object "
        "json_objectagg pg_input_error_info pg_input_is_valid random_normal",
        17: "json_scalar json_serialize merge_action to_bin to_oct unicode_assigned uuid_extract_timestamp uuid_extract_version "
        "xmltext",
        18: "array_reverse array_sort casefold crc32 crc32c gamma lgamma uuidv4 uuidv7",
    }
)
_SINCE = MappingProxyType({name: version for version, names in _FUNCTIONS.items() for name in names.split()})
# `json_object(…)` of texts is an old function: only its newer spelling has a node of its own.
_CALLED = frozenset(_SINCE) - {
    "json_array",
    "json_arrayagg",
    "json_object",
    "json_objectagg",
    "json_scalar",
    "json_serialize",
}
_NODES = MappingProxyType(
    {
        "MergeStmt": (15, "MERGE"),
        "JsonObjectConstructor": (16, "JSON_OBJECT"),
        "JsonArrayConstructor": (16, "JSON_ARRAY"),
        "JsonArrayQueryConstructor": (16, "JSON_ARRAY"),
        "JsonObjectAgg": (16, "JSON_OBJECTAGG"),
        "JsonArrayAgg": (16, "JSON_ARRAYAGG"),
        "JsonIsPredicate": (16, "IS JSON"),
        "JsonParseExpr": (17, "JSON"),
        "JsonScalarExpr": (17, "JSON_SCALAR"),
        "JsonSerializeExpr": (17, "JSON_SERIALIZE"),
        "JsonTable": (17, "JSON_TABLE"),
    }
)
_QUERIES = MappingProxyType(
    {"JSON_EXISTS_OP": "JSON_EXISTS", "JSON_QUERY_OP": "JSON_QUERY", "JSON_VALUE_OP": "JSON_VALUE"}
)
_NUMBER = re.compile(r"\d[\w.]*_\w*|0[xXoObB]\w+")
# Most texts have nothing of all that, and needn't be parsed for it.
_PERHAPS = re.compile(
    rf"\b(?:{'|'.join(_SINCE)}|merge|json\w*|local|random)\b|from\s*\(|,\s*\(\s*select|\b(?:\d[\w.]*_\w|0[xob]\w)",
    re.IGNORECASE,
)


class Newer(Value):
    """What is there from `version` on, and where it is called so, at characters `[start, end)`."""

    what: str
    version: int
    start: int
    end: int


def newer(text: str, version: int) -> tuple[Newer, ...]:
    """What of an expression or a statement is newer than `version`. Nothing of a text that can't be read."""
    if not _PERHAPS.search(text):
        return ()
    tree = _tree(text)
    found = (*_of_tree(tree), *_of_numbers(text)) if tree is not None else ()
    return tuple(_placed(text, what, since) for what, since in dict.fromkeys(found) if since > version)


def _tree(text: str) -> Tree | None:
    for read in (expression, statement):
        try:
            found = read(text)
        except SqlError:
            continue
        return {found.kind: found.tree} if hasattr(found, "kind") else {"": found.tree}
    return None


def _of_tree(tree: Tree) -> Iterator[tuple[str, int]]:
    for kind, node in walk(tree):
        if kind in _NODES:
            since, what = _NODES[kind]
            yield what, since
        elif kind == "FuncCall":
            yield from _of_call(node)
        elif kind == "JsonFuncExpr":
            yield _QUERIES.get(node.get("op", ""), "JSON_QUERY"), 17
        elif kind == "RangeSubselect" and "alias" not in node:
            yield "a subquery in FROM without a name", 16
        if kind == "MergeStmt":
            yield from _of_merge(node)


def _of_merge(node: Tree) -> Iterator[tuple[str, int]]:
    if "returningClause" in node:
        yield "MERGE with RETURNING", 17
    clauses = [clause["MergeWhenClause"] for clause in node.get("mergeWhenClauses", [])]
    if any(clause.get("matchKind") == "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" for clause in clauses):
        yield "MERGE with NOT MATCHED BY SOURCE", 17


def _of_call(node: Tree) -> Iterator[tuple[str, int]]:
    schema, name = ([None, *(part["String"]["sval"] for part in node["funcname"])])[-2:]
    if schema not in (None, "pg_catalog"):
        return
    if schema == "pg_catalog" and name == "timezone" and len(node.get("args", [])) == 1:
        yield "AT LOCAL", 17
    elif name in _CALLED:
        yield f"{name}()", _SINCE[name]
    elif name == "random" and node.get("args"):
        yield "random() between two bounds", 17


def _of_numbers(text: str) -> Iterator[tuple[str, int]]:
    for lexeme in pgquery.scan(text):
        if lexeme.text[0].isdecimal() and _NUMBER.fullmatch(lexeme.text):
            yield f"the number {lexeme.text}", 16


def _placed(text: str, what: str, since: int) -> Newer:
    """Where the words stand that say it; the whole text where they aren't found."""
    words = (
        what.removeprefix("the number ").removesuffix("()").split(" with ")[-1].split(" between ")[0].removesuffix("()")
    )
    of_code = re.compile(rf"'[^']*'|\"[^\"]*\"|\b({re.escape(words)})\b", re.IGNORECASE)
    match = next((m for m in of_code.finditer(text) if m[1]), None)
    return Newer(what, since, *(match.span() if match else (0, len(text))))
