"""A plan's rollback becomes its ways back, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.plan import DataMigrationPlan
from migdsl.report.parts import Command
from migdsl.report.words import duration
from migdsl.values import Value


class WayBack(Value):
    """The way out of a phase: what is kept, for how long it stays open, and what to run."""

    id: str
    heading: str
    keeps: str
    open: str
    command: Command | None


def ways_back(plan: DataMigrationPlan) -> Iterator[WayBack]:
    """Each way back, the last phase's first, as one would go."""
    for way in plan.rollback.phases:
        name = f"From {way.from_phase} back to {way.to_phase}"
        kept = f"Open for {duration(way.kept_for_seconds)}." if way.kept_for_seconds else ""
        command = Command(name, way.commands) if way.commands else None
        yield WayBack(f"back-{way.from_phase}", name, way.keeps, kept, command)
