"""A migration that changes no database becomes a status report all the same: its flag, its dates, what people confirm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from migdsl.executor.model import WAITING, Project
from migdsl.plan.phases import ExitCondition
from migdsl.planning.next_move import next_move
from migdsl.planning.release import stage_of_all, stage_rows
from migdsl.semantics.model import STAGES

_REACHED = (("complete", "contract"), ("live", "cutover"), ("shadow", "validate"))
NOBODY = "only a person knows"


def report(project: Project, now: float | None = None) -> dict[str, Any]:
    """What `status --json` prints of it; `now` is a Unix time."""
    today = datetime.fromtimestamp(time.time() if now is None else now, UTC).date()
    place = _reached(project)
    said = [list(row) for row in stage_rows(project.planned.module)]
    phases = project.planned.plan.phases
    asked = [(p.id, c) for p in phases[place:] for c in p.exit_conditions]
    conditions = [_condition(project, phase, each, today) for phase, each in asked]
    return {
        "migration": project.name,
        "phase": phases[place].id,
        "revisions": [],
        "heads": [],
        "phases": [
            {"id": p.id, "name": p.name, "state": _state(n, place), "released": p.released}
            for n, p in enumerate(phases)
        ],
        "backfills": [],
        "quarantine": {},
        "reconciliations": [],
        "stages": {"recorded": [], "file": said},
        "dates": list(_dates(project, today)),
        "conditions": conditions,
        "wrong": [],
        "next": _next(project, phases[place].id, conditions),
    }


def code(found: dict[str, Any]) -> int:
    """The exit code: 4 where something is waited for."""
    return WAITING if found["next"]["waits_for"] else 0


def _state(number: int, place: int) -> str:
    return "now" if number == place else "done" if number < place else "later"


def _reached(project: Project) -> int:
    """The place of the phase that the flag stands for; before anybody has moved, the first one, whatever was done of it."""
    module, ids = project.planned.module, [phase.id for phase in project.planned.plan.phases]
    farthest = max((STAGES.index(line.stage) for line in module.stages), default=0)
    for stage, phase in _REACHED:
        there = stage_of_all(module) == stage if stage == "complete" else farthest >= STAGES.index(stage)
        if there and phase in ids:
            return ids.index(phase)
    return 0


def _dates(project: Project, today: date) -> Iterator[dict[str, object]]:
    """The days that the file names, in their order."""
    found: list[tuple[str, str]] = []
    for api in project.planned.module.apis:
        found += [(api.announce, f"{api.name} is announced")] if api.announce else []
        found += [(d.date, f"{d.version} of {api.name} is deprecated") for d in api.deprecations]
        found += [(s.date, f"{s.version} of {api.name} answers 410") for s in api.sunsets]
        found += [(g.until, f"the grace of {', '.join(g.tenants)} for {api.name} ends") for g in api.graces]
    for day, text in sorted(found):
        yield {"day": day, "text": text, "days": (date.fromisoformat(day) - today).days}


def _condition(project: Project, phase: str, each: ExitCondition, today: date) -> dict[str, object]:
    """What a date can tell is told; all else is for people."""
    days = [api.last_day for api in project.planned.module.apis if each.id == f"day_{api.name}"]
    met = bool(days) and today.isoformat() >= days[0]
    reason = "" if met else f"today is {today}" if days else NOBODY
    until = days[0] if days and not met else ""
    return {
        "id": each.id,
        "phase": phase,
        "kind": "manual",
        "text": each.text,
        "met": met,
        "reason": reason,
        "until": until,
    }


def _next(project: Project, phase: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """The next move of the flag, and all that is to be true before it."""
    move = next_move(project.planned.module, pairs=False, ramps=True)
    ids = list(project.phases)
    target = {"live": "cutover", "complete": "contract"}.get(move[0] if move is not None else "", "")
    before = ids[: ids.index(target)] if target in ids else ids
    # Steps within the ramp wait for their pauses alone: what ends the phase comes after the last.
    waits = [f"{c['id']}: {c['text']}" for c in conditions if c["phase"] in before and not c["met"]]
    if move is None:
        return {"phase": None, "command": f"migdsl finish {project.file}", "waits_for": waits}
    command = f"migdsl rollout {project.named} --stage {move[0]} --for {move[1]}"
    return {"phase": phase, "command": command, "waits_for": waits}
