"""Where the rollout stands becomes the phases whose files may be written now.

Enforce and contract bind everybody, so the tenant that is least far decides; validate and cutover serve those that are
ahead, so the one that is farthest decides.
"""

from __future__ import annotations

from migdsl.semantics.model import PHASES, STAGES, CheckedModule, CreateTable, StageLine

_FIRST_STAGE = {"prepare": "off", "expand": "off", "backfill": "off", "validate": "shadow", "cutover": "live"}
_LEAST_STAGE = {"enforce": "live", "contract": "complete"}


def released(module: CheckedModule, through: str | None = None) -> frozenset[str]:
    """The phases whose revisions are written; `through` (or the header's) says it outright."""
    said = through or (module.header.through if module.header else None)
    if said is not None:
        return frozenset(PHASES[: PHASES.index(said) + 1])
    farthest, least = _reach(module)
    found = {phase for phase, stage in _FIRST_STAGE.items() if farthest >= STAGES.index(stage)}
    if streams_alone(module):
        found.add("validate")  # nobody writes the tables that it binds, but a job
    return frozenset(found | {phase for phase, stage in _LEAST_STAGE.items() if least >= STAGES.index(stage)})


def streams_alone(module: CheckedModule) -> bool:
    """Whether all that changes are tables that go to another database."""
    operations = [o for change in module.changes for o in change.operations]
    moves = (o.move if isinstance(o, CreateTable) else None for o in operations)
    return bool(operations) and all(move is not None and move.across for move in moves)


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


def least_stage(module: CheckedModule) -> str:
    """The stage of whoever is least far."""
    return STAGES[_reach(module)[1]]


def stage_of_all(module: CheckedModule) -> str:
    """The stage of the flag's line for all."""
    return next((line.stage for line in module.stages if line.scope == "all"), "off")


_WIDEST_FIRST = ("all", "percent", "canary", "tenants")


def stage_rows(module: CheckedModule) -> tuple[tuple[str, str], ...]:
    """The flag block as the ledger records it, (subject, stage): the line for all first, the more specific ones after it."""
    lines = sorted(module.stages, key=lambda line: _WIDEST_FIRST.index(line.scope))
    if not lines or lines[0].scope != "all":
        lines = [StageLine("all", "off", None, ()), *lines]
    return tuple((subject, line.stage) for line in lines for subject in _subjects(line))


def _subjects(line: StageLine) -> list[str]:
    if line.scope == "tenants":
        return [f"tenant:{tenant}" for tenant in line.tenants]
    return [f"{line.percent}%"] if line.scope == "percent" else [line.scope]
