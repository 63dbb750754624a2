"""A checked, lowered module becomes the DataMigrationPlan and what the emitters need beside it."""

from __future__ import annotations

from migdsl import __version__
from migdsl.ops.lower import lower
from migdsl.plan.model import BaseType, DataMigrationPlan
from migdsl.planning import demands, documents, impact, moves, phases, rollback, standards, streaming, tasks, timeline
from migdsl.planning.beside import beside, each
from migdsl.planning.facts import Facts, summary
from migdsl.planning.habits import taken_away
from migdsl.planning.model import Planned, revisions
from migdsl.planning.paths import Paths
from migdsl.planning.release import released
from migdsl.planning.words import duration, first_upper, listed
from migdsl.semantics.model import CheckedModule

_BASE: dict[str, BaseType] = {
    "service_extraction": "service_extraction",
    "service_migration": "service_migration",
    "database_migration": "database_migration",
    "schema_change": "schema_change",
    "backfill": "backfill",
    "dual_write": "dual_write",
    "cdc": "cdc",
}


def build(module: CheckedModule, source_digest: str, through: str | None = None) -> Planned:
    """Plan a module without errors that has a header."""
    header = module.header
    assert header is not None
    lowered = lower(module)
    paths = Paths.of(module)
    parts = (*streaming.beside(module, lowered, paths), *beside(module, paths))
    facts = Facts(module, lowered, paths, released(module, through), parts)
    chain = revisions(module, lowered, facts.paths, facts.released)
    category = header.kind or _category(facts)
    found = phases.phases(facts, chain)
    switch = moves.cutover(facts)
    plan = DataMigrationPlan(
        migration=header.name,
        title=header.title or _title(facts),
        ticket_id=header.ticket or "",
        ticket=documents.ticket(facts),
        integration=documents.integration(facts),
        prd=module.policy.prd,
        migration_type=_BASE.get(category, "other"),
        category=category,
        pattern=_pattern(facts),
        compiler_version=__version__,
        source_digest=source_digest,
        source_of_truth=impact.source_of_truth(facts),
        data_domains=tuple(impact.domains(facts)),
        strategy=tuple(impact.strategy(facts)),
        constraints=_constraints(facts),
        phases=demands.with_own(facts, found),
        timeline=timeline.timeline(facts, chain, found, switch),
        cutover=switch,
        rollback=rollback.rollback(facts, chain, tuple(p.id for p in found)),
        validation=moves.validation(facts),
        risks=tuple(impact.risks(facts)),
        impact=impact.impact(facts),
        acceptance=tuple(documents.acceptance(facts)),
        modernization_gates=standards.modernization_gates(facts, chain),
        guardrails=impact.guardrails(facts),
        implementation_plan=tasks.tasks(facts, chain),
    )
    return Planned(module, lowered, facts.paths, chain, plan, facts.beside, through)


def _title(facts: Facts) -> str:
    """What becomes of what, in one line."""
    found = [f"{c.table.entity}: {summary(c)}" for c in facts.module.changes if c.operations]
    return "; ".join([*found, *(b.summary for b in facts.beside if b.summary)])


def _category(facts: Facts) -> str:
    """The type that follows from what the file has: tables, or else what is there in their stead."""
    return "schema_change" if facts.tables or not facts.beside else facts.beside[0].category


def _pattern(facts: Facts) -> str:
    beside = list(dict.fromkeys(b.pattern for b in facts.beside))
    if not facts.tables:
        return listed(beside)
    triggered = [p for p in facts.tables if p.switched and p.moved is None]
    sides = f", with {'two-way' if facts.two_way else 'one-way'} triggers" if triggered else ""
    return "; ".join([f"expand and contract{sides}", *beside])


def _constraints(facts: Facts) -> tuple[str, ...]:
    header = facts.module.header
    assert header is not None
    allowed = {"none": "No downtime", "allowed": "Downtime is allowed"}
    window = f"At most {duration(header.downtime_seconds or 0)} of downtime"
    found = [allowed.get(header.downtime, window)]
    found += [facts.versions] if facts.tables else []
    if facts.soak_seconds is not None:
        found.append(f"{first_upper(taken_away(facts))}: kept for {duration(facts.soak_seconds)} after the last switch")
    found += each(facts.beside, lambda b: b.constraints)
    return (*found, *demands.constraints(facts), *header.assumptions, *documents.constraints(facts))
