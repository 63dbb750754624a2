"""`change` becomes checked operations: each on its own, then all of a table against each other."""

from __future__ import annotations

from collections.abc import Collection

from migdsl.dialect import sql as dialect
from migdsl.semantics import tables
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import bad_number
from migdsl.semantics.model import (
    AddColumn,
    Back,
    Change,
    Column,
    DropColumn,
    Operation,
    OptionalColumn,
    RequireColumn,
    Table,
    UniqueSet,
)
from migdsl.semantics.problems import Problems, sql_name
from migdsl.syntax import ast, lexis

DEFAULT_SOAK = 14 * 86400
_LATER_MARKS = {"key": "key", "tenant": "tenant", "identity": "identity", "generated": "generated", "reference": "->"}


def change(problems: Problems, node: ast.Change, entities: dict[str, Table]) -> Change | None:
    """All operations on one table, or None where the table isn't known (and that was reported)."""
    table = entities.get(node.entity.text)
    if table is None:
        problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, entities)
        return None
    if table.scope == "via":
        title = f"`{table.entity}` has its tenant by way of another table"
        problems.error("MIG007", node.entity.span, title, "changing such a table is not supported by this release")
        return None
    operations: list[Operation] = []
    after = _names_after(node, table)
    for item in node.operations:
        found = _operation(problems, item, table, after)
        if found is not None:
            operations.append(found)
    return Change(table, tuple(operations), node.span)


def _operation(
    problems: Problems, item: ast.Operation, table: Table, after: Collection[str] | None
) -> Operation | None:
    if isinstance(item, ast.Add):
        return _add(problems, item, table, after)
    column = _existing(problems, item.column, table)
    if column is None:
        return None
    if isinstance(item, ast.Drop):
        return _drop(problems, item, column, after)
    if isinstance(item, ast.Require):
        source = expression(problems, item.source, "from", _before(table)) if item.source else None
        return RequireColumn(column, source, _said(item.complies), item.span)
    back = _own_back(problems, item.back, column, after)
    return OptionalColumn(column, back, item.span)


def _before(table: Table) -> Collection[str] | None:
    return {c.name for c in table.columns} if table.complete else None


def _names_after(node: ast.Change, table: Table) -> Collection[str] | None:
    """The columns that the table has after the migration; None where they aren't all known."""
    if not table.complete or not node.operations:
        return None
    added = {sql_name(o.column.name) for o in node.operations if isinstance(o, ast.Add)}
    dropped = {sql_name(o.column) for o in node.operations if isinstance(o, ast.Drop)}
    return ({c.name for c in table.columns} | added) - dropped


def _existing(problems: Problems, name: ast.Name, table: Table) -> Column | None:
    found = table.column(sql_name(name))
    if found is None and table.complete:
        known = [c.name for c in table.columns]
        problems.unknown("MIG102", "column", sql_name(name), name.span, known, f"in `{table.entity}`")
    return found


def _add(problems: Problems, item: ast.Add, table: Table, after: Collection[str] | None) -> AddColumn:
    column = tables.column(problems, item.column)
    twin = table.column(column.name)
    if twin is not None:
        title = f"`{table.entity}` already has a column `{column.name}`"
        more = [(twin.span, "declared here")]
        problems.error(
            "MIG110",
            item.column.name.span,
            title,
            "can't be added",
            more=more,
            help="an entity says what is there before",
        )
    _later_marks(problems, item)
    _default(problems, item, column)
    backs = tuple(b for node in item.backs if (b := _back(problems, node, table, after)) is not None)
    uniques = tuple(u for node in item.uniques if (u := _unique(problems, node, table, column, after)) is not None)
    if column.unique:
        uniques = (*uniques, UniqueSet((column.name,), None, column.span))
    return AddColumn(
        column,
        expression(problems, item.source, "from", _before(table)) if item.source else None,
        backs,
        uniques,
        _said(item.complies),
        item.span,
    )


def _later_marks(problems: Problems, item: ast.Add) -> None:
    for mark in item.column.marks:
        if mark.kind in _LATER_MARKS:
            word = _LATER_MARKS[mark.kind]
            title = f"`{word}` on an added column is part of the language, and not of this release"
            problems.error("MIG007", mark.span, title, "not supported yet")
    if item.column.type.labels is not None:
        title = "creating an enum type is part of the language, and not of this release"
        help_ = 'create the type first and name it: "mood"'
        problems.error("MIG007", item.column.type.span, title, "not supported yet", help=help_)


def _default(problems: Problems, item: ast.Add, column: Column) -> None:
    """A default that differs from row to row would rewrite the table, under a lock that stops everything."""
    mark = next((m for m in item.column.marks if m.kind == "default"), None)
    if mark is None or column.default is None or mark.literal is None or mark.literal.sql is None:
        return
    volatile = dialect.varies_by_row(dialect.expression(column.default))
    if volatile:
        title = f"the default of `{column.name}` gives each row another value"
        body = "PostgreSQL would rewrite the whole table under a lock that blocks every reader and writer."
        help_ = "fill the rows that are there by `from`, and let the application give new rows their value"
        problems.error("MIG408", mark.span, title, f"`{volatile}()` is volatile", body=body, help=help_)


def _back(problems: Problems, node: ast.Back, table: Table, after: Collection[str] | None) -> Back | None:
    assert node.column is not None
    column = _existing(problems, node.column, table)
    found = expression(problems, node.sql, "back", after)
    if column is None or found is None:
        return None
    if column.tenant or column.name in table.key or column.generated or column.identity == "always":
        title = f"`{column.name}` can't be computed back"
        what = "the tenant column" if column.tenant else "the key" if column.name in table.key else "generated"
        problems.error("MIG312" if column.tenant else "MIG412", node.column.span, title, f"is {what}")
        return None
    return Back(column.name, found, node.span)


def _own_back(problems: Problems, node: ast.Back | None, column: Column, after: Collection[str] | None) -> Back | None:
    found = expression(problems, node.sql, "back", after) if node else None
    return Back(column.name, found, node.span) if node and found else None


def _unique(
    problems: Problems, node: ast.Unique, table: Table, column: Column, after: Collection[str] | None
) -> UniqueSet | None:
    if node.per_tenant:
        if table.tenant is None:
            if table.scope == "tenant":
                return None  # That the tenant column is missing has been said.
            title = f"`{table.entity}` has no tenant column"
            problems.error(
                "MIG302", node.span, title, "so nothing can be unique per tenant", help=f"unique ({column.name})"
            )
            return None
        return UniqueSet((table.tenant, column.name), None, node.span)
    columns = tuple(sql_name(n) for n in node.columns)
    for name in node.columns:
        if after is not None and sql_name(name) not in after:
            problems.unknown("MIG102", "column", sql_name(name), name.span, after, f"in `{table.entity}`")
    return UniqueSet(columns, sql_name(node.name) if node.name else None, node.span)


def _drop(problems: Problems, item: ast.Drop, column: Column, after: Collection[str] | None) -> DropColumn:
    soak: float | None = DEFAULT_SOAK
    if item.after is not None:
        soak = lexis.seconds(item.after.raw)
        if soak is None:
            bad_number(problems, item.after, "duration", "30d")
    return DropColumn(
        column,
        int(soak if soak is not None else DEFAULT_SOAK),
        _own_back(problems, item.back, column, after),
        _said(item.irreversible),
        item.span,
    )


def _said(text: ast.Text | None) -> str | None:
    return text.value if text else None
