"""A migration at one phase becomes the same at an earlier one: revision by revision, reconciled after each."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.executor.chain import Failed
from migdsl.executor.doing import Doing
from migdsl.executor.homecoming import Homecoming
from migdsl.executor.keeping import GONE, farthest_stage, through
from migdsl.executor.model import Desk, Outcome, Refused, Wishes
from migdsl.executor.position import Position
from migdsl.executor.sites import Now, Site, Sites
from migdsl.planning.facts import Facts
from migdsl.planning.losses import losses
from migdsl.planning.model import Revision
from migdsl.planning.rollback import below
from migdsl.planning.works import Work
from migdsl.semantics.model import STAGES


class Return:
    """One `rollback`: all that it needs on the way."""

    def __init__(self, sites: Sites, desk: Desk, wishes: Wishes) -> None:
        self._project = sites.project
        self._sites = sites
        self._ledger = sites.ledgers
        self._desk = desk
        self._wishes = wishes
        self._rows = Homecoming(sites, desk)

    def way(self, phase: str) -> tuple[str, ...]:
        """The phases that are left, the last first. Raises Refused where the way is barred."""
        now = self._sites.now()
        target, at = self._project.phases.index(phase), now.farthest(self._project)
        left = self._project.phases[target + 1 : at + 1][::-1]
        if left:
            self._refuse_stage(phase, now)
            for site, place in zip(self._sites.all, now.places, strict=True):
                self._refuse_others(left, site, place)
            self._refuse_losses(left, now)
        return left

    def to(self, phase: str) -> Outcome:
        """Go back. Raises Refused, Failed, StoppedError, psycopg.Error."""
        left = self.way(phase) or self._rows.broken_off(phase)
        if not left and any(phase in place.broken for place in self._sites.now().places):
            return self._neither(phase)
        if not left:
            self._desk.say(f"{self._project.name} has not gone further than {phase}")
        if (stopped := self._rows.before(phase, left)) is not None:
            return stopped
        proven = True
        for each in left:
            moved = [self._downgrade(site, each) for site in reversed(self._sites.all)]
            if (stopped := self._rows.after(each)) is not None:
                return stopped
            self._ledger.record("rollback", each, "finished")
            proven = any(moved) and each != "expand"
            if proven and (stopped := self._reconciled(each)) is not None:
                return stopped
        stopped = None if proven or not left else self._reconciled(phase)
        return stopped or Outcome("reached", phase)

    def _neither(self, phase: str) -> Outcome:
        """The phase's own revision broke off."""
        before, named = self._project.phases[self._project.phases.index(phase) - 1], self._project.named
        way_out = f"migdsl apply {named} --to {phase}, or migdsl rollback {named} --to {before}"
        return Outcome(
            "failed", phase, (f"the revision of {phase} broke off, and is neither done nor undone",), way_out, 1
        )

    def _downgrade(self, site: Site, phase: str) -> bool:
        """Whether there was a revision to take back."""
        site.ledger.paused(0)
        revision = _revision(site, phase)
        if revision is None or not self._stands(site, revision):
            return False
        self._desk.say(f"{phase}: {site.project.planned.paths.alembic(site.name)} downgrade {below(revision)}")
        subject = f"{phase}/downgrade {revision.id}"
        site.ledger.record("rollback", subject, "started")
        try:
            Doing(site, self._desk).insist(phase, lambda: site.chain.downgrade(revision.id))
        except (Failed, KeyboardInterrupt):
            site.ledger.record("rollback", subject, "failed")
            raise
        site.ledger.record("rollback", subject, "finished")
        return True

    def _stands(self, site: Site, revision: Revision) -> bool:
        """Whether there is something to take back. What broke off is marked as run: its way back passes over what is missing."""
        if revision.id in site.chain.standing().applied:
            return True
        if revision.phase not in site.ledger.begun():
            return False
        self._desk.say(f"{revision.phase}: {site.project.planned.paths.alembic(site.name)} stamp {revision.id}")
        site.chain.stamp(revision.id)
        return True

    def _reconciled(self, phase: str) -> Outcome | None:
        """None where both sides agree, or nothing is left to compare."""
        found = (self._agrees(site, phase) for site in self._sites.all)
        return next((stopped for stopped in found if stopped is not None), None)

    def _agrees(self, site: Site, phase: str) -> Outcome | None:
        expand = _revision(site, "expand")
        if expand is None or expand.id not in site.chain.standing().applied or not site.ledger.there:
            return None
        for plan in site.project.planned.lowered.tables:
            if not plan.comparisons:
                continue
            path = self._project.planned.paths.reconcile(plan.table)
            work = Work("reconcile", plan.table.entity, path, f"python {path}", site.name)
            self._desk.say(f"{phase}: {work.command}")
            code = Doing(site, self._desk).run(work)
            if code != 0:
                return Outcome(
                    "failed", phase, (f"{path} ended with exit code {code}",), f"then again: {work.command}", code
                )
        return None

    # ------------------------------------------------------------------------------------------- bars

    def _refuse_stage(self, phase: str, now: Now) -> None:
        """Below cutover, code must not rest on what goes away."""
        most = farthest_stage(self._project, phase)
        if most is None:
            return
        stages = dict.fromkeys(row for site in self._sites.all for row in site.ledger.stages())
        ahead = [f"{who} is {stage}" for who, stage in stages if STAGES.index(stage) > STAGES.index(most)]
        if ahead:
            why = f"at {phase} nobody may be further than {most}, and by the ledger {', '.join(ahead)}"
            raise Refused("MIG741", why, self._first(phase, most, now))

    def _first(self, phase: str, stage: str, now: Now) -> str:
        """The way there: the flag goes first, and what has run keeps its file until it is taken back."""
        run = frozenset(each for place in now.places for each in place.applied | place.broken)
        named = self._project.named
        if "contract" in run:
            return (
                f"first migdsl rollback {named} --to {self._project.phases[self._project.phases.index('contract') - 1]}"
            )
        kept = through(self._project, run, stage)
        words = f" --through {kept}" if kept else ""
        flag = f"migdsl rollout {named} --stage {stage} --for all{words}"
        way = f"first {flag}; deploy the flag; migdsl rollout {named} --record{words}"
        back = f"migdsl rollback {named} --to {phase}{words}; {GONE}"
        return f"{way}; then {back}" if kept else way

    def _refuse_others(self, left: tuple[str, ...], site: Site, now: Position) -> None:
        ours = {revision.id for revision in site.project.planned.revisions}
        for phase in left:
            revision = _revision(site, phase)
            if revision is None or phase not in now.applied:
                continue
            above = [each for each in site.chain.above(revision.id, now.standing) if each not in ours]
            if above:
                why = f"{', '.join(above)} would be taken back together with {revision.id}"
                raise Refused("MIG741", why, "these are other people's: take them back first, with Alembic itself")

    def _refuse_losses(self, left: tuple[str, ...], now: Now) -> None:
        found = tuple(self._losses(left, now))
        if found and not self._wishes.lose:
            raise Refused("MIG741", "; ".join(found), "say --lose where that is meant")

    def _losses(self, left: tuple[str, ...], now: Now) -> Iterator[str]:
        for phase in left:
            for site, place in zip(self._sites.all, now.places, strict=True):
                planned = site.project.planned
                if phase in place.applied | place.broken:
                    yield from losses(Facts(planned.module, planned.lowered, planned.paths, frozenset()), phase)


def _revision(site: Site, phase: str) -> Revision | None:
    return next((r for r in site.project.planned.revisions if r.phase == phase), None)
