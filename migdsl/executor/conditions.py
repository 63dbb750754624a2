"""A plan's exit criteria become conditions that can be asked: SQL over the ledger, PromQL, or a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from migdsl.dialect.names import literal
from migdsl.executor.model import Condition
from migdsl.executor.promql import proves
from migdsl.ops import conditions as in_sql
from migdsl.ops import gates, streams
from migdsl.ops.demands import backfill_name, subjects
from migdsl.ops.model import Gate, TablePlan
from migdsl.ops.pins import pinned_tables
from migdsl.plan.phases import ExitCondition, Phase
from migdsl.planning import demands
from migdsl.planning.apis import QUIET
from migdsl.planning.facts import Facts
from migdsl.planning.model import Planned
from migdsl.planning.streams import streams as planned_streams
from migdsl.planning.words import first_upper
from migdsl.semantics import policy
from migdsl.semantics.conditions import SERVED
from migdsl.semantics.model import PHASES
from migdsl.semantics.policy import spoken
from migdsl.values import replace


def conditions(planned: Planned, folder: str = ".") -> Mapping[str, tuple[Condition, ...]]:
    """Phase → what must hold before it is left. Their ids are the plan's; a second one of a name has a number.

    `folder` is what was compiled into.
    """
    phases = planned.plan.phases
    released = frozenset(p.id for p in phases if p.released)
    facts = Facts(planned.module, planned.lowered, planned.paths, released, planned.beside)
    kept = {f"pinned_{t.entity}": str(Path(folder, planned.paths.snapshot(t))) for t in pinned_tables(planned.lowered)}
    return {phase.id: tuple(_in_files(_told_apart(_everywhere(facts, planned, phase)), kept)) for phase in phases}


def _in_files(found: Iterator[Condition], kept: Mapping[str, str]) -> Iterator[Condition]:
    """Where a file in the folder shows that it holds, nobody need be asked."""
    for each in found:
        yield replace(each, question=kept[each.id]) if each.id in kept and each.kind == "manual" else each


def _everywhere(facts: Facts, planned: Planned, phase: Phase) -> Iterator[Condition]:
    """Of several databases each ledger is asked about its own; what no ledger knows is asked once."""
    databases = planned.lowered.databases
    if len(databases) < 2:
        yield from _of(facts, facts, planned, phase)
        return
    once: set[tuple[str, str]] = set()
    for name in databases:
        part = planned.of(name)
        own = replace(facts, module=part.module, lowered=part.lowered)
        for each in _of(facts, own, planned, phase):
            if each.kind == "ledger":
                yield replace(each, database=name)
            elif (each.id, each.text) not in once:
                once.add((each.id, each.text))
                yield each


def _told_apart(found: Iterator[Condition]) -> Iterator[Condition]:
    seen: dict[tuple[str, str], int] = {}
    asked: set[tuple[str, str]] = set()
    for each in found:
        if each.question and (each.database, each.question) in asked:
            continue  # an exit that the next revision asks for as well
        asked.add((each.database, each.question))
        number = seen[each.database, each.id] = seen.get((each.database, each.id), 0) + 1
        yield each if number == 1 else replace(each, id=f"{each.id}_{number}")


def _of(whole: Facts, facts: Facts, planned: Planned, phase: Phase) -> Iterator[Condition]:
    """`facts`: of one database, of a migration with these facts as a `whole`."""
    following = _following(planned, phase)
    asked = {gate.name: gate for gate in _gates(facts, following)}
    others = {gate.name for gate in _gates(whole, following)} - asked.keys()
    said = dict.fromkeys(name for name, _ in demands.said(whole, phase.id))
    told = {each.id for each in phase.exit_conditions}
    # The plan leaves out what its next phase begins with: that everybody is complete.
    for gate in (gate for name, gate in asked.items() if name not in told):
        title = gate.title[0].upper() + gate.title[1:]
        yield Condition(gate.name, phase.id, title, "ledger", gate.unmet, needs=gate.needs, gone=gate.gone)
    for each in phase.exit_conditions:
        if (each.id in said and each.kind == "metric") or (each.kind == "manual" and phase.id not in PHASES):
            continue  # asked as the file has it; and a phase of the user's own is its steps, asked one by one
        elsewhere = each.id not in asked and _named(whole, each) and not _named(facts, each)
        of_another = each.id in asked and not each.text.startswith(first_upper(asked[each.id].title))
        if each.id in others or elsewhere or of_another:
            continue  # another database knows
        if each.metric == SERVED and each.kind == "metric":
            yield from _said(facts, phase.id, each.id, QUIET)
            continue
        question = asked[each.id].unmet if each.id in asked else _measured(facts, each)
        found = Condition(
            each.id, phase.id, each.text, "ledger" if question else "manual", question, each.window_seconds or 0
        )
        same = asked.get(each.id)
        yield found if same is None else replace(found, needs=same.needs, gone=same.gone)
    for name, condition in demands.said(whole, phase.id):
        same = asked.get(name)
        for one in _said(facts, phase.id, name, condition):
            inside = same if one.kind == "ledger" else None
            yield one if inside is None else replace(one, needs=inside.needs, gone=inside.gone)


def _following(planned: Planned, phase: Phase) -> str:
    """The next derived phase; empty behind the last."""
    ids = [p.id for p in planned.plan.phases]
    return next((p for p in ids[ids.index(phase.id) + 1 :] if p in PHASES), "")


def _gates(facts: Facts, phase: str) -> Iterator[Gate]:
    """What the revisions of a phase ask."""
    for step in facts.lowered.phase(phase):
        yield from (part for part in step.up if isinstance(part, Gate))


# What the jobs record of what the plan measures; the rest of a sum where the plan measures only one part of it.
_READINGS = {
    "rows_mismatched": ("rows_mismatched", "rows_missing", "rows_extra"),
    "rows_missing": ("rows_missing",),
    "rows_extra": ("rows_extra",),
    "tenants_unlisted": ("tenants_unlisted",),
    "violations": ("problems",),
    "drift": ("problems",),
}


def _measured(facts: Facts, criterion: ExitCondition) -> str:
    """A question for what the jobs measure, of the entities that the criterion names; empty for what they don't."""
    named = _named(facts, criterion) or facts.tables
    if criterion.id == "backfill_progress":
        asked = [gates.backfilled(facts.migration, backfill_name(p)).unmet for p in named if p.fills]
    elif criterion.id in ("sync_lag", "dead_letters"):
        asked = [_streamed(facts, p, criterion.id) for p in named]
    else:
        readings = _READINGS.get(criterion.id, ())
        asked = [newest(facts.migration, p.table.entity, readings) for p in named if readings]
    if len(asked) < 2:
        return "".join(asked)
    return f"SELECT nullif(concat_ws('; ', {', '.join(f'({sql})' for sql in asked)}), '')"


