"""Declared tables become the boundary that statements are held against: whose rows are where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from migdsl.dialect.pgquery import Tree
from migdsl.values import Value

# They hold values of rows, of whichever tenant, or the text of statements with such values in it.
_TELLING = frozenset(
    "pg_largeobject pg_prepared_statements pg_stat_activity pg_stat_statements pg_statistic pg_statistic_ext_data pg_stats "
    "pg_stats_ext pg_stats_ext_exprs".split()
)


@dataclass(frozen=True, slots=True)
class Unconfined:
    """A relation that other tenants' rows can be reached through; `offset` in bytes of the statement's text.

    `column` is its tenant column, empty where the relation (or what stands for it) is unknown. With a `parent` it is the
    one that leads there instead, to the column `key`.
    """

    relation: str
    column: str
    offset: int
    parent: str = ""
    key: str = ""


class Way(Value):
    """A row's tenant is that of a row of `parent` (schema, table), whose unique `key` stands in the row's `column`.

    `twin`: a table whose row of the same key (there of that name) belongs to the same tenant, since something keeps both equal.
    """

    column: str
    parent: tuple[str, str]
    key: str
    twin: tuple[tuple[str, str], str] | None = None

    def leads(self, place: tuple[str, str]) -> str | None:
        """The key of the table at a place, if a row of it with that key tells whose the row is."""
        if place == self.parent:
            return self.key
        return self.twin[1] if self.twin is not None and place == self.twin[0] else None


@dataclass(frozen=True)
class Boundary:
    """Which tables belong to tenants: (schema, table) → tenant column. `shared` tables and `schemas` hold nobody's rows.

    Of those in `ways` a row belongs to the tenant of another row. A relation that is none of these is unknown: it may be a
    view of a tenant's table, or one of its partitions.
    """

    columns: Mapping[tuple[str, str], str]
    shared: frozenset[tuple[str, str]] = frozenset()
    schemas: frozenset[str] = frozenset()
    parameter: str = "tenant_id"
    ways: Mapping[tuple[str, str], Way] = field(default_factory=dict)

    def column(self, relation: Tree) -> str | None:
        """The tenant column of a relation; None also where it can't be told which table is meant."""
        schema, name = relation.get("schemaname"), relation["relname"]
        found = {self.columns.get((s, name)) for s in self._confined.get(name, ()) if schema in (None, s)}
        return found.pop() if len(found) == 1 else None

    def place(self, relation: Tree) -> tuple[str, str] | None:
        """Schema and name of a tenant's table; None for others, and where it can't be told which is meant."""
        schema, name = relation.get("schemaname"), relation["relname"]
        found = [s for s in (*self._confined.get(name, ()), *self._free.get(name, ())) if schema in (None, s)]
        owned = len(found) == 1 and found[0] in self._confined.get(name, ())
        return (found[0], name) if owned else None

    def way(self, relation: Tree) -> Way | None:
        """The way from a relation's rows to their tenant, where they don't say it themselves."""
        place = self.place(relation)
        return self.ways.get(place) if place is not None else None

    def harmless(self, relation: Tree) -> bool:
        """Whether nobody's rows are in a relation: shared, or of the catalogue."""
        schema, name = relation.get("schemaname"), relation["relname"]
        if any(schema in (None, s) for s in self._confined.get(name, ())):
            return False
        if schema is None and name.startswith("pg_"):
            schema = "pg_catalog"  # always searched first
        if schema in ("pg_catalog", "information_schema"):
            return name not in _TELLING
        return schema in self.schemas or any(schema in (None, s) for s in self._free.get(name, ()))

    # By name: a statement has few relations, and a file may have a thousand tables.
    @cached_property
    def _confined(self) -> Mapping[str, list[str]]:
        return _by_name((*self.columns, *self.ways))

    @cached_property
    def _free(self) -> Mapping[str, list[str]]:
        return _by_name(self.shared)


def _by_name(places: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The schemas in which there is a table of a name."""
    found: dict[str, list[str]] = {}
    for schema, name in places:
        found.setdefault(name, []).append(schema)
    return found
