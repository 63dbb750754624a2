"""`change` becomes checked operations: each on its own, then all of a table against each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from migdsl.diagnostics import Applicability, Edit, Fix, fixes
from migdsl.dialect import sql as dialect
from migdsl.dialect.types import SERIAL
from migdsl.semantics import enums, reshape, sensitive, statements, tables
from migdsl.semantics.model import (
    AddColumn,
    AddConstraint,
    Change,
    Column,
    Constraint,
    DropColumn,
    DropConstraint,
    Operation,
    OptionalColumn,
    RequireColumn,
    Table,
    UniqueSet,
)
from migdsl.semantics.problems import Problems, sql_name, written
from migdsl.semantics.relations import referred
from migdsl.semantics.scene import Scene, said
from migdsl.source import Span
from migdsl.syntax import ast


def change(
    problems: Problems, node: ast.Change, entities: Mapping[str, Table], targets: Mapping[str, Table]
) -> Change | None:
    """All operations on one table, or None where the table isn't known (and that was reported).

    `targets` are the entities that a foreign key may point at: those that this migration creates, too.
    """
    table = entities.get(node.entity.text)
    if table is None and node.entity.text in targets:
        made, title = (
            targets[node.entity.text],
            f"`{node.entity.text}` is made by this migration, and can't be changed in it",
        )
        help_ = f"say it in `create {written(made.entity)}`; or do it in a migration of its own, afterwards"
        problems.error("MIG101", node.entity.span, title, "isn't there yet", more=[(made.span, "is new")], help=help_)
        return None
    if table is None:
        problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, entities)
        return None
    before = {c.name for c in table.columns} if table.complete else None
    scene = Scene(problems, table, before, _names_after(node, table), targets, _renamed(node))
    operations = [found for item in node.operations for found in _OPERATIONS[type(item)](scene, item)]
    enums.check_added(problems, node, table)
    gone = [o.constraint for o in operations if isinstance(o, DropConstraint)]
    # What is dropped isn't made again over a column's new name.
    kept = (o for o in operations if not (isinstance(o, AddConstraint) and o.replaces in gone))
    return Change(table, tuple(kept), node.span)


def coming(node: ast.Change) -> Mapping[str, Span]:
    """The columns that the table gets, and where the file says so."""
    return {sql_name(name): name.span for item in node.operations for name in _moved(item)[0]}


def _names_after(node: ast.Change, table: Table) -> Collection[str] | None:
    """The columns that the table has after the migration; None where they aren't all known."""
    if not table.complete or not node.operations:
        return None
    added: set[str] = set()
    dropped: set[str] = set()
    for item in node.operations:
        come, gone = _moved(item)
        added |= {sql_name(name) for name in come}
        dropped |= {sql_name(name) for name in gone}
    return ({c.name for c in table.columns} | added) - dropped


def _renamed(node: ast.Change) -> Mapping[str, str]:
    """The columns that get another name, and which."""
    renames = (item for item in node.operations if isinstance(item, ast.Rename))
    return {sql_name(item.column): sql_name(item.to) for item in renames}


def _moved(item: ast.Operation) -> tuple[tuple[ast.Name, ...], tuple[ast.Name, ...]]:
    """The columns that come and those that go."""
    if isinstance(item, ast.Add):
        return (item.column.name,), ()
    if isinstance(item, ast.Drop):
        return (), (item.column,)
    if isinstance(item, ast.Rename):
        return (item.to,), (item.column,)
    if isinstance(item, ast.Split):
        return tuple(c.name for c in item.into), (item.column,)
    if isinstance(item, ast.Merge):
        return (item.into.name,), item.columns
    return (), ()


def _add(scene: Scene, item: ast.Add) -> Iterator[Operation]:
    problems, table = scene.problems, scene.table
    column = tables.column(problems, item.column)
    scene.free(item.column.name)
    _later_marks(problems, item)
    _default(problems, item, column)
    backs = tuple(b for node in item.backs if (b := scene.back(node)) is not None)
    uniques = tuple(
        u for node in item.uniques if (u := _unique(problems, node, table, column, scene.after)) is not None
    )
    if column.unique:
        uniques = (*uniques, UniqueSet((column.name,), None, column.span))
    source = scene.source(item.source)
    yield AddColumn(sensitive.marked(column, table, source), source, backs, uniques, said(item.complies), item.span)
    for mark in item.column.marks:
        if mark.target is not None:
            yield _reference(scene, column, mark.target, item)


def _reference(scene: Scene, column: Column, target: ast.Target, item: ast.Add) -> AddConstraint:
    name = target.entity
    if name.text not in scene.entities:
        scene.problems.unknown("MIG101", "entity", name.text, name.span, scene.entities)
    used = (column.name,)
    found = Constraint("reference", used, frozenset(used), None, target.span, target=referred(target))
    return AddConstraint(found, said(item.complies), None, target.span)


