"""A piece of work becomes its run: started, finished or failed in the ledger, and left out where nothing is to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from migdsl.executor import jobs
from migdsl.executor.chain import Failed
from migdsl.executor.model import WAITING, Desk, Outcome
from migdsl.executor.position import unfilled, unproven
from migdsl.executor.sites import Site
from migdsl.ops import begun, names
from migdsl.planning.works import Work
from migdsl.runtime.errors import StoppedError

# A reading of today is asked for by the gates; one that is younger than this needs no other.
_FRESH_S: Final = 6 * 3_600
_TRIES: Final = 3
_PAUSE_S: Final = 5.0
_STOPPED: Final = 130
_LATE: Final = ("enforce", "contract")


class Doing:
    """Runs what a phase consists of in one database, one piece at a time."""

    def __init__(self, site: Site, desk: Desk) -> None:
        self._site = site
        self._project = site.project
        self._ledger = site.ledger
        self._chain = site.chain
        self._desk = desk

    def work(self, phase: str, work: Work) -> Outcome | None:
        """None where it is done. Raises Failed, StoppedError, psycopg.Error."""
        self._ledger.paused(0)
        if not self._is_due(phase, work):
            return None
        self._desk.say(f"{phase}: {work.command}")
        subject = f"{phase}/{work.kind} {work.subject}"
        self._ledger.record("apply", subject, "started")
        try:
            stopped = self._upgrade(phase, work) if work.kind == "upgrade" else self._job(phase, work)
        except (Failed, KeyboardInterrupt):
            self._ledger.record("apply", subject, "failed")
            raise
        except StoppedError:
            self._ledger.record("apply", subject, "stopped")
            raise
        self._ledger.record("apply", subject, "finished" if stopped is None else stopped.code)
        return stopped

    def _is_due(self, phase: str, work: Work) -> bool:
        """Whether there is something to do that no earlier run has done, whoever ran it."""
        if work.kind == "upgrade":
            return work.subject not in self._chain.standing().applied
        if work.kind == "backfill":
            return bool(unfilled(self._project, self._ledger, work.subject))
        if work.kind == "look" or (phase == "contract" and self._is_gone(work.subject)):
            return False
        return phase not in _LATE or self._is_stale(work)

    def _is_gone(self, entity: str) -> bool:
        """Whether contract has dropped what an entity's jobs read, and was killed before that was written down."""
        planned = self._project.planned
        plans = [p for p in planned.lowered.tables if p.table.entity == entity]
        if any(not self._ledger.has(names.table(p.move.table)) for p in plans if p.move):
            return True
        columns = [column for p in plans for column in begun.going(planned.module, p)]
        return bool(columns) and self._ledger.there and self._ledger.holds(begun.gone(self._project.name, columns))

    def _is_stale(self, work: Work) -> bool:
        """Whether a late phase's job has not run since the flag's last move, or what it found has changed."""
        events = self._ledger.newest()
        moved = max((event.id for (kind, _), event in events.items() if kind == "stage"), default=0)
        if unproven(self._project, self._ledger) or unfilled(self._project, self._ledger):
            return True
        if work.kind == "again":
            ran = events.get(("job", work.subject))
            return ran is None or ran.id < moved
        if (listed := events.get(("reading", f"tenants_unlisted:{work.subject}"))) is not None and listed.value != "0":
            return True
        reading = events.get(("reading", f"problems:{work.subject}"))
        return reading is None or reading.id < moved or reading.age > _FRESH_S

    def _job(self, phase: str, work: Work) -> Outcome | None:
        try:
            code = self.run(work)
        except StoppedError:
            way_out = "run the same again: it goes on where it stopped"
            exit_ = self._ledger.signals.exit_code or WAITING
            return Outcome("stopped", phase, (f"{work.path} was asked to stop",), way_out, exit_)
        if code != 0:
            how = "stopped" if code == _STOPPED else "failed"
            return Outcome(
                how, phase, (f"{work.path} ended with exit code {code}",), f"then again: {work.command}", code
            )
        if work.kind != "reconcile" and (left := unfilled(self._project, self._ledger, work.subject)):
            # A job that was asked to stop ends well, and isn't done.
            return Outcome("stopped", phase, left, "run the same again: it goes on where it stopped", WAITING)
        return None

    def run(self, work: Work) -> int:
        """A job's exit code. Raises StoppedError where a signal ended it, whatever it made of that."""
        site = self._site
        code = jobs.run(self._project, work, self._ledger.conninfo, self._ledger.run, site.listing, site.others)
        self._ledger.paused(0)
        return code

    def _upgrade(self, phase: str, work: Work) -> Outcome | None:
        try:
            self.insist(phase, lambda: self._chain.upgrade(work.subject))
        except Failed as failure:
            if not failure.gate:
                raise
            return Outcome("waiting", phase, (failure.why,), "run it again once its gates hold", WAITING)
        return None

    def insist(self, phase: str, move: Callable[[], None]) -> None:
        """Move the chain; a lock that somebody holds and a connection that was lost are worth another try."""
        for attempt in range(1, _TRIES + 1):
            try:
                return move()
            except Failed as failure:
                if not failure.again or attempt == _TRIES:
                    raise
                self._desk.say(f"{phase}: {failure.why}; tried again in {_PAUSE_S * attempt:g} s")
                self._ledger.paused(_PAUSE_S * attempt)
        return None
