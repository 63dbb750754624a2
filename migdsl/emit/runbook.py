"""The plan becomes a runbook in Markdown that a person can follow from the first deploy to the last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from migdsl.dialect.names import literal
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.observability import all_alerts, spoken, telemetry
from migdsl.emit.runbook_phases import ENGINES, engine_of, phase_view, plain, preconditions
from migdsl.emit.telemetry import AlertSpec, runbook_heading
from migdsl.emit.templates import render
from migdsl.plan.asked import IntegrationPart, TicketPart
from migdsl.plan.model import DataMigrationPlan
from migdsl.plan.phases import Phase
from migdsl.planning.demands import sentence
from migdsl.planning.facts import Facts
from migdsl.planning.losses import losses
from migdsl.planning.paths import section
from migdsl.planning.release import stage_rows, streams_alone
from migdsl.planning.streams import streams
from migdsl.planning.words import first_upper, listed
from migdsl.semantics.model import PHASES
from migdsl.semantics.policy import spoken as spoken_condition


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
        "through": planned.through or "",
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
        "refused": _refused(context),
        "gated": listed([p for p in ("enforce", "contract") if any(r.phase == p for r in planned.revisions)]),
        "watched": [part.watched for part in planned.beside if part.watched],
        "databases": list(_databases(context)),
        "tenants_env": _tenants_env(context),
        "versions": context.planned.versions if planned.lowered.tables else "",
        "folders": listed([f"`{folder}/`" for folder in _folders(context)]),
        "versions_at": _versions_at(context),
        "engines": list(_engines(context)),
        "preconditions": preconditions(plan.phases),
        "phases": [phase_view(context, phase) for phase in plan.phases],
        "record": _record(context),
        "stage_words": _stage_words(context),
        "pairs": any(p.switched and p.moved is None for p in planned.lowered.tables),
        "reconciles": [planned.paths.reconcile(p.table) for p in planned.lowered.tables],
        **_ways(context, plan),
        **_asked(plan),
        "alerts": list(_alerts(context)),
        "files": list(_files(context)),
    }
    text = re.sub(r"\n{3,}", "\n\n", render("runbook/runbook.md.j2", view))
    yield Artifact(planned.paths.runbook, _typed(text, context), "runbook")


def _typed(text: str, context: EmitContext) -> str:
    """The text with `--through` in each command that compiles the file anew, whoever has said the command."""
    through = context.planned.through
    command = rf"(migdsl (?:apply|compile|rollback|rollout|status) {re.escape(context.source)})(?=[ `\n])"
    return re.sub(command, lambda found: f"{found[1]} --through {through}", text) if through else text


def _ways(context: EmitContext, plan: DataMigrationPlan) -> dict[str, object]:
    """There and back, and what proves that it was worth it."""
    policy, planned = context.planned.module.policy, context.planned
    facts = Facts(planned.module, planned.lowered, planned.paths, frozenset())
    return {
        "aborts": [plain(s) for s in plan.cutover.abort_conditions]
        or [f"A client fails that worked before {plain(plan.migration)}"],
        "rollback": [
            {
                "start": w.from_phase,
                "end": w.to_phase,
                "keeps": plain(w.keeps),
                "commands": w.commands,
                "lose": " --lose" if losses(facts, w.from_phase) else "",
            }
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
        everybody = "; --all instead of --tenant ID takes everybody" if owned else ""
        yield {
            "command": f"python {context.planned.paths.sync(each.table)} switch {'--tenant ID ' if owned else ''}--to new",
            "aside": f"of {plain(listed(list(each.entities)))}; --to old turns back{everybody}",
        }


def _refused(context: EmitContext) -> str:
    """What becomes of a switch that the job refuses."""
    owned = [each.table.owned for each in streams(context.planned.lowered.tables)]
    each = ["a tenant that is refused stays where it was"] if any(owned) else []
    all_ = [] if not owned or all(owned) else ["a switch of all that is refused changes nothing"]
    return f"{first_upper(' and '.join([*each, *all_]))}, with the reason"


def _jobs(context: EmitContext, alert: AlertSpec) -> str:
    """The commands of the jobs that an alert's text speaks of."""
    paths, tables = context.planned.paths, context.planned.lowered.tables
    commands = {
        "entity": [f"`python {paths.reconcile(p.table)}`" for p in tables],
        "backfill": [f"`python {paths.backfill(p.table)} --status`" for p in tables if p.fills],
    }.get(alert.subject or "", [])
    if alert.id.startswith("sync_"):
        verb = {"sync_dead_letters": "dead-letters", "sync_wal_kept": "slot"}.get(alert.id, "status")
        asked = [each for each in streams(tables) if verb != "slot" or each.moved[0].captured]
        commands = [f"`python {paths.sync(each.table)} {verb}`" for each in asked]
    about = [plain(each.name) for each in context.planned.module.replacements]
    if not commands:
        return f" It is about {listed(about)}." if about else ""
    return f" What to type: {listed(commands)}."


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
        yield {
            "name": plain(name),
            "section": section(name),
            "env": planned.module.database(name).url_env,
            "folder": "".join(folders[:1]),
        }


