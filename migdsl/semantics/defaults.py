"""A default as written becomes SQL, or a diagnostic where it is no value that PostgreSQL could take."""

from __future__ import annotations

from migdsl.dialect import sql as dialect
from migdsl.dialect.pgquery import SqlError
from migdsl.semantics.expressions import unparsable
from migdsl.semantics.problems import Problems, inside
from migdsl.syntax import ast, lexis


def default(problems: Problems, literal: ast.Literal) -> str | None:
    """The default's SQL; None also for NULL, which is what a column has without one."""
    if literal.sql is not None:
        return _sql(problems, literal.sql)
    if literal.text.upper() == "NULL":
        return None
    number = _number(literal.text)
    text = number or literal.text
    try:
        reads = dialect.expression(text).columns
    except SqlError:
        reads = None
    if reads is None or reads or (literal.text[:1].isdigit() and number is None):
        title = f"`{literal.text}` is no value that a default could be"
        help_ = f'a text is quoted: default "{literal.text}"; SQL stands in backticks: default `now()`'
        problems.error(
            "MIG008", literal.span, title, "neither a string nor a number, `true`, `false` or `null`", help=help_
        )
        return None
    return text


def _number(text: str) -> str | None:
    """A number without the units and underscores that PostgreSQL doesn't read."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole = lexis.count(digits)
    if whole is not None:
        return f"{sign}{whole}"
    plain = digits.replace("_", "")
    return f"{sign}{plain}" if plain.replace(".", "", 1).isdecimal() else None


def _sql(problems: Problems, sql: ast.Sql) -> str | None:
    try:
        found = dialect.expression(sql.text)
    except SqlError as error:
        unparsable(problems, sql, error)
        return None
    for use in found.columns[:1]:
        title = f"a default can't read the column `{use.name}`"
        help_ = "a new column is computed from others by `from`; a text stands in single quotes: `'…'`"
        problems.error("MIG203", inside(sql, use.start, use.end), title, "there is no row yet", help=help_)
    return found.text
