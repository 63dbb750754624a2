"""Lowered steps become the phases of the plan: sentences for people, typed steps and conditions for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.ops.gates import WINDOW_SECONDS
from migdsl.ops.model import Cost, Gate, Step, TablePlan
from migdsl.ops.pins import pinned, pinned_tables
from migdsl.plan.phases import ExitCondition, Phase, PhaseId, StageName, Truth, TypedStep
from migdsl.planning import demands, documents, estimates, moves, streaming
from migdsl.planning.beside import artifact
from migdsl.planning.facts import Facts, new_side, old_side, sides, summary
from migdsl.planning.habits import taken_away, unlearnt
from migdsl.planning.model import Revision
from migdsl.planning.paths import Paths
from migdsl.planning.release import passed
from migdsl.planning.streams import Stream, streams
from migdsl.planning.words import duration, listed
from migdsl.semantics.model import AddColumn

_AT_MOST: dict[PhaseId, StageName] = {
    "prepare": "off",
    "expand": "dualwrite",
    "backfill": "dualwrite",
    "validate": "live",
    "cutover": "rampdown",
    "enforce": "rampdown",
    "contract": "complete",
}
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
        _phase(facts, phase, typed[phase], tuple(_conditions(facts, phase, following)))
        for phase, following in zip(names, [*names[1:], None], strict=True)
    )


def _steps(facts: Facts, phase: PhaseId, revisions: tuple[Revision, ...]) -> list[TypedStep]:
    return [
        *(_told(facts, phase, streaming.steps) if phase == "backfill" else ()),
        *_people(facts, phase),
        *_told(facts, phase, streaming.late),
        *_beside(facts, phase),
        *_revision_steps(phase, revisions),
        *(_told(facts, phase, streaming.steps) if phase != "backfill" else ()),
        *(_estimated(facts, step) for step in demands.manual_steps(facts, phase)),
    ]


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
            "Cutover: swap, for everybody at once" if facts.swaps else "Cutover: let go of the old, everybody at once"
        )
    if phase == "enforce" and facts.tables and all(plan.leaves for plan in facts.tables):
        return "Enforce: set aside what goes"
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
        yield step.model_copy(update={"precondition": _new_code_first(plan)}) if plan.unfollowed else step


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
    if not (plan.comparisons or plan.swapped):
        counted = "count its rows, and those whose tenant the list leaves out" if plan.table.owned else "count its rows"
        return f"{counted}; look for violations" if plan.violations else counted
    what = listed([c.column for c in plan.comparisons]) or "the rows"
    return f"compare {what} with what the other side gives, and look for violations"


def _cutover(facts: Facts) -> Iterator[TypedStep]:
    rollout = facts.module.rollout
    flag = facts.paths.flags
    if facts.swaps and not facts.pairs:
        title = f"Once all code can hold the new values of {listed(facts.swaps)}, move all tenants to live: the swap is released"
        yield _step("stage", title, flag)
        return
    if not facts.pairs:
        if facts.tables and (facts.soak_seconds is not None or "enforce" in facts.phases):
            yield _step("stage", f"Once no running code {unlearnt(facts)}, move all tenants to live", flag)
        return
    through = f"through dualwrite and shadow to live on {_new_names(facts)}"
    if rollout.canary:
        yield _step("stage", f"Move the canary {through}: tenant {listed(list(rollout.canary))}", flag)
    for step in rollout.steps:
        if step is not None:
            everybody = "all tenants" if step == 100 else f"{step:g}% of the tenants"
            yield _step("stage", f"Move {everybody} {through}, then watch for {duration(rollout.every_seconds)}", flag)
    yield _step("stage", f"Move all tenants to rampdown: reads come from {_new_names(facts)} alone", flag)


def _contract(facts: Facts) -> Iterator[TypedStep]:
    if facts.soak_seconds is not None:
        title = f"After the soak of {duration(facts.soak_seconds)}, move all tenants to complete: {_gone(facts)} can go"
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


def _conditions(facts: Facts, phase: PhaseId, following: PhaseId | None) -> Iterator[ExitCondition]:
    """When a phase is done: its own criteria, and the gates of the phase that comes next."""
    if phase in ("prepare", "expand"):
        yield from _early(facts, phase)
    elif phase == "backfill":
        for plan in facts.tables:
            if plan.fills:
                yield _metric("backfill_progress", f"Backfill progress of {plan.table.entity} is 100%", "= 100%")
    elif phase == "validate":
        for plan in facts.tables:
            if plan.origin is not None:
                yield _metric("rows_missing", f"Reconciliation of {plan.table.entity} misses 0 rows", "= 0")
                yield _metric("rows_extra", f"Reconciliation of {plan.table.entity} finds 0 rows too many", "= 0")
            # Nobody counts the rows of a table that goes away as a whole.
            yield from _validated(plan.table.entity, plan.table.owned and not plan.leaves, bool(plan.violations))
    elif phase == "contract" and facts.tables:
        yield ExitCondition(id="gone", text=f"No client misses {_gone(facts)}", kind="manual")
    found = [g for step in facts.lowered.phase(following or "") for g in step.up if isinstance(g, Gate)]
    # Databases ask the same of their ledgers: one criterion.
    gates = found if len(facts.lowered.databases) < 2 else list({gate.name: gate for gate in found}.values())
    # Contract itself begins with the move to complete.
    yield from (_gate(gate) for gate in gates if gate.name != "stage_complete")
    if phase == "cutover" and not gates and facts.tables:
        text = (
            f"Reconciliation of {listed([p.table.entity for p in facts.tables])} has found nothing since the last step"
        )
        yield _metric("drift", text, "= 0")
    yield from (condition for part in facts.beside for of, condition in part.exits if of == phase)
    yield from demands.exits(facts, phase)


def _gone(facts: Facts) -> str:
    """What contract takes away: what was asked for, or where nothing was the trigger."""
    return taken_away(facts)


def _early(facts: Facts, phase: str) -> Iterator[ExitCondition]:
    if phase == "prepare" and facts.tables:
        text = f"The dashboard of {facts.migration} shows data and its alerts are quiet"
        yield ExitCondition(id="watched", text=text, kind="manual")
        for table in pinned_tables(facts.lowered):
            snapshot = facts.paths.snapshot(table)
            text = f"What {table.entity}.{listed([p.column for p in pinned(table)])} does is recorded in {snapshot}"
            yield ExitCondition(id=f"pinned_{table.entity}", text=text, kind="manual")
        return
    for plan in facts.tables:
        added = [o.column.name for o in facts.column_operations(plan) if isinstance(o, AddColumn)]
        there = f"with {listed(added)} there" if added else f"once expand has run ({summary(facts.change(plan))})"
        there = "while those who write it are counted" if plan.leaves else there
        text = f"Old code writes {plan.table.entity} without a new error, {there}"
        if plan.origin is not None:
            with_ = "the trigger" if plan.moved is None else "trigger and fence"
            text = f"Old code writes {sides(plan)[0]} without a new error, with {with_} there"
        yield ExitCondition(id=f"old_code_{plan.table.entity}", text=text, kind="manual")


def _validated(entity: str, tenants: bool, violations: bool) -> Iterator[ExitCondition]:
    yield _metric("rows_mismatched", f"Reconciliation of {entity} finds 0 rows that differ", "= 0")
    if tenants:
        yield _metric("tenants_unlisted", f"0 rows of {entity} belong to a tenant that the list leaves out", "= 0")
    if violations:
        yield _metric("violations", f"0 rows of {entity} would break a constraint to come", "= 0")


def _metric(name: str, text: str, threshold: str) -> ExitCondition:
    return ExitCondition(id=name, text=text, kind="metric", metric=name, threshold=threshold)


def _gate(gate: Gate) -> ExitCondition:
    window = WINDOW_SECONDS if gate.name.startswith("reconciled_") else None
    return ExitCondition(id=gate.name, text=gate.title[0].upper() + gate.title[1:], kind="gate", window_seconds=window)


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
