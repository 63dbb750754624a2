"""Where the rollout stands becomes the phases whose files may be written now.

Enforce and contract bind everybody, so the tenant that is least far decides; validate and cutover serve those that are
ahead, so the one that is farthest decides.
"""

from __future__ import annotations

from migdsl.semantics.model import PHASES, STAGES, CheckedModule

_FIRST_STAGE = {"prepare": "off", "expand": "off", "backfill": "off", "validate": "shadow", "cutover": "live"}
_LEAST_STAGE = {"enforce": "live", "contract": "complete"}


def released(module: CheckedModule, through: str | None = None) -> frozenset[str]:
    """The phases whose revisions are written; `through` (or the header's) says it outright."""
    said = through or (module.header.through if module.header else None)
    if said is not None:
        return frozenset(PHASES[: PHASES.index(said) + 1])
    farthest, least = _reach(module)
    found = {phase for phase, stage in _FIRST_STAGE.items() if farthest >= STAGES.index(stage)}
    return frozenset(found | {phase for phase, stage in _LEAST_STAGE.items() if least >= STAGES.index(stage)})


def passed(module: CheckedModule) -> frozenset[str]:
    """The phases that the flag has left behind: it stands further than the stage that released them, so they have run."""
    farthest, least = _reach(module)
    found = {phase for phase, stage in _FIRST_STAGE.items() if farthest > STAGES.index(stage)}
    return frozenset(found | {phase for phase, stage in _LEAST_STAGE.items() if least > STAGES.index(stage)})


def _reach(module: CheckedModule) -> tuple[int, int]:
    """The farthest stage of anybody, and the least; whom no line names is off."""
    stages = [STAGES.index(line.stage) for line in module.stages]
    if not any(line.scope == "all" for line in module.stages):
        stages.append(0)
    return max(stages), min(stages)


def stage_of_all(module: CheckedModule) -> str:
    """The stage of the flag's line for all."""
    return next((line.stage for line in module.stages if line.scope == "all"), "off")
