"""The plan becomes a runbook in Markdown that a person can follow from the first deploy to the last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from migdsl.dialect.names import literal
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.observability import all_alerts, spoken, telemetry
from migdsl.emit.telemetry import AlertSpec, runbook_heading
from migdsl.emit.templates import render
from migdsl.plan.asked import IntegrationPart, TicketPart
from migdsl.plan.model import DataMigrationPlan
from migdsl.plan.phases import Phase
from migdsl.planning.demands import sentence
from migdsl.planning.release import stage_rows
from migdsl.planning.streams import streams
from migdsl.planning.words import listed
from migdsl.planning.works import works
from migdsl.semantics.policy import spoken as spoken_condition

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")
_NOTES = {
    "enforce": "The revision checks its gates itself and refuses, with the reason, while one is unmet.",
    "contract": "The revision checks its gates itself and refuses, with the reason, while one is unmet. After it there is "
    "only the slow way back: {again}.",
    "backfill": "The jobs of {entities} may be stopped and started at any time, and run beside each other. With `--status` they "
    "say how far they are.",
}
_HOMEWARDS = "End the sync job of {entities} once the first revision has run: it has nothing to carry any more."
_WHEN = {
    "validate": "the flag stands at shadow for somebody",
    "cutover": "the flag stands at live for somebody",
    "enforce": "the flag stands at live for all",
    "contract": "the flag stands at complete for all",
}
_OF_PEOPLE = ("stage", "characterize", "manual")
_SCHEDULED = (
    "Reconcile {entities} on a schedule from now on, every hour say: {binding} asks for two clean readings, 24 hours "
    "apart, since "
    "the last tenant was switched."
)


def emit(context: EmitContext) -> Iterator[Artifact]:
    """The runbook."""
    plan, planned = context.planned.plan, context.planned
    header = planned.module.header
    assert header is not None
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
        "data": plain(listed([f"{d.tables_or_entities[0]}, {d.volume}, {d.sensitivity}" for d in plan.data_domains]))
        or "none is moved",
        "database_env": _database_env(context),
        "tables": bool(planned.lowered.tables),
        "subjects": plain(listed([part.subject for part in planned.beside])),
        "before": [text for part in planned.beside for text in part.before],
        "meanings": [part.stages for part in planned.beside if part.stages],
        "turns": list(_turns(context)),
        "watched": [part.watched for part in planned.beside if part.watched],
        "databases": list(_databases(context)),
        "tenants_env": _tenants_env(context),
        "preconditions": [plain(text[0].upper() + text[1:] + ".") for text in _preconditions(plan.phases)],
        "phases": [_phase(context, phase) for phase in plan.phases],
        "record": _record(context),
        "pairs": any(p.switched and p.moved is None for p in planned.lowered.tables),
        "reconciles": [planned.paths.reconcile(p.table) for p in planned.lowered.tables],
        **_ways(context, plan),
        **_asked(plan),
        "alerts": list(_alerts(context)),
        "files": list(_files(context)),
    }
    yield Artifact(planned.paths.runbook, render("runbook/runbook.md.j2", view), "runbook")


def _ways(context: EmitContext, plan: DataMigrationPlan) -> dict[str, object]:
    """There and back, and what proves that it was worth it."""
    policy = context.planned.module.policy
    return {
        "cutover": {
            "approach": plain(plan.cutover.approach),
            "steps": [plain(s) for s in plan.cutover.steps],
            "aborts": [plain(s) for s in plan.cutover.abort_conditions]
            or [f"a client fails that worked before {plan.migration}"],
        },
        "rollback": [
            {"start": w.from_phase, "end": w.to_phase, "keeps": plain(w.keeps), "commands": w.commands}
            for w in plan.rollback.phases
        ],
        "return_when": [plain(spoken_condition(c)) for c in policy.returns],
        "return_steps": [plain(sentence(step)) for step in policy.return_steps],
        "acceptance": [
            {
                "criterion": plain(f"{a.id}: {a.criterion}" if a.id else a.criterion),
                "proofs": plain(listed(a.proven_by)) or "nothing yet",
            }
            for a in plan.acceptance
        ],
    }


def _alerts(context: EmitContext) -> Iterator[dict[str, str]]:
    for each in all_alerts(context, telemetry(context)):
        action = f"{plain(each.what_to_do)}{_jobs(context, each)}"
        yield {"heading": runbook_heading(each), "summary": plain(each.summary), "action": action}


def _turns(context: EmitContext) -> Iterator[dict[str, object]]:
    """The jobs that turn tenants' writes over to another database."""
    for each in streams(context.planned.lowered.tables):
        owned = each.table.owned
        what = plain(listed(list(each.entities)))
        yield {
            "job": context.planned.paths.sync(each.table),
            "whom": "--tenant ID" if owned else "",
            "owned": owned,
            "what": what,
        }


def _jobs(context: EmitContext, alert: AlertSpec) -> str:
    """The commands of the jobs that an alert's text speaks of."""
    paths, tables = context.planned.paths, context.planned.lowered.tables
    commands = {
        "entity": [f"`python {paths.reconcile(p.table)}`" for p in tables],
        "backfill": [f"`python {paths.backfill(p.table)} --status`" for p in tables if p.fills],
    }.get(alert.subject or "", [])
    if alert.id.startswith("sync_"):
        verb = "dead-letters" if alert.id == "sync_dead_letters" else "status"
        commands = [f"`python {paths.sync(each.table)} {verb}`" for each in streams(tables)]
    about = [plain(each.name) for each in context.planned.module.replacements]
    if not commands:
        return f" It is about {listed(about)}." if about else ""
    return f" Here that is {listed(commands)}."


