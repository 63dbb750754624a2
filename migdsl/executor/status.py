"""The ledger, the chain and the file become one report: how far, how well, what is waited for, what is next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migdsl.executor.asking import answers
from migdsl.executor.conditions import conditions
from migdsl.executor.ledger import Ledger
from migdsl.executor.model import WAITING, Answer, Condition, Project, Wishes
from migdsl.executor.position import Events, Position
from migdsl.executor.saying import once, spoken
from migdsl.executor.sites import Ledgers, Now, Site, Sites
from migdsl.executor.standards import Evidence, standards
from migdsl.executor.streaming import streaming
from migdsl.executor.turned_back import way_back
from migdsl.ops import gates
from migdsl.planning.next_move import next_move
from migdsl.planning.release import stage_rows
from migdsl.planning.words import listed
from migdsl.values import Value

_READINGS = ("problems", "rows_mismatched", "rows_missing", "rows_extra", "tenants_unlisted", "old_writes")


class Status(Value):
    """All that is known. `report` is what `--json` prints; `wrong` and `waiting` are sentences."""

    report: Mapping[str, Any]
    wrong: tuple[str, ...]
    waiting: tuple[str, ...]

    @property
    def exit(self) -> int:
        """0 where the next step can be taken, 1 where something is wrong, 4 where it is waited for."""
        return 1 if self.wrong else WAITING if self.waiting else 0


def status(sites: Sites, wishes: Wishes) -> Status:
    """Look at everything; nothing is written. Raises Refused, Failed, psycopg.Error."""
    project, ledgers, now = sites.project, sites.ledgers, sites.now()
    each_of = tuple(zip(sites.all, now.places, strict=True))
    backfills = [row for site, _ in each_of for row in _backfills(site.ledger)]
    quarantine = {name: rows for site, _ in each_of for name, rows in site.ledger.quarantined().items()}
    readings = [
        _reading(p.table.entity, place.events) for s, place in each_of for p in s.project.planned.lowered.tables
    ]
    asked = _asked(project, now)
    found = {phase: answers(each, ledgers, now.places[0].events, wishes) for phase, each in asked.items()}
    recorded, said = _recorded(sites), stage_rows(project.planned.module)
    at, place = now.index(project), _following(project, now, ledgers)
    streamed = streaming(sites)
    unmet = tuple(each for phase in project.phases[at:place] for each in found[phase] if not each.met)
    wrong = (
        *_wrong(backfills, quarantine, readings),
        *(text for each in streamed for text in each.wrong),
        *once((s.name if len(each_of) > 1 else "", text) for s, p in each_of for text in _of_site(s, p)),
    )
    following = _next(project, place, unmet, recorded, said)
    if (text := next((each.turn for each in streamed if each.turn), "")) and set(recorded) == set(said):
        command = f"migdsl rollout {project.named} --record"
        following = {"phase": following["phase"], "command": command, "waits_for": [text]}
    if (back := way_back(sites, now)) is not None:
        following = {**following, "back": back}
    report = {
        "migration": project.name,
        "phase": now.reached(project),
        "revisions": sorted(each for site, place in each_of for each in _ours(site, place)),
        "heads": [head for each in now.places for head in each.standing.heads],
        "phases": [_phase(project, now, n) for n in range(len(project.phases))],
        "backfills": backfills,
        "quarantine": dict(quarantine),
        "reconciliations": readings,
        "stages": {"recorded": [list(row) for row in recorded], "file": [list(row) for row in said]},
        "conditions": [_condition(each) for each in (a for group in found.values() for a in group)],
        "standards": standards(project.planned.plan, _evidence(each_of, found, readings)),
        "wrong": list(wrong),
        "next": following,
    }
    if streamed:
        report["streams"] = [dict(each.report) for each in streamed]
    if len(each_of) > 1:
        report["databases"] = [_database(site, place) for site, place in each_of]
    return Status(report, wrong, tuple(following["waits_for"]))


def _evidence(
    each_of: tuple[tuple[Site, Position], ...],
    found: Mapping[str, tuple[Answer, ...]],
    readings: list[dict[str, object]],
) -> Evidence:
    return Evidence(
        tuple(answer for group in found.values() for answer in group),
        {str(reading["entity"]): reading for reading in readings},
        frozenset(each for site, place in each_of for each in _ours(site, place)),
        frozenset(text.rsplit(" ", 1)[-1] for _, place in each_of for text in _failed(place)),
    )


def _ours(site: Site, place: Position) -> list[str]:
    """The revisions of this migration that have run."""
    return sorted(r.id for r in site.project.planned.revisions if r.phase in place.applied)


def _of_site(site: Site, place: Position) -> Iterator[str]:
    """What is wrong in one database besides its rows."""
    yield from unrepaired(site.project, site.ledger)
    yield from _failed(place)
    for phase in (each for each in site.project.phases if each in place.broken):
        yield f"the revision of {phase} broke off: run it to its end, or take it back with migdsl rollback"


def _recorded(sites: Sites) -> tuple[tuple[str, str], ...]:
    """The stages as recorded; where the ledgers don't say the same, those of the first that says something else than the
    file, so that it is recorded anew."""
    said = stage_rows(sites.project.planned.module)
    found = [site.ledger.stages() for site in sites.all]
    return next((rows for rows in found if set(rows) != set(said)), found[0]) if all(found) else found[0]


def _database(site: Site, place: Position) -> dict[str, object]:
    """One of several databases."""
    phases = site.project.phases
    # Where a phase asks nothing of this database it is done before its turn has come.
    first = next((n for n, phase in enumerate(phases) if phase not in place.done), len(phases))
    at = max([first - 1, *(phases.index(phase) for phase in place.applied)])
    return {
        "name": site.name,
        "phase": phases[at] if at >= 0 else None,
        "revisions": _ours(site, place),
        "heads": list(place.standing.heads),
        "stages": [list(row) for row in site.ledger.stages()],
    }


def _asked(project: Project, now: Now) -> Mapping[str, Any]:
    """The conditions of the phase that is reached and of those after it."""
    found = conditions(project.planned, project.folder)
    return {phase: found[phase] for phase in project.phases[max(now.index(project), 0) :]}


def _phase(project: Project, now: Now, place: int) -> dict[str, object]:
    at, phase = now.index(project), project.planned.plan.phases[place]
    state = "later" if place > at else "now" if place == at else "done"
    return {"id": phase.id, "name": phase.name, "state": state, "released": phase.released}


def _backfills(ledger: Ledger) -> list[dict[str, object]]:
    return [_backfill(row[0] or "", [int(value or 0) for value in row[1:]]) for row in ledger.slices()]


def _backfill(name: str, numbers: list[int]) -> dict[str, object]:
    slices, succeeded, failed, running, planned, passed, changed, rate = numbers
    left = max(planned - passed, 0) if succeeded < slices else 0
    return {
        "name": name,
        "slices": slices,
        "succeeded": succeeded,
        "failed": failed,
        "running": running,
        "rows_planned": planned,
        "rows_passed": passed,
        "rows_changed": changed,
        "rows_per_second": rate if left else 0,
        "eta_seconds": (left // rate if rate else None) if left else 0,
        "progress": 1.0 if not left else passed / max(planned, 1),
    }


def _reading(entity: str, events: Events) -> dict[str, object]:
    """The newest whole reconciliation of an entity; times in UTC, None for what was never measured."""
    found = {name: events.get(("reading", f"{name}:{entity}")) for name in _READINGS}
    newest = found["problems"]
    drift = events.get(("reading", f"drift_rate:{entity}"))
    return {
        "entity": entity,
        "at": newest.at if newest else None,
        "age_seconds": newest.age if newest else None,
        "drift_rate": float(drift.value) if drift else None,
        **{name: int(event.value) if event else None for name, event in found.items()},
    }


def _condition(answer: Answer) -> dict[str, object]:
    condition = answer.condition
    return {
        "id": condition.id,
        **({"database": condition.database} if condition.database else {}),
        "phase": condition.phase,
        "kind": condition.kind,
        "text": condition.text,
        "met": answer.met,
        "reason": answer.reason,
        "until": answer.until,
    }


def _wrong(
    backfills: list[dict[str, object]], quarantine: Mapping[str, int], readings: list[dict[str, object]]
) -> Iterator[str]:
    for each in backfills:
        if each["failed"]:
            yield f"the backfill of {each['name']} has {each['failed']} slices that failed"
    yield from (f"the backfill of {name} has set {rows} rows aside" for name, rows in quarantine.items() if rows)
    for each in readings:
        bad = [f"{name} {each[name]}" for name in ("problems", "tenants_unlisted") if each[name]]
        if bad:
            yield f"the newest reconciliation of {each['entity']} found {listed(bad)}"


def unrepaired(project: Project, ledger: Ledger) -> tuple[str, ...]:
    """What the applications' routers recorded as failed second writes, while nobody has repaired it."""
    if not ledger.there or not any(plan.switched for plan in project.planned.lowered.tables):
        return ()
    gate = gates.repaired(project.name)
    reason = ledger.unmet(Condition(gate.name, "", gate.title, "ledger", gate.unmet))
    return (reason,) if reason else ()