def _stage_words(context: EmitContext) -> str:
    """What stages mean where no column takes the place of another; empty where one does."""
    planned, phases = context.planned, {p.id for p in context.planned.plan.phases}
    if any(p.switched for p in planned.lowered.tables):
        return ""
    if not {"cutover", "enforce", "contract"} & phases:
        flag = planned.plan.migration
        return f"Nothing here waits for the flag {flag}: it may stay off, and code may use the change after expand."
    made = {r.phase for r in planned.revisions}
    then = "enforce" if "enforce" in made else "the swap" if "cutover" in made else "the soak"
    means = ["off", f"live (no running code does any more what it ends: {then} may follow)"]
    if "validate" in made and not streams_alone(planned.module):
        means.insert(1, "shadow (the backfill is done: validate may follow)")
    means += ["complete (what goes may go)"] if "contract" in phases else []
    return (
        f"Of the stages only {listed(means)} mean something here, since no column takes the place of another; the others may be "
        "skipped."
    )


def _folders(context: EmitContext) -> list[str]:
    """Where the commands find their files."""
    planned = context.planned
    paths = [*(r.path for r in planned.revisions), *(planned.paths.reconcile(p.table) for p in planned.lowered.tables)]
    return list(dict.fromkeys(path.rpartition("/")[0] for path in paths if "/" in path))


def _versions_at(context: EmitContext) -> str:
    """Where the revisions are, of one database."""
    return next((r.path.rpartition("/")[0] or "." for r in context.planned.revisions), "")


def _engines(context: EmitContext) -> Iterator[str]:
    """What workers of a queue need that the jobs alone don't."""
    planned = context.planned
    jobs = [planned.paths.backfill(p.table) for p in planned.lowered.tables if p.fills]
    for name in dict.fromkeys(engine for path in jobs if (engine := engine_of(context, path))):
        more = {
            "celery": ", and `CELERY_BROKER_URL` with the broker's address (`redis://…` or `amqp://…`)",
            "procrastinate": ", and a URL that doesn't lead through a pooler of transactions: its queue is beside the ledger",
        }[name]
        yield (
            f"Whoever runs a backfill job through {ENGINES[name]} has `migdsl` with its extra `{name}`{more}. "
            "`--engine local` works without it."
        )


def _tenants_env(context: EmitContext) -> str:
    """The variable of a database that has nothing but the list of tenants; empty where there is none such."""
    planned = context.planned
    listed_in = [planned.module.listed_in(p.table) for p in planned.lowered.tables if p.table.owned]
    return next((d.url_env for d in listed_in if d is not None and d.name not in planned.lowered.databases), "")


def _record(context: EmitContext) -> str:
    """What stands in the flag block now, as rows: the line for all first, the more specific ones after it."""
    migration = literal(context.planned.plan.migration)
    rows = stage_rows(context.planned.module)
    values = ",\n       ".join(f"({migration}, 'stage', {literal(s)}, {literal(stage)})" for s, stage in rows)
    return f"INSERT INTO migdsl.event (migration, kind, subject, value)\nVALUES {values};"


def _files(context: EmitContext) -> Iterator[dict[str, str]]:
    turns = {phase: turn for turn, phase in enumerate(PHASES)}
    for task in sorted(context.planned.plan.implementation_plan, key=lambda task: turns.get(task.phase, len(turns))):
        for path in task.files_touched:
            yield {"phase": task.phase, "path": path, "when": "now"}
        for path in task.files_later:
            yield {"phase": task.phase, "path": path, "when": "when the flag's stage permits it"}
