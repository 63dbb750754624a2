"""A statement becomes the list of relations in it that are not confined to one tenant.

The proof: in each query level, what WHERE and inner joins equate is put in classes; a tenant's table is confined where
its tenant column is in the class of the parameter. An outer join's condition confines its nullable side alone. Whatever
the proof doesn't understand counts as not confined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import Statement, walk

_PARAMETER = ("", ":tenant")
_CLAUSES = (
    "targetList havingClause sortClause groupClause windowClause valuesLists distinctClause limitCount limitOffset "
    "returningClause returningList"
).split()
_WITH_RELATION = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CopyStmt")
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unconfined:
    """A relation that other tenants' rows can be reached through; `offset` in bytes of the statement's text."""

    relation: str
    column: str
    offset: int


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is known while one statement is walked."""

    tenant_columns: Mapping[tuple[str | None, str], str]
    parameter: int | None
    seen: set[int] = field(default_factory=set)
    found: list[Unconfined] = field(default_factory=list)

    def column(self, relation: Tree) -> str | None:
        key = (relation.get("schemaname"), relation["relname"])
        return self.tenant_columns.get(key)


class _Scope:
    """The tables that a query level sees, and which of their columns and which parameter are equal (union-find)."""

    def __init__(self, outer: _Scope | None = None) -> None:
        self._up: dict[Place, Place] = dict(outer._up) if outer else {}
        self._tables: dict[str, tuple[str, str | None]] = dict(outer._tables) if outer else {}
        self._own: set[str] = set()

    def add(self, relation: Tree, column: str | None) -> None:
        """Bring a table in; one of the same name further out is hidden by it."""
        self._tables[_alias(relation)] = (str(id(relation)), column)
        self._own.add(_alias(relation))

    def inner(self) -> _Scope:
        """The same level, to be told more."""
        copy = _Scope(self)
        copy._own = set(self._own)
        return copy

    def resolve(self, fields: list[str]) -> Place | None:
        """The column that is meant: qualified by a visible table, or the tenant column of one table of this level."""
        if len(fields) > 1:
            return (self._tables[fields[-2]][0], fields[-1]) if fields[-2] in self._tables else None
        owners = [self._tables[a][0] for a in sorted(self._own) if fields and self._tables[a][1] == fields[0]]
        return (owners[0], fields[0]) if len(owners) == 1 else None

    def root(self, place: Place) -> Place:
        while (up := self._up.get(place, place)) != place:
            place = up
        return place

    def join(self, a: Place, b: Place) -> None:
        self._up[self.root(a)] = self.root(b)

    def confined(self, relation: Tree, column: str) -> bool:
        return self.root((str(id(relation)), column)) == self.root(_PARAMETER)


def unconfined(
    statement: Statement, tenant_columns: Mapping[tuple[str | None, str], str], parameter: str
) -> list[Unconfined]:
    """The relations of a statement that are not confined to `:parameter`; empty is the proof.

    `tenant_columns` maps (schema, table) to the tenant column; (None, table) is how the table is called without its schema.
    DDL reads no rows of a tenant for anybody to see and is always confined.
    """
    proof = _Proof(tenant_columns, statement.number(parameter))
    _statement(proof, statement.kind, statement.tree, _Scope(), frozenset())
    # Fail closed: a relation that the walk above never met is not proven.
    if statement.kind in _READS_ROWS:
        for relation in _all_relations(statement):
            if id(relation) not in proof.seen and (column := proof.column(relation)):
                proof.found.append(Unconfined(relation["relname"], column, relation.get("location", 0)))
    return sorted(proof.found, key=lambda u: u.offset)


def _all_relations(statement: Statement) -> Iterator[Tree]:
    for kind, node in walk({statement.kind: statement.tree}):
        if kind == "RangeVar":
            yield node
        elif kind in _WITH_RELATION and isinstance(node.get("relation"), dict):
            yield node["relation"]


