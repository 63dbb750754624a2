"""`enum mood add "ok"`: a label more, at once; PostgreSQL can't take one away."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Step
from migdsl.semantics.model import ExtendEnum

LABELS = 1  # before whatever uses them


def lower(context: Context, operation: ExtendEnum) -> Iterator[Step]:
    """One statement of its own: what uses the label must be another transaction."""
    statement = f"ALTER TYPE {operation.type} ADD VALUE IF NOT EXISTS {literal(operation.label)}"
    if operation.side and operation.neighbour is not None:
        statement += f" {operation.side} {literal(operation.neighbour)}"
    yield Step(
        "expand",
        "add_enum_label",
        f"Let {operation.type} be {literal(operation.label)} too; the label stays when the migration is taken back",
        context.table,
        reversible=False,
        rank=LABELS,
        up=(Alone(statement),),
    )
