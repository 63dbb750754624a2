"""What one level of a query sees becomes classes of columns that equal each other, or the tenant's parameter."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.dialect.pgquery import Tree

Place = tuple[str, str]
PARAMETER: Place = ("", ":tenant")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A table under a name; `column` is its tenant column, or leads there; `table` says which, if it is a tenant's.

    Without `key` the name is taken, and means nothing certain.
    """

    key: str
    schema: str | None
    column: str | None
    table: Place | None = None


_HIDDEN = _Seen("", None, None)


class Scope:
    """The tables that a query level sees, and which of their columns and which parameter are equal (union-find).

    `empty`: it is known to have no rows at all.
    """

    def __init__(
        self,
        up: dict[Place, Place] | None = None,
        outer: dict[str, _Seen] | None = None,
        own: dict[str, _Seen] | None = None,
    ) -> None:
        self.empty = False
        self._up: dict[Place, Place] = {} if up is None else up
        self._outer: dict[str, _Seen] = outer or {}
        self._own: dict[str, _Seen] = own or {}

    def below(self) -> Scope:
        """A level inside this one: it knows what is known here, and sees no tables of its own yet."""
        return Scope(dict(self._up), self._visible())

    def add(self, relation: Tree, column: str | None, table: Place | None = None) -> None:
        """Bring a table in; one of the same name further out is hidden by it, one beside it makes the name ambiguous."""
        alias = relation.get("alias", {})
        name = alias.get("aliasname") or relation["relname"]
        if "colnames" in alias or name in self._own:
            self.hide(name)
            return
        schema = None if alias else relation.get("schemaname")
        self._own[name] = _Seen(str(id(relation)), schema, column, table)

    def hide(self, name: str) -> None:
        """From here on the name means something of which nothing is known."""
        self._own[name] = _HIDDEN

    def copy(self) -> Scope:
        """The same level, to be told more."""
        copy = Scope(dict(self._up), dict(self._outer), dict(self._own))
        copy.empty = self.empty
        return copy

    def only(self, names: frozenset[str]) -> Scope:
        """The same level, and the same knowledge, as a part of FROM sees it: of the own tables these."""
        return Scope(self._up, self._outer, {n: s if n in names else _HIDDEN for n, s in self._own.items()})

    def beside(self) -> Scope:
        """As a LATERAL subquery sees it: not what stands to its right, so that a name which hides another is unsure."""
        return Scope(dict(self._up), self._outer, {n: _HIDDEN if n in self._outer else s for n, s in self._own.items()})

    def place(self, fields: list[str]) -> Place | None:
        """The column that is meant: qualified by a visible table, or the tenant column of one table of this level."""
        column = fields[-1]
        if len(fields) == 1:
            owners = sorted({self.root((s.key, column)) for s in self._own.values() if s.column == column})
            return owners[0] if len(owners) == 1 else None
        found = self._visible().get(fields[-2], _HIDDEN)
        exact = len(fields) == 2 or (len(fields) == 3 and fields[0] == found.schema)
        return (found.key, column) if found.key and exact else None

    def root(self, place: Place) -> Place:
        """What stands for the class of a place."""
        while (up := self._up.get(place, place)) != place:
            place = up
        return place

    def join(self, a: Place, b: Place) -> None:
        """From here on the two are equal."""
        self._up[self.root(a)] = self.root(b)

    def confined(self, relation: Tree, column: str | None) -> bool:
        """Whether the relation's tenant column equals the parameter, or none of its rows is seen."""
        return self.empty or (column is not None and self.root((str(id(relation)), column)) == self.root(PARAMETER))

    def same(self, a: Place, b: Place) -> bool:
        """Whether the two are known to be equal."""
        return self.root(a) == self.root(b)

    def tables(self) -> list[tuple[str, Place]]:
        """The tenants' tables that are seen here, each with the key of its places."""
        return [(seen.key, seen.table) for seen in self._visible().values() if seen.key and seen.table is not None]

    def _visible(self) -> dict[str, _Seen]:
        return {**self._outer, **self._own}
