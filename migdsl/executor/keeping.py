"""A stage that the flag goes back to, and the revisions that have run, become the words that keep those files meanwhile.

Readers leave the new side before its revisions are taken back; the earlier stage releases these no more.
"""

from __future__ import annotations

from collections.abc import Collection

from migdsl.executor.model import Project
from migdsl.planning.release import released
from migdsl.semantics.model import PHASES, StageLine
from migdsl.values import replace

GONE = "in the end compile with --force instead of --through, which takes what was released away"


def farthest_stage(project: Project, phase: str) -> str | None:
    """The farthest that anybody may be at while the database is at `phase`; None from cutover on, where all may."""
    phases = project.phases
    if "cutover" in phases and phases.index(phase) >= phases.index("cutover"):
        return None
    return next(p.flag_stage for p in project.planned.plan.phases if p.id == phase)


def through(project: Project, run: Collection[str], stage: str) -> str:
    """The last of the phases that have `run`, where everybody at `stage` would release it no more; else nothing."""
    module = replace(project.planned.module, stages=(StageLine("all", stage, None, ()),))
    gone = [phase for phase in run if phase not in released(module, project.planned.through)]
    return max(gone, key=PHASES.index, default="")
