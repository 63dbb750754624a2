"""Cutover, rollback and validation of a plan: how tenants move, how they go back, how the data is proven right."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import TablePlan
from migdsl.plan.model import Check, Cutover, PhaseRollback, Rollback, RolloutStep, Validation
from migdsl.planning.facts import Facts, new_side, old_side
from migdsl.planning.model import Revision
from migdsl.planning.words import duration, listed


def cutover(facts: Facts) -> Cutover:
    """The cutover section."""
    rollout = facts.module.rollout
    steps: list[RolloutStep] = []
    if rollout.canary and None not in rollout.steps:
        steps.append(_step("canary", rollout.canary, None, rollout.every_seconds))
    for step in rollout.steps:
        tenants = rollout.canary if step is None else ()
        steps.append(_step("canary" if step is None else "percent", tenants, step, rollout.every_seconds))
    if not facts.pairs:
        steps = []
    sentences = [
        f"{'Canary ' + listed(list(s.tenants)) if s.audience == 'canary' else f'{s.percent:g}%'}: stage live, "
        f"then watch for {duration(s.wait_seconds)}"
        for s in steps
    ]
    return Cutover(
        approach=_approach(facts, len(steps)),
        downtime_expectation=_downtime(facts),
        steps=tuple(sentences) or ("Nothing moves: new code may use the change as soon as expand has run.",),
        rollout=tuple(steps),
        abort_conditions=tuple(_aborts(facts)),
        sequence_resets=(),
    )


def _step(audience: str, tenants: tuple[str, ...], percent: float | None, wait: int) -> RolloutStep:
    return RolloutStep(audience=audience, tenants=tenants, percent=percent, wait_seconds=wait)


def _approach(facts: Facts, steps: int) -> str:
    if not facts.pairs:
        return "No cutover: old and new code see the same columns throughout."
    columns = listed([new_side(p) for p in facts.tables if p.comparisons])
    by = "request by request" if facts.module.rollout.by_request else "tenant by tenant"
    return (
        f"Readers and writers move to {columns} {by} in {steps} steps, by the flag {facts.migration}; "
        "triggers keep both sides equal."
    )


def _downtime(facts: Facts) -> str:
    header = facts.module.header
    assert header is not None
    tables = listed(sorted({f"{p.table.schema}.{p.table.name}" for p in facts.tables}))
    held = f"No DDL waits for a lock on {tables} longer than 100 ms at a time, nor holds one while it scans."
    if header.downtime == "none":
        return f"None. {held}"
    if header.downtime == "window":
        at = f" ({header.window})" if header.window else ""
        return f"A window of {duration(header.downtime_seconds or 0)}{at} is allowed, and no step needs it. {held}"
    return f"Allowed, and no step needs it. {held}"


def _aborts(facts: Facts) -> Iterator[str]:
    for plan in facts.tables:
        if plan.comparisons:
            yield f"Reconciliation of {plan.table.entity} finds a row of a switched tenant that differs"
        if plan.violations:
            yield f"New code writes rows of {plan.table.entity} that break a constraint to come"


def rollback(facts: Facts, revisions: tuple[Revision, ...]) -> Rollback:
    """The rollback section."""
    steps = []
    if facts.pairs:
        steps.append(
            f"Set the flag {facts.migration} back to dualwrite, then off, for the tenants concerned, and deploy it"
        )
    steps += [f"Downgrade one revision at a time: alembic downgrade {r.after or 'base'}" for r in reversed(revisions)]
    return Rollback(
        conditions=tuple(_aborts(facts)) or (f"A client of {_tables(facts)} fails after expand",),
        steps=tuple(steps),
        data_reconciliation=tuple(_reconciliation(facts)),
        phases=tuple(_ways_back(facts, revisions)),
    )


def _tables(facts: Facts) -> str:
    return listed([p.table.entity for p in facts.tables])


def _reconciliation(facts: Facts) -> Iterator[str]:
    for plan in facts.tables:
        path = facts.paths.reconcile(plan.table)
        if plan.comparisons:
            backs = [c.column for c in plan.comparisons if c.lossy is not None]
            held = (
                f"{listed(backs)} has been carried back into the old columns by the trigger"
                if backs
                else "nothing is carried back"
            )
            yield f"Run {path} after each step back: {held}, and 0 rows must differ"
        else:
            yield f"Run {path} after each step back: the rows of {plan.table.entity} per tenant must be those from before"


def _ways_back(facts: Facts, revisions: tuple[Revision, ...]) -> Iterator[PhaseRollback]:
    names = ["start", *(r.phase for r in revisions)]
    for before, revision in reversed(list(zip(names, revisions, strict=False))):
        commands = [f"alembic downgrade {revision.after or 'base'}"]
        commands += [
            f"python {facts.paths.reconcile(p.table)}" for p in facts.tables if before != "start" and p.comparisons
        ]
        yield PhaseRollback(
            from_phase=revision.phase,
            to_phase=before,
            commands=tuple(commands),
            keeps=_keeps(facts, revision.phase),
            kept_for_seconds=facts.soak_seconds if revision.phase == "enforce" else None,
        )


def _keeps(facts: Facts, phase: str) -> str:
    if phase == "contract":
        gone = [s for s in facts.lowered.phase("contract") if s.operation == "drop_column"]
        lost = [s.title.split(";")[0].removeprefix("Drop ") for s in gone if not s.reversible]
        if lost:
            return f"The columns come back; the values of {listed(lost)} are lost, as the file says"
        return "The old columns come back, at the end of the table, and are computed from the new ones in batches"
    if phase == "enforce":
        return "All data; only the constraints go"
    kept = [c.column for p in facts.tables for c in p.comparisons if c.lossy is not None]
    lost = [c.column for p in facts.tables for c in p.comparisons if c.lossy is None]
    sentence = (
        f"What was written to {listed(kept)} stands in the old columns too"
        if kept
        else "The old columns were never touched"
    )
    return sentence + (f"; what was written to {listed(lost)} alone is lost" if lost else "")


def validation(facts: Facts) -> Validation:
    """The validation section."""
    checks = [check for plan in facts.tables for check in _checks(facts, plan)]
    metrics = ["migdsl_reconcile_rows_mismatched", "migdsl_reconcile_violations"]
    metrics += ["migdsl_backfill_progress_ratio", "migdsl_backfill_remaining_rows"] if facts.fills else []
    metrics += ["migdsl_tenants_unlisted"] if any(p.table.scope == "tenant" for p in facts.tables) else []
    metrics += ["migdsl_old_writes_total"] if any(p.counter for p in facts.tables) else []
    return Validation(
        checks=tuple(c.text for c in checks),
        metrics=tuple(metrics),
        sampling=tuple(
            f"{p.table.entity}: every row{' of every tenant' if p.table.scope == 'tenant' else ''} is compared; none is sampled"
            for p in facts.tables
        ),
        typed_checks=tuple(checks),
    )


def _checks(facts: Facts, plan: TablePlan) -> Iterator[Check]:
    entity, path = plan.table.entity, facts.paths.reconcile(plan.table)
    each = " of each tenant" if plan.table.scope == "tenant" else ""

    def check(kind: str, name: str, text: str) -> Check:
        return Check(id=f"{entity}.{name}", kind=kind, entity=entity, text=text, artifact=path, threshold="= 0")

    yield check(
        "counts", "counts", f"Every row of {entity}{each} is counted, and compared where old and new stand side by side"
    )
    if plan.comparisons:
        old, new = old_side(plan, facts.change(plan)), new_side(plan)
        yield check(
            "checksum", "checksum", f"An order-independent hash over {new}{each} equals the one over what {old} gives"
        )
    for comparison in plan.comparisons:
        if comparison.lossy is not None:
            text = f"from(back(x)) = x for every {entity}.{comparison.column}, so that rolling back loses nothing"
            yield check("round_trip", f"{comparison.column}.round_trip", text)
    for violation in plan.violations:
        yield check(
            "constraint",
            f"constraint.{violation.title}",
            f"No row of {entity} breaks the rule to come: {violation.title}",
        )
    if plan.table.scope == "tenant":
        yield check(
            "coverage", "tenants", f"No row of {entity} belongs to a tenant that the list leaves out, or to none"
        )
