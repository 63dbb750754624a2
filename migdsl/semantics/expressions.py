"""SQL in backticks becomes checked expressions and statements, with mistakes shown at their place in the file."""

from __future__ import annotations

from collections.abc import Collection

from migdsl.diagnostics import fixes
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.dialect import sql as dialect
from migdsl.dialect.names import literal, quote
from migdsl.dialect.pgquery import SqlError, TooDeepError
from migdsl.dialect.plain_types import TypeOf
from migdsl.dialect.sql import Expression, Statement
from migdsl.dialect.truth import no_condition
from migdsl.semantics.problems import Problems, inside
from migdsl.source import Span
from migdsl.syntax import ast

_WRITES = frozenset("InsertStmt UpdateStmt DeleteStmt MergeStmt".split())
_WHERE = {
    "from": "the table before the migration",
    "back": "the table after the migration",
    "check": "the table",
    "generated": "the table",
    "index": "the table",
}


def expression(problems: Problems, sql: ast.Sql, kind: str, columns: Collection[str] | None) -> Expression | None:
    """An expression over the columns of one row, or None where it is none (and was reported).

    `columns` are those that it may name, None where they aren't all known.
    """
    try:
        found = dialect.expression(sql.text)
    except SqlError as error:
        unparsable(problems, sql, error)
        return None
    ok = True
    subqueries = [m for m in found.misuses if m.what == dialect.SUBQUERY]
    for misuse in subqueries or found.misuses:  # What stands in a subquery is not looked at: it has to go anyway.
        ok = False
        place = inside(sql, misuse.start, misuse.end)
        if misuse.volatile:
            problems.error(
                "MIG205",
                place,
                f"{misuse.what} gives another value each time",
                "its value depends on more than the row",
                body="The trigger, the backfill and the reconciliation each compute this expression and must get the same value.",
                help="use columns and constants only, or fill the column by a default",
            )
        else:
            title = f"{misuse.what} has no place in an expression over one row"
            problems.error("MIG203", place, title, misuse.why, help="compute it from the row's columns")
    if subqueries:
        return None
    return found if _known_columns(problems, sql, found, kind, columns) and ok else None


def condition(
    problems: Problems, sql: ast.Sql, kind: str, columns: Collection[str] | None, type_of: TypeOf
) -> Expression | None:
    """An expression that is true or false; what is surely neither is reported."""
    found = expression(problems, sql, kind, columns)
    said = no_condition(found.tree, type_of) if found is not None else None
    if said is not None:
        title = f"a condition is true or false, and `{sql.text.strip()}` is not"
        problems.error("MIG207", sql.span, title, said, help="compare it with something: `… > 0`, `… IS NOT NULL`")
        return None
    return found


def _known_columns(
    problems: Problems, sql: ast.Sql, found: Expression, kind: str, columns: Collection[str] | None
) -> bool:
    ok = True
    for use in found.columns:
        place = inside(sql, use.start, use.end)
        if use.table is not None:
            ok = False
            title = f"`{use.table}.{use.name}`: columns are written without their table"
            label, help_ = "there is only the one row here", f"write {use.name}"
            fix = fixes.replacing(place, _in_sql(use.name), f"the table's name goes: `{use.name}`", safe=False)
            problems.error("MIG203", place, title, label, help=help_, fix=fix)
        elif columns is not None and use.name not in columns:
            ok = False
            _no_column(problems, use.name, place, columns, kind, sql.text[use.start : use.end].startswith('"'))
    return ok


def _no_column(problems: Problems, name: str, place: Span, columns: Collection[str], kind: str, quoted: bool) -> None:
    """A name in double quotes that is near no column was probably meant as a string."""
    if quoted and name not in problems.broken and did_you_mean(name, columns) is None:
        title = f"there is no column `{name}` in {_WHERE[kind]}"
        help_ = f"a string stands in single quotes: {literal(name)}"
        fix = fixes.replacing(place, _doubled(literal(name)), "it becomes a string, in single quotes", safe=False)
        problems.error("MIG202", place, title, "double quotes are for names", help=help_, fix=fix)
        return
    problems.unknown("MIG202", "column", name, place, columns, f"in {_WHERE[kind]}", spell=_in_sql)


def _in_sql(name: str) -> str:
    return _doubled(quote(name))


def _doubled(sql: str) -> str:
    """As it stands between backticks."""
    return sql.replace("`", "``")


def select(problems: Problems, sql: ast.Sql) -> Statement | None:
    """A single SELECT, or None where it is none (and was reported)."""
    try:
        found = dialect.statement(sql.text)
    except SqlError as error:
        unparsable(problems, sql, error)
        return None
    wrong = _unlike_list(found)
    if wrong:
        title = "a single SELECT of one column is expected"
        problems.error("MIG204", sql.span, title, wrong, help="`SELECT id FROM tenants ORDER BY id`")
        return None
    return found


def _unlike_list(found: Statement) -> str:
    """Why a statement gives no list of tenants, or nothing."""
    kinds = {kind for kind, _ in dialect.walk({found.kind: found.tree})}
    if found.kind != "SelectStmt" or "intoClause" in found.tree or kinds & _WRITES:
        return "does something else"
    if found.parameters:
        return f"`:{found.parameters[0].name}` has no value here: no tenant is at hand yet"
    query = found.tree
    while "larg" in query:
        query = query["larg"]
    rows = query.get("valuesLists", [])
    columns = query.get("targetList") or (
        rows[0]["List"]["items"] if rows else []
    )  # a SELECT may have no column at all
    if any(
        "A_Star" in field
        for c in columns
        for field in c.get("ResTarget", {}).get("val", {}).get("ColumnRef", {}).get("fields", [])
    ):
        return "`*` may be any number of columns"
    return "" if len(columns) == 1 else f"gives {len(columns)} columns"


def unparsable(problems: Problems, sql: ast.Sql, error: SqlError) -> None:
    """Report SQL that PostgreSQL's grammar refuses, where it stumbles."""
    if isinstance(error, TooDeepError):
        help_ = "split it up; what is computed in many steps may be a function"
        problems.error("MIG006", sql.span, "this SQL can't be read", error.message, help=help_)
        return
    end = next((i for i in range(error.offset, len(sql.text)) if not sql.text[i].isalnum()), len(sql.text))
    place = inside(sql, error.offset, max(end, min(error.offset + 1, len(sql.text))))
    # What follows "at or near" is shown in its place.
    message = error.message.split(" at or near ")[0] if "unterminated" in error.message else error.message
    if error.offset >= len(sql.text.rstrip()) and message.endswith(' at or near ")"'):
        message = "it ends too early"  # the parenthesis is ours, that stands around it
    empty = not sql.text.strip()
    title = "this SQL is empty" if empty else f"PostgreSQL can't read this SQL: {message}"
    problems.error("MIG201", place, title, "nothing between the backticks" if empty else "here")
