"""MIG413: a `from` that fails on some values would make old code's writes fail as soon as the trigger is there."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import walk
from migdsl.semantics.model import AddColumn, CheckedModule

_SAFE_CASTS = frozenset(["text"])
_ROUNDED = ("time", "interval")  # a precision that rounds, and refuses nothing


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """An `add` whose `from` casts a value, divides, or goes into a column of limited length."""
    for change in module.changes:
        for operation in change.operations:
            if not isinstance(operation, AddColumn) or operation.source is None:
                continue
            why = _danger(operation.source.tree)
            if why is None and "(" in operation.column.type.sql and not operation.column.type.base.startswith(_ROUNDED):
                why = f"what doesn't fit into {operation.column.type.sql} is refused"
            if why is not None:
                yield Diagnostic(
                    "MIG413",
                    Severity.WARNING,
                    f"`from` of `{change.table.entity}.{operation.column.name}` may fail on a row",
                    Label(operation.span, why),
                    body="From expand on the trigger computes it for every write of old code, which would fail with it.",
                    help="write it so that it can't fail: CASE WHEN … THEN … END, nullif(x, 0), left(x, 200); or, when no value "
                    'can: allow MIG413 because "…"',
                )


def _danger(tree: Tree) -> str | None:
    for kind, node in walk(tree):
        if kind == "TypeCast" and "A_Const" not in node["arg"]:
            target = node["typeName"]["names"][-1]["String"]["sval"]
            if target not in _SAFE_CASTS:
                return f"the cast to {target} fails where the value isn't one"
        if kind == "A_Expr" and node["kind"] == "AEXPR_OP" and node["name"][-1]["String"]["sval"] in ("/", "%"):
            return "division by zero fails"
    return None
