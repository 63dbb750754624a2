"""A migration's expressions and a live database become diagnostics: what the server can't compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.names import quote
from migdsl.dialect.sql import Expression
from migdsl.dialect.types import SqlType
from migdsl.introspect.connect import Session
from migdsl.introspect.underway import underway
from migdsl.ops import names
from migdsl.ops.pairs import assigned, one_line
from migdsl.semantics import model
from migdsl.semantics.model import Change, CheckedModule, Database, Table
from migdsl.source import Span

# What isn't there, or not to be seen, others tell; a type may be one that the migration makes.
_OTHERS = frozenset(["42P01", "42501", "3F000", "42704"])
_NO_FUNCTION = "42883"


@dataclass(frozen=True, slots=True)
class Asked:
    """An expression over a row of `table`: `what` it is, what it computes, and SQL that has the server type it."""

    table: Table
    what: str
    of: str
    sql: str
    span: Span


def uncomputable(module: CheckedModule, database: Database, session: Session) -> Iterator[Diagnostic]:
    """Has the server analyse each expression on its own: nothing is planned, and no row is read."""
    if module.header is None or underway(module, session).begun:
        return
    own = any(isinstance(o, model.RawSql) for change in module.changes for o in change.operations)
    for change in module.changes:
        for asked in _expressions(change):
            # Rows of another database are what a move there is computed from.
            if asked.table.database == database.name:
                error = _error(session, asked)
                # A function may be one that the file's own SQL makes.
                if error is not None and not (own and error.sqlstate == _NO_FUNCTION):
                    yield _diagnostic(asked, error)


def _error(session: Session, asked: Asked) -> psycopg.Error | None:
    path = ", ".join(quote(schema) for schema in dict.fromkeys([asked.table.schema, "public"]))
    statement = f"PREPARE migdsl_asked AS SELECT {asked.sql}\n  FROM {names.table(asked.table)} AS t"
    try:
        with session.attempt():
            session.rows("SELECT set_config('search_path', $1, true)", (path,))
            session.connection.execute(statement.encode())
            session.connection.execute("DEALLOCATE migdsl_asked")
    except psycopg.Error as error:
        return error if (error.sqlstate or "")[:2] in ("42", "22") and error.sqlstate not in _OTHERS else None
    return None


def _expressions(change: Change) -> Iterator[Asked]:
    table = change.table
    after = {o.column.name: o.column.type for o in change.operations if isinstance(o, model.AddColumn)}
    for operation in change.operations:
        if isinstance(operation, model.AddColumn | model.RequireColumn | model.RetypeColumn):
            yield from _computed(table, operation, after)
        if isinstance(operation, model.DropColumn | model.OptionalColumn) and operation.back is not None:
            yield _back(table, operation.back, after)
        if isinstance(operation, model.AddConstraint) and operation.constraint.check is not None:
            sql = f"CASE WHEN {_spelled(operation.constraint.check, after)} THEN 1 END"
            yield Asked(table, "check", table.entity, sql, operation.span)
        if isinstance(operation, model.CreateTable):
            yield from (asked for source in operation.sources for asked in _filled(operation.table, source))


def _computed(
    table: Table, operation: model.AddColumn | model.RequireColumn | model.RetypeColumn, after: Mapping[str, SqlType]
) -> Iterator[Asked]:
    column = operation.column
    type_ = operation.to.type if isinstance(operation, model.RetypeColumn) else column.type
    name = f"{table.entity}.{column.name}"
    if operation.source is not None:
        yield Asked(table, "from", name, assigned(_spelled(operation.source, {}), type_), operation.span)
    if isinstance(operation, model.AddColumn):
        yield from (_back(table, back, after) for back in operation.backs)
    if isinstance(operation, model.RetypeColumn) and operation.back is not None:
        sql = assigned(_spelled(operation.back, {**after, column.name: type_}), column.type)
        yield Asked(table, "back", name, sql, operation.span)


def _back(table: Table, back: model.Back, after: Mapping[str, SqlType]) -> Asked:
    sql = assigned(_spelled(back.expression, after), table.type_of(back.column))
    return Asked(table, "back", f"{table.entity}.{back.column}", sql, back.span)


def _filled(table: Table, source: model.Source) -> Iterator[Asked]:
    for name, expression in source.values:
        sql = assigned(_spelled(expression, {}), table.type_of(name))
        yield Asked(source.table, "from", f"{table.entity}.{name}", sql, source.place(name))
    if source.where is not None:
        sql = f"CASE WHEN {_spelled(source.where, {})} THEN 1 END"
        yield Asked(source.table, "where", table.entity, sql, source.span)


def _spelled(of: Expression, coming: Mapping[str, SqlType]) -> str:
    """The expression over the row `t`; a column that is to come is only its type."""

    def spell(name: str) -> str:
        return f"CAST(NULL AS {coming[name].sql})" if name in coming else f"t.{quote(name)}"

    return f"({one_line(of.rewritten(spell))})"


def _diagnostic(asked: Asked, error: psycopg.Error) -> Diagnostic:
    said = " ".join((error.diag.message_primary or type(error).__name__).split())
    hint = " ".join((error.diag.message_hint or "").split())
    return Diagnostic(
        "MIG739",
        Severity.ERROR,
        f"the database can't compute `{asked.what}` of `{asked.of}`: {said}",
        Label(asked.span, f"by this `{asked.what}`"),
        body="Expand would fail at it, or the first row that is written.",
        help=hint or "write it for the types that the columns have; a cast is `value::type`",
    )
