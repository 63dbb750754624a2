"""SQL anywhere in a file becomes an error where it needs a newer PostgreSQL than its database is said to have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.since import newer
from migdsl.semantics.header import NEWEST, OLDEST
from migdsl.semantics.model import CheckedModule, Database
from migdsl.semantics.problems import Problems, inside
from migdsl.syntax import ast
from migdsl.values import Value

# They have no SQL; a metric's backticks hold PromQL.
_WITHOUT = (ast.Use, ast.Metric, ast.Alert, ast.Database, ast.Service, ast.Api, ast.Replace, ast.Cutover, ast.Flag)
# What of a move is computed from the new table's rows, where those are.
_OF_TARGET = ("backs", "standing")


def check(problems: Problems, declarations: Iterable[ast.Declaration], module: CheckedModule) -> None:
    """Hold all SQL against the version of the database that runs it; where that can't be told, against the oldest one's."""
    if not module.databases or min(d.version for d in module.databases) >= NEWEST:
        return
    # Of a table that moves, and is there twice, the one from before.
    at_home = {table.entity: table.database for table in (*(o.table for o in module.created), *module.tables)}
    proven = {**at_home, **{move.table.entity: move.target.database for move in module.moves}}
    known = {database.name: database for database in module.databases}
    oldest = min(module.databases, key=lambda database: database.version)
    for declaration in declarations:
        if isinstance(declaration, _WITHOUT):
            continue
        places = proven if isinstance(declaration, ast.Validate) else at_home
        database = known.get(places.get(_entity(declaration), ""), oldest)
        for sql in _within(declaration):
            _hold(problems, sql, database)
        if isinstance(declaration, ast.Move):
            for sql in _within((declaration.backs, declaration.standing)):
                _hold(problems, sql, known.get(declaration.table[0].text, oldest))


def _entity(declaration: ast.Declaration) -> str:
    named = declaration.entity if isinstance(declaration, ast.Create) else declaration
    name = getattr(named, "entity", None) or getattr(named, "name", None)
    return name.text if isinstance(name, ast.Name) else ""


def _within(node: object) -> Iterator[ast.Sql]:
    """All SQL of a declaration, first to last; of a move only what is computed from the old table's rows."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, ast.Sql):
            yield here
        elif isinstance(here, tuple):
            waiting += reversed(here)
        elif isinstance(here, Value):
            fields = (field for field in here.FIELDS if not (isinstance(here, ast.Move) and field in _OF_TARGET))
            waiting += reversed([getattr(here, field) for field in fields])


def _hold(problems: Problems, sql: ast.Sql, database: Database) -> None:
    for found in newer(sql.text, database.version):
        title = f"{found.what} needs PostgreSQL {found.version}, and `{database.name}` may run {database.version}"
        label = f"not in PostgreSQL {database.version}"
        body = f"Where `engine` says no version, that stands for {OLDEST}." if database.version == OLDEST else ""
        help_ = f"if all its servers are that new, say `engine postgresql {found.version}`; else write it with what there is"
        if found.what.endswith("()"):
            help_ += "; a function of your own stands with its schema"
        problems.error("MIG206", inside(sql, found.start, found.end), title, label, body=body, help=help_)