def _streamed(facts: Facts, plan: TablePlan, criterion: str) -> str:
    """What the sync job tells of an entity."""
    if plan.moved is None or plan.move is None:
        return ""
    if criterion == "dead_letters":
        return streams.unburied(plan.moved).unmet
    stream = next(each for each in planned_streams(facts.tables) if plan in each.plans)
    return streams.lagging(plan.moved, stream.lag_s).unmet


def _named(facts: Facts, criterion: ExitCondition) -> list[TablePlan]:
    return [p for p in facts.tables if re.search(rf"\b{re.escape(p.table.entity)}\b", criterion.text)]


def newest(migration: str, entity: str, metrics: tuple[str, ...]) -> str:
    """What is wrong with the newest reading of each metric of an entity, which should be 0; NULL where nothing is."""
    names = ", ".join(literal(f"{metric}:{entity}") for metric in metrics)
    said = literal(f"the newest reconciliation of {entity} found ")
    missing = literal(f"reconciliation of {entity} has not been run")
    return f"""SELECT CASE WHEN count(*) = 0 THEN {missing}
            ELSE {said} || string_agg(split_part(subject, ':', 1) || ' ' || value, ', ' ORDER BY subject)
                 FILTER (WHERE value <> '0') END
  FROM (SELECT DISTINCT ON (subject) subject, value FROM migdsl.event
         WHERE migration = {literal(migration)} AND kind = 'reading' AND subject IN ({names})
           AND id > {left(migration)}
         ORDER BY subject, id DESC) AS latest"""


def left(migration: str) -> str:
    """The event with which the migration last left the ledger, 0 where it never did: what is older counts no more."""
    return f"(SELECT coalesce(max(id), 0) FROM migdsl.event WHERE migration = {literal(migration)} AND kind = 'left')"


def _said(facts: Facts, phase: str, name: str, condition: policy.Condition) -> Iterator[Condition]:
    """What the file demands: the ledger's part of it, and the rest, which monitoring knows."""
    inside, outside = in_sql.split(condition)
    if inside is not None:
        gate = in_sql.gate(name, inside, subjects(facts.module, facts.tables))
        yield Condition(name, phase, spoken(inside), "ledger", gate.unmet)
    if outside is not None:
        yield Condition(name, phase, spoken(outside), "monitored", _promql(outside, facts.migration))


def _promql(condition: policy.Condition, migration: str) -> str:
    """Empty where the condition speaks of what nothing exports: then a person is asked."""
    try:
        return proves(condition, migration)
    except KeyError:
        return ""
