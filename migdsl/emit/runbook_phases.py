"""A plan's phases become their part of the runbook: what to know, what happens, what to type, and when to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migdsl.emit.context import EmitContext
from migdsl.plan.phases import Phase
from migdsl.planning.words import agreeing, first_upper, listed
from migdsl.planning.works import Work, works
from migdsl.semantics.model import PHASES

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")
_WHEN = {
    "validate": "the flag stands at shadow for somebody",
    "cutover": "the flag stands at live for somebody",
    "enforce": "the flag stands at live for all",
    "contract": "the flag stands at complete for all",
}
# What queues are called.
ENGINES = {"celery": "Celery", "procrastinate": "Procrastinate"}


def plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def phase_view(context: EmitContext, phase: Phase) -> dict[str, object]:
    """A phase as the template shows it."""
    lasts = phase.id == context.planned.plan.phases[-1].id
    gates = [plain(each.text) for each in phase.exit_conditions if each.kind == "gate"]
    return {
        "id": phase.id,
        "title": plain(phase.name),
        "stage": phase.flag_stage,
        "notes": [text for text in _notes(context, phase) if text],
        "steps": list(_steps(context, phase)),
        "dates": list(_dates(context)) if phase.id == "cutover" else [],
        "commands": list(_commands(context, phase.id)),
        "until": "It is over when" if lasts else "Go on when",
        "exit": [plain(each.text) for each in phase.exit_conditions if each.kind != "gate"],
        "asked_by": _asked_by(context, phase) if gates else "",
        "gates": gates,
    }


def _steps(context: EmitContext, phase: Phase) -> Iterator[str]:
    revisions = {revision.path for revision in context.planned.revisions}
    for step in phase.typed_steps:
        lock = f", {step.lock}" if step.lock else ""
        said = step.artifact in revisions or step.cost != "instant"
        yield plain(step.title) + (f" *({step.cost}{lock})*" if said else "")


def _dates(context: EmitContext) -> Iterator[str]:
    """Who moves when, and what comes on which day, of an API."""
    planned = context.planned
    if planned.module.apis:
        yield from (plain(text) for text in planned.plan.cutover.steps)


def _asked_by(context: EmitContext, phase: Phase) -> str:
    """Who asks for the gates that a phase leaves behind: what the next revision does first."""
    ids = [p.id for p in context.planned.plan.phases]
    following = next(p for p in ids[ids.index(phase.id) + 1 :] if p in PHASES)
    found = works(context.planned, following)
    revisions = [n for n, work in enumerate(found) if work.kind == "upgrade"]
    reconciles = any(work.kind == "reconcile" for work in found[: revisions[0]]) if revisions else False
    first = f"{first_upper(following)} begins with a reconciliation; then " if reconciles else ""
    of = agreeing(len(revisions), "revision asks", "revisions ask")
    its = agreeing(len(revisions), "refuses while one doesn't", "refuse while one doesn't")
    subject = f"its {of}" if first else f"{first_upper(following)}'s {of}"
    return f"{first}{subject} the ledger for these, and {its} hold"


def _notes(context: EmitContext, phase: Phase) -> Iterator[str]:
    """What a person has to know before the first step."""
    planned = context.planned
    deploys = (d for d in planned.plan.timeline.deploys if d.kind == "application" and d.phase == phase.id)
    code = [each.text for each in deploys if phase.id != "validate"]  # there, it is what may come afterwards
    yield plain(f"Deployed before it begins: {'; '.join(map(_within, code))}.") if code else ""
    if not planned.lowered.tables:
        yield plain(planned.plan.cutover.approach) if phase.id == "cutover" else ""
        return
    revisions = [r for r in planned.revisions if r.phase == phase.id]
    if phase.id == "backfill":
        yield _of_jobs(context)
        yield from _of_engines(context)
    if phase.id == "cutover" or (phase.id == "expand" and all(p.id != "cutover" for p in planned.plan.phases)):
        yield plain(planned.plan.cutover.approach)
    if phase.id == "expand" and all(p.id != "cutover" for p in planned.plan.phases):
        yield from (plain(text) for text in planned.plan.cutover.steps)
    if any(step.operation == "stage" for step in phase.typed_steps):
        flag = plain(planned.plan.migration)
        order = ", one stage after the other" if any(p.switched for p in planned.lowered.tables) else ""
        yield f"Each move of the flag {flag} is made as [Moving the flag](#moving-the-flag) says{order}."
    if phase.id == "cutover":
        yield _scheduled(context, phase)
    if phase.id == "contract" and revisions:
        back = "[Rollback](#rollback) says what comes home, and how."
        yield f"After {plain(revisions[0].id)} there is only the slow way back: {back}"
    late = [f"`{each.path}`" for each in revisions if not each.released]
    if late:
        arent, them = agreeing(len(late), "isn't", "aren't"), agreeing(len(late), "it", "them")
        compile_ = f"`migdsl compile {context.source}`"
        yield f"{listed(late)} {arent} written yet: move the flag, as below; {compile_} writes {them} once {_WHEN[phase.id]}."


def _within(text: str) -> str:
    """A text as it goes on behind a colon; names stay as they are spelt."""
    return text[:1].lower() + text[1:] if text.partition(" ")[0] in ("A", "An", "Code", "The", "Your") else text


def _of_jobs(context: EmitContext) -> str:
    entities = [p.table.entity for p in context.planned.lowered.tables if p.fills]
    if len(entities) < 2:
        job = f"The job of {plain(listed(entities))}"
        return f"{job} may be stopped and started at any time. With `--status` it says how far it is."
    return (
        f"The jobs of {plain(listed(entities))} may be stopped and started at any time, and run beside each other. With "
        "`--status` they say how far they are."
    )


def engine_of(context: EmitContext, path: str) -> str:
    """The queue that a backfill's lanes go through; empty where it works them by itself."""
    planned = context.planned
    for plan in planned.lowered.tables:
        if planned.paths.backfill(plan.table) == path:
            said = planned.module.policy.pace(plan.table.entity)
            return said.engine if said and said.engine in ENGINES else ""
    return ""


