"""A lowered migration becomes how risky it is, and why: what its operations do, not what people feel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from migdsl.ops.model import Lowered, TablePlan
from migdsl.semantics.model import CheckedModule, DropColumn

Risk = Literal["low", "medium", "high", "critical"]
LEVELS: tuple[Risk, ...] = ("low", "medium", "high", "critical")
_LARGE = 1_000_000


def risk(module: CheckedModule, lowered: Lowered) -> tuple[Risk, list[str]]:
    """The level, and what raised it."""
    found = [*(each for plan in lowered.tables for each in _of_table(module, plan)), *lowered.points]
    points = sum(weight for weight, _ in found)
    return LEVELS[min((points + 1) // 2, 3)], [why for _, why in found] or ["additive only"]


def _of_table(module: CheckedModule, plan: TablePlan) -> Iterator[tuple[int, str]]:
    """What raises the risk, each with its weight."""
    entity, rows = plan.table.entity, plan.table.rows
    change = next(c for c in module.changes if c.table == plan.table)
    # However many reasons there are to say that something can't be taken back, it is one fact.
    yield from ((2 if n == 0 else 0, f"{entity}: irreversible, {why}") for n, why in enumerate(plan.irreversible))
    if any(isinstance(o, DropColumn) for o in change.operations):
        yield 1, f"{entity}: columns go away"
    if plan.fills and (rows is None or rows >= _LARGE):
        yield 1, f"{entity}: {_amount(rows)} to fill"
    if plan.moved is not None and plan.moved.stream == entity:
        yield 1, f"{entity}: rows go to another database, carried by a job"
    if any(c.pii for c in plan.comparisons):
        yield 1, f"{entity}: personal data moves"


def _amount(rows: int | None) -> str:
    if rows is None:
        return "unknown number of rows"
    unit, suffix = (1_000_000_000, "G") if rows >= 1_000_000_000 else (1_000_000, "M")
    return f"~{rows / unit:.3g}{suffix} rows"
