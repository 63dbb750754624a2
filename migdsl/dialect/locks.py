"""A statement becomes what it does to others: the strongest lock it takes on a table that is there, and for how long.

Facts: PostgreSQL's documentation of 14 to 18, "Explicit Locking" and the pages of the statements. What isn't known here
counts as the strongest.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.functions import STABLE, VOLATILE
from migdsl.dialect.names import qualified, quote
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import Statement, walk
from migdsl.values import Value

# Weakest first.
LOCKS = (
    "",
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
_STRONGEST = LOCKS[-1]
_UPDATES = "SHARE UPDATE EXCLUSIVE"
DML = frozenset(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"])
# They end a transaction, leave a setting behind, or run what can't be read here.
NO_PLACE = frozenset(
    "TransactionStmt VariableSetStmt DoStmt CallStmt CopyStmt ListenStmt NotifyStmt PrepareStmt ExecuteStmt DiscardStmt "
    "LoadStmt DeclareCursorStmt FetchStmt ClosePortalStmt ExplainStmt LockStmt CreatedbStmt DropdbStmt AlterSystemStmt".split()
)
_OF_KIND = {
    **dict.fromkeys(["SelectStmt"], "ACCESS SHARE"),
    **dict.fromkeys(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"], "ROW EXCLUSIVE"),
    **dict.fromkeys(["CommentStmt", "CreateStatsStmt", "CreatePublicationStmt", "AlterPublicationStmt"], _UPDATES),
    "CreateTrigStmt": "SHARE ROW EXCLUSIVE",
    # They make something new, or change what no table's readers wait for.
    **dict.fromkeys(
        "CreateFunctionStmt AlterFunctionStmt CreateSchemaStmt CreateExtensionStmt AlterExtensionStmt CreateEnumStmt "
        "CompositeTypeStmt CreateDomainStmt CreateRangeStmt CreateSeqStmt GrantStmt GrantRoleStmt CreateRoleStmt AlterRoleStmt "
        "AlterEnumStmt CreateCastStmt DefineStmt AlterDefaultPrivilegesStmt CreateTableAsStmt ImportForeignSchemaStmt "
        "CreateForeignTableStmt CreateFdwStmt CreateForeignServerStmt CreateUserMappingStmt AlterSeqStmt AlterStatsStmt".split(),
        "",
    ),
}
_SUBTYPES = {
    **dict.fromkeys(
        "AT_ValidateConstraint AT_SetStatistics AT_SetOptions AT_ResetOptions AT_SetRelOptions AT_ResetRelOptions AT_ClusterOn "
        "AT_DropCluster AT_AttachPartition AT_DetachPartitionFinalize".split(),
        _UPDATES,
    ),
    **dict.fromkeys(
        "AT_EnableTrig AT_EnableAlwaysTrig AT_EnableReplicaTrig AT_DisableTrig AT_EnableTrigAll AT_DisableTrigAll "
        "AT_EnableTrigUser AT_DisableTrigUser".split(),
        "SHARE ROW EXCLUSIVE",
    ),
}
_REWRITES = {
    "AT_AlterColumnType": "may rewrite the table, and its indexes, under its lock",
    "AT_SetLogged": "rewrites the table under its lock",
    "AT_SetUnLogged": "rewrites the table under its lock",
    "AT_SetAccessMethod": "rewrites the table under its lock",
    "AT_SetTableSpace": "copies the table under its lock",
    "AT_SetNotNull": "reads the whole table under its lock",
    "AT_AddIdentity": "numbers rows that are there under its lock",
    "AT_SetExpression": "rewrites the table under its lock",
}
_WITHOUT_SCAN = frozenset("CONSTR_NOTNULL CONSTR_NULL CONSTR_ATTR_DEFERRABLE CONSTR_ATTR_NOT_DEFERRABLE".split())


class Footprint(Value):
    """What a statement takes. `tables` are those that it locks, as SQL; `alone`: it can't be in a transaction with others.

    `long` says why its lock would last, where it would.
    """

    lock: str
    tables: tuple[str, ...]
    alone: bool
    long: str | None


def stronger(one: str, other: str) -> bool:
    """Whether one lock is stronger than another."""
    return LOCKS.index(one) > LOCKS.index(other)


def footprint(statement: Statement) -> Footprint:
    """The footprint of a statement."""
    kind, tree = statement.kind, statement.tree
    if kind == "AlterTableStmt":
        return _alter(tree)
    if kind == "IndexStmt":
        return _index(tree)
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(tree)
    lock = _OF_KIND.get(kind, _STRONGEST)
    return Footprint(lock, tuple(_relations(kind, tree)) if lock else (), kind == "AlterEnumStmt", None)


def _relations(kind: str, tree: Tree) -> Iterator[str]:
    """The tables that a statement names. What follows REFERENCES, FROM or an alias is one too: better one too many."""
    for found, node in walk({kind: tree}):
        if found == "RangeVar" and "relname" in node:
            yield _name(node)
    for key in ("relation", "table"):
        if "relname" in tree.get(key, {}):
            yield _name(tree[key])


def _name(relation: Tree) -> str:
    schema = relation.get("schemaname")
    return qualified(schema, relation["relname"]) if schema else quote(relation["relname"])


def _alter(tree: Tree) -> Footprint:
    lock, long = "", None
    tables = [_name(tree["relation"])]
    for command in tree.get("cmds", []):
        one = command["AlterTableCmd"]
        taken, why = _subcommand(one)
        lock = max(lock, taken, key=LOCKS.index)
        long = long or why
        for kind, node in walk(one):
            if kind == "Constraint" and "pktable" in node:
                tables.append(_name(node["pktable"]))
    if tree.get("objtype") in ("OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_VIEW", "OBJECT_TYPE"):
        return Footprint(lock or _STRONGEST, (), False, long)
    return Footprint(lock or _STRONGEST, tuple(dict.fromkeys(tables)), False, long)


def _subcommand(command: Tree) -> tuple[str, str | None]:
    kind = command.get("subtype", "AT_AddColumn")
    if kind == "AT_AddConstraint":
        return _constraint(command["def"]["Constraint"])
    if kind == "AT_AddColumn":
        return _STRONGEST, _column(command["def"]["ColumnDef"])
    if kind == "AT_DetachPartition":
        return (_UPDATES if command.get("def", {}).get("PartitionCmd", {}).get("concurrent") else _STRONGEST), None
    return _SUBTYPES.get(kind, _STRONGEST), _REWRITES.get(kind)


def _constraint(node: Tree) -> tuple[str, str | None]:
    kind = node.get("contype", "")
    lock = "SHARE ROW EXCLUSIVE" if kind == "CONSTR_FOREIGN" else _STRONGEST
    if node.get("skip_validation") or node.get("indexname") or kind in _WITHOUT_SCAN:
        return lock, None
    if kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION"):
        return lock, "builds an index under its lock"
    return lock, "reads the whole table under its lock"


def _column(node: Tree) -> str | None:
    for entry in node.get("constraints", []):
        found = entry["Constraint"]
        kind = found.get("contype", "")
        if kind in ("CONSTR_IDENTITY", "CONSTR_GENERATED"):
            return "rewrites the table under its lock"
        if kind == "CONSTR_DEFAULT" and _volatile(found.get("raw_expr", {})):
            return "rewrites the table under its lock, since its default differs from row to row"
        if kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
            return "builds an index under its lock"
        if kind in ("CONSTR_CHECK", "CONSTR_FOREIGN"):
            return "reads the whole table under its lock"
    return None


def _volatile(tree: Tree) -> bool:
    calls = (node["funcname"][-1]["String"]["sval"] for kind, node in walk(tree) if kind == "FuncCall")
    return any(name in VOLATILE - STABLE for name in calls)


def _create(tree: Tree) -> Footprint:
    """A new table locks those that it refers to."""
    parents = tuple(_name(n["pktable"]) for k, n in walk({"CreateStmt": tree}) if k == "Constraint" and "pktable" in n)
    return Footprint("SHARE ROW EXCLUSIVE" if parents else "", parents, False, None)


def _rename(tree: Tree) -> Footprint:
    if tree.get("renameType") == "OBJECT_INDEX":
        return Footprint(_UPDATES, (), False, None)
    of_table = tree.get("renameType") in ("OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER")
    tables = (_name(tree["relation"]),) if of_table and "relation" in tree else ()
    return Footprint(_STRONGEST, tables, False, None)


def _index(tree: Tree) -> Footprint:
    tables = (_name(tree["relation"]),)
    if tree.get("concurrent"):
        return Footprint(_UPDATES, tables, True, None)
    return Footprint("SHARE", tables, False, "builds an index under its lock")


def _drop(tree: Tree) -> Footprint:
    kind = tree.get("removeType", "")
    named = tuple(".".join(quote(p["String"]["sval"]) for p in o["List"]["items"]) for o in _lists(tree))
    if kind == "OBJECT_INDEX":
        return Footprint(_UPDATES, (), True, None) if tree.get("concurrent") else Footprint(_STRONGEST, (), False, None)
    if kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE"):
        return Footprint(_STRONGEST, named if kind == "OBJECT_TABLE" else (), False, None)
    if kind in ("OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"):
        return Footprint(_STRONGEST, tuple(name.rpartition(".")[0] for name in named), False, None)
    light = kind in (
        "OBJECT_FUNCTION",
        "OBJECT_SCHEMA",
        "OBJECT_EXTENSION",
        "OBJECT_STATISTIC_EXT",
        "OBJECT_PUBLICATION",
    )
    return Footprint("" if light else _STRONGEST, (), False, None)


def _lists(tree: Tree) -> list[Tree]:
    return [found for found in tree.get("objects", []) if "List" in found]


def _options(tree: Tree, key: str) -> set[str]:
    return {option["DefElem"]["defname"] for option in tree.get(key, [])}


def _vacuum(tree: Tree) -> Footprint:
    tables = tuple(_name(r["VacuumRelation"]["relation"]) for r in tree.get("rels", []))
    if "full" in _options(tree, "options"):
        return Footprint(_STRONGEST, tables, True, "rewrites the table under its lock")
    return Footprint(_UPDATES, tables, True, None)


def _reindex(tree: Tree) -> Footprint:
    if "concurrently" in _options(tree, "params"):
        return Footprint(_UPDATES, (), True, None)
    return Footprint(_STRONGEST, (), False, "builds an index under its lock")


def _refresh(tree: Tree) -> Footprint:
    if tree.get("concurrent"):
        return Footprint("EXCLUSIVE", (), False, None)
    return Footprint(_STRONGEST, (), False, "computes the view under its lock")


def _view(tree: Tree) -> Footprint:
    return Footprint(_STRONGEST if tree.get("replace") else "", (), False, None)


def _cluster(tree: Tree) -> Footprint:
    return Footprint(_STRONGEST, tuple(_relations("ClusterStmt", tree)), True, "rewrites the table under its lock")


_SPECIAL = {
    "CreateStmt": _create,
    "RenameStmt": _rename,
    "DropStmt": _drop,
    "VacuumStmt": _vacuum,
    "ReindexStmt": _reindex,
    "RefreshMatViewStmt": _refresh,
    "ViewStmt": _view,
    "ClusterStmt": _cluster,
}
