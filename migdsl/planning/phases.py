"""Lowered steps become the phases of the plan: sentences for people, typed steps and conditions for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.ops import walkable
from migdsl.ops.model import Cost, Step, TablePlan
from migdsl.ops.pins import pinned, pinned_tables
from migdsl.plan.phases import ExitCondition, Phase, PhaseId, StageName, Truth, TypedStep
from migdsl.planning import copies, demands, documents, estimates, moves, streaming
from migdsl.planning.beside import artifact
from migdsl.planning.facts import Facts, new_side, old_side, sides
from migdsl.planning.habits import bound_habits, one_clause, taken_away, unlearnt
from migdsl.planning.leaving import exits
from migdsl.planning.model import Revision
from migdsl.planning.paths import Paths
from migdsl.planning.release import passed
from migdsl.planning.streams import Stream, streams
from migdsl.planning.words import duration, first_upper, listed

_AT_MOST: dict[PhaseId, StageName] = {
    "prepare": "off",
    "expand": "dualwrite",
    "backfill": "dualwrite",
    "validate": "live",
    "cutover": "rampdown",
    "enforce": "rampdown",
    "contract": "complete",
}
_CARRIED_FIRST = ("backfill", "cutover")  # where a stream's part is begun with, or goes along with each step
_NAMES = {
    "prepare": "Prepare: watch before anything changes",
    "expand": "Expand: make room for the new beside the old",
    "backfill": "Backfill: carry the rows from before over",
    "validate": "Validate: prove that old and new agree",
    "cutover": "Cutover: move tenants, few at first",
    "enforce": "Enforce: bind everybody to the new constraints",
    "contract": "Contract: take the old away",
}


def phases(facts: Facts, revisions: tuple[Revision, ...]) -> tuple[Phase, ...]:
    """The phases that have a step, in order."""
    typed = {p: tuple(_numbered(p, _steps(facts, p, revisions))) for p in _AT_MOST}
    names: list[PhaseId] = [phase for phase in _AT_MOST if typed[phase]]
    return tuple(
        _phase(facts, phase, typed[phase], tuple(exits(facts, phase, following)))
        for phase, following in zip(names, [*names[1:], None], strict=True)
    )


def _steps(facts: Facts, phase: PhaseId, revisions: tuple[Revision, ...]) -> list[TypedStep]:
    return [
        *(_told(facts, phase, streaming.steps) if phase in _CARRIED_FIRST else ()),
        *_people(facts, phase),
        *_told(facts, phase, streaming.late),
        *_beside(facts, phase),
        *_revision_steps(phase, revisions),
        *(_told(facts, phase, streaming.steps) if phase not in _CARRIED_FIRST else ()),
        *_copies(facts, phase),
        *(_estimated(facts, step) for step in demands.manual_steps(facts, phase)),
    ]


def _copies(facts: Facts, phase: str) -> Iterator[TypedStep]:
    """What others fill, and tables will point at."""
    for stream in streams(facts.tables) if phase == "expand" else ():
        for title in copies.steps(facts.module, stream):
            yield _estimated(facts, _step("manual", title, None))


def _told(
    facts: Facts, phase: str, of: Callable[[Paths, Stream, str], Iterator[streaming.Told]]
) -> Iterator[TypedStep]:
    """What is done for streams between databases."""
    for stream in streams(facts.tables):
        for each in of(facts.paths, stream, phase):
            yield _estimated(facts, _step(each.operation, each.title, each.path, cost=each.cost))


def _phase(facts: Facts, phase: PhaseId, typed: tuple[TypedStep, ...], conditions: tuple[ExitCondition, ...]) -> Phase:
    return Phase(
        id=phase,
        name=_name(facts, phase),
        flag_stage=_AT_MOST[phase],
        steps=tuple(t.title for t in typed),
        typed_steps=typed,
        exit_criteria=tuple(c.text for c in conditions),
        exit_conditions=conditions,
        source_of_truth=tuple(_truths(facts)),
        soak_seconds=facts.longest_soak if phase == "contract" else None,
        estimate_seconds=estimates.total(tuple(t.estimate_seconds for t in typed)),
        wait_seconds=sum(s.wait_seconds for s in moves.rollout(facts)) if phase == "cutover" else 0,
        released=phase in facts.released or not facts.tables,
        passed=phase in facts.released and phase in passed(facts.module),
    )


def _name(facts: Facts, phase: PhaseId) -> str:
    if phase == "cutover" and facts.tables and not facts.pairs:
        return (
            "Cutover: swap, for everybody at once"
            if facts.swaps
            else (
                "Cutover: let go of the old, everybody at once"
                if facts.soak_seconds is not None
                else "Cutover: see that nobody breaks what is going to bind"
            )
        )
    if phase == "enforce" and facts.tables and all(plan.leaves for plan in facts.tables):
        return "Enforce: set aside what goes"
    if phase == "cutover" and facts.at_once and facts.ramps:
        return "Cutover: move everybody at once"
    if phase == "cutover" and facts.whom == "request" and facts.ramps:
        return f"Cutover: move {'requests' if facts.tables else 'clients'}, few at first"
    if (
        facts.tables
        and phase in ("enforce", "contract")
        and not facts.lowered.phase(phase)
        and not _people(facts, phase)
    ):
        return f"{phase.capitalize()}: what people do; nothing in a database waits for it"
    return _NAMES[phase]


def _numbered(phase: PhaseId, steps: list[TypedStep]) -> Iterator[TypedStep]:
    for number, step in enumerate(steps, 1):
        yield step.model_copy(update={"id": f"{phase}.{number}"})


def _step(
    operation: str, title: str, artifact: str | None, table: str | None = None, cost: str = "instant"
) -> TypedStep:
    return TypedStep(
        id="", operation=operation, title=title, table=table, lock="", cost=cost, reversible=True, artifact=artifact
    )


def _revision_steps(phase: str, revisions: tuple[Revision, ...]) -> Iterator[TypedStep]:
    for revision in revisions:
        if revision.phase == phase:
            # A step without a way up only happens on the way back, which the rollback section tells.
            yield from (_typed(step, revision.path) for step in revision.steps if step.up)


def _beside(facts: Facts, phase: str) -> Iterator[TypedStep]:
    """The steps of what is no table."""
    for step in (s for s in facts.lowered.beside if s.phase == phase):
        yield _typed(step, artifact(facts.beside, step))


def _typed(step: Step, path: str | None) -> TypedStep:
    return TypedStep(
        id="",
        operation=step.operation,
        title=step.title,
        table=f"{step.table.schema}.{step.table.name}" if step.table else None,
        lock=step.lock.value,
        cost=step.cost.value,
        reversible=step.reversible,
        artifact=path,
        precondition=step.precondition,
        estimate_seconds=estimates.of_step(step),
    )


def _people(facts: Facts, phase: PhaseId) -> list[TypedStep]:
    """The steps of a phase that are no DDL."""
    rule = _PEOPLE.get(phase)
    return [_estimated(facts, step) for step in rule(facts)] if rule else []


def _estimated(facts: Facts, step: TypedStep) -> TypedStep:
    rows = {f"{t.schema}.{t.name}": t.rows for t in facts.touched}
    found = estimates.of_cost(Cost(step.cost), rows.get(step.table or ""))
    return step.model_copy(update={"estimate_seconds": found})


def _prepare(facts: Facts) -> Iterator[TypedStep]:
    paths = facts.paths
    yield _step("deploy_alerts", f"Deploy the dashboard and the alerts of {facts.migration}", paths.alerts)
    yield _step("deploy_flag", f"Deploy the flag {facts.migration}, off for all", paths.flags)
    yield from (_step("manual", text, None) for text in documents.contracts(facts))
    for table in pinned_tables(facts.lowered):
        for look in pinned(table):
            title = f"Pin what {table.entity}.{look.column} does today ({look.note})"
            yield _step("characterize", title, paths.characterization(table), f"{table.schema}.{table.name}")


def _backfill(facts: Facts) -> Iterator[TypedStep]:
    for plan in facts.tables:
        if plan.fills:
            columns = listed([f.column for f in plan.fills])
            each = "tenant by tenant, " if plan.table.owned else ""
            title = f"Fill {plan.table.entity}.{columns} of the rows from before, {each}in batches that can stop at any time"
            read = plan.origin.table if plan.origin is not None else plan.table
            if plan.origin is not None:
                title = (
                    f"Insert into {sides(plan)[1]} what the rows of {sides(plan)[0]} give ({columns}), {each}in batches that can "
                    "stop at any time"
                )
            if plan.moved is not None:
                title = (
                    f"Put the keys of the rows that {sides(plan)[0]} had before into its outbox, {each}in batches that "
                    "can stop at any "
                    "time"
                )
            table = f"{read.schema}.{read.name}"
            yield _step("backfill", title, facts.paths.backfill(plan.table), table, "batches")


def _validate(facts: Facts) -> Iterator[TypedStep]:
    for plan in facts.tables:
        what = listed([c.column for c in plan.comparisons]) or "the rows"
        title = f"Reconcile {plan.table.entity}: {_looked_at(plan)}"
        if plan.origin is not None:
            came, goes = sides(plan)
            title = f"Reconcile {goes} with {came}: rows missing, too many, or other in {what}"
        table = f"{plan.table.schema}.{plan.table.name}"
        step = _step("reconcile", title, facts.paths.reconcile(plan.table), table, "scan")
        wanted = _new_code_first(plan) if plan.unfollowed else _led_to(plan)
        yield step.model_copy(update={"precondition": wanted}) if wanted else step


def _led_to(plan: TablePlan) -> str | None:
    """Batches have an index that expand builds; what is asked of a whole tenant has only those that are there."""
    table = plan.table
    if plan.fills or not plan.violations or table.scope != "tenant" or walkable.led(table):
        return None
    return (
        f"an index of {table.schema}.{table.name} begins with {table.tenant}, or it is small: without one the reconciliation of"
        f" {table.entity} reads all of it for each tenant, to find what would break a constraint to come"
    )


def _new_code_first(plan: TablePlan) -> str:
    """Rows that no trigger fills keep a table from ever being right: how it comes to be."""
    columns = listed([f"{plan.table.entity}.{name}" for name in plan.unfollowed])
    return (
        f"no running code leaves {columns} empty any more (new code is there for everybody, or the column has a default): no "
        "trigger fills such rows, and each of them keeps validate from being reached until the backfill runs with --again"
    )


def _looked_at(plan: TablePlan) -> str:
    """What the reconciliation of a table that is no copy looks at."""
    if plan.leaves:
        return f"count who still writes {plan.table.name}"
    if not plan.two_sided:
        asked = ["count the rows whose tenant the list leaves out"] if plan.table.owned else []
        asked += ["look for violations"] if plan.violations else []
        return "; ".join(asked) or "nothing of it has two sides"
    what = listed([c.column for c in plan.comparisons]) or "the rows"
    return f"compare {what} with what the other side gives, and look for violations"


def _cutover(facts: Facts) -> Iterator[TypedStep]:
    rollout = facts.module.rollout
    flag, whom = facts.paths.flags, facts.whom
    if facts.swaps and not facts.pairs:
        first = _first_upper_listed([_can_hold(facts), *_none_binds(facts)])
        yield _step("stage", f"{first}, move {facts.everybody} to live: the swap is released", flag)
        return
    if not facts.pairs:
        if facts.tables and (facts.soak_seconds is not None or "enforce" in facts.phases):
            yield _step("stage", f"Once no running code {unlearnt(facts)}, move {facts.everybody} to live", flag)
        return
    through = f"through dualwrite and shadow to live on {_new_names(facts)}"
    watch = f"then watch for {duration(rollout.every_seconds)}"
    if rollout.canary:
        who = listed(list(rollout.canary))
        named = f"the canary {who}" if len(rollout.canary) == 1 else f"the canaries {who}"
        yield _step("stage", f"Move {named} {through}, {watch}", flag)
    before = [*([_can_hold(facts)] if facts.swaps else []), *_none_binds(facts)]
    for step in rollout.steps:
        if step is not None:
            everybody = facts.everybody if step == 100 else f"{step:g}% of the {whom}s"
            move = f"{_first_upper_listed(before)}, move" if step == 100 and before else "Move"
            yield _step("stage", f"{move} {everybody} {through}, {watch}", flag)
    yield _step("stage", f"Move {facts.everybody} to rampdown: reads come from {_new_names(facts)} alone", flag)


def _can_hold(facts: Facts) -> str:
    return f"once all code can hold the new values of {listed(facts.swaps)}"


def _none_binds(facts: Facts) -> list[str]:
    """What must be true of old code before everybody is live, beside what moves with the flag."""
    habits = bound_habits(facts)
    return [f"once no running code {one_clause(habits)}"] if habits else []


def _first_upper_listed(parts: list[str]) -> str:
    return first_upper(listed(parts))


def _contract(facts: Facts) -> Iterator[TypedStep]:
    if facts.soak_seconds is not None:
        soak, gone = duration(facts.soak_seconds), taken_away(facts)
        title = f"After the soak of {soak}, move {facts.everybody} to complete: {gone} can go"
        yield _step("stage", title, facts.paths.flags)


def _new_names(facts: Facts) -> str:
    return listed([new_side(p) for p in facts.tables if p.switched])


_PEOPLE: dict[PhaseId, Callable[[Facts], Iterator[TypedStep]]] = {
    "prepare": _prepare,
    "backfill": _backfill,
    "validate": _validate,
    "cutover": _cutover,
    "contract": _contract,
}


def _truths(facts: Facts) -> Iterator[Truth]:
    for plan in facts.tables:
        if not plan.switched:
            continue
        old, new = old_side(plan, facts.change(plan)), new_side(plan)
        for stage in ("off", "dualwrite", "shadow"):
            yield Truth(entity=plan.table.entity, stage=stage, system=old)
        for stage in ("live", "rampdown", "complete"):
            yield Truth(entity=plan.table.entity, stage=stage, system=new)
    for part in facts.beside:
        yield from (Truth(entity=part.subject, stage=stage, system=system) for stage, system in part.truths)
