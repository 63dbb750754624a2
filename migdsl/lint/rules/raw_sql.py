"""MIG418 to MIG421, MIG303: statements of the user's own that lock too much, take too long, or can't be taken back."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.boundary import Boundary
from migdsl.dialect.locks import DML, NO_PLACE, footprint, stronger
from migdsl.dialect.sql import Statement
from migdsl.dialect.tenancy import unconfined
from migdsl.semantics import routes
from migdsl.semantics.model import CheckedModule, RawSql

DEFAULT_LOCK = "SHARE UPDATE EXCLUSIVE"


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every statement, and whether there is a way back."""
    found = [(c.table.database, o) for c in module.changes for o in c.operations if isinstance(o, RawSql)]
    boundaries = {
        database: routes.boundary(module.every, database) for database in dict.fromkeys(name for name, _ in found)
    }
    for database, operation in found:
        yield from _operation(operation, boundaries[database])


def _operation(operation: RawSql, boundary: Boundary) -> Iterator[Diagnostic]:
    if not operation.ups:
        yield _error("MIG420", operation, "this does nothing", "without `up`", "up `…`, the statement to run")
    if not operation.backs and operation.irreversible is None:
        help_ = 'back `…`, the statement that takes it back; or irreversible because "…"'
        yield _error("MIG420", operation, "this has no way back", "without `back`", help_)
    for statement in (*operation.ups, *operation.backs):
        yield from _statement(operation, statement, boundary)


def _statement(operation: RawSql, statement: Statement, boundary: Boundary) -> Iterator[Diagnostic]:
    if statement.kind in NO_PLACE:
        title = f"`{_first_words(statement)}` has no place in a migration"
        help_ = "write the statement that it would run; rows are changed by a backfill"
        yield _error("MIG421", operation, title, "can't be proven safe", help_)
        return
    if statement.parameters:
        title = f"`:{statement.parameters[0].name}` has no value here"
        yield _error("MIG421", operation, title, "no tenant is at hand in a revision", "rows are changed by a backfill")
        return
    if statement.kind in DML and (found := unconfined(statement, boundary)):
        title = f"this statement reaches rows of every tenant in `{found[0].relation}`"
        help_ = "let a backfill do it, tenant by tenant: add or require a column with `from`"
        yield _error("MIG303", operation, title, "not confined to one tenant", help_)
        return
    yield from _locks(operation, statement)


def _locks(operation: RawSql, statement: Statement) -> Iterator[Diagnostic]:
    found = footprint(statement)
    declared = operation.lock or DEFAULT_LOCK
    if found.long is not None:
        help_ = "say it as an operation (unique, index, check, require, retype …), which does it without such a lock"
        title = f"`{_first_words(statement)}` {found.long}"
        yield _error("MIG419", operation, title, f"{found.lock} all the while", help_)
    elif stronger(found.lock, declared):
        title = f"`{_first_words(statement)}` takes {found.lock}"
        label = f"{'declared' if operation.lock else 'without `lock`, at most'}: {declared}"
        yield _error("MIG418", operation, title, label, f"lock {found.lock.lower()}, if that is what is meant")


def _first_words(statement: Statement) -> str:
    return " ".join(statement.text.split()[:3])


def _error(code: str, operation: RawSql, title: str, label: str, help_: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, title, Label(operation.span, label), help=help_)
