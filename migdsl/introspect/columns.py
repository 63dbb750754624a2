"""The columns of an entity and those of its table become what differs between them."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.suggest import did_you_mean
from migdsl.introspect import lines
from migdsl.introspect.matching import same_sql
from migdsl.introspect.model import Column, Table
from migdsl.introspect.normal import Server
from migdsl.introspect.underway import Underway
from migdsl.introspect.words import WordlessError, is_null
from migdsl.semantics import model


def differences(table: model.Table, found: Table, server: Server, underway: Underway) -> Iterator[Diagnostic]:
    """Of all columns, but for what the file's own migration makes of them."""
    for column in table.columns:
        actual = found.column(column.name)
        if actual is None:
            yield _missing(column, found)
            continue
        ways = [tuple(_one(table, way, actual, server)) for way in underway.ways(table, column)]
        yield from ways[0] if all(ways) else ()
    known = {column.name for column in table.columns} | underway.coming(table)
    for actual in found.columns:
        if actual.name not in known:
            yield _unknown(table, actual)


def _missing(column: model.Column, found: Table) -> Diagnostic:
    names = [c.name for c in found.columns]
    near = did_you_mean(column.name, names)
    help_ = f"did you mean `{near}`?" if near else f"it has: {', '.join(names[:12])}"
    return Diagnostic(
        "MIG731",
        Severity.ERROR,
        f"the table {found.schema}.{found.name} has no column `{column.name}`",
        Label(column.span, "declared here"),
        help=help_,
    )


def _unknown(table: model.Table, actual: Column) -> Diagnostic:
    title = f"`{table.entity}` doesn't declare this column of the database: {actual.name}"
    return Diagnostic("MIG734", Severity.WARNING, title, Label(table.span, "says nothing of it"), help=pasted(actual))


def pasted(actual: Column) -> str:
    """The line that declares a column as it is."""
    try:
        return str(lines.column(actual))
    except WordlessError as error:
        return f"it can't be declared: {error}"


def _one(table: model.Table, column: model.Column, actual: Column, server: Server) -> Iterator[Diagnostic]:
    said = server.types[column.type.sql]
    if said is None:
        yield _differs(
            table, column, actual, f"of type {column.type.sql}, which the server doesn't have", actual.type.text
        )
    elif said != actual.type.text:
        yield _differs(table, column, actual, f"of type {said}", actual.type.text)
    if column.nullable != actual.nullable:
        ways = ("NOT NULL", "nullable")
        yield _differs(table, column, actual, ways[column.nullable], ways[actual.nullable])
    yield from _value(table, column, actual, server)


def _value(table: model.Table, column: model.Column, actual: Column, server: Server) -> Iterator[Diagnostic]:
    """Where a row gets its value from, if nobody gives one."""
    generated = column.generated.text if column.generated else None
    real = actual.default if actual.default is not None and not is_null(actual.default) else None
    if not same_sql(generated, actual.generated):
        yield _differs(table, column, actual, _generated(generated), _generated(actual.generated))
    if column.identity != actual.identity:
        ways = [f"identity ({each})" if each else "no identity" for each in (column.identity, actual.identity)]
        yield _differs(table, column, actual, *ways, minor=column.identity is None)
    if column.type.serial and real is not None and real.startswith("nextval("):
        return  # that is what a serial is
    if column.default is None and real is not None:
        yield _differs(table, column, actual, "without a default", f"default {real}", minor=True)
    elif column.default is not None and (real is None or not server.same_value(column.default, real, actual.type.text)):
        ways = [f"default {each}" if each is not None else "without a default" for each in (column.default, real)]
        yield _differs(table, column, actual, *ways)


def _generated(expression: str | None) -> str:
    return f"generated ({expression})" if expression is not None else "not generated"


def _differs(
    table: model.Table, column: model.Column, actual: Column, said: str, real: str, *, minor: bool = False
) -> Diagnostic:
    """MIG732; where the file only leaves something out, MIG734."""
    title = f"`{table.entity}.{column.name}` is otherwise in the database"
    body = f"The file says: {said}. The database says: {real}."
    help_ = f"as the database has it: {pasted(actual)}"
    code, severity = ("MIG734", Severity.WARNING) if minor else ("MIG732", Severity.ERROR)
    if column.tenant and actual.nullable and not column.nullable:
        body += " Rows without a tenant belong to nobody: no batch would reach them."
        help_ = "give those rows a tenant and make the column NOT NULL first"
    return Diagnostic(code, severity, title, Label(column.span, said), body=body, help=help_)
