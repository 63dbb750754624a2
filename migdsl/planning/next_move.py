"""Where a flag stands becomes the next move of its rollout: the canary before the shares, these before everybody."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.semantics.model import STAGES, CheckedModule


def next_move(module: CheckedModule, *, pairs: bool, ramps: bool = False) -> tuple[str, str] | None:
    """The stage, and for whom, as `rollout` takes them; None where everybody is complete.

    `pairs`: old and new columns live side by side, so that every stage has something to prove. `ramps`: what is no table
    moves step by step.
    """
    for stage, audience in _order(module, pairs, ramps):
        if _stands(module, audience) < STAGES.index(stage):
            return stage, audience
    return None


def _order(module: CheckedModule, pairs: bool, ramps: bool) -> Iterator[tuple[str, str]]:
    if not pairs and not ramps:
        yield from (("live", "all"), ("complete", "all"))
        return
    canary = ["canary"] if module.rollout.canary else []
    shares = [f"{step:g}%" for step in module.rollout.steps if step is not None and step < 100]
    if pairs:
        yield "dualwrite", "all"
        yield from (("shadow", audience) for audience in (*canary, "all"))
    yield from (("live", audience) for audience in (*canary, *shares, "all"))
    if pairs:
        yield "rampdown", "all"
    yield "complete", "all"


def _stands(module: CheckedModule, audience: str) -> int:
    """The stage of an audience: of a share that of the narrowest line that takes all of it in."""
    found = [STAGES.index(line.stage) for line in module.stages if _takes_in(line.scope, line.percent, audience)]
    if audience == "all":
        # Nobody may be left behind by a line of their own.
        return min([*(STAGES.index(line.stage) for line in module.stages), *([] if found else [0])])
    return max(found, default=0)


def _takes_in(scope: str, percent: str | None, audience: str) -> bool:
    if scope in ("all", audience):
        return True
    return scope == "percent" and audience.endswith("%") and float(percent or 0) >= float(audience[:-1])
