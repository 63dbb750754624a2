"""SQL in backticks becomes checked expressions and statements, with mistakes shown at their place in the file."""

from __future__ import annotations

from collections.abc import Collection

from migdsl.dialect import sql as dialect
from migdsl.dialect.sql import Expression, Statement
from migdsl.semantics.problems import Problems, inside
from migdsl.syntax import ast

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
    except dialect.SqlError as error:
        _unparsable(problems, sql, error)
        return None
    ok = True
    for misuse in found.misuses:
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
            problems.error(
                "MIG203", place, title, "sees more than the one row", help="compute it from the row's columns"
            )
    return found if _known_columns(problems, sql, found, kind, columns) and ok else None


def _known_columns(
    problems: Problems, sql: ast.Sql, found: Expression, kind: str, columns: Collection[str] | None
) -> bool:
    ok = True
    for use in found.columns:
        place = inside(sql, use.start, use.end)
        if use.table is not None:
            ok = False
            title = f"`{use.table}.{use.name}`: columns are written without their table"
            problems.error("MIG203", place, title, "there is only the one row here", help=f"write {use.name}")
        elif columns is not None and use.name not in columns:
            ok = False
            problems.unknown("MIG202", f"column in {_WHERE[kind]} called", use.name, place, columns)
    return ok


def select(problems: Problems, sql: ast.Sql) -> Statement | None:
    """A single SELECT, or None where it is none (and was reported)."""
    try:
        found = dialect.statement(sql.text)
    except dialect.SqlError as error:
        _unparsable(problems, sql, error)
        return None
    if found.kind != "SelectStmt" or "intoClause" in found.tree:
        title = "a single SELECT is expected"
        problems.error("MIG204", sql.span, title, "does something else", help="`SELECT id FROM tenants ORDER BY id`")
        return None
    return found


def _unparsable(problems: Problems, sql: ast.Sql, error: dialect.SqlError) -> None:
    end = next((i for i in range(error.offset, len(sql.text)) if not sql.text[i].isalnum()), len(sql.text))
    place = inside(sql, error.offset, max(end, min(error.offset + 1, len(sql.text))))
    title = "this SQL is empty" if not sql.text.strip() else f"PostgreSQL can't read this SQL: {error.message}"
    problems.error("MIG201", place, title, "here")
