"""A plan becomes the few facts that a reader wants first: risk, downtime, deploys, days, the way back, locks, data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from migdsl.plan import DataMigrationPlan
from migdsl.report.parts import Fact
from migdsl.report.phases import strongest
from migdsl.report.systems import databases_of
from migdsl.report.words import listed, plural, short
from migdsl.values import Value

_TONES = {
    "low": "good",
    "medium": "",
    "high": "careful",
    "critical": "grave",
    "easy": "good",
    "moderate": "",
    "hard": "careful",
}


class Summary(Value):
    """What stands on top. `breaking` and `irreversible` are what nobody may overlook."""

    lead: str
    facts: tuple[Fact, ...]
    breaking: tuple[str, ...]
    irreversible: tuple[str, ...]


def summary(plan: DataMigrationPlan) -> Summary:
    """The summary of a plan."""
    return Summary(
        lead=plan.cutover.approach,
        facts=tuple(_facts(plan)),
        breaking=plan.impact.breaking_changes,
        irreversible=plan.guardrails.irreversible,
    )


def _facts(plan: DataMigrationPlan) -> Iterator[Fact]:
    risk, hard = plan.impact.risk, plan.impact.rollback_complexity
    minutes = plan.impact.downtime_minutes
    yield Fact("Risk", risk.capitalize(), plan.impact.reasons, _TONES[risk])
    yield Fact("Downtime", f"{minutes:g} min" if minutes else "None", _downtime(plan), "careful" if minutes else "good")
    yield _deploys(plan)
    yield _days(plan)
    yield Fact("Way back", hard.capitalize(), tuple(_back(plan)), _TONES[hard])
    yield from [_lock(plan)] if plan.data_domains else []
    yield from _data(plan)


def _downtime(plan: DataMigrationPlan) -> tuple[str, ...]:
    """What users notice; the word `None.` stands above it."""
    said = plan.cutover.downtime_expectation.removeprefix("None.").strip()
    return (said,) if said else ()


def _deploys(plan: DataMigrationPlan) -> Fact:
    kinds: Counter[str] = Counter(deploy.kind for deploy in plan.timeline.deploys)
    of = (("revision", "schema"), ("application", "application"))
    notes = [f"{kinds[kind]} of the {name}" for kind, name in of if kinds[kind]]
    return Fact("Deploys", str(sum(kinds.values())), (", ".join(notes),) if notes else ())


def _days(plan: DataMigrationPlan) -> Fact:
    line = plan.timeline
    waits = sum(wait.seconds for wait in line.waits)
    notes = [f"{short(waits)} of waiting"] if waits else []
    notes += [f"~{short(line.work_seconds)} of work"] if line.work_seconds else []
    notes += [f"and what is unknown of {listed(line.unknown)}"] if line.unknown else []
    last = (f"until {plan.phases[-1].id} is done",) if plan.phases else ()
    return Fact("Time, at least", short(line.calendar_seconds), (*last, *((", ".join(notes),) if notes else ())))


def _back(plan: DataMigrationPlan) -> Iterator[str]:
    count = len(plan.rollback.phases)
    if count:
        yield f"from {plural(count, 'phase')}, each to the one before"
    if plan.guardrails.irreversible:
        yield f"{plural(len(plan.guardrails.irreversible), 'operation')} without one"


def _lock(plan: DataMigrationPlan) -> Fact:
    lock, steps = strongest(plan)
    if not lock:
        return Fact("Strongest lock", "None")
    costs = listed(list(dict.fromkeys(step.cost for step in steps)))
    return Fact("Strongest lock", lock.capitalize(), (f"{plural(len(steps), 'step')}, {costs}",))


def _data(plan: DataMigrationPlan) -> Iterator[Fact]:
    for domain in plan.data_domains:
        name = listed(domain.tables_or_entities)
        here = databases_of(domain) == domain.domain  # one that goes to another database names both
        notes = [f"{name} in {domain.domain}" if here else name, domain.sensitivity]
        if domain.pii_columns:
            notes[1] += f": {listed(domain.pii_columns)}"
        yield Fact("Data", domain.volume, tuple(notes))
