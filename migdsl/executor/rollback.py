"""A migration at one phase becomes the same at an earlier one: revision by revision, reconciled after each."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.executor import jobs
from migdsl.executor.chain import Chain, Failed
from migdsl.executor.doing import Doing
from migdsl.executor.ledger import Ledger
from migdsl.executor.model import Desk, Outcome, Project, Refused, Wishes
from migdsl.executor.position import Position, position
from migdsl.planning.facts import Facts
from migdsl.planning.losses import losses
from migdsl.planning.model import Revision
from migdsl.planning.rollback import below
from migdsl.planning.works import Work
from migdsl.semantics.model import STAGES


class Return:
    """One `rollback`: all that it needs on the way."""

    def __init__(self, project: Project, ledger: Ledger, chain: Chain, desk: Desk, wishes: Wishes) -> None:
        self._project = project
        self._ledger = ledger
        self._chain = chain
        self._desk = desk
        self._wishes = wishes
        self._doing = Doing(project, ledger, chain, desk)

    def way(self, phase: str) -> tuple[str, ...]:
        """The phases that are left, the last first. Raises Refused where the way is barred."""
        now = position(self._project, self._ledger, self._chain.standing())
        target, at = self._project.phases.index(phase), now.index(self._project)
        left = self._project.phases[target + 1 : at + 1][::-1]
        if left:
            self._refuse_stage(phase)
            self._refuse_others(left, now)
            self._refuse_losses(left, now)
        return left

    def to(self, phase: str) -> Outcome:
        """Go back. Raises Refused, Failed, StoppedError, psycopg.Error."""
        left = self.way(phase)
        if not left:
            self._desk.say(f"{self._project.name} has not gone further than {phase}")
        proven = True
        for each in left:
            moved = self._downgrade(each)
            self._ledger.record("rollback", each, "finished")
            proven = moved and each != "expand"
            if proven and (stopped := self._reconciled(each)) is not None:
                return stopped
        stopped = None if proven or not left else self._reconciled(phase)
        return stopped or Outcome("reached", phase)

    def _downgrade(self, phase: str) -> bool:
        """Whether there was a revision to take back."""
        self._ledger.paused(0)
        revision = self._revision(phase)
        if revision is None or revision.id not in self._chain.standing().applied:
            return False
        self._desk.say(f"{phase}: alembic downgrade {below(revision)}")
        subject = f"{phase}/downgrade {revision.id}"
        self._ledger.record("rollback", subject, "started")
        try:
            self._doing.insist(phase, lambda: self._chain.downgrade(revision.id))
        except (Failed, KeyboardInterrupt):
            self._ledger.record("rollback", subject, "failed")
            raise
        self._ledger.record("rollback", subject, "finished")
        return True

    def _reconciled(self, phase: str) -> Outcome | None:
        """None where both sides agree, or nothing is left to compare."""
        expand = self._revision("expand")
        if expand is None or expand.id not in self._chain.standing().applied or not self._ledger.there:
            return None
        for plan in self._project.planned.lowered.tables:
            if not plan.comparisons:
                continue
            path = self._project.planned.paths.reconcile(plan.table)
            work = Work("reconcile", plan.table.entity, path, f"python {path}")
            self._desk.say(f"{phase}: {work.command}")
            code = jobs.run(self._project, work, self._ledger.conninfo, self._ledger.run)
            if code != 0:
                return Outcome(
                    "failed", phase, (f"{path} ended with exit code {code}",), f"then again: {work.command}", code
                )
        return None

    def _revision(self, phase: str) -> Revision | None:
        return next((r for r in self._project.planned.revisions if r.phase == phase), None)

    # ------------------------------------------------------------------------------------------- bars

    def _refuse_stage(self, phase: str) -> None:
        """Below cutover, code must not rest on what goes away."""
        phases = self._project.phases
        if "cutover" in phases and phases.index(phase) >= phases.index("cutover"):
            return
        most = next(p.flag_stage for p in self._project.planned.plan.phases if p.id == phase)
        ahead = [
            f"{who} is {stage}" for who, stage in self._ledger.stages() if STAGES.index(stage) > STAGES.index(most)
        ]
        if ahead:
            why = f"at {phase} nobody may be further than {most}, and by the ledger {', '.join(ahead)}"
            command = f"migdsl rollout {self._project.file} --stage {most} --for all"
            raise Refused(
                "MIG741", why, f"first {command}; deploy the flag; migdsl rollout {self._project.file} --record"
            )

    def _refuse_others(self, left: tuple[str, ...], now: Position) -> None:
        ours = {revision.id for revision in self._project.planned.revisions}
        for phase in left:
            revision = self._revision(phase)
            if revision is None or phase not in now.applied:
                continue
            above = [each for each in self._chain.above(revision.id, now.standing) if each not in ours]
            if above:
                why = f"{', '.join(above)} would be taken back together with {revision.id}"
                raise Refused("MIG741", why, "these are other people's: take them back first, with Alembic itself")

    def _refuse_losses(self, left: tuple[str, ...], now: Position) -> None:
        found = tuple(self._losses(left, now))
        if found and not self._wishes.lose:
            raise Refused("MIG741", "; ".join(found), "say --lose where that is meant")

    def _losses(self, left: tuple[str, ...], now: Position) -> Iterator[str]:
        planned = self._project.planned
        facts = Facts(planned.module, planned.lowered, planned.paths, frozenset())
        for phase in left:
            if phase in now.applied:
                yield from losses(facts, phase)
