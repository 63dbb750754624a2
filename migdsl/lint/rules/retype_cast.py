"""MIG422: a `retype` by a plain cast that may fail, lose something, or depend on the session."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.lint.rules.retype_key import known_by, risky
from migdsl.semantics.model import CheckedModule, RetypeColumn
from migdsl.semantics.retypes import references

_TIMES = {"timestamp", "timestamp with time zone"}


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Every `retype` without a `from`, where not each value has one, and only one, of the new type."""
    found = [
        (change, operation)
        for change in module.changes
        for operation in change.operations
        if isinstance(operation, RetypeColumn) and operation.plain and risky(operation)
    ]
    declared = tuple(references(module.tables)) if found else ()
    for change, operation in found:
        # What rows are known by can't be computed either, of which another rule tells.
        if known_by(change, operation, declared) is None:
            yield _diagnostic(change.table.entity, operation)


def _diagnostic(entity: str, operation: RetypeColumn) -> Diagnostic:
    column, to = operation.column, operation.to.type
    shown = f"{entity}.{column.name}"
    follows = f"; it follows `{operation.follows}`, which it references" if operation.follows else ""
    return Diagnostic(
        "MIG422",
        Severity.ERROR,
        f"a cast does not tell what becomes of `{shown}`",
        Label(operation.span, _why(column.type, to) + follows),
        (Label(column.span, f"of type {column.type.sql}"),),
        body="From expand on the new value is computed for each row that is written, by whoever and whatever their session says.",
        help=f"say how: {_way(quote(column.name), column.type, to)}",
    )


def _why(old: SqlType, new: SqlType) -> str:
    if {old.base, new.base} == _TIMES:
        return "which moment is meant depends on the session's time zone"
    if "(" in new.sql or new.base in ("smallint", "integer", "bigint"):
        return f"a value may not fit into {new.sql}"
    return f"not every {old.sql} is sure to be a {new.sql} of its own"


def _way(column: str, old: SqlType, new: SqlType) -> str:
    if {old.base, new.base} == _TIMES:
        return f"from `{column} AT TIME ZONE 'UTC'` and back `{column} AT TIME ZONE 'UTC'`, or whichever zone it is"
    if new.base == "character varying" and new.sql.endswith(")"):
        length = new.sql.partition("(")[2].rstrip(")")
        return f"from `left({column}, {length})`, if that is what shall become of longer ones"
    if new.base in ("json", "jsonb", "xml"):
        return f"from `{column}::{new.sql}`; rows that can't be converted are reported, and the swap waits for them"
    return f"from `{column}::{new.sql}`; rows for which it fails are reported, and the swap waits for them"
