"""A type as written becomes PostgreSQL's, or a diagnostic that says what may have been meant."""

from __future__ import annotations

from migdsl.diagnostics.suggest import did_you_mean
from migdsl.dialect import types
from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.semantics.problems import Problems
from migdsl.syntax import ast

MARKS = ("key", "tenant", "pii", "phi", "unique", "default", "identity", "generated")
_UNKNOWN = SqlType("text", "text", known=False)


def column_type(problems: Problems, node: ast.Type) -> SqlType:
    """The type; text stands in for one that is unknown (and was reported)."""
    if node.labels is not None:
        return SqlType(quote(node.name), node.name)
    found = types.resolve(node.name, node.schema, node.quoted, node.args, node.suffix, node.dimensions)
    if found is None:
        _unknown(problems, node)
    return found or _UNKNOWN


def _unknown(problems: Problems, node: ast.Type) -> None:
    words = f"{node.name} {node.suffix}".split()
    for count in range(len(words) - 1, 0, -1):
        if types.resolve(" ".join(words[:count]), None, False, (), "", 0):
            near = did_you_mean(words[count], MARKS)
            help_ = f"did you mean `{near}`?" if near else f"what may follow a type: {', '.join(MARKS)}, ->, ?"
            title = f"`{words[count]}` says nothing of a column"
            problems.error("MIG012", node.span, title, f"read as a type called `{' '.join(words)}`", help=help_)
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
    problems.error("MIG105", node.span, f"PostgreSQL has no type `{whole}`", "unknown type", help=help_)
