"""MIG434: what is asked of a column that Python alone can compute, and only SQL could give."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import AddColumn, AddConstraint, Change, CheckedModule, Python, RequireColumn
from migdsl.source import Span


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """`complies` and `back` of such a column, and `complies` of a constraint on one."""
    for change in module.changes:
        for operation in change.operations:
            if isinstance(operation, AddColumn | RequireColumn) and operation.python is not None:
                yield from _column(change, operation, operation.python)


def _column(change: Change, operation: AddColumn | RequireColumn, python: Python) -> Iterator[Diagnostic]:
    name = f"{change.table.entity}.{operation.column.name}"
    if operation.complies is not None:
        yield _complies(name, operation.span, python)
    bound = (o for o in change.operations if isinstance(o, AddConstraint) and o.complies is not None)
    for other in bound if isinstance(operation, AddColumn) else ():
        if operation.column.name in other.constraint.uses:
            yield _complies(name, other.span, python)
    for back in operation.backs if isinstance(operation, AddColumn) else ():
        yield Diagnostic(
            "MIG434",
            Severity.ERROR,
            f"`{name}` is computed by Python, and nothing can prove a way back from it",
            Label(back.span, "no trigger could tell whether the two agree"),
            (Label(python.span, "computed here"),),
            body="A pair of columns is kept equal by from(back(x)) = x, which the database asks in each write. "
            "It can't ask Python.",
            help="leave `back` out and keep the old column; where it is dropped, give the drop its own `back`",
        )


def _complies(name: str, span: Span, python: Python) -> Diagnostic:
    return Diagnostic(
        "MIG434",
        Severity.ERROR,
        f"old code can't comply with a rule on `{name}`, which only Python computes",
        Label(span, "would bind old code"),
        (Label(python.span, "no trigger can compute it for old code"),),
        body="Old code knows nothing of the column, so that each of its rows lacks a value until the backfill has run once "
        "more. A rule that binds before old code is gone would fail its writes.",
        help="leave `complies` out: the rule then waits for enforce",
    )
