"""A migration at one phase becomes the same at a later one, step by step; each step can be run again after a crash."""

from __future__ import annotations

from typing import Final

from migdsl.executor.asking import answers, settled
from migdsl.executor.carriers import VERBS, Carriers
from migdsl.executor.conditions import conditions
from migdsl.executor.doing import Doing
from migdsl.executor.model import WAITING, Answer, Condition, Desk, Outcome, Project, Refused, Wishes
from migdsl.executor.saying import spoken
from migdsl.executor.sites import Now, Sites
from migdsl.executor.streams import stands, streams
from migdsl.executor.turning import turn
from migdsl.planning.release import stage_rows
from migdsl.planning.works import Work, works

_BINDING: Final = frozenset(["enforce", "contract"])
_RELEASED_AT: Final = {"validate": "shadow", "cutover": "live", "enforce": "live", "contract": "complete"}


class Walk:
    """One `apply`: all that it needs on the way."""

    def __init__(self, sites: Sites, desk: Desk, wishes: Wishes) -> None:
        self._project = sites.project
        self._sites = sites
        self._ledger = sites.ledgers
        self._desk = desk
        self._wishes = wishes
        self._conditions = conditions(self._project.planned, self._project.folder)
        self._carriers = Carriers(sites, desk, wishes)

    def close(self) -> None:
        """End what works beside the walk."""
        self._carriers.close()

    def look(self) -> Now:
        """Where the databases are now."""
        return self._sites.now()

    def to(self, phase: str) -> Outcome:
        """Walk on to a phase, or as far as conditions permit. Raises Refused, Failed, StoppedError, psycopg.Error."""
        phases = self._project.phases
        target, start = phases.index(phase), self.look().index(self._project)
        if start > target:
            self._desk.say(f"{self._project.name} is past {phase} already: at {phases[start]}")
        elif start == target:
            # Whoever asks for it again wants its jobs to look again.
            return self._done(
                phase, [w for w in works(self._project.planned, phase) if w.kind in ("backfill", "reconcile")]
            )
        for each in phases[start + 1 : target + 1]:
            stopped = self._enter(each)
            if stopped is not None:
                return stopped
        return Outcome("reached", phase)

    def _enter(self, phase: str) -> Outcome | None:
        """One phase: the jobs that its gates look at, the conditions of the phase before, then all else."""
        if (unreleased := self._unreleased(phase)) is not None:
            return unreleased
        if phase in _BINDING and (apart := self._apart(phase)) is not None:
            return apart
        if phase == "cutover" and (stopped := self._carriers.settled(phase)) is not None:
            return stopped
        over = self._over(phase)
        found = tuple(work for work in works(self._project.planned, phase) if work.database not in over)
        revision = next((n for n, work in enumerate(found) if work.kind == "upgrade"), 0)
        # What people are told to do right before it waits until nothing is in the way any more.
        first = next((n for n, work in enumerate(found[:revision]) if work.kind == "told"), revision)
        for work in found[:first]:
            if (stopped := self._do(phase, work)) is not None:
                return stopped
        if (unmet := self._unmet(phase, over)) is not None:
            return unmet
        stopped = self._done(phase, found[first:])
        return stopped if stopped.code != "reached" else None

    def _done(self, phase: str, found: list[Work] | tuple[Work, ...]) -> Outcome:
        for work in found:
            if work.kind == "told":
                self._desk.say(f"{phase}: {work.subject}: {work.command}")
                continue
            stopped = self._by_hand(phase, work) if work.kind == "manual" else self._do(phase, work)
            if stopped is not None:
                return stopped
        self._ledger.record("apply", phase, "finished")
        return Outcome("reached", phase)

    def _apart(self, phase: str) -> Outcome | None:
        """Tenants that have come since the flag moved, and who was refused then, write where the flag says before it binds."""
        said = stage_rows(self._project.planned.module)
        if any(site.ledger.stages() != said for site in self._sites.all):
            return None  # what isn't deployed turns nobody over; a gate says so
        for carried in streams(self._sites):
            if stands(carried) and (refused := turn(self._project, carried, self._desk.say)):
                way_out = f"then again: migdsl apply {self._project.named} --to {phase}"
                return Outcome("waiting", phase, refused, way_out, WAITING)
        return None

    def _do(self, phase: str, work: Work) -> Outcome | None:
        if work.kind in VERBS:
            return self._carriers.work(phase, work)
        return Doing(self._sites.site(work.database), self._desk).work(phase, work)

    def _over(self, phase: str) -> frozenset[str]:
        """The databases that have contracted already: nothing is there any more that could be looked at, or carried over."""
        if phase != "contract":
            return frozenset()
        places = zip(self._sites.all, self.look().places, strict=True)
        return frozenset(site.name for site, place in places if phase in place.applied)

    def _unmet(self, phase: str, over: frozenset[str]) -> Outcome | None:
        """What of the phase before keeps from leaving it, where it hasn't been left yet."""
        place = self._project.phases.index(phase)
        before = self._conditions[self._project.phases[place - 1]] if place else ()
        return self._asked(phase, tuple(each for each in before if each.database not in over))

    def _by_hand(self, phase: str, work: Work) -> Outcome | None:
        """A step that people do: they say that it is done."""
        steps = [w.subject for w in works(self._project.planned, phase) if w.kind == "manual"]
        name = f"step_{steps.index(work.subject) + 1}"
        return self._asked(phase, (Condition(name, phase, work.subject, "manual"),))

    def _asked(self, phase: str, asked: tuple[Condition, ...]) -> Outcome | None:
        found = answers(asked, self._ledger, self._ledger.newest(), self._wishes)
        open_ = tuple(each for each in settled(found, self._ledger, self._desk) if not each.met)
        return waiting(self._project.named, phase, open_) if open_ else None

    def _unreleased(self, phase: str) -> Outcome | None:
        """A revision that isn't written yet, since the flag doesn't stand there."""
        late = [r for r in self._project.planned.revisions if r.phase == phase and not r.released]
        if not late:
            return None
        stage = _RELEASED_AT.get(phase, "live")
        everybody = " for all" if phase in ("enforce", "contract") else ""
        reason = f"{late[0].path} is written once the flag stands at {stage}{everybody}"
        way_out = f"migdsl rollout {self._project.named} --stage {stage} --for all"
        return Outcome("waiting", phase, (reason,), way_out, WAITING)


def waiting(file: str, phase: str, unmet: tuple[Answer, ...]) -> Outcome:
    """What a phase waits for, and the next thing to do about it."""
    people = [each.condition.id for each in unmet if each.condition.kind != "ledger"]
    if len(people) == len(unmet):
        words = " ".join(f"--confirm {name}" for name in people)
        way_out = f"if it is so: migdsl apply {file} --to {phase} {words}"
    elif any(each.condition.id.startswith("stage_") for each in unmet):
        way_out = f"deploy the flag, then record it: migdsl rollout {file} --record"
    else:
        way_out = f"run it again later: migdsl apply {file} --to {phase}"
    return Outcome("waiting", phase, spoken(unmet), way_out, WAITING)


def known(project: Project, phase: str) -> str:
    """The phase. Raises Refused where the plan has none of that name."""
    if phase not in project.phases:
        raise Refused("MIG740", f"{project.name} has no phase {phase}", f"there is {', '.join(project.phases)}", 2)
    return phase
