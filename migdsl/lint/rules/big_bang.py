"""MIG501: everybody at once."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.semantics.model import AddColumn, CheckedModule, RequireColumn


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A ramp of one step, in a migration that moves data."""
    steps = [s for s in module.rollout.steps if s is not None]
    alone = len(module.rollout.steps) == 1 and steps == [100.0]
    moves = any(isinstance(o, AddColumn | RequireColumn) and o.filled for c in module.changes for o in c.operations)
    # What belongs to no tenant turns over in another database at once, whoever ramps.
    moves = moves or any(move.table.owned or not move.across for move in module.moves)
    if alone and (moves or module.replacements) and module.header is not None:
        place = module.rollout.steps_span
        yield Diagnostic(
            "MIG501",
            Severity.ERROR,
            "the rollout goes straight to everybody",
            Label(module.header.span, "its ramp is 100% at once"),
            body="If the new code is wrong, every tenant sees it at the same time, and rollback is a race.",
            help="cutover { ramp 1%, 10%, 50%, 100% every 24h }",
            fix=(
                fixes.replacing(place, "1%, 10%, 50%, 100%", "the default: 1%, 10%, 50%, 100%", safe=False)
                if place
                else None
            ),
        )