def _failed(now: Position) -> Iterator[str]:
    """Steps of a walk that failed, and that nobody has done since, or taken back."""
    for (kind, subject), event in now.events.items():
        phase = subject.split("/")[0]
        there = phase in (now.done if kind == "apply" else now.applied)
        back = now.events.get(("rollback", phase))
        if kind == "apply" and back is not None and back.id > event.id:
            continue
        if event.value == "failed" and (kind, there) in (("apply", False), ("rollback", True)):
            yield f"{kind} failed at {subject}"


def _following(project: Project, now: Now, ledger: Ledgers) -> int:
    """The place of the phase to go to: the next one, or, where nothing can be written down yet, the first that does that."""
    place = now.index(project) + 1
    first = min((project.phases.index(r.phase) for r in project.planned.revisions), default=place)
    return place if ledger.there else max(place, first)


def _next(
    project: Project,
    place: int,
    unmet: tuple[Answer, ...],
    recorded: tuple[tuple[str, str], ...],
    said: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    """The command that is next, and what is to be waited for before it."""
    waits = list(spoken(unmet))
    if place >= len(project.phases):
        return {"phase": None, "command": f"migdsl finish {project.file}", "waits_for": waits}
    phase = project.phases[place]
    if recorded and set(recorded) != set(said):
        command = f"migdsl rollout {project.named} --record"
        return {
            "phase": phase,
            "command": command,
            "waits_for": ["the flag of the file is deployed, and then recorded"],
        }
    unreleased = any(r.phase == phase and not r.released for r in project.planned.revisions)
    if unreleased or any(each.condition.id.startswith("stage_") for each in unmet):
        move = next_move(project.planned.module, pairs=any(p.switched for p in project.planned.lowered.tables))
        if move is not None:
            command = f"migdsl rollout {project.named} --stage {move[0]} --for {move[1]}"
            return {"phase": phase, "command": command, "waits_for": waits}
    return {"phase": phase, "command": f"migdsl apply {project.named} --to {phase}", "waits_for": waits}
