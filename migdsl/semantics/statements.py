"""Constraints that come and go, comments, replica identity, a table's new name, and SQL of the user's own."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect import sql as dialect
from migdsl.dialect.pgquery import SqlError
from migdsl.dialect.sql import Statement
from migdsl.semantics.constraints import constraint
from migdsl.semantics.expressions import unparsable
from migdsl.semantics.model import (
    PHASES,
    AddConstraint,
    Comment,
    DropConstraint,
    Operation,
    RawSql,
    RenameTable,
    ReplicaIdentity,
)
from migdsl.semantics.phrases import called
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.scene import Scene, said
from migdsl.syntax import ast

_IDENTITIES = ("default", "full", "nothing", "index")
_LOCKS = {
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
}


def constrain(scene: Scene, item: ast.Constrain) -> Iterator[Operation]:
    """A constraint or an index, over the columns after."""
    if isinstance(item.item, ast.Reference) and item.item.target.entity.text not in scene.entities:
        name = item.item.target.entity
        scene.problems.unknown("MIG101", "entity", name.text, name.span, scene.entities)
        return
    if isinstance(item.item, ast.Exclude):
        title = f"an exclusion constraint can't be added to `{scene.table.entity}` while it is used"
        body = "PostgreSQL builds it under a lock that stops every writer, and knows no way to do it bit by bit."
        help_ = "create a table that has it, and fill that from this one: create … { exclude …; from … }"
        scene.problems.error("MIG427", item.span, title, "has to be there from the start", body=body, help=help_)
        return
    gone = frozenset(scene.before or ()) - frozenset(scene.renamed)  # of those another name is meant
    found = constraint(scene.problems, item.item, scene.after, scene.table.entity, gone)
    yield AddConstraint(found, said(item.complies), None, item.span)


def drop_named(scene: Scene, item: ast.DropNamed) -> Iterator[Operation]:
    """A declared constraint or index that goes, by its name or by the one that PostgreSQL gives."""
    wanted = sql_name(item.name)
    known = {called(scene.table, c): c for c in scene.table.constraints if c.kind not in ("key", "generated")}
    fitting = {name: c for name, c in known.items() if (c.kind == "index") == (item.kind == "index")}
    if wanted not in fitting:
        where = f"declared in `{scene.table.entity}`"
        scene.problems.unknown("MIG111", item.kind, wanted, item.name.span, fitting, where)
        return
    after = item.after.span if item.after else None
    yield DropConstraint(fitting[wanted], scene.soak(item.after), said(item.irreversible), item.span, after)


def rename_table(scene: Scene, item: ast.RenameTable) -> Iterator[Operation]:
    """Another name for the table, in its schema."""
    to = sql_name(item.to)
    twin = next(
        (
            t
            for t in scene.entities.values()
            if (t.database, t.schema, t.name) == (scene.table.database, scene.table.schema, to)
        ),
        None,
    )
    if twin is not None:
        title = f"there is a table `{to}` already"
        scene.problems.error("MIG104", item.to.span, title, "taken", more=[(twin.span, "declared here")])
        return
    yield RenameTable(to, scene.soak(item.after), item.span)


def comment(scene: Scene, item: ast.Comment) -> Iterator[Operation]:
    """What is said of the table or of a column, new ones included."""
    name = sql_name(item.column) if item.column else None
    if item.column is not None and scene.after is not None and name not in scene.after:
        scene.problems.unknown(
            "MIG102", "column", name or "", item.column.span, scene.after, f"in `{scene.table.entity}`"
        )
        return
    yield Comment(name, item.text.value, item.span)


def replica_identity(scene: Scene, item: ast.ReplicaIdentity) -> Iterator[Operation]:
    """What rows are told apart by in a publication."""
    if item.kind.text not in _IDENTITIES:
        scene.problems.unknown("MIG106", "replica identity", item.kind.text, item.kind.span, _IDENTITIES)
        return
    yield ReplicaIdentity(item.kind.text.upper(), sql_name(item.index) if item.index else None, item.span)


def raw_sql(scene: Scene, item: ast.RawSql) -> Iterator[Operation]:
    """Statements as written."""
    problems = scene.problems
    phase = item.phase.text if item.phase else "expand"
    if item.phase is not None and phase not in PHASES:
        problems.unknown("MIG106", "phase", phase, item.phase.span, PHASES)
    lock = " ".join(word.text.upper() for word in item.lock)
    if item.lock and lock not in _LOCKS:
        span = item.lock[0].span.to(item.lock[-1].span)
        problems.unknown("MIG106", "lock", lock, span, sorted(_LOCKS))
    ups = tuple(s for sql in item.ups if (s := _statement(problems, sql)) is not None)
    backs = tuple(s for sql in item.backs if (s := _statement(problems, sql)) is not None)
    yield RawSql(item.why.value, ups, backs, phase, lock, said(item.irreversible), item.span)


def _statement(problems: Problems, sql: ast.Sql) -> Statement | None:
    try:
        return dialect.statement(sql.text)
    except SqlError as error:
        unparsable(problems, sql, error)
        return None
