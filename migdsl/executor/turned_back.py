"""What the ledgers remember of flag and walks becomes the command that goes on backwards, where the last move was one back."""

from __future__ import annotations

from migdsl.executor.keeping import farthest_stage
from migdsl.executor.model import Project
from migdsl.executor.sites import Now, Sites
from migdsl.semantics.model import STAGES


def way_back(sites: Sites, now: Now) -> str | None:
    """The way back as far as the stages let it go; None where the migration goes forward, or nothing is left to take back.

    A flag that was moved back is mostly the first half of a way back, and to go forward would undo it.
    """
    project = sites.project
    if not any(place.applied | place.broken for place in now.places):
        return None
    if not any(site.ledger.lowered() for site in sites.all) and not _walked_back(now):
        return None
    most = max((STAGES.index(stage) for site in sites.all for _, stage in site.ledger.stages()), default=0)
    phase = next((p for p in project.phases[: now.farthest(project)] if _permits(project, p, most)), None)
    return f"migdsl rollback {project.named} --to {phase}" if phase is not None else None


def _permits(project: Project, phase: str, stage: int) -> bool:
    """Whether the database may be at a phase while somebody is at a stage."""
    most = farthest_stage(project, phase)
    return most is None or STAGES.index(most) >= stage


def _walked_back(now: Now) -> bool:
    """Whether the newest step of a walk was one back, in any of the databases."""
    for place in now.places:
        steps = [(event.id, kind) for (kind, _), event in place.events.items() if kind in ("apply", "rollback")]
        if steps and max(steps)[1] == "rollback":
            return True
    return False
