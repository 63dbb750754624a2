"""A statement becomes the list of relations in it that are not confined to one tenant.

The proof: in each query level, what WHERE and inner joins equate is put in classes; a tenant's table is confined where
its tenant column is in the class of the parameter, or the column that leads to its tenant is in the class of the key of a
table that is confined. An outer join's condition confines its nullable side alone. Whatever
the proof doesn't understand counts as not confined: unknown relations, statements, functions that run SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migdsl.dialect.boundary import Boundary, Unconfined, Way
from migdsl.dialect.functions import RUNS_SQL
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.scope import PARAMETER, Place, Scope
from migdsl.dialect.sql import Statement, walk

_CLAUSES = (
    "targetList havingClause sortClause groupClause windowClause valuesLists distinctClause limitCount limitOffset "
    "returningClause returningList"
).split()
# A cast of the parameter to any other type might make two tenants one: varchar(3), "char", date.
_EXACT = frozenset("uuid text varchar int2 int4 int8".split())
# They define things, or say how the session behaves; no row of a tenant is read by whoever runs them, or written.
_NO_ROWS = frozenset(
    "AlterSeqStmt AlterTableStmt CommentStmt ConstraintsSetStmt CreateFunctionStmt CreateSchemaStmt CreateSeqStmt CreateStmt "
    "CreateTrigStmt DropStmt GrantStmt IndexStmt LockStmt RenameStmt TransactionStmt VariableSetStmt VariableShowStmt".split()
)


def unconfined(statement: Statement, boundary: Boundary) -> list[Unconfined]:
    """The relations of a statement that are not confined to one tenant; empty is the proof."""
    if statement.kind in _NO_ROWS:
        return []
    proof = _Proof(boundary, statement.number(boundary.parameter))
    try:
        proof.statement(statement.kind, statement.tree, Scope(), frozenset())
    except RecursionError:
        proof.refuse("this statement", 0)
    proof.rest({statement.kind: statement.tree})
    return sorted(set(proof.found), key=lambda u: (u.offset, u.relation))


class _Proof:
    """What is known while one statement is walked."""

    def __init__(self, boundary: Boundary, parameter: int | None) -> None:
        self.boundary = boundary
        self.parameter = parameter
        self.met: set[int] = set()
        self.found: list[Unconfined] = []

    def refuse(self, relation: str, offset: int, column: str = "") -> None:
        """Note what is not proven."""
        self.found.append(Unconfined(relation, column, offset))

    def rest(self, root: Tree) -> None:
        """Fail closed: a relation that was never met is not proven, and what a function runs can't be seen."""
        for kind, node in walk(root):
            if kind == "RangeVar" and id(node) not in self.met:
                self._relation(node, confined=False)
            elif kind == "FuncCall" and (name := node["funcname"][-1]["String"]["sval"]) in RUNS_SQL:
                self.refuse(f"{name}()", node.get("location", 0))

    def statement(self, kind: str, tree: Tree, outer: Scope, ctes: frozenset[str]) -> None:
        """Prove one statement, its WITH first."""
        clause = tree.get("withClause", {})
        for cte in clause.get("ctes", []):
            inner = cte["CommonTableExpr"]
            name = frozenset([inner["ctename"]])
            (query_kind, query), *_ = inner["ctequery"].items()
            # Without RECURSIVE a query that names itself means the table of that name.
            self.statement(query_kind, query, outer, ctes | name if clause.get("recursive") else ctes)
            ctes |= name
        route = _ROUTES.get(kind)
        if route is None or "intoClause" in tree:
            self.refuse(f"a statement of the kind {kind.removesuffix('Stmt').upper()}", 0)
        else:
            route(self, tree, outer, ctes)

    def select(self, tree: Tree, outer: Scope, ctes: frozenset[str]) -> None:
        """SELECT, VALUES and their unions."""
        if tree.get("op", "SETOP_NONE") != "SETOP_NONE":
            for side in ("larg", "rarg"):
                self.statement("SelectStmt", tree[side], outer, ctes)
            return
        scope = self._level(tree.get("fromClause", []), tree.get("whereClause"), outer, ctes)
        self._subqueries([tree.get(clause) for clause in _CLAUSES], scope, ctes)
        # FOR SHARE OF names what stands in FROM, and nothing else.
        locked = (each["LockingClause"].get("lockedRels", []) for each in tree.get("lockingClause", []))
        self.met |= {id(relation["RangeVar"]) for relations in locked for relation in relations}

    def update(self, tree: Tree, outer: Scope, ctes: frozenset[str]) -> None:
        """UPDATE; it may not move a row to another tenant."""
        relation = tree["relation"]
        scope = self._level(tree.get("fromClause", []), tree.get("whereClause"), outer, ctes, relation)
        column, way = self.boundary.column(relation), self.boundary.way(relation)
        for target in tree["targetList"]:
            assigned = target["ResTarget"]
            moves = assigned["name"] == column and self._place(assigned.get("val", {}), Scope()) != PARAMETER
            if way is not None and assigned["name"] == way.column:
                moves = not self._led(self._place(assigned.get("val", {}), scope), way, scope, frozenset())
            if moves:
                self.refuse(relation["relname"], assigned.get("location", 0), column or "")
        self._subqueries([tree.get(clause) for clause in _CLAUSES], scope, ctes)

    def delete(self, tree: Tree, outer: Scope, ctes: frozenset[str]) -> None:
        """DELETE."""
        scope = self._level(tree.get("usingClause", []), tree.get("whereClause"), outer, ctes, tree["relation"])
        self._subqueries([tree.get(clause) for clause in _CLAUSES], scope, ctes)

    def insert(self, tree: Tree, outer: Scope, ctes: frozenset[str]) -> None:
        """INSERT: each new row must carry the parameter, or lead to it, and none that is there may be rewritten."""
        relation = tree["relation"]
        way = self.boundary.way(relation)
        column = way.column if way is not None else self.boundary.column(relation)
        source = tree.get("selectStmt", {}).get("SelectStmt", {})
        if source:
            self.statement("SelectStmt", source, outer, ctes)
        names = [c["ResTarget"]["name"] for c in tree.get("cols", [])]
        rewrites = tree.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE"
        at = names.index(column) if column in names else None
        confined = not rewrites and at is not None
        if way is None:
            confined = confined and at is not None and self._carries(source, at)
        else:
            confined = confined and at is not None and self._brings(source, at, way, outer, ctes)
        self._relation(relation, confined=confined)

    def _brings(self, source: Tree, position: int, way: Way, outer: Scope, ctes: frozenset[str]) -> bool:
        """Whether every row that a plain SELECT gives leads to a row of the tenant's there."""
        row = [target["ResTarget"]["val"] for target in source.get("targetList", [])]
        if source.get("op", "SETOP_NONE") != "SETOP_NONE" or "withClause" in source or not _singly(row, position):
            return False
        scope = self._level(source.get("fromClause", []), source.get("whereClause"), outer, ctes)
        return self._led(self._place(row[position], scope), way, scope, frozenset())

    def _carries(self, source: Tree, position: int) -> bool:
        """Whether every row of an INSERT has the parameter there; a `*` before it could be any number of columns."""
        rows = [row["List"]["items"] for row in source.get("valuesLists", [])]
        if not rows and source.get("targetList"):
            rows = [[target["ResTarget"]["val"] for target in source["targetList"]]]
        return bool(rows) and all(
            _singly(row, position) and self._place(row[position], Scope()) == PARAMETER for row in rows
        )

    def _level(
        self, tables: list[Tree], where: Any, outer: Scope, ctes: frozenset[str], target: Tree | None = None
    ) -> Scope:
        """One query level: its tables, its conditions, then each table is held against them. Returns what is known then."""
        scope = outer.below()
        if target is not None:  # What is written is a table, also where a CTE has its name.
            self._add(target, scope)
        self._enter(tables, scope, ctes)
        for join in _inner_joins(tables):
            self._join(join, scope)
        self._equate(where, scope)
        if target is not None:
            self._relation(target, confined=self._held(target, scope))
        for table in tables:
            self._hold(table, scope, ctes)
        self._subqueries(where, scope, ctes)
        return scope

    def _enter(self, tables: list[Tree], scope: Scope, ctes: frozenset[str]) -> None:
        """Make known what stands in FROM, under the names by which conditions may speak of it."""
        for table in tables:
            (kind, node), *_ = table.items()
            if kind == "RangeVar":
                if _is_cte(node, ctes):
                    scope.add(node, None)
                else:
                    self._add(node, scope)
            elif kind == "JoinExpr" and "alias" not in node:
                self._enter([node["larg"], node["rarg"]], scope, ctes)
            for name in _opaque(kind, node):
                scope.hide(name)

    def _add(self, relation: Tree, scope: Scope) -> None:
        way = self.boundary.way(relation)
        column = way.column if way is not None else self.boundary.column(relation)
        scope.add(relation, column, self.boundary.place(relation))

    def _held(self, relation: Tree, scope: Scope) -> bool:
        """Whether all rows of a relation that the scope lets through are of one tenant."""
        way = self.boundary.way(relation)
        if way is None:
            return scope.confined(relation, self.boundary.column(relation))
        return scope.empty or self._led((str(id(relation)), way.column), way, scope, frozenset())

    def _led(self, leading: Place | None, way: Way, scope: Scope, met: frozenset[str]) -> bool:
        """Whether the row that `leading` leads to is there too, and confined itself, however far the way is."""
        for other, place in scope.tables() if leading not in (None, PARAMETER) else ():
            key = way.leads(place)
            if other in met or key is None or leading is None or not scope.same(leading, (other, key)):
                continue
            column, further = self.boundary.columns.get(place), self.boundary.ways.get(place)
            if column is not None and scope.same((other, column), PARAMETER):
                return True
            if further is not None and self._led((other, further.column), further, scope, met | {other}):
                return True
        return False

    def _join(self, join: Tree, scope: Scope) -> None:
        """What a join's condition equates; it sees the join's own sides, and what is further out."""
        visible = scope.only(_aliases([join]))
        self._equate(join.get("quals"), visible)
        for name in (field["String"]["sval"] for field in join.get("usingClause", [])):
            for left in _aliases([join["larg"]]):
                for right in _aliases([join["rarg"]]):
                    self._merge(visible, left, right, name)

    def _merge(self, scope: Scope, left: str, right: str, column: str) -> None:
        """USING: a tenant's table surely has its tenant column, so that no other of its side can be meant."""
        ours, theirs = scope.place([left, column]), scope.place([right, column])
        if ours and theirs:
            scope.join(ours, theirs)

    def _hold(self, table: Tree, scope: Scope, ctes: frozenset[str]) -> None:
        """Prove what stands in FROM, each with what holds for its rows."""
        (kind, node), *_ = table.items()
        if kind == "JoinExpr":
            self._hold_join(node, scope if "alias" not in node else Scope(), ctes)
        elif kind == "RangeSubselect":
            inner = scope.beside() if node.get("lateral") else Scope()
            self.statement("SelectStmt", node["subquery"]["SelectStmt"], inner, ctes)
        elif kind == "RangeVar" and _is_cte(node, ctes):
            self.met.add(id(node))
        elif kind == "RangeVar":
            renamed = "colnames" in node.get("alias", {})
            self._relation(node, confined=not renamed and self._held(node, scope))

    def _hold_join(self, node: Tree, scope: Scope, ctes: frozenset[str]) -> None:
        """An outer join's condition holds for its nullable side alone; an inner one's for both."""
        own = scope.copy()
        self._join(node, own)
        left, right = {
            "JOIN_INNER": (own, own),
            "JOIN_LEFT": (scope, own),
            "JOIN_RIGHT": (own, scope),
        }.get(node["jointype"], (scope, scope))
        self._hold(node["larg"], left, ctes)
        self._hold(node["rarg"], right, ctes)
        self._subqueries(node.get("quals"), scope.only(_aliases([node])), ctes)

    def _relation(self, relation: Tree, *, confined: bool) -> None:
        self.met.add(id(relation))
        if not confined and not self.boundary.harmless(relation):
            column, way = self.boundary.column(relation), self.boundary.way(relation)
            at = relation.get("location", 0)
            if way is not None:
                self.found.append(Unconfined(relation["relname"], way.column, at, way.parent[1], way.key))
            else:
                self.refuse(relation["relname"], at, column or "")

    def _equate(self, condition: Any, scope: Scope) -> None:
        if not isinstance(condition, dict):
            return
        if condition.get("A_Const", {}).get("boolval") == {}:  # FALSE
            scope.empty = True
        conjunction = condition.get("BoolExpr")
        if conjunction and conjunction["boolop"] == "AND_EXPR":
            for part in conjunction["args"]:
                self._equate(part, scope)
        equality = condition.get("A_Expr")
        if equality and equality["kind"] == "AEXPR_OP" and equality["name"] == [{"String": {"sval": "="}}]:
            left, right = (self._place(equality.get(side, {}), scope) for side in ("lexpr", "rexpr"))
            if left and right:
                scope.join(left, right)

    def _place(self, node: Tree, scope: Scope) -> Place | None:
        """A column or the tenant's parameter; None for everything else."""
        for kind, value in node.items():
            if kind == "TypeCast" and _exact(value["typeName"]):
                inner = self._place(value["arg"], scope)
                return inner if inner == PARAMETER else None
            if kind == "ParamRef" and value.get("number") == self.parameter:
                return PARAMETER
            if kind == "ColumnRef" and all("String" in f for f in value["fields"]):
                return scope.place([f["String"]["sval"] for f in value["fields"]])
        return None

    def _subqueries(self, nodes: Any, outer: Scope, ctes: frozenset[str]) -> None:
        """Prove the subqueries in expressions; each may rely on what its surroundings know."""
        waiting = [nodes]
        while waiting:
            here = waiting.pop()
            if isinstance(here, list):
                waiting.extend(here)
            elif isinstance(here, dict):
                for key, value in here.items():
                    if key == "SelectStmt":
                        self.statement(key, value, outer, ctes)
                    else:
                        waiting.append(value)


