"""An invariant's SQL becomes a statement that is known to read one tenant, and columns that will be there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migdsl.dialect import pgquery
from migdsl.dialect import sql as dialect
from migdsl.dialect.boundary import Boundary
from migdsl.dialect.pgquery import SqlError
from migdsl.dialect.sql import Statement
from migdsl.dialect.tenancy import unconfined
from migdsl.semantics import routes
from migdsl.semantics.expressions import unparsable
from migdsl.semantics.model import AddColumn, Change, DropColumn, Table
from migdsl.semantics.problems import Problems, inside
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import Value

_WRITES = frozenset("InsertStmt UpdateStmt DeleteStmt MergeStmt".split())
# What opens another scope of names, so that it can't be told at a glance which table a column is of.
_SCOPES = frozenset("SubLink RangeSubselect RangeFunction CommonTableExpr SelectStmt JsonTable RangeTableFunc".split())
_EXAMPLE = "`SELECT id FROM users WHERE tenant_id = :tenant_id AND email = ''`"


class Surroundings(Value):
    """What an invariant may speak of: all tables, and the changes of those that change, by entity."""

    tables: tuple[Table, ...]
    changes: Mapping[str, Change]

    @property
    def entities(self) -> tuple[str, ...]:
        """The names of all tables."""
        return tuple(t.entity for t in self.tables)

    def boundary(self, database: str) -> Boundary:
        """Whose rows are where in a database."""
        return routes.boundary(self.tables, database)


def columns_after(change: Change) -> Collection[str] | None:
    """The columns that a table has after the migration; None where they aren't all known."""
    if not change.table.complete:
        return None
    added = {o.column.name for o in change.operations if isinstance(o, AddColumn)}
    dropped = {o.column.name for o in change.operations if isinstance(o, DropColumn)}
    return ({c.name for c in change.table.columns} | added) - dropped


def invariant(problems: Problems, node: ast.Invariant, change: Change, around: Surroundings) -> Statement | None:
    """The statement of an invariant, or None where it is none (and was reported)."""
    try:
        found = dialect.statement(node.sql.text)
    except SqlError as error:
        unparsable(problems, node.sql, error)
        return None
    wrong = _unlike_question(found)
    if wrong:
        title = "an invariant is one SELECT that returns what breaks it"
        problems.error("MIG204", node.sql.span, title, wrong, help=_EXAMPLE)
        return None
    ok = all([_parameters(problems, node.sql, found, change), _confined(problems, node.sql, found, change, around)])
    return found if ok and _columns(problems, node.sql, found, change, around) else None


def _unlike_question(found: Statement) -> str:
    """Why a statement is no question about rows, or nothing."""
    kinds = {kind for kind, _ in dialect.walk({found.kind: found.tree})}
    if found.kind != "SelectStmt" or "intoClause" in found.tree or kinds & _WRITES:
        return "does something else"
    return "locks what it reads" if "LockingClause" in kinds or "lockingClause" in found.tree else ""


def _parameters(problems: Problems, sql: ast.Sql, found: Statement, change: Change) -> bool:
    owned = change.table.owned
    for parameter in found.parameters:
        if parameter.name != "tenant_id" or not owned:
            place = inside(sql, parameter.start, parameter.end)
            title = f"`:{parameter.name}` has no value here"
            label = "the one parameter is :tenant_id" if owned else f"`{change.table.entity}` has no tenants"
            problems.error("MIG204", place, title, label, help=_EXAMPLE if owned else "leave it out")
            return False
    return True


def _confined(problems: Problems, sql: ast.Sql, found: Statement, change: Change, around: Surroundings) -> bool:
    """A global table's invariant is asked once for all; it may read no tenant's rows either."""
    boundary = around.boundary(change.table.database)
    at = pgquery.character_offsets(found.text)
    loose = unconfined(found, boundary)
    for each in loose:
        start = at(each.offset)
        end = next((x.end for x in pgquery.scan(found.text) if x.start >= start), len(found.text))
        label = f"nothing here confines `{each.relation}`" + ("" if each.column else ", which no entity describes")
        title = "this invariant can see rows of other tenants"
        body = "It is asked once per tenant, bound as `:tenant_id`; what it counts must be that tenant's."
        help_ = (
            f"JOIN {each.parent} ON {each.parent}.{each.key} = {each.relation}.{each.column}, and that held to :tenant_id"
            if each.parent
            else (
                f"{each.relation}.{each.column} = :tenant_id"
                if each.column
                else f"describe it: entity … in {each.relation}"
            )
        )
        problems.error("MIG303", inside(sql, start, end), title, label, body=body, help=help_)
    return not loose


def _columns(problems: Problems, sql: ast.Sql, found: Statement, change: Change, around: Surroundings) -> bool:
    known = _known(found, change, around)
    if known is None:
        return True
    at = pgquery.character_offsets(found.text)
    ok = True
    others = set(_other_names(found))
    for name, offset in _uses(found):
        if name not in known and name not in others:
            ok = False
            place = _word(sql, found.text, at(offset), name)
            problems.unknown("MIG202", "column", name, place, known, "in the table after the migration")
    return ok


def _word(sql: ast.Sql, text: str, start: int, name: str) -> Span:
    """The column's own name in what may be qualified."""
    begin = text.find(name, start)
    return inside(sql, begin, begin + len(name)) if begin >= 0 else inside(sql, start, start + 1)


def _known(found: Statement, change: Change, around: Surroundings) -> set[str] | None:
    """The columns that a statement may name; None where that can't be told at a glance."""
    nodes = list(dialect.walk(found.tree))
    if any(kind in _SCOPES for kind, _ in nodes) or "withClause" in found.tree or "larg" in found.tree:
        return None
    known: set[str] = set()
    for kind, node in nodes:
        if kind == "RangeVar":
            columns = _columns_of(node["relname"], change.table.database, around)
            if columns is None:
                return None
            known |= set(columns)
    return known


def _other_names(found: Statement) -> Iterator[str]:
    """What a column's name may stand for besides: a whole row, and a column of the result in ORDER BY."""
    for kind, node in dialect.walk(found.tree):
        if kind == "RangeVar":
            yield node.get("alias", {}).get("aliasname", node["relname"])
        elif kind == "ResTarget" and "name" in node:
            yield node["name"]


def _columns_of(relation: str, database: str, around: Surroundings) -> Collection[str] | None:
    tables = [t for t in around.tables if t.database == database and t.name == relation]
    if len(tables) != 1 or not tables[0].complete:
        return None
    change = around.changes.get(tables[0].entity)
    return columns_after(change) if change else {c.name for c in tables[0].columns}


def _uses(found: Statement) -> Iterator[tuple[str, int]]:
    for kind, node in dialect.walk(found.tree):
        if kind == "ColumnRef":
            fields = [f["String"]["sval"] for f in node["fields"] if "String" in f]
            if len(fields) == len(node["fields"]):
                yield fields[-1], node.get("location", 0)
