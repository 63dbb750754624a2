"""Turns the stage that a process last knew and the one that a flag says now into the stage that may be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from migdsl.runtime.routing.stages import STAGES, Stage, compatible

Verdict = Literal["stays", "moves", "held", "refused"]


@dataclass(frozen=True, slots=True)
class Move:
    """The stage to take. `held`: it isn't yet the one that the flag says; `refused`: it will never be."""

    stage: Stage
    verdict: Verdict


def move(before: Stage, wanted: Stage, elapsed: float, settle: float, *, walking: bool) -> Move:
    """One step of a tenant in one process.

    `elapsed` is the time in seconds since the flag was last seen to say `before`, or, while `walking`, since `before`
    was taken on the way to somewhere else. Each stage has to stand for `settle` seconds before the next may follow, so
    that no process is two stages behind another: a flag that jumps is followed one stage at a time. Nothing leads back
    from `complete`. A way back passes through a stage that writes both sides, where it would otherwise lead from
    reading the new side to writing only the old.
    """
    if wanted == before:
        return Move(before, "stays")
    if before == "complete":
        return Move(before, "refused")
    if walking and elapsed < settle:
        return Move(before, "held")
    if STAGES.index(wanted) > STAGES.index(before):
        return _forward(before, wanted, elapsed, settle, walking=walking)
    if compatible(before, wanted):
        return Move(wanted, "moves")
    return Move("dualwrite", "held")


def _forward(before: Stage, wanted: Stage, elapsed: float, settle: float, *, walking: bool) -> Move:
    start, end = STAGES.index(before), STAGES.index(wanted)
    passed = int(elapsed // settle) if settle > 0 else len(STAGES)
    steps = passed if walking else passed + 1
    reached = STAGES[min(start + steps, end)]
    return Move(reached, "moves" if reached == wanted else "held")