def _asked(plan: DataMigrationPlan) -> dict[str, object]:
    """What ticket, PRD and integration plan say, for people."""
    ticket, integration = plan.ticket, plan.integration
    return {
        "prd": plain(plan.prd or ""),
        "wish": plain(ticket.description) if ticket else "",
        "priority": ticket.priority if ticket and ticket.priority != "unknown" else "",
        "demands": [plain(text) for text in ticket.non_functionals] if ticket else [],
        "assumptions": [plain(text) for text in ticket.assumptions] if ticket else [],
        "foreseen": [plain(text) for text in dict.fromkeys([*_foreseen(ticket), *_foreseen(integration)])],
        "glossary": [(plain(t.term), plain(t.definition)) for t in ticket.glossary] if ticket else [],
        "partners": [
            {
                "service": plain(p.service),
                "direction": p.direction,
                "where": plain(listed(p.touchpoints)) or "nobody says",
                "data": plain(listed(p.data)),
                "auth": plain(p.auth or ""),
            }
            for p in (integration.systems if integration else ())
        ],
        "elsewhere": [
            {"task": plain(t.task), "owner": t.owner_role, "files": [plain(f) for f in t.files_elsewhere]}
            for t in plan.implementation_plan
            if t.artifact_kind == "integration"
        ],
    }


def _foreseen(part: TicketPart | IntegrationPart | None) -> tuple[str, ...]:
    return part.risks if part is not None else ()


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
    return context.planned.module.database(used[0]).url_env if used else ""


def _databases(context: EmitContext) -> Iterator[dict[str, str]]:
    """Where there are several: their names, the variables with their URLs, and where their revisions are."""
    planned = context.planned
    for name in planned.lowered.databases if len(planned.lowered.databases) > 1 else ():
        folders = [r.path.rsplit("/", 1)[0] for r in planned.revisions if r.database == name]
        yield {"name": plain(name), "env": planned.module.database(name).url_env, "folder": "".join(folders[:1])}


def _tenants_env(context: EmitContext) -> str:
    """The variable of a database that has nothing but the list of tenants; empty where there is none such."""
    planned = context.planned
    listed_in = [planned.module.listed_in(p.table) for p in planned.lowered.tables if p.table.owned]
    return next((d.url_env for d in listed_in if d is not None and d.name not in planned.lowered.databases), "")


def _preconditions(phases: tuple[Phase, ...]) -> list[str]:
    return list(dict.fromkeys(s.precondition for p in phases for s in p.typed_steps if s.precondition))


def _phase(context: EmitContext, phase: Phase) -> dict[str, object]:
    steps = []
    beside = [step.operation for step in context.planned.lowered.beside]
    for step in phase.typed_steps:
        lock = f", {step.lock}" if step.lock else ""
        steps.append(
            plain(step.title) + (f" *({step.cost}{lock})*" if step.operation not in (*_OF_PEOPLE, *beside) else "")
        )
    return {
        "id": phase.id,
        "title": plain(phase.name),
        "stage": phase.flag_stage,
        "note": _note(context, phase),
        "steps": steps,
        "commands": list(_commands(context, phase.id)),
        "exit": [plain(text) for text in phase.exit_criteria],
    }


def _note(context: EmitContext, phase: Phase) -> str:
    """What a person has to know before the first step."""
    found = [_NOTES.get(phase.id, "") if context.planned.lowered.tables else ""]
    if any(each.id.startswith("reconciled_") for each in phase.exit_conditions) and phase.id == "cutover":
        found.append(_SCHEDULED)
    found += [_HOMEWARDS] if phase.id == "contract" and streams(context.planned.lowered.tables) else []
    late = [r for r in context.planned.revisions if r.phase == phase.id and not r.released]
    found += [f"`{r.path}` isn't written yet: `migdsl compile` writes it once {_WHEN[phase.id]}." for r in late]
    tables = context.planned.lowered.tables
    entities, first = plain(listed([p.table.entity for p in tables])), _binds_first(context)
    again = (
        "the old columns are computed again"
        if any(p.moved is None for p in tables)
        else "all rows are carried home again"
    )
    said = {"{entities}": entities, "{again}": again, "{binding}": first}
    for name, text in said.items():
        found = [each.replace(name, text) for each in found]
    return " ".join(text for text in found if text)


def _binds_first(context: EmitContext) -> str:
    """The phase whose revision asks for clean reconciliations first."""
    phases = [revision.phase for revision in context.planned.revisions]
    return "enforce" if "enforce" in phases else "contract"


def _commands(context: EmitContext, phase: str) -> Iterator[str]:
    for work in works(context.planned, phase):
        if work.kind == "carry":
            # A command that runs on would keep those behind it from being typed.
            yield from [f"{work.command} &  # a service of its own, until contract"] if phase == "backfill" else []
        elif work.command:
            yield work.command


def _record(context: EmitContext) -> str:
    """What stands in the flag block now, as rows: the line for all first, the more specific ones after it."""
    migration = literal(context.planned.plan.migration)
    rows = stage_rows(context.planned.module)
    values = ",\n       ".join(f"({migration}, 'stage', {literal(s)}, {literal(stage)})" for s, stage in rows)
    return f"INSERT INTO migdsl.event (migration, kind, subject, value)\nVALUES {values};"


def _files(context: EmitContext) -> Iterator[dict[str, str]]:
    for task in context.planned.plan.implementation_plan:
        for path in task.files_touched:
            yield {"phase": task.phase, "path": path, "when": "now"}
        for path in task.files_later:
            yield {"phase": task.phase, "path": path, "when": "when the flag's stage permits it"}
