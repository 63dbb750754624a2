"""Cutover and validation of a plan: how tenants move, and how the data is proven right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.ops.model import TablePlan
from migdsl.plan.model import Check, Cutover, RolloutStep, Validation
from migdsl.planning import streaming
from migdsl.planning.beside import each as each_of
from migdsl.planning.facts import Facts, new_side, old_side, sides
from migdsl.planning.habits import unlearnt
from migdsl.planning.streams import streams
from migdsl.planning.words import counted, duration, listed
from migdsl.semantics.policy import spoken
from migdsl.semantics.replacement import CANARY


def cutover(facts: Facts) -> Cutover:
    """The cutover section."""
    steps = rollout(facts)
    sentences = [
        f"{_who(s)}: {facts.migration} at stage live, {_turned(facts, s)}then watch for {duration(s.wait_seconds)}"
        for s in steps
    ]
    return Cutover(
        approach=" ".join([*([_approach(facts, len(steps))] if facts.tables else []), *_of_beside(facts)]),
        downtime_expectation=_downtime(facts),
        steps=(
            *(sentences or ([_nothing_moves(facts)] if facts.tables else [])),
            *each_of(facts.beside, lambda b: b.moves),
        ),
        rollout=steps,
        abort_conditions=(*aborts(facts), *(spoken(c) for c in facts.module.policy.aborts)),
        sequence_resets=(),
    )


def _who(step: RolloutStep) -> str:
    if step.audience == "percent":
        return f"{step.percent:g}%"
    named = [tenant for tenant in step.tenants if tenant != CANARY]
    return f"Canary {listed(named)}" if named else "Canary"


def _turned(facts: Facts, step: RolloutStep) -> str:
    """What turns writes over in another database, where reads and writes don't move together."""
    file = facts.module.path.replace("\\", "/").rsplit("/", 1)[-1]
    named = tuple(tenant for tenant in step.tenants if tenant != CANARY)
    everybody = step.percent == 100
    # Rows that are nobody's turn over once, when the last step has been taken.
    found = [each for each in streams(facts.tables) if each.table.owned or everybody]
    return "".join(f"{streaming.turn(facts.paths, each, named, file)}, " for each in found)


def _of_beside(facts: Facts) -> list[str]:
    return [b.approach for b in facts.beside if b.approach]


def rollout(facts: Facts) -> tuple[RolloutStep, ...]:
    """Whom the cutover moves, step by step; nobody where no column takes the place of another."""
    said = facts.module.rollout
    if not facts.ramps:
        return ()
    canary = [_step("canary", said.canary, None, said.every_seconds)]
    steps = [canary[0] if s is None else _step("percent", (), s, said.every_seconds) for s in said.steps]
    return (*(canary if said.canary and None not in said.steps else []), *steps)


def _step(audience: str, tenants: tuple[str, ...], percent: float | None, wait: int) -> RolloutStep:
    return RolloutStep(audience=audience, tenants=tenants, percent=percent, wait_seconds=wait)


def _approach(facts: Facts, steps: int) -> str:
    swap = (
        f"The new type of {listed(facts.swaps)} comes in one transaction of some milliseconds, for everybody at once: code "
        f"knows one name before and after, and {'no tenant' if facts.whom == 'tenant' else 'nobody'} can go first."
    )
    if not facts.pairs:
        entities = listed([p.table.entity for p in facts.tables])
        return swap if facts.swaps else f"No column of {entities} takes the place of another: nothing is switched."
    columns, whom = listed([new_side(p) for p in facts.tables if p.switched]), facts.whom
    how = "for everybody at once" if facts.at_once else f"{whom} by {whom} in {counted(steps, 'step')}"
    moved = f"Readers and writers move to {columns} {how}, by the flag {facts.migration}; {_kept(facts)}."
    return f"{moved} {swap}" if facts.swaps else moved


def _kept(facts: Facts) -> str:
    one_way = [p for p in facts.tables if p.origin is not None and p.move is None]
    streamed = any(p.moved is not None for p in facts.tables)
    triggered = any(p.switched and p.moved is None and (p.origin is None or p.move is not None) for p in facts.tables)
    kept = ["triggers keep both sides equal"] if triggered else []
    kept += ["the sync job keeps both databases equal, both ways"] if streamed else []
    if one_way:
        carried = listed([" over to ".join(sides(p)) for p in one_way])
        kept.append(f"a trigger carries {carried}, and what new code writes there stays there")
    return listed(kept)


def _nothing_moves(facts: Facts) -> str:
    if facts.swaps:
        them = f"the revision that swaps {listed(facts.swaps)}"
        return f"Move {facts.everybody} to live: it releases {them}; then the soak begins."
    if not {"enforce", "contract"} & set(facts.phases):
        return f"New code may use the change of {listed([p.table.entity for p in facts.tables])} as soon as expand has run."
    then = "enforce may follow" if "enforce" in facts.phases else "the soak begins"
    return f"See that no running code {unlearnt(facts)}, then move {facts.everybody} to live: {then}."


