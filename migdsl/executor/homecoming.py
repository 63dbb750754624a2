"""A way back becomes what rows in another database ask for: tenants are turned back, and what is there comes home."""

from __future__ import annotations

from typing import Final

from migdsl.executor.doing import Doing
from migdsl.executor.model import Desk, Outcome
from migdsl.executor.sites import Sites
from migdsl.executor.streams import Carried, known, opened, stands, streams
from migdsl.executor.turning import newcomers, turn, turned
from migdsl.planning.works import works

_UNDONE: Final = "contract/downgrade "  # how events of contract's way back begin
_HOME_S: Final = 86_400  # all rows come home: hours, where there are many


class Homecoming:
    """The streams of one `rollback`."""

    def __init__(self, sites: Sites, desk: Desk) -> None:
        self._sites = sites
        self._desk = desk

    def before(self, phase: str, left: tuple[str, ...]) -> Outcome | None:
        """What new code wrote in the other database comes home before anything goes. None where it has."""
        phases = self._sites.project.phases
        if not left or "cutover" not in phases or phases.index(phase) >= phases.index("cutover"):
            return None
        for carried in self._standing():
            if reasons := self._home(carried, whole="expand" in left):
                way_out = f"mend it, then again: migdsl rollback {self._sites.project.named} --to {phase}"
                return Outcome("failed", phase, reasons, way_out, 1)
        return None

    def after(self, phase: str) -> Outcome | None:
        """Out of contract the rows of the old side come home by the stream, since nothing was left of it."""
        for carried in self._standing() if phase == "contract" else ():
            if reasons := self._again(carried):
                way_out = "mend it, then run the same command again"
                return Outcome("failed", phase, reasons, way_out, 1)
        return None

    def _again(self, carried: Carried) -> tuple[str, ...]:
        """The stream has all rows once more; why not. Who has come since contract writes where the flag says from now on."""
        project = self._sites.project
        if carried.stream.slot is not None and (reasons := self._each(carried, ["slot --create"])):
            return reasons
        # Clients go on writing: until somebody carries that over, the two sides differ.
        self._desk.say(f"start the sync job again now, as a service: {carried.command('run')}")
        jobs = (work for work in works(project.planned, "backfill") if work.kind == "backfill")
        for work in (each for each in jobs if each.subject in carried.entities):
            self._desk.say(work.command)
            if code := Doing(carried.old, self._desk).run(work):
                return (f"{work.path} ended with exit code {code}",)
        refused = turn(project, carried, self._desk.say)
        return refused or self._each(carried, [f"drain --seconds {_HOME_S}"])

    def broken_off(self, phase: str) -> tuple[str, ...]:
        """Contract, where its revisions have been taken back and the rows of the old side aren't home yet."""
        events = self._sites.ledgers.newest()
        begun = [event.id for (kind, what), event in events.items() if kind == "rollback" and what.startswith(_UNDONE)]
        ended = events.get(("rollback", "contract"))
        half = bool(begun) and (ended is None or ended.id < max(begun)) and phase != "contract"
        return ("contract",) if half and self._standing() else ()

    def _standing(self) -> tuple[Carried, ...]:
        return tuple(each for each in streams(self._sites) if stands(each))

    def _home(self, carried: Carried, *, whole: bool) -> tuple[str, ...]:
        """Each tenant writes on the old side again; why not, where that failed. `whole`: there will be no stream any more."""
        if refused := newcomers(carried, "old"):
            return refused
        with opened(carried) as pair:
            standing = known(pair)
        if refused := turned(carried, dict.fromkeys(standing, "old"), self._desk.say):
            return refused
        last = ["slot --drop"] if whole and carried.stream.slot is not None else []
        if reasons := self._each(carried, ["drain", *last]):
            return reasons
        if whole:
            self._desk.say(f"the sync job has nothing to do from now on: end it ({carried.command('run')})")
        return ()

    def _each(self, carried: Carried, commands: list[str]) -> tuple[str, ...]:
        for each in commands:
            self._sites.ledgers.paused(0)
            self._desk.say(carried.command(each))
            code = carried.run(*each.split())
            self._sites.ledgers.paused(0)
            if code:
                return (f"{carried.path} {each} ended with exit code {code}",)
        return ()