def _split(scene: Scene, item: ast.Split) -> Iterator[Operation]:
    return reshape.split(scene, item, _add)


def _merge(scene: Scene, item: ast.Merge) -> Iterator[Operation]:
    return reshape.merge(scene, item, _add)


def _drop(scene: Scene, item: ast.Drop) -> Iterator[Operation]:
    column = scene.existing(item.column)
    if column is not None:
        back = scene.own_back(item.back, column)
        after = item.after.span if item.after else None
        reason = said(item.irreversible)
        yield DropColumn(column, scene.soak(item.after), back, reason, item.span, after_span=after)


def _require(scene: Scene, item: ast.Require) -> Iterator[Operation]:
    column = scene.existing(item.column)
    if column is not None:
        yield RequireColumn(column, scene.source(item.source), said(item.complies), item.span)


def _optional(scene: Scene, item: ast.Optional) -> Iterator[Operation]:
    column = scene.existing(item.column)
    if column is not None:
        yield OptionalColumn(column, scene.own_back(item.back, column), item.span)


def _later_marks(problems: Problems, item: ast.Add) -> None:
    name = sql_name(item.column.name)
    for mark in item.column.marks:
        if mark.kind in ("identity", "generated"):
            _rewrites(problems, mark.span, name, mark.kind)
        elif mark.kind in ("key", "tenant"):
            title = f"`{name}` can't become {'the key' if mark.kind == 'key' else 'the tenant column'} by being added"
            help_ = (
                "add it and fill it, then say: key (…)"
                if mark.kind == "key"
                else "mark the column that holds the tenant today"
            )
            problems.error("MIG427", mark.span, title, "says what a table is before", help=help_)
    if not item.column.type.quoted and item.column.type.name.lower() in SERIAL:
        _rewrites(problems, item.column.type.span, name, "identity")


def _rewrites(problems: Problems, place: Span, name: str, kind: str) -> None:
    """PostgreSQL computes the value of every row that is there, under a lock that nobody gets past."""
    title = f"adding `{name}` would rewrite the table"
    if kind == "generated":
        label, help_ = (
            "computed for every row at once",
            f"add {name} … {{ from `…` }}: a trigger keeps it, batches fill it",
        )
    else:
        label, help_ = (
            "numbers every row at once",
            f"add {name} bigint {{ from `…` }}, with numbers that rows have already",
        )
    problems.error("MIG426", place, title, label, help=help_)


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
        label, fix = f"`{volatile}()` is volatile", _without_default(item, mark.span)
        problems.error("MIG408", mark.span, title, label, body=body, help=help_, fix=fix)


def _without_default(item: ast.Add, default: Span) -> Fix:
    """The column without its default, which then has to be NULL where nobody gives it a value."""
    end = item.column.type.span.end
    gone = Edit(default, "", statement=True)
    if item.column.nullable or item.source is not None:
        return Fix("the default goes", (gone,), Applicability.UNSAFE)
    null = Edit(Span(default.path, end, end), "?")
    return Fix("the default goes, and the column may be NULL", (null, gone), Applicability.UNSAFE)


def _unique(
    problems: Problems, node: ast.Unique, table: Table, column: Column, after: Collection[str] | None
) -> UniqueSet | None:
    if node.per_tenant:
        if table.tenant is None:
            if table.scope == "tenant":
                return None  # That the tenant column is missing has been said.
            title = f"`{table.entity}` has no tenant column"
            problems.error(
                "MIG302",
                node.span,
                title,
                "so nothing can be unique per tenant",
                help=f"unique ({column.name})",
                fix=fixes.replacing(
                    node.span, f"unique ({written(column.name, folds=True)})", "unique in all", safe=False
                ),
            )
            return None
        return UniqueSet((table.tenant, column.name), None, node.span)
    columns = tuple(sql_name(n) for n in node.columns)
    for name in node.columns:
        if after is not None and sql_name(name) not in after:
            problems.unknown("MIG102", "column", sql_name(name), name.span, after, f"in `{table.entity}`")
    return UniqueSet(columns, sql_name(node.name) if node.name else None, node.span)


_OPERATIONS: Mapping[type, Callable[[Scene, Any], Iterator[Operation]]] = {
    ast.Add: _add,
    ast.Drop: _drop,
    ast.Require: _require,
    ast.Optional: _optional,
    ast.Rename: reshape.rename,
    ast.Split: _split,
    ast.Merge: _merge,
    ast.Retype: reshape.retype,
    ast.SetDefault: reshape.set_default,
    ast.ExtendEnum: reshape.extend_enum,
    ast.Constrain: statements.constrain,
    ast.DropNamed: statements.drop_named,
    ast.RenameTable: statements.rename_table,
    ast.Comment: statements.comment,
    ast.ReplicaIdentity: statements.replica_identity,
    ast.RawSql: statements.raw_sql,
}
