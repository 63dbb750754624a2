"""The plan becomes a runbook in Markdown that a person can follow from the first deploy to the last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from migdsl.dialect.names import literal
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.observability import all_alerts, spoken, telemetry
from migdsl.emit.telemetry import runbook_heading
from migdsl.emit.templates import render
from migdsl.plan.phases import Phase
from migdsl.planning import demands
from migdsl.planning.demands import sentence
from migdsl.planning.words import listed
from migdsl.semantics.model import StageLine
from migdsl.semantics.policy import spoken as spoken_condition

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")
_NOTES = {
    "enforce": "The revision checks its gates itself and refuses, with the reason, while one is unmet.",
    "contract": "The revision checks its gates itself and refuses, with the reason, while one is unmet. After it there is "
    "only the slow way back: the old columns are computed again.",
    "backfill": "Jobs may be stopped and started at any time, and run beside each other.",
}


def emit(context: EmitContext) -> Iterator[Artifact]:
    """The runbook."""
    plan, planned = context.planned.plan, context.planned
    header = planned.module.header
    assert header is not None
    alerts = all_alerts(context, telemetry(context))
    view: dict[str, object] = {
        "marker": context.marker,
        "title": plain(plan.title),
        "migration": plan.migration,
        "ticket": plain(plan.ticket_id),
        "owner": plain(header.owner or ""),
        "stages": plain(listed([spoken(line) for line in planned.module.stages]) or "off for all"),
        "source": context.source,
        "source_of_truth": plain(plan.source_of_truth),
        "diagram": list(_diagram(plan.phases)),
        "risk": f"{plan.impact.risk}: {plain(listed(plan.impact.reasons))}",
        "downtime": plain(plan.cutover.downtime_expectation),
        "way_back": plan.impact.rollback_complexity,
        "data": plain(listed([f"{d.tables_or_entities[0]}, {d.volume}, {d.sensitivity}" for d in plan.data_domains])),
        "database_env": _database_env(context),
        "preconditions": [plain(text[0].upper() + text[1:] + ".") for text in _preconditions(plan.phases)],
        "phases": [_phase(context, phase) for phase in plan.phases],
        "record": _record(context),
        "reconciles": [planned.paths.reconcile(p.table) for p in planned.lowered.tables],
        "cutover": {
            "approach": plain(plan.cutover.approach),
            "steps": [plain(s) for s in plan.cutover.steps],
            "aborts": [plain(s) for s in plan.cutover.abort_conditions] or ["a client fails that worked before"],
        },
        "rollback": [
            {"start": w.from_phase, "end": w.to_phase, "keeps": plain(w.keeps), "commands": w.commands}
            for w in plan.rollback.phases
        ],
        "return_when": [plain(spoken_condition(c)) for c in planned.module.policy.returns],
        "return_steps": [plain(sentence(step)) for step in planned.module.policy.return_steps],
        "acceptance": [
            {"criterion": plain(a.criterion), "proofs": plain(listed(a.proven_by)) or "nothing yet"}
            for a in plan.acceptance
        ],
        "alerts": [
            {"heading": runbook_heading(a), "summary": plain(a.summary), "action": plain(a.what_to_do)} for a in alerts
        ],
        "files": list(_files(context)),
    }
    yield Artifact(planned.paths.runbook, render("runbook/runbook.md.j2", view), "runbook")


def plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _diagram(phases: tuple[Phase, ...]) -> Iterator[str]:
    names = [phase.id for phase in phases]
    yield f"[*] --> {names[0]}"
    for before, after in pairwise(names):
        yield f"{before} --> {after}"
        if after != "contract":
            yield f"{after} --> {before}: roll back"
    yield f"{names[-1]} --> [*]"


def _database_env(context: EmitContext) -> str:
    used = [p.table.database for p in context.planned.lowered.tables]
    return context.planned.module.database(used[0]).url_env


def _preconditions(phases: tuple[Phase, ...]) -> list[str]:
    return list(dict.fromkeys(s.precondition for p in phases for s in p.typed_steps if s.precondition))


def _phase(context: EmitContext, phase: Phase) -> dict[str, object]:
    steps = []
    for step in phase.typed_steps:
        lock = f", {step.lock}" if step.lock else ""
        steps.append(
            plain(step.title)
            + (f" *({step.cost}{lock})*" if step.operation not in ("stage", "characterize", "manual") else "")
        )
    return {
        "title": plain(phase.name),
        "stage": phase.flag_stage,
        "note": _NOTES.get(phase.id, ""),
        "steps": steps,
        "commands": list(_commands(context, phase.id)),
        "exit": [plain(text) for text in phase.exit_criteria],
    }


def _commands(context: EmitContext, phase: str) -> Iterator[str]:
    planned = context.planned
    tables = planned.lowered.tables
    filled = [p for p in tables if p.fills]
    if phase == "enforce":
        # What old code wrote as NULL since the backfill must be gone before the constraint comes.
        yield from (f"python {planned.paths.backfill(p.table)} --again" for p in filled)
    if phase in ("enforce", "contract"):
        yield from (f"python {planned.paths.reconcile(p.table)}" for p in tables)
    yield from (f"alembic upgrade {r.id}" for r in planned.revisions if r.phase == phase)
    if phase == "backfill":
        yield from (f"python {planned.paths.backfill(p.table)} --dry-run" for p in filled)
        yield from (f"python {planned.paths.backfill(p.table)}" for p in filled)
    if phase == "validate":
        yield from (f"python {planned.paths.reconcile(p.table)}" for p in tables)
    yield from demands.commands(context.planned.module.policy, phase)


def _record(context: EmitContext) -> str:
    """What stands in the flag block now, as rows: the line for all first, the more specific ones after it."""
    module = context.planned.module
    order = {"all": 0, "percent": 1, "canary": 2, "tenants": 3}
    lines = sorted(module.stages, key=lambda line: order[line.scope])
    if not lines or lines[0].scope != "all":
        lines = [StageLine("all", "off", None, ()), *lines]
    migration = literal(context.planned.plan.migration)
    rows = [(subject, line.stage) for line in lines for subject in _subjects(line)]
    values = ",\n       ".join(f"({migration}, 'stage', {literal(s)}, {literal(stage)})" for s, stage in rows)
    return f"INSERT INTO migdsl.event (migration, kind, subject, value)\nVALUES {values};"


def _subjects(line: StageLine) -> list[str]:
    if line.scope == "tenants":
        return [f"tenant:{tenant}" for tenant in line.tenants]
    return [f"{line.percent}%"] if line.scope == "percent" else [line.scope]


def _files(context: EmitContext) -> Iterator[dict[str, str]]:
    for task in context.planned.plan.implementation_plan:
        for path in task.files_touched:
            yield {"phase": task.phase, "path": path, "when": "now"}
        for path in task.files_later:
            yield {"phase": task.phase, "path": path, "when": "when the flag's stage permits it"}
