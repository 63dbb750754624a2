"""Generated Python becomes the proof that each of its statements on a tenant's table is confined to one tenant.

It reads the text that leaves, not the pieces that it was made of. Users can't cause a failure: it is a fault of the compiler.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from migdsl.dialect.boundary import Boundary
from migdsl.dialect.names import quote
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import statement, walk
from migdsl.dialect.tenancy import unconfined
from migdsl.emit.artifact import Artifact
from migdsl.ops import names
from migdsl.semantics import routes
from migdsl.semantics.model import CheckedModule
from migdsl.values import replace

_NO_SQL = frozenset(
    "migration backfill entity table database_env tenants_env key pace retry private workers canary budget engine "
    "schema pins column note other_env stream trigger patience_s enqueues".split()
)
# Exempt, and listed in the plan's guardrails: they say which tenants there are, and count rows that belong to none.
_EXEMPT = frozenset(["tenants", "unlisted"])
_UNPROVEN = _NO_SQL | _EXEMPT
_JOBS = frozenset(["BackfillJob", "ReconcileJob", "PinJob", "Pin"])
_CALLS = frozenset(["left", "right", "left_new", "right_new", "transform"])  # each is a call with statements of its own
_NO_SQL_WITHIN = frozenset(["function", "inputs", "document"])  # of a transform
# Of a job on two databases: what is asked in the other one.
_ACROSS = frozenset("right left_new invariants violated violating repair_new insert_old delete_old".split())
# Exempt, and listed likewise: an applier carries keys of whichever tenants.
_BY_KEY = frozenset(["read", "gone", "upsert"])
_Keys = tuple[tuple[str, str], str]  # schema and name of a table, and its key
_REFILL = ("tenants", "key", "upper", "bound", "batch")


class UnprovenError(AssertionError):
    """A generated statement could reach rows of other tenants."""


def boundary(module: CheckedModule, database: str) -> Boundary:
    """Whose rows are in which table of a database. The two tables of a move there tell the same of an owner's key."""
    known = routes.boundary(module.every, database, frozenset([names.LEDGER]))
    twins = dict(_twins(module, database))
    ways = {place: replace(way, twin=twins.get((way.parent, way.key))) for place, way in known.ways.items()}
    return Boundary(known.columns, known.shared, known.schemas, ways=ways)


def _twins(module: CheckedModule, database: str) -> Iterator[tuple[_Keys, _Keys]]:
    """The key of each table that moves within a database beside that of where it goes: triggers keep both equal."""
    for move in module.moves:
        if move.across or move.table.database != database:
            continue
        for ours, theirs in move.copied:
            old, new = ((t.schema, t.name) for t in (move.table, move.target))
            yield from (((old, theirs), (new, ours)), ((new, ours), (old, theirs)))


def prove(artifact: Artifact, tree: ast.Module, known: Boundary, across: Boundary | None = None) -> None:
    """Raise UnprovenError where a statement of a job, or of a way back, is not confined. `across`: the boundary of the other
    database, where a job asks two."""
    for name, sql in _statements(tree):
        there = across is not None and name.partition(".")[0] in _ACROSS
        found = unconfined(statement(sql), across if there and across is not None else known)
        if found:
            reached = ", ".join(f.relation for f in found)
            raise UnprovenError(f"{artifact.path}: `{name}` is not confined to one tenant: {reached}")
    for call in _calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id == "Stream":
            _keyed(artifact, call)


def _keyed(artifact: Artifact, stream: ast.Call) -> None:
    """What carries rows of all tenants reaches no table but its own, and of that only rows that it names by key. To know
    which side a row's tenant is written on it may ask the side's other tables whose the row is."""
    moves = [node for node in ast.walk(stream) if isinstance(node, ast.Call) and _called(node) == "Move"]
    given = [{k.arg: k.value for k in move.keywords} for move in moves]
    asked = {side: frozenset(ast.literal_eval(each[side]) for each in given) for side in ("old_table", "new_table")}
    for each in given:
        columns = len(ast.literal_eval(each["key"]))
        for way, origin, target in (("forward", "old_table", "new_table"), ("back", "new_table", "old_table")):
            carry = each[way]
            assert isinstance(carry, ast.Call)
            for part in (k for k in carry.keywords if k.arg in _BY_KEY):
                own = ast.literal_eval(each[origin if part.arg == "read" else target])
                owners = frozenset() if part.arg == "read" else asked[target]
                _of_one_table(artifact, f"{way}.{part.arg}", str(ast.literal_eval(part.value)), own, owners, columns)