def _downtime(facts: Facts) -> str:
    header = facts.module.header
    assert header is not None
    tables = listed(sorted({facts.shown(t) for t in facts.touched}))
    locks = f"No DDL waits for a lock on {tables} longer than 100 ms at a time, nor holds one while it scans."
    held = " ".join([*([locks] if tables else []), *(b.downtime for b in facts.beside if b.downtime)])
    if header.downtime == "none":
        return f"None. {held}"
    if header.downtime == "window":
        at = f" ({header.window})" if header.window else ""
        return f"A window of {duration(header.downtime_seconds or 0)}{at} is allowed, and no step needs it. {held}"
    return f"Allowed, and no step needs it. {held}"


def aborts(facts: Facts) -> Iterator[str]:
    """When to stop and go back."""
    for plan in facts.tables:
        if plan.switched:
            back = plan.origin is None or plan.move is not None
            whose = " of a switched tenant" if back else " of a tenant that is not switched yet"
            of = whose if plan.table.owned else ""
            yield f"Reconciliation of {plan.table.entity} finds a row{of} that differs"
        if plan.swapped:
            yield f"A client of {listed(plan.swapped)} fails after the swap, or meets a value that it can't hold"
        if plan.violations:
            yield f"New code writes rows of {plan.table.entity} that break a constraint to come"
    yield from each_of(facts.beside, lambda b: b.aborts)


def validation(facts: Facts) -> Validation:
    """The validation section."""
    checks = [check for plan in facts.tables for check in _checks(facts, plan)]
    checks += each_of(facts.beside, lambda b: b.checks)
    metrics = ["migdsl_reconcile_rows_mismatched", "migdsl_reconcile_violations"] if facts.tables else []
    metrics += ["migdsl_backfill_progress_ratio", "migdsl_backfill_remaining_rows"] if facts.fills else []
    metrics += ["migdsl_tenants_unlisted"] if any(p.table.owned and not p.leaves for p in facts.tables) else []
    metrics += ["migdsl_old_writes_total"] if any(p.counter for p in facts.tables) else []
    metrics += each_of(facts.beside, lambda b: b.metrics)
    return Validation(
        checks=tuple(c.text for c in checks),
        metrics=tuple(metrics),
        sampling=(*(_sampling(facts, plan) for plan in facts.tables), *each_of(facts.beside, lambda b: b.sampling)),
        typed_checks=tuple(checks),
    )


def _sampling(facts: Facts, plan: TablePlan) -> str:
    """Every row is compared, so that whatever sample is asked for is among them."""
    entity, said = plan.table.entity, facts.module.policy.validation(plan.table.entity)
    if plan.leaves:
        return f"{entity}: no row is compared, since {plan.table.name} goes as a whole"
    if not plan.two_sided and not plan.violations:
        return f"{entity}: no row is compared, since nothing of it has two sides"
    looked = "counted" if plan.two_sided else "held against the constraints to come"
    looked = "compared" if plan.comparisons else looked
    every = f"{entity}: every row{' of every tenant' if plan.table.owned else ''} is {looked}"
    sample = said.sample if said else None
    if sample is None:
        return f"{every}; none is sampled"
    parts = [f"{sample.share} of the rows"] if sample.share else []
    parts += [f"the top {count} by {by}" for count, by in sample.tops]
    return f"{every}, and so the sample that is asked for: {listed(parts)}"


def _checks(facts: Facts, plan: TablePlan) -> Iterator[Check]:
    entity, path = plan.table.entity, facts.paths.reconcile(plan.table)

    def check(kind: str, name: str, text: str) -> Check:
        return Check(id=f"{entity}.{name}", kind=kind, entity=entity, text=text, artifact=path, threshold="= 0")

    if plan.leaves:
        yield check(
            "counts", "writes", f"The counter of whoever writes {plan.table.name} is read; it stands still in the soak"
        )
        return
    if plan.two_sided:
        yield from _of_sides(facts, plan, check)
    for violation in plan.violations:
        yield check(
            "constraint",
            f"constraint.{violation.title}",
            f"No row of {entity} breaks the rule to come: {violation.title}",
        )
    for number, invariant in enumerate(facts.module.policy.invariants(entity), 1):
        yield check("invariant", f"invariant.{number}", invariant.text)
    if plan.table.owned:
        yield check(
            "coverage", "tenants", f"No row of {entity} belongs to a tenant that the list leaves out, or to none"
        )


def _of_sides(facts: Facts, plan: TablePlan, check: Callable[[str, str, str], Check]) -> Iterator[Check]:
    """What is asked of rows that have two sides."""
    entity, each = plan.table.entity, " of each tenant" if plan.table.owned else ""
    beside = ", and compared where old and new stand side by side" if plan.comparisons else ""
    yield check("counts", "counts", f"Every row of {entity}{each} is counted{beside}")
    if plan.swapped:
        names = listed(plan.swapped)
        text = f"An order-independent hash over {names}{each} equals the one over the other type's values, converted"
        yield check("checksum", "swap", text)
    if plan.switched:
        old, new = old_side(plan, facts.change(plan)), new_side(plan)
        yield check(
            "checksum", "checksum", f"An order-independent hash over {new}{each} equals the one over what {old} gives"
        )
    for comparison in plan.comparisons:
        if comparison.carried_back:
            text = f"from(back(x)) = x for every {entity}.{comparison.column}, so that rolling back loses nothing"
            yield check("round_trip", f"{comparison.column}.round_trip", text)
