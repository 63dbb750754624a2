"""Names, texts, SQL and types of a database become words of the language, or are found to have none."""

from __future__ import annotations

import json
import re
from functools import cache

from migdsl.dialect import types
from migdsl.introspect.model import TypeRef
from migdsl.source import SourceFile
from migdsl.syntax import ast, parse
from migdsl.syntax.errors import parser_keywords

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_ONE_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.|"")*"')
_ARGUMENTS = re.compile(r"(?P<head>.*?)\((?P<args>[^()]*)\)(?P<tail>[a-z ]*)", re.DOTALL)
_WRITTEN_ARGUMENT = re.compile(r"-?\d+|[^\W\d]\w*")
_SHORT = (
    ("timestamp with time zone", "timestamptz"),
    ("timestamp without time zone", "timestamp"),
    ("time with time zone", "timetz"),
    ("time without time zone", "time"),
    ("character varying", "varchar"),
    ("character", "char"),
)
_STRING = re.compile(r"'((?:[^']|'')*)'::(.+)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FIXED = frozenset(["true", "false"])


class WordlessError(Exception):
    """The language has no way to write this; says what."""


@cache
def begins_a_line(word: str) -> bool:
    """Whether a column of this name would be read as the directive of that name, at the start of a line."""
    if word not in parser_keywords():
        return False
    found = parse(SourceFile("", f"entity E in d.t {{\n{word} text key\n}}"))
    items = found.module.declarations[0].items if found.module.declarations else ()  # type: ignore[union-attr]
    return bool(found.diagnostics) or not items or not isinstance(items[0], ast.Column)


def name(text: str) -> str:
    """A name, quoted where it has to be."""
    if _PLAIN.fullmatch(text) and not begins_a_line(text):
        return text
    quoted = '"' + text.replace('"', '""') + '"'
    # A backslash before a quote would be read as an escape of it.
    if not text.isprintable() or _ONE_LITERAL.fullmatch(quoted) is None or _misread(quoted):
        raise WordlessError(f"no name of the language can be {string(text)}")
    return quoted


def _misread(quoted: str) -> bool:
    """Whether the string ends before its last character does."""
    match = _ONE_LITERAL.match(quoted)
    return match is None or match.end() != len(quoted) or r"\"" in quoted


def word(text: str) -> str:
    """The name of a declaration: letters, digits and `_` stand as they are, whatever their case."""
    return text if text.isidentifier() else name(text)


def names(columns: tuple[str, ...]) -> str:
    """`(a, b)`."""
    return f"({', '.join(map(name, columns))})"


def string(text: str) -> str:
    """A text."""
    return json.dumps(text, ensure_ascii=False)


def sql(text: str) -> str:
    """SQL between backticks."""
    return "`" + text.replace("`", "``") + "`"


def comment(text: str) -> str:
    """A remark on one line, everything invisible spelt out."""
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return f"# {shown}"


def type_name(ref: TypeRef) -> str:
    """A type, short where PostgreSQL has a short name for it."""
    if ref.kind == "e" and not ref.array and ref.schema == "public" and ref.labels:
        return f"enum {name(ref.name)}({', '.join(map(string, ref.labels))})"
    base = ref.text
    brackets = "[]" if base.endswith("[]") else ""
    base = base.removesuffix("[]")
    match = _ARGUMENTS.fullmatch(base) if base.endswith(")") or ") with" in base else None
    head, arguments, tail = match.group("head", "args", "tail") if match else (base, "", "")
    args = tuple(part.strip() for part in arguments.split(",")) if arguments else ()
    if not all(_WRITTEN_ARGUMENT.fullmatch(arg) for arg in args):
        raise WordlessError(f"the type {ref.text} has arguments that can't be written")
    inside = f"({','.join(args)})" if args else ""
    if ref.schema == "pg_catalog" and types.resolve(head, None, False, args, tail.strip(), 0) and head != "bpchar":
        return f"{_short(head + tail)}{inside}{brackets}"
    return f"{name(ref.schema)}.{name(ref.name)}{inside}{brackets}"


def _short(words: str) -> str:
    return next((short for long, short in _SHORT if words == long), words)


def default(expression: str, of: TypeRef) -> str:
    """A default as a literal of the language where it is a constant, else as SQL."""
    if expression in _FIXED:
        return expression
    if _NUMBER.fullmatch(expression):
        return sql(expression) if "." in expression and float(expression).is_integer() else expression
    match = _STRING.fullmatch(expression)
    base = of.text.split("(")[0]
    if match is not None and match[2] in (base, of.text):
        if of.text in ("integer", "bigint", "smallint") and _NUMBER.fullmatch(match[1]):
            return match[1]
        return string(match[1].replace("''", "'"))
    return sql(expression)


def is_null(expression: str) -> bool:
    """Whether a default says NULL, which a column has without one."""
    return (
        expression.upper() == "NULL" or re.fullmatch(r"NULL::[^()']+(\(\d+(,\d+)?\))?(\[\])?", expression) is not None
    )
