"""MIG455: a key by which rows are told apart in two databases, and of which equal values may be spelt otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.spelling import unlike
from migdsl.dialect.types import SqlType, lossless
from migdsl.semantics.model import CheckedModule, Column
from migdsl.semantics.move_model import Move
from migdsl.semantics.problems import written

_BODY = (
    "Across databases a row goes by the text of its key, and a tenant by the text of its name: outbox, lanes, fence and "
    "reconciliation know no other. A value that is spelt otherwise and is equal would be one row for the one, and two for the "
    "other."
)


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """The columns of the key, and the tenant's, of each table that goes to another database."""
    for move in (m for m in module.moves if m.across):
        for column in move.table.columns:
            why = unlike(column.type) if column.name in move.table.key or column.tenant else None
            if why is not None:
                yield _said(move, column, why)


def _said(move: Move, column: Column, why: str) -> Diagnostic:
    entity, what = move.table.entity, "tenant" if column.tenant else "key"
    to, name = _OTHER.get(column.type.base, "bigint, uuid or text"), written(column.name, folds=True)
    help_ = (
        f"give it a type of which each value has one text, before: change {written(entity)} {{ retype {name} text }}"
    )
    if not lossless(column.type, SqlType("text", "text")):
        help_ = f"have a key of {to}, before: add a column beside it (add … {{ from `…` }}), and make that the key (key (…)), "
        help_ += "each in a migration of its own"
    return Diagnostic(
        "MIG455",
        Severity.ERROR,
        f"rows of `{entity}` can't be told apart in two databases by `{column.name}`, which is {column.type.sql}",
        Label(column.span, f"{why}, and it is the {what}"),
        (Label(move.target.span, "moves to another database"),),
        body=_BODY,
        help=help_,
    )


_OTHER = {"citext": "text", "numeric": "bigint, or of numeric with digits"}
