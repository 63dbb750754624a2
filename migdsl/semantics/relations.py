"""What entities say of each other and of the tenants, held against what is declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.semantics.model import Constraint, Table, Tenants
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.shapes import Referred
from migdsl.source import Span
from migdsl.syntax import ast

Pair = tuple[ast.Entity, Table]
Later = Mapping[str, Mapping[str, Span]]  # the columns that entities get in this migration, and where the file says so


def check(problems: Problems, pairs: list[Pair], tenants: Tenants | None) -> None:
    """Check references, ways to the tenant, the type of tenant columns, and that no table is declared twice."""
    _check(problems, pairs, {table.entity: table for _, table in pairs}, tenants, {})


def check_created(
    problems: Problems, pairs: list[Pair], known: Mapping[str, Table], tenants: Tenants | None, later: Later
) -> None:
    """The same of tables to come, which may point at those that are there."""
    _check(problems, pairs, known, tenants, later)


def _check(
    problems: Problems, pairs: list[Pair], tables: Mapping[str, Table], tenants: Tenants | None, later: Later
) -> None:
    for node, table in pairs:
        _tenant_type(problems, node, table, tenants)
        for target in targets(node):
            _target(problems, target, tables, later)
        for item in node.items:
            if isinstance(item, ast.TenantVia):
                if item.entity.text not in tables:
                    problems.unknown("MIG101", "entity", item.entity.text, item.entity.span, tables)
                _own_column(problems, item.column, table)
            elif isinstance(item, ast.Legacy):
                _own_column(problems, item.column, table)
    _one_entity_a_table(problems, [table for _, table in pairs])


def references(node: ast.Entity) -> Iterator[Constraint]:
    """The foreign keys that stand behind a column's type."""
    for item in node.items:
        if isinstance(item, ast.Column):
            name = sql_name(item.name)
            for mark in item.marks:
                if mark.kind == "reference":
                    assert mark.target is not None
                    used, target = frozenset([name]), referred(mark.target)
                    yield Constraint("reference", (name,), used, None, mark.span, target=target)


def referred(target: ast.Target) -> Referred:
    """What a foreign key points at."""
    action = target.on_delete.upper() if target.on_delete else None
    return Referred(target.entity.text, tuple(sql_name(n) for n in target.columns), action)


def check_targets(
    problems: Problems, node: ast.Entity, tables: Mapping[str, Table], coming: Mapping[str, Table], later: Later
) -> None:
    """What foreign keys of a table that rows move to point at is there, with its rows; what is `coming` is not."""
    for target in targets(node):
        made = coming.get(target.entity.text)
        if made is None or made.entity in tables:
            _target(problems, target, tables, later)
            continue
        title = f"`{made.entity}` is made by this migration, and `{node.name.text}` would point at rows that aren't there yet"
        body = "The rows that move are asked for what they point at as they come over: it is there before, with all of its rows."
        help_ = f"create and fill `{made.entity}` in a migration of its own, before, and declare it here as an entity"
        more = [(made.span, "is new")]
        problems.error("MIG452", target.entity.span, title, "points at it", body=body, more=more, help=help_)


def targets(node: ast.Entity) -> Iterator[ast.Target]:
    """What the foreign keys of a table point at."""
    for item in node.items:
        if isinstance(item, ast.Reference):
            yield item.target
        elif isinstance(item, ast.Column):
            yield from (mark.target for mark in item.marks if mark.target is not None)


def _target(problems: Problems, target: ast.Target, tables: Mapping[str, Table], later: Later) -> None:
    table = tables.get(target.entity.text)
    if table is None:
        problems.unknown("MIG101", "entity", target.entity.text, target.entity.span, tables)
        return
    for column in target.columns:
        made = later.get(table.entity, {}).get(sql_name(column))
        if made is None or table.column(sql_name(column)) is not None:
            _own_column(problems, column, table)
            continue
        title = f"`{table.entity}.{sql_name(column)}` comes with this migration, "
        title += "and isn't unique yet when a new table could point at it"
        help_ = (
            "make the new table in a migration of its own, afterwards; or leave this foreign key out of it until then"
        )
        problems.error("MIG115", column.span, title, "points at it", more=[(made, "comes here")], help=help_)


def _own_column(problems: Problems, name: ast.Name, table: Table) -> None:
    if table.complete and table.column(sql_name(name)) is None:
        known = [c.name for c in table.columns]
        problems.unknown("MIG102", "column", sql_name(name), name.span, known, f"in `{table.entity}`")


def _tenant_type(problems: Problems, node: ast.Entity, table: Table, tenants: Tenants | None) -> None:
    """A tenant of another type would be compared by a cast, if at all, and no index would help."""
    for column in table.columns:
        if not column.tenant or tenants is None or tenants.type is None or column.type.base == tenants.type.base:
            continue
        declared = next(i for i in node.items if isinstance(i, ast.Column) and sql_name(i.name) == column.name)
        if column.type.known and tenants.type.known:
            title = f"`{table.entity}.{column.name}` can't hold a tenant: its type is not that of the tenant key"
            more = [(tenants.span, f"tenants are of type {tenants.type.sql}")] if tenants.span else []
            help_ = f"say of both what the databases have: key … {column.type.sql}, or {column.name} {tenants.type.sql}"
            problems.error("MIG503", declared.type.span, title, f"of type {column.type.sql}", more=more, help=help_)


def _one_entity_a_table(problems: Problems, tables: list[Table]) -> None:
    seen: dict[tuple[str, str, str], Table] = {}
    for table in tables:
        place = (table.database, table.schema, table.name)
        first = seen.setdefault(place, table)
        if first is not table and table.database and first.entity != table.entity:
            title = f"`{first.entity}` and `{table.entity}` are the same table"
            more = [(first.span, f"is {table.schema}.{table.name} already")]
            help_ = "an entity is a table; leave one of the two out"
            problems.error("MIG104", table.span, title, "the second one", more=more, help=help_)
