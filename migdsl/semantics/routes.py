"""`tenant via` becomes the way from a row to its tenant: over which tables, by which columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migdsl.dialect.boundary import Boundary, Way
from migdsl.semantics.problems import sql_name
from migdsl.semantics.table_model import Hop, Route, Table
from migdsl.syntax import ast
from migdsl.values import replace


def routed(pairs: Iterable[tuple[ast.Entity, Table]], others: Mapping[str, Table]) -> list[Table]:
    """The tables, each that has its tenant by way of another with that way; `others` have theirs already."""
    found = list(pairs)
    said = {t.entity: i for node, t in found for i in node.items if isinstance(i, ast.TenantVia)}
    known = {**others, **{t.entity: t for _, t in reversed(found)}}
    return [replace(t, via=_route(t, said, known)) if t.scope == "via" else t for _, t in found]


def _route(table: Table, said: Mapping[str, ast.TenantVia], known: Mapping[str, Table]) -> Route | None:
    """None where it leads nowhere: in a circle, to a table that all share, or by anything but a key of one column."""
    hops: list[Hop] = []
    met: set[str] = set()
    here = table
    while here.scope == "via" and here.entity not in met:
        met.add(here.entity)
        if here.via is not None:
            return Route((*hops, *here.via.hops), here.via.tenant)
        item = said.get(here.entity)
        parent = known.get(item.entity.text) if item is not None else None
        if item is None or parent is None or parent.database != table.database or len(parent.key) != 1:
            return None
        if not _by_key(here, sql_name(item.column), parent):
            return None
        hops.append(Hop(sql_name(item.column), parent.entity, parent.schema, parent.name, parent.key[0]))
        here = parent
    return Route(tuple(hops), here.tenant) if here.scope == "tenant" and here.tenant else None


def _by_key(table: Table, column: str, parent: Table) -> bool:
    """Whether the column holds the other table's key, as far as foreign keys say: another column's values are other rows'."""
    targets = [c.target for c in table.constraints if c.target is not None and c.columns == (column,)]
    return all(target.columns in ((), parent.key) for target in targets if target.entity == parent.entity)


def boundary(tables: Iterable[Table], database: str, schemas: frozenset[str] = frozenset()) -> Boundary:
    """Whose rows are where in a database; `schemas` hold nobody's."""
    own = [t for t in tables if t.database == database]
    columns = {_place(t): t.tenant for t in own if t.scope == "tenant" and t.tenant}
    shared = frozenset(_place(t) for t in own if t.scope == "global")
    ways = {_place(t): _way(t.via) for t in own if t.via is not None}
    return Boundary(columns, shared, schemas, ways=ways)


def _way(route: Route) -> Way:
    first = route.hops[0]
    return Way(first.column, (first.schema, first.name), first.key)


def _place(table: Table) -> tuple[str, str]:
    return table.schema, table.name
