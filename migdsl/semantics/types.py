"""A type as written becomes PostgreSQL's, or a diagnostic that says what may have been meant."""

from __future__ import annotations

from migdsl.diagnostics import Fix, fixes
from migdsl.diagnostics.suggest import did_you_mean, is_sure
from migdsl.dialect import types
from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.semantics.problems import Problems
from migdsl.source import Span
from migdsl.syntax import ast

MARKS = ("key", "tenant", "pii", "phi", "unique", "default", "identity", "generated")
# What other databases and languages call a type that PostgreSQL has too, with all its values.
_ELSEWHERE = {
    "string": "text",
    "str": "text",
    "nvarchar": "text",
    "clob": "text",
    "longtext": "text",
    "mediumtext": "text",
    "tinytext": "text",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "long": "bigint",
    "tinyint": "smallint",
    "mediumint": "integer",
    "double": "double precision",
    "float32": "real",
    "float64": "double precision",
    "number": "numeric",
    "guid": "uuid",
    "uniqueidentifier": "uuid",
    "datetime": "timestamp",
    "datetimeoffset": "timestamptz",
    "blob": "bytea",
    "binary": "bytea",
    "varbinary": "bytea",
    "bytes": "bytea",
}
_MOST_WORDS = 4  # timestamp without time zone
_UNKNOWN = SqlType("text", "text", known=False)


def column_type(problems: Problems, node: ast.Type) -> SqlType:
    """The type; text stands in for one that is unknown (and was reported)."""
    if node.labels is not None:
        labels = tuple(label.value for label in node.labels)
        return SqlType(quote(node.name), quote(node.name), labels=labels)
    found = types.resolve(node.name, node.schema, node.quoted, node.args, node.suffix, node.dimensions)
    if found is None:
        _unknown(problems, node)
    return found or _UNKNOWN


def _unknown(problems: Problems, node: ast.Type) -> None:
    words = f"{node.name} {node.suffix}".split()
    for count in range(min(len(words) - 1, _MOST_WORDS), 0, -1):
        if types.resolve(" ".join(words[:count]), None, False, (), "", 0):
            near = did_you_mean(words[count], MARKS)
            help_ = f"did you mean `{near}`?" if near else f"what may follow a type: {', '.join(MARKS)}, ->, ?"
            title = f"`{words[count]}` says nothing of a column"
            label = f"read as a type called `{' '.join(words)}`"
            problems.error("MIG012", node.span, title, label, help=help_, fix=_mark(node, words[count:]))
            return
    whole = " ".join(words)
    if types.resolve(node.name, None, False, (), node.suffix, 0):
        title = f"`{whole}` doesn't take ({', '.join(node.args)})"
        problems.error("MIG105", node.span, title, "not a type that PostgreSQL has", help=f"for example {whole}")
        return
    near = did_you_mean(whole, types.known_names())
    help_ = (
        f"did you mean `{near}`?"
        if near
        else f'a type of your own is quoted or qualified: "{whole}" or "app"."{whole}"'
    )
    if whole.lower() in _ELSEWHERE and not node.args:
        near = _ELSEWHERE[whole.lower()]
        help_ = f"PostgreSQL calls it `{near}`"
    title, label = f"PostgreSQL has no type `{whole}`", "unknown type"
    problems.error("MIG105", node.span, title, label, help=help_, fix=_type(node, whole, near))


def _type(node: ast.Type, whole: str, near: str | None) -> Fix | None:
    if near is None or node.args or node.dimensions:
        return None
    safe = whole.lower() in _ELSEWHERE or is_sure(whole, types.known_names())
    return fixes.replacing(node.span, near, f"`{whole}` becomes `{near}`", safe=safe)


def _mark(node: ast.Type, rest: list[str]) -> Fix | None:
    """The misspelt mark, which is the last word of what was read as a type."""
    if len(rest) != 1 or node.args or node.dimensions:
        return None
    return fixes.respelling(Span(node.span.path, node.span.end - len(rest[0]), node.span.end), rest[0], MARKS)
