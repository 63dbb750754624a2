"""`create` and `drop entity` become changes of whole tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.sql import Expression
from migdsl.semantics import relations, routes, sensitive, tables
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import again
from migdsl.semantics.model import Change, CreateTable, Database, DropTable, Source, Table, Tenants
from migdsl.semantics.phrases import pointing
from migdsl.semantics.problems import Problems, sql_name, written
from migdsl.semantics.scene import Scene, said
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import replace


def created(
    problems: Problems,
    nodes: list[ast.Create],
    entities: Mapping[str, Table],
    databases: dict[str, Database],
    tenants: Tenants | None,
    later: relations.Later,
) -> tuple[Change, ...]:
    """New tables, each a change of its own. `later`: columns that come with this migration."""
    made = [(node.entity, tables.table(problems, node.entity, databases, tenants, "create")) for node in nodes]
    for item, table in made:
        twin = next((t for t in entities.values() if t.entity == table.entity or _place(t) == _place(table)), None)
        if twin is not None:
            title = (
                f"there is an entity `{table.entity}` already"
                if twin.entity == table.entity
                else (f"there is a table `{table.name}` already")
            )
            problems.error("MIG104", item.name.span, title, "can't be created", more=[(twin.span, "declared here")])
    known = {**{t.entity: t for _, t in reversed(made)}, **entities}
    relations.check_created(problems, made, known, tenants, later)
    made = [(node, table) for (node, _), table in zip(made, routes.routed(made, entities), strict=True)]
    found = tuple(_creation(problems, node, table, entities) for node, (_, table) in zip(nodes, made, strict=True))
    return _parents_first(problems, found) if len(found) > 1 else found


def _parents_first(problems: Problems, made: tuple[Change, ...]) -> tuple[Change, ...]:
    """The new tables, each behind those that it points at from the start; a circle of them can't be made."""
    by_name = {change.table.entity: change for change in made}
    found: dict[str, Change] = {}
    told: set[frozenset[str]] = set()

    def follow(change: Change, above: tuple[Change, ...]) -> None:
        if change in above:
            round_ = above[above.index(change) :]
            names = frozenset(each.table.entity for each in round_)
            if names not in told:  # the same circle, from another of its tables
                told.add(names)
                _circle(problems, round_)
        elif change.table.entity not in found:
            for parent in (by_name[name] for name in _needed_first(change) if name in by_name):
                follow(parent, (*above, change))
            found[change.table.entity] = change

    for change in by_name.values():
        follow(change, ())
    return tuple(found.values())


def _needed_first(change: Change) -> Iterator[str]:
    """The tables that its foreign keys point at, but for itself; where it is filled they come later than all tables."""
    filled = any(isinstance(o, CreateTable) and o.sources for o in change.operations)
    for constraint in () if filled else change.table.constraints:
        if constraint.target is not None and constraint.target.entity != change.table.entity:
            yield constraint.target.entity


def _circle(problems: Problems, round_: tuple[Change, ...]) -> None:
    first, last = round_[0].table, round_[-1].table
    back = next(c for c in last.constraints if c.target is not None and c.target.entity == first.entity)
    names = " and ".join(f"`{change.table.entity}`" for change in round_)
    title = f"{names} point at each other, and none of them can be made first"
    help_ = "leave this foreign key out, and make it in a migration of its own, once both are there: "
    help_ += f"change {written(last.entity)} {{ {pointing(back)} }}"
    more = [(change.table.span, "is new") for change in round_]
    problems.error("MIG115", back.span, title, f"points back at `{first.entity}`", more=more, help=help_)


def _place(table: Table) -> tuple[str, str, str]:
    return table.database, table.schema, table.name


def _creation(problems: Problems, node: ast.Create, table: Table, entities: Mapping[str, Table]) -> Change:
    sources = tuple(s for item in node.sources if (s := _source(problems, item, table, entities)) is not None)
    if table.rows is None and sources:
        table = replace(table, rows=sources[0].table.rows)  # as many at most
    for source in sources:
        given = dict(source.values)
        columns = tuple(sensitive.marked(c, source.table, given.get(c.name)) for c in table.columns)
        table = replace(table, columns=columns) if columns != table.columns else table
    return Change(table, (CreateTable(table, sources, node.entity.name.span),), node.span)


def _source(problems: Problems, node: ast.Filled, table: Table, entities: Mapping[str, Table]) -> Source | None:
    source = entities.get(node.entity.text)
    if source is None:
        problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, entities)
        return None
    columns = {c.name for c in source.columns} if source.complete else None
    values: list[tuple[str, Expression]] = []
    places: dict[str, Span] = {}
    for item in node.values:
        name = sql_name(item.column)
        if name in places:
            again(problems, item.column.span, places[name], f"a value of {name}", f"`{table.entity}`")
            continue
        places[name] = item.column.span
        if table.column(name) is None:
            known = [c.name for c in table.columns]
            problems.unknown("MIG102", "column", name, item.column.span, known, f"in `{table.entity}`")
        found = expression(problems, item.sql, "from", columns)
        if found is not None:
            values.append((name, found))
    where = expression(problems, node.where, "from", columns) if node.where else None
    return Source(source, tuple(values), where, node.entity.span, tuple(places.items()))


def dropped(
    problems: Problems, nodes: list[ast.DropEntity], entities: Mapping[str, Table], changed: Mapping[str, Change]
) -> tuple[Change, ...]:
    """Tables that go away, each a change of its own."""
    found = []
    for node in nodes:
        table = entities.get(node.entity.text)
        if table is None:
            problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, entities)
            continue
        other = changed.get(table.entity)
        if other is not None:
            title = f"`{table.entity}` is changed and dropped"
            more = [(other.span, "changed here")]
            problems.error("MIG403", node.span, title, "dropped here", more=more, help="leave one of the two out")
            continue
        soak = Scene(problems, table, None, None, entities).soak(node.after)
        found.append(Change(table, (DropTable(table, soak, said(node.irreversible), node.span),), node.span))
    return tuple(found)