def _singly(row: list[Tree], position: int) -> bool:
    """Whether there is a value at a position, and each before it is one column."""
    starred = any("A_Star" in field for value in row for field in value.get("ColumnRef", {}).get("fields", []))
    return position < len(row) and not starred and not any("A_Indirection" in value for value in row)


def _inner_joins(tables: list[Tree]) -> Iterator[Tree]:
    """The inner joins whose conditions hold for every row of the level."""
    for table in tables:
        node = table.get("JoinExpr")
        if node and node["jointype"] == "JOIN_INNER" and "alias" not in node:
            yield node
            yield from _inner_joins([node["larg"], node["rarg"]])


def _aliases(tables: list[Tree]) -> frozenset[str]:
    """The names of relations in a part of FROM."""
    found: set[str] = set()
    for table in tables:
        node = table.get("JoinExpr", table if "larg" in table else None)
        if node is not None:
            found |= _aliases([node["larg"], node["rarg"]])
        elif "RangeVar" in table:
            found.add(table["RangeVar"].get("alias", {}).get("aliasname") or table["RangeVar"]["relname"])
    return frozenset(found)


def _opaque(kind: str, node: Tree) -> Iterator[str]:
    """The names under which FROM holds something that is no table: what they mean can't be told, and they hide tables."""
    if kind != "RangeVar" and "alias" in node:
        yield node["alias"]["aliasname"]
    if "join_using_alias" in node:
        yield node["join_using_alias"]["aliasname"]
    if kind == "JoinExpr":
        return
    for inner, call in walk(node.get("functions", [])):
        if inner == "FuncCall":  # `FROM f()` is called f.
            yield call["funcname"][-1]["String"]["sval"]
    yield from {"RangeTableFunc": ["xmltable"], "JsonTable": ["json_table"]}.get(kind, [])


def _exact(type_name: Tree) -> bool:
    """Whether a cast to this type keeps different tenants apart."""
    *schema, name = (part["String"]["sval"] for part in type_name["names"])
    return name in _EXACT and schema in ([], ["pg_catalog"]) and not {"typmods", "arrayBounds"} & set(type_name)


def _is_cte(relation: Tree, ctes: frozenset[str]) -> bool:
    return "schemaname" not in relation and relation["relname"] in ctes


_ROUTES = {
    "SelectStmt": _Proof.select,
    "UpdateStmt": _Proof.update,
    "DeleteStmt": _Proof.delete,
    "InsertStmt": _Proof.insert,
}