def _of_engines(context: EmitContext) -> Iterator[str]:
    """How a queue's workers are had on more machines than one."""
    planned = context.planned
    for plan in (p for p in planned.lowered.tables if p.fills):
        path = planned.paths.backfill(plan.table)
        name = ENGINES.get(engine_of(context, path), "")
        if name:
            yield (
                f"Tenants of {plain(plan.table.entity)} are handed over by {name}: `python {path}` queues them and works with "
                f"the others until nothing is open; on each further machine `python {path} --work` does. `--submit` "
                "only queues, and running it again repairs a queue that was lost."
            )


def _scheduled(context: EmitContext, phase: Phase) -> str:
    """What the revision that binds first asks of the time until then."""
    cleaned = [c.id.removeprefix("reconciled_") for c in phase.exit_conditions if c.id.startswith("reconciled_")]
    if not cleaned:
        return ""
    phases = [revision.phase for revision in context.planned.revisions]
    first = "enforce" if "enforce" in phases else "contract"
    return (
        f"Reconcile {plain(listed(cleaned))} on a schedule from now on, every hour say: {first} asks for two clean readings, 24 "
        "hours apart, since everybody is live."
    )


def _commands(context: EmitContext, phase: str) -> Iterator[str]:
    found = works(context.planned, phase)
    upgraded = False
    for work in found:
        upgraded = upgraded or work.kind == "upgrade"
        if work.kind == "carry":
            # A command that runs on would keep those behind it from being typed.
            yield from [f"{work.command} &  # a service of its own, until contract"] if phase == "backfill" else []
        elif work.command:
            yield work.command + _aside(context, work, upgraded=upgraded)


def _aside(context: EmitContext, work: Work, *, upgraded: bool) -> str:
    """Why a command is typed twice, or who works with it."""
    if work.kind == "again":
        return "  # once more: what old code has left empty since"
    if work.kind == "reconcile" and upgraded:
        return "  # again, now over what the revision has made"
    engine = engine_of(context, work.path or "") if work.kind == "backfill" else ""
    return f"  # through {ENGINES[engine]}; further machines: --work" if engine else ""


def preconditions(phases: tuple[Phase, ...]) -> list[str]:
    """What must be so before the first phase, as sentences; each once."""
    found = dict.fromkeys(s.precondition for p in phases for s in p.typed_steps if s.precondition)
    return [plain(first_upper(text) + ".") for text in found]