def _statement(proof: _Proof, kind: str, tree: Tree, outer: _Scope, ctes: frozenset[str]) -> None:
    names = set(ctes)
    for cte in tree.get("withClause", {}).get("ctes", []):
        inner = cte["CommonTableExpr"]
        names.add(inner["ctename"])
        (query_kind, query), *_ = inner["ctequery"].items()
        _statement(proof, query_kind, query, outer, frozenset(names))
    route = _ROUTES.get(kind)
    if route:
        route(proof, tree, outer, frozenset(names))


def _select(proof: _Proof, tree: Tree, outer: _Scope, ctes: frozenset[str]) -> None:
    if tree.get("op", "SETOP_NONE") != "SETOP_NONE":
        for side in ("larg", "rarg"):
            _statement(proof, "SelectStmt", tree[side], outer, ctes)
        return
    scope = _level(proof, tree.get("fromClause", []), tree.get("whereClause"), outer, ctes)
    _subqueries(proof, [tree.get(clause) for clause in _CLAUSES], scope, ctes)


def _update(proof: _Proof, tree: Tree, outer: _Scope, ctes: frozenset[str]) -> None:
    tables = [{"RangeVar": tree["relation"]}, *tree.get("fromClause", [])]
    scope = _level(proof, tables, tree.get("whereClause"), outer, ctes)
    _subqueries(proof, [tree.get(clause) for clause in _CLAUSES], scope, ctes)


def _delete(proof: _Proof, tree: Tree, outer: _Scope, ctes: frozenset[str]) -> None:
    tables = [{"RangeVar": tree["relation"]}, *tree.get("usingClause", [])]
    scope = _level(proof, tables, tree.get("whereClause"), outer, ctes)
    _subqueries(proof, [tree.get(clause) for clause in _CLAUSES], scope, ctes)


def _insert(proof: _Proof, tree: Tree, outer: _Scope, ctes: frozenset[str]) -> None:
    relation = tree["relation"]
    column = proof.column(relation)
    source = tree.get("selectStmt", {}).get("SelectStmt", {})
    if source:
        _statement(proof, "SelectStmt", source, outer, ctes)
    if column is None:
        return
    proof.seen.add(id(relation))
    names = [c["ResTarget"]["name"] for c in tree.get("cols", [])]
    rewrites = tree.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE"
    if rewrites or column not in names or not _inserts_parameter(proof, source, names.index(column)):
        proof.found.append(Unconfined(relation["relname"], column, relation.get("location", 0)))


def _inserts_parameter(proof: _Proof, source: Tree, position: int) -> bool:
    rows = [row["List"]["items"] for row in source.get("valuesLists", [])]
    if not rows and source.get("targetList"):
        rows = [[target["ResTarget"]["val"] for target in source["targetList"]]]
    return bool(rows) and all(
        position < len(row) and _place(proof, row[position], _Scope()) == _PARAMETER for row in rows
    )


def _level(proof: _Proof, tables: list[Tree], where: Any, outer: _Scope, ctes: frozenset[str]) -> _Scope:
    """One query level: its tables, its conditions, then each table is held against them. Returns what is known then."""
    scope = _Scope(outer)
    for relation in _relations(tables):
        scope.add(relation, None if _is_cte(relation, ctes) else proof.column(relation))
    for condition in [where, *_inner_conditions(tables)]:
        _equate(proof, condition, scope)
    _hold(proof, tables, scope, ctes)
    _subqueries(proof, [where, [c for t in tables for c in _all_conditions(t)]], scope, ctes)
    return scope


def _hold(proof: _Proof, tables: list[Tree], scope: _Scope, ctes: frozenset[str]) -> None:
    for table in tables:
        (kind, node), *_ = table.items()
        if kind == "JoinExpr":
            left, right = _join_sides(proof, node, scope)
            _hold(proof, [node["larg"]], left, ctes)
            _hold(proof, [node["rarg"]], right, ctes)
        elif kind == "RangeSubselect":
            _statement(
                proof, "SelectStmt", node["subquery"]["SelectStmt"], scope if node.get("lateral") else _Scope(), ctes
            )
        elif kind == "RangeVar":
            proof.seen.add(id(node))
            column = None if _is_cte(node, ctes) else proof.column(node)
            if column and not scope.confined(node, column):
                proof.found.append(Unconfined(node["relname"], column, node.get("location", 0)))


