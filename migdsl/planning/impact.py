"""What a migration means: domains, risks, impact, guardrails, strategy. Derived, and specific to the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from migdsl.ops.model import Refill, TablePlan, Violation
from migdsl.ops.risk import LEVELS, risk
from migdsl.plan.model import (
    AllowedRule,
    DataDomain,
    Exemption,
    Guardrails,
    Impact,
    Sensitivity,
)
from migdsl.planning import demands, documents, owners
from migdsl.planning.beside import COMPLEXITIES
from migdsl.planning.beside import each as each_of
from migdsl.planning.facts import Facts, new_side, old_side, sides, summary
from migdsl.planning.habits import taken_away
from migdsl.planning.streams import streams
from migdsl.planning.words import agreeing, amount, duration, first_upper, listed
from migdsl.semantics.model import (
    AddColumn,
    DropColumn,
    DropConstraint,
    DropTable,
    ExtendEnum,
    Operation,
    OptionalColumn,
    RequireColumn,
    RetypeColumn,
    Table,
)
from migdsl.semantics.phrases import described, followed

_RANK: tuple[Sensitivity, ...] = ("unknown", "public", "internal", "confidential", "pii", "phi")


def domains(facts: Facts) -> Iterator[DataDomain]:
    """One domain a table that changes."""
    for plan in facts.tables:
        table = plan.table
        added = [o.column for o in facts.change(plan).operations if isinstance(o, AddColumn)]
        private = [c for c in (*table.columns, *added) if c.pii or c.phi]
        scope = belonging(table) if table.owned else f"no tenants: {table.scope_reason}"
        yield DataDomain(
            domain=plan.home,
            tables_or_entities=(
                (
                    f"{table.entity} ({table.schema}.{table.name})"
                    if plan.moved is None
                    else f"{table.entity} ({' to '.join(sides(plan))})"
                ),
            ),
            volume=amount(table.rows),
            sensitivity=_sensitivity(table, tuple(private)),
            rows=table.rows,
            tenant_scope=scope,
            pii_columns=tuple(c.name for c in private),
            invariants=(
                *(f"{', '.join(c.columns)} are unique together" for c in table.constraints if c.kind == "unique"),
                *(f"{described(c)} keeps rows apart" for c in table.constraints if c.unique_index),
                *(i.text for i in facts.module.policy.invariants(table.entity)),
            ),
        )


def belonging(table: Table) -> str:
    """What says whose a row is."""
    if table.via is None:
        return f"tenant column {table.tenant}"
    steps = ", ".join(f"{hop.column} of {hop.entity}" for hop in table.via.hops)
    return f"tenant column {table.via.tenant}, by way of {steps}"


def _sensitivity(table: Table, private: tuple[object, ...]) -> Sensitivity:
    found: list[Sensitivity] = [s for s in _RANK if s == table.sensitivity]
    found += ["phi" if getattr(c, "phi", False) else "pii" for c in private]
    return max(found, key=_RANK.index, default="internal")


def strategy(facts: Facts) -> Iterator[str]:
    """How it is done."""
    who = "every tenant" if facts.whom == "tenant" else "everybody"
    for plan in facts.tables:
        yield from _ways(facts, plan)
        yield from _filled(facts, plan)
        if plan.violations and not plan.swapped:
            yield (
                f"Constraints of {plan.table.entity} bind only once {who} writes the new shape; until then rows "
                f"with {quoted(plan.violations, 'or')} are counted."
            )
    if facts.soak_seconds is not None:
        soak = duration(facts.soak_seconds)
        counted = listed([p.written for p in facts.tables if p.counter])
        proof = f", once a counter shows that no old code writes {counted} any more" if counted else ""
        yield f"{first_upper(taken_away(facts))}: gone after a soak of {soak}{proof}."
    yield from each_of(facts.beside, lambda b: b.strategy)
    yield from documents.strategy(facts)


def _ways(facts: Facts, plan: TablePlan) -> Iterator[str]:
    """What keeps both sides equal meanwhile."""
    table, change = plan.table, facts.change(plan)
    deploys = [phase for phase in facts.phases if any(s.phase == phase and (s.up or s.down) for s in plan.steps)]
    how = f"in {len(deploys)} deploys of DDL" if len(deploys) > 1 else "in one deploy of DDL"
    yield f"Change {table.entity} ({summary(change)}) {how}: {listed(deploys)}."
    if plan.swapped:
        yield (
            f"A trigger fills a shadow of {listed(plan.swapped)} until one swap exchanges the two, and the old column "
            "after it, as far as its type goes."
        )
    if plan.moved is None and plan.origin is not None:
        came, goes = sides(plan)
        yield (
            f"Triggers carry what is written to {came} over to {goes} and back, in the same statement, from expand until "
            "contract; a column that one way rounds stays as it was written."
            if plan.move is not None
            else f"A trigger carries what is written to {came} over to {goes}, from expand until contract "
            f"and never back; a row that new code has changed in {goes} stays as it is."
        )
    elif plan.moved is None and plan.switched:
        yield (
            f"A trigger keeps {old_side(plan, change)} and {new_side(plan)} equal for old and new code alike, "
            "from expand until contract."
        )


def _filled(facts: Facts, plan: TablePlan) -> Iterator[str]:
    """How the rows from before come along."""
    entity = plan.table.entity
    pace = demands.pace(facts, entity)
    if plan.moved is not None:
        came, goes = sides(plan)
        yield (
            f"A resumable backfill puts the keys of all rows of {came} into its outbox, {pace}; the rows "
            f"reach {goes} as all others do."
        )
    elif plan.origin is not None:
        _, goes = sides(plan)
        yield f"A resumable backfill inserts into {goes} the rows that aren't there, {pace}; it never overwrites one."
    for fill in plan.fills:
        if fill.python is not None:
            yield (
                f"{fill.python.function} computes {entity}.{fill.column} in Python; a row "
                "whose inputs changed meanwhile is left to the next batch, and the job is run once more when no old code is left."
            )
    if plan.fills and plan.origin is None:
        columns = listed([f"{entity}.{f.column}" for f in plan.fills])
        yield f"A resumable backfill fills {columns} where NULL, {pace}; it never overwrites a value."


def source_of_truth(facts: Facts) -> str:
    """Who is authoritative: a sentence, and one for each that is no table."""
    return " ".join([*([_truth(facts)] if facts.tables else []), *(b.truth for b in facts.beside)])


def _truth(facts: Facts) -> str:
    pairs = [p for p in facts.tables if p.switched]
    follows = "the other follows it by a trigger, before the swap and after it"
    swap = f"{listed(facts.swaps)}: whichever column has the name; {follows}."
    if not pairs and facts.swaps:
        return swap
    if not pairs:
        goes = [p.table.entity for p in facts.tables if p.leaves]
        stays = [p.table.entity for p in facts.tables if not p.leaves]
        one = "is the only copy of its data until contract drops it"
        many = "are the only copies of their data until contract drops them"
        said = [f"{listed(goes)} {agreeing(len(goes), one, many)}."] if goes else []
        one, many = "stays the only copy of its data throughout", "stay the only copies of their data throughout"
        said += [f"{listed(stays)} {agreeing(len(stays), one, many)}."] if stays else []
        return " ".join(said)
    old = listed([old_side(p, facts.change(p)) for p in pairs])
    whose = ", for everybody at once" if facts.at_once else f", per {facts.whom}"
    moved = f"{old} through stage shadow, {listed([new_side(p) for p in pairs])} from live on{whose}."
    return f"{moved} {swap}" if facts.swaps else moved


def risks(facts: Facts) -> Iterator[str]:
    """What can go wrong, and what is done about it."""
    header = facts.module.header
    assert header is not None
    for plan in facts.tables:
        entity, change = plan.table.entity, facts.change(plan)
        for comparison in plan.comparisons:
            if comparison.carried_back:
                yield (
                    f"{entity}.{comparison.column}: where from(back(x)) differs from x, rolling back would change the value; "
                    "reconciliation counts such rows as lossy."
                )
        if plan.move is not None and plan.moved is None:
            yield (
                f"{entity}: where old and new code write one row at the same instant, one in {sides(plan)[0]} and one in "
                f"{sides(plan)[1]}, one of the two is told to try again (deadlock, 40P01)."
            )
        elif plan.origin is not None and plan.moved is None:
            yield (
                f"{entity}: what only new code writes there doesn't go back to {plan.origin.table.entity}; "
                "until the way back is no longer wanted it writes both."
            )
        for violation in plan.violations:
            yield (
                f"{entity}: rows that break {violation.title} stop enforce; "
                "reconciliation names them while there is time to mend them."
            )
        for operation in change.operations:
            if not followed(change.operations, operation):
                yield from _risk_of(entity, operation)
    yield from each_of(facts.beside, lambda b: b.risks)
    yield from header.risks
    yield from documents.risks(facts)


def _risk_of(entity: str, operation: Operation) -> Iterator[str]:
    if isinstance(operation, DropColumn):
        name = f"{entity}.{operation.column.name}"
        yield f"A reader of {name} that nobody knows of fails at contract; the counter sees writers only."
    if isinstance(operation, RetypeColumn):
        name = f"{entity}.{operation.column.name}"
        yield f"A prepared statement that returns {name} fails once in each connection (0A000): its type changes."
    if isinstance(operation, DropConstraint) and operation.constraint.binds:
        shown = f"{described(operation.constraint)} of {entity}"
        yield f"Once {shown} is gone, rows may come that it kept out: the way back would stop at them, and name it."
    if isinstance(operation, DropConstraint) and operation.constraint.kind == "index":
        shown = f"{described(operation.constraint)} of {entity}"
        yield f"A query that went by {shown} becomes slow at contract: pg_stat_user_indexes tells whether it is used."
    if isinstance(operation, AddColumn | RequireColumn) and operation.python is not None:
        name, function = f"{entity}.{operation.column.name}", operation.python.function
        yield (
            f"Nothing in the database can compute {name}: job and application must give the same, by one {function}. "
            "If it changes on the way, what was computed before stays; take those values out, and the next run fills them."
        )
    if isinstance(operation, AddColumn) and operation.python is not None:
        inputs = listed(operation.python.inputs)
        yield (
            f"Old code that changes {inputs} takes the value of {name} out, so that new code may read a NULL until enforce; "
            f"so does new code whose UPDATE doesn't name {operation.column.name}, as an ORM's may not where the value stays."
        )
    if isinstance(operation, DropTable):
        yield f"A reader of {operation.table.name} that nobody knows of fails in enforce; the counter sees writers only."
    if isinstance(operation, ExtendEnum):
        yield f"Old code that reads {entity} may meet the label '{operation.label}' as soon as new code writes one."
    if isinstance(operation, OptionalColumn):
        yield f"Old code that reads {entity}.{operation.column.name} may meet a NULL as soon as new code writes one."


def impact(facts: Facts) -> Impact:
    """The impact section."""
    header = facts.module.header
    assert header is not None
    level, reasons = risk(facts.module, facts.lowered)
    databases = sorted({name for p in facts.tables for name in (p.table.database, p.home)})
    said = facts.module.policy.impact
    if said is not None and said.risk is not None and said.risk != level:
        level = next(each for each in LEVELS if each == said.risk)
        reasons.append(f"the file says {level}")
    owner = [header.owner] if header.owner else []
    return Impact(
        affected_systems=documents.with_systems(
            facts,
            (
                *(f"database {name}" for name in databases),
                *each_of(facts.beside, lambda b: b.systems),
                *(owners.systems(facts.module, said.affects) if said else ()),
            ),
        ),
        breaking_changes=(
            *_breaking(facts),
            *each_of(facts.beside, lambda b: b.breaking),
            *(said.breaking if said else ()),
        ),
        downtime_minutes=round(said.downtime_seconds / 60, 3) if said else 0.0,
        rollback_complexity=_complexity(facts),
        risk=level,
        reasons=tuple(reasons),
        stakeholders=tuple(
            dict.fromkeys(
                [
                    *owner,
                    *each_of(facts.beside, lambda b: b.stakeholders),
                    *owners.owners(facts.module, owners.affected(facts.module)),
                    *(said.stakeholders if said else ()),
                ]
            )
        ),
    )


def _complexity(facts: Facts) -> Literal["easy", "moderate", "hard"]:
    if any(p.irreversible for p in facts.tables):
        return "hard"
    found = ["moderate" if facts.pairs or facts.swaps else "easy", *(b.complexity for b in facts.beside)]
    return max(COMPLEXITIES, key=lambda c: (c in found, COMPLEXITIES.index(c)))


def _breaking(facts: Facts) -> Iterator[str]:
    for plan in facts.tables:
        if plan.move is not None:
            yield f"{sides(plan)[0]} is gone from contract on: whoever reads or writes it fails"
        for operation in facts.column_operations(plan):
            name = f"{plan.table.entity}.{operation.column.name}"
            if isinstance(operation, RetypeColumn):
                since = "expand" if operation.in_place else "cutover"
                yield f"{name} is {operation.to.type.sql} from {since} on: who reads it must be able to hold such values"
            if isinstance(operation, DropColumn):
                yield f"{name} is gone from contract on: whoever reads or writes it fails"
            required = isinstance(operation, RequireColumn) or (
                isinstance(operation, AddColumn) and operation.filled and not operation.column.nullable
            )
            if required:
                yield f"{name} must not be NULL from enforce on"
        for other in facts.change(plan).operations:
            if isinstance(other, DropTable):
                yield f"The table {plan.table.name} is gone from enforce on: whoever reads or writes it fails"
            if isinstance(other, ExtendEnum):
                yield f"{other.type} may be '{other.label}' from expand on: who reads it must know that label"


def guardrails(facts: Facts) -> Guardrails:
    """The guardrails section, with what is exempt and why."""
    return Guardrails(
        rules=tuple(_rules(facts)),
        tenancy_exemptions=tuple(_exemptions(facts)),
        allowed=tuple(AllowedRule(code=a.code, reason=a.reason) for a in facts.module.allows),
        irreversible=tuple(f"{p.table.entity}: {why}" for p in facts.tables for why in p.irreversible),
    )


def _rules(facts: Facts) -> Iterator[str]:
    """The guardrails, said of this migration."""
    header = facts.module.header
    assert header is not None
    of = f"step on {listed([facts.shown(t) for t in facts.touched])}" if facts.tables else f"step of {header.name}"
    allowed = {"none": f"No {of} needs downtime", "allowed": f"Downtime is allowed, and no {of} needs it"}
    yield allowed.get(
        header.downtime, f"At most {duration(header.downtime_seconds or 0)} of downtime, and no {of} needs it"
    )
    owned = [facts.shown(t) for t in facts.touched if t.owned]
    if owned:
        but = " but those of the sync job" if streams(facts.tables) else ""
        yield f"Every query on {listed(owned)}{but} is confined to one tenant, proven by parsing it"
    first = "enforce" if any(p.leaves for p in facts.tables) else "contract"
    last = f"before {first}" if first in facts.phases else "there is"
    if facts.tables:
        yield f"Old and new code of {listed([p.table.entity for p in facts.tables])} both work in every phase {last}"
    yield from each_of(facts.beside, lambda b: b.rules)
    private = [
        f"{p.table.entity}.{c}" for p, d in zip(facts.tables, domains(facts), strict=True) for c in d.pii_columns
    ]
    if private:
        yield f"Values of {listed(private)} are in no log, metric or report"
    filled = [p.table.entity for p in facts.tables if p.fills]
    if filled:
        jobs = agreeing(len(filled), "The backfill of {} is", "The backfills of {} are").format(listed(filled))
        yield f"{jobs} idempotent, batched and resumable"


def quoted(violations: tuple[Violation, ...], last: str) -> str:
    """What would break constraints to come, each in quotes, since it has commas of its own."""
    return listed([f'"{v.title}"' for v in violations], last)


def _exemptions(facts: Facts) -> Iterator[Exemption]:
    tenants = facts.module.tenants
    gone = {p.table.entity for p in facts.tables if p.leaves}
    read = [t for t in facts.touched if t.entity not in gone]
    if tenants is not None and tenants.listing is not None and any(t.owned for t in read):
        whose = listed([facts.shown(t) for t in read if t.owned])
        yield Exemption(
            subject=f"list: {' '.join(tenants.listing.text.split())}", reason=f"it says whose rows {whose} may have"
        )
    for stream in streams(facts.tables):
        entities = listed(list(stream.entities))
        yield Exemption(
            subject=f"{facts.paths.sync(stream.table)}: read, gone and upsert",
            reason=f"an applier takes keys of {entities} from an outbox in lanes, whosever they are; each statement "
            f"reaches the rows of these keys and no other, and {'no tenant' if stream.table.owned else 'none'} that is "
            "written on the other side",
        )
    for each in read:
        if any(p.moved is not None and p.table is each for p in facts.tables):
            continue  # what another database's table has no tenant for stays there
        table = facts.shown(each)
        if each.scope == "global":
            yield Exemption(subject=table, reason=each.scope_reason or "")
        else:
            reason = f"the gate tenants_unlisted = 0 counts rows of {each.entity} whose tenant the list leaves out: one number"
            yield Exemption(subject=f"{table}: one anti-join", reason=reason)
    back = (s.table for s in facts.lowered.steps if any(isinstance(part, Refill) for part in s.down))
    for each in dict.fromkeys(table for table in back if table is not None and table.owned):
        reason = (
            f"it asks which tenants have rows of {each.entity}, and tells how many of these it has left out: one number"
        )
        yield Exemption(subject=f"{facts.shown(each)}: the way back", reason=reason)