def _of_one_table(artifact: Artifact, name: str, sql: str, table: str, owners: frozenset[str], columns: int) -> None:
    tree = statement(sql).tree
    asking = {id(node) for question in _questions(tree) for kind, node in walk(question) if kind == "RangeVar"}
    written = [tree["relation"]] if "relation" in tree else []
    relations = (*written, *(node for kind, node in walk(tree) if kind == "RangeVar"))
    found = {
        shown
        for node in relations
        if node.get("schemaname") not in (names.LEDGER, "pg_temp")
        and not ((shown := _shown(node)) in owners and id(node) in asking)
    }
    by_key = all(f" = o.key_{n}" in sql for n in range(1, columns + 1))
    staged = sql.lstrip().startswith("INSERT") and "FROM pg_temp." in sql and _beside(tree, columns)
    if found - {table} or not (by_key or staged):
        raise UnprovenError(
            f"{artifact.path}: `{name}` reaches more than the keys that it was given: {', '.join(sorted(found))}"
        )


def _beside(tree: Tree, columns: int) -> bool:
    """Whether what is looked up beside a staged row `s` is asked for by all columns of its key."""
    wheres = (n["subquery"]["SelectStmt"].get("whereClause", {}) for kind, n in walk(tree) if kind == "RangeSubselect")
    return all(sum(_met(term) for term in _terms(where)) >= columns for where in wheres)


def _terms(where: Tree) -> list[Tree]:
    both = where.get("BoolExpr", {})
    return list(both["args"]) if both.get("boolop") == "AND_EXPR" else [where]


def _met(term: Tree) -> bool:
    """Whether it says that a column of `t` is one of the staged row."""
    compared = term.get("A_Expr", {})
    if [name["String"]["sval"] for name in compared.get("name", [])] != ["="]:
        return False
    sides = (compared["lexpr"], compared["rexpr"])
    found = [{n["fields"][0]["String"]["sval"] for kind, n in walk(each) if kind == "ColumnRef"} for each in sides]
    return found == [{"t"}, {"s"}]


def _shown(relation: Tree) -> str:
    return ".".join(quote(part) for part in (relation.get("schemaname", ""), relation["relname"]) if part)


def _questions(tree: Tree) -> Iterator[Tree]:
    """The subqueries that ask whether a tenant is written on this side: all that they answer is yes or no."""
    for kind, node in walk(tree):
        if kind == "SubLink" and node.get("subLinkType") == "EXISTS_SUBLINK":
            query = node["subselect"]["SelectStmt"]
            sources = [source.get("RangeVar", {}) for source in query.get("fromClause", [])]
            if [(s.get("schemaname"), s.get("relname")) for s in sources] == [(names.LEDGER, "side")]:
                yield node["subselect"]


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _statements(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The DML of a generated file under its argument's name; what is no text known here is left to fail as SQL."""
    for call in _calls(tree):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        given: list[tuple[str, ast.expr]] = []
        if name in _JOBS:
            given = [(k.arg or "**", k.value) for k in call.keywords]
        elif name == "refill":
            given = list(zip(_REFILL, call.args, strict=True))
        for argument, value in given:
            if isinstance(value, ast.Call) and argument in _CALLS:
                own = (k for k in value.keywords if k.arg not in _NO_SQL_WITHIN)
                yield from ((f"{argument}.{k.arg}", str(ast.literal_eval(k.value))) for k in own)
            elif argument == "invariants":
                yield from ((argument, str(sql)) for _, sql in ast.literal_eval(value))
            elif argument not in _UNPROVEN and not (isinstance(value, ast.Constant) and value.value is None):
                yield argument, str(ast.literal_eval(value)).replace("\\:", ":")


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The job that a file defines, and what its revision does; not the helpers that come with a revision."""
    for part in tree.body:
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
            yield part.value
        elif isinstance(part, ast.FunctionDef) and part.name in ("upgrade", "downgrade"):
            yield from (node for node in ast.walk(part) if isinstance(node, ast.Call))