def _join_sides(proof: _Proof, node: Tree, scope: _Scope) -> tuple[_Scope, _Scope]:
    """What each side of a join may rely on: an outer join's condition holds for its nullable side alone."""
    if node["jointype"] == "JOIN_INNER":
        return scope, scope
    own = scope.inner()
    _equate(proof, node.get("quals"), own)
    return (own if node["jointype"] == "JOIN_RIGHT" else scope), (own if node["jointype"] == "JOIN_LEFT" else scope)


def _relations(tables: list[Tree]) -> Iterator[Tree]:
    for table in tables:
        (kind, node), *_ = table.items()
        if kind == "RangeVar":
            yield node
        elif kind == "JoinExpr":
            yield from _relations([node["larg"], node["rarg"]])


def _inner_conditions(tables: list[Tree]) -> Iterator[Tree]:
    for table in tables:
        node = table.get("JoinExpr")
        if node and node["jointype"] == "JOIN_INNER":
            if "quals" in node:
                yield node["quals"]
            yield from _inner_conditions([node["larg"], node["rarg"]])


def _all_conditions(table: Tree) -> Iterator[Tree]:
    node = table.get("JoinExpr")
    if node:
        yield from (node[k] for k in ("quals",) if k in node)
        yield from _all_conditions(node["larg"])
        yield from _all_conditions(node["rarg"])


def _equate(proof: _Proof, condition: Any, scope: _Scope) -> None:
    if not isinstance(condition, dict):
        return
    conjunction = condition.get("BoolExpr")
    if conjunction and conjunction["boolop"] == "AND_EXPR":
        for part in conjunction["args"]:
            _equate(proof, part, scope)
    equality = condition.get("A_Expr")
    if equality and equality["kind"] == "AEXPR_OP" and equality["name"][-1]["String"]["sval"] == "=":
        left, right = (_place(proof, equality[side], scope) for side in ("lexpr", "rexpr"))
        if left and right:
            scope.join(left, right)


def _place(proof: _Proof, node: Tree, scope: _Scope) -> Place | None:
    """A column or the tenant's parameter; None for everything else. A cast of the parameter keeps it what it is."""
    (kind, value), *_ = node.items()
    if kind == "TypeCast":
        inner = _place(proof, value["arg"], scope)
        return inner if inner == _PARAMETER else None
    if kind == "ParamRef":
        return _PARAMETER if value.get("number") == proof.parameter else None
    if kind != "ColumnRef":
        return None
    return scope.resolve([f["String"]["sval"] for f in value["fields"] if "String" in f])


def _subqueries(proof: _Proof, nodes: Any, outer: _Scope, ctes: frozenset[str]) -> None:
    """Prove the subqueries in expressions; each may rely on what its surroundings know."""
    waiting = [nodes]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(here)
        elif isinstance(here, dict):
            for key, value in here.items():
                if key == "SelectStmt":
                    _statement(proof, key, value, outer, ctes)
                else:
                    waiting.append(value)


def _alias(relation: Tree) -> str:
    name: str = relation.get("alias", {}).get("aliasname") or relation["relname"]
    return name


def _is_cte(relation: Tree, ctes: frozenset[str]) -> bool:
    return "schemaname" not in relation and relation["relname"] in ctes


_READS_ROWS = frozenset(
    [
        "SelectStmt",
        "UpdateStmt",
        "DeleteStmt",
        "InsertStmt",
        "MergeStmt",
        "CopyStmt",
        "ExplainStmt",
        "PrepareStmt",
        "DeclareCursorStmt",
    ]
    + ["TruncateStmt", "CreateTableAsStmt", "RefreshMatViewStmt"]
)
_ROUTES = {"SelectStmt": _select, "UpdateStmt": _update, "DeleteStmt": _delete, "InsertStmt": _insert}
