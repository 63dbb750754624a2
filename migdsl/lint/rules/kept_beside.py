"""MIG435: a required column stays, and `back` gives new code's rows a value for it only until contract."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.ops.pairs import inputs_of
from migdsl.semantics.model import (
    AddColumn,
    Back,
    Change,
    CheckedModule,
    Column,
    DropColumn,
    OptionalColumn,
    SetDefault,
)
from migdsl.semantics.problems import written


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A `back` into a NOT NULL column without a default, which nothing drops or makes optional."""
    for change in module.changes:
        for operation in (o for o in change.operations if isinstance(o, AddColumn)):
            for back in _backs(change, operation):
                old = change.table.column(back.column)
                if old is not None and _needs_value(change, old):
                    yield _diagnostic(change, operation.column.name, back, old)


def _backs(change: Change, operation: AddColumn) -> Iterator[Back]:
    """Those that a trigger computes: where `from` doesn't read the column, MIG412 says so."""
    read = inputs_of(change.table, operation.source) if operation.source is not None else ()
    return (back for back in operation.backs if back.column in read)


def _needs_value(change: Change, column: Column) -> bool:
    """Whether an INSERT has to give it a value when the migration is over."""
    changing = (o for o in change.operations if isinstance(o, DropColumn | OptionalColumn | SetDefault))
    operations = [o for o in changing if o.column.name == column.name]
    if column.nullable or any(isinstance(o, DropColumn | OptionalColumn) for o in operations):
        return False
    default = next((o.default for o in operations if isinstance(o, SetDefault)), column.default)
    return default is None and column.identity is None and not column.type.serial


def _diagnostic(change: Change, new: str, back: Back, old: Column) -> Diagnostic:
    name = written(old.name, folds=True)
    return Diagnostic(
        "MIG435",
        Severity.WARNING,
        f"`{change.table.entity}.{old.name}` stays, and INSERTs that leave it out work only until contract",
        Label(back.span, "computed by a trigger, which goes in contract"),
        (Label(old.span, "required, without a default"),),
        body="Once the trigger has gone, an INSERT of new code fails unless it gives the column a value itself; until then "
        f"`{new}` has the last word of what stands there.",
        help=f"drop {name} in this migration; or let new code write it too, until a later migration drops it, and say so: "
        'allow MIG435 because "…"',
    )
