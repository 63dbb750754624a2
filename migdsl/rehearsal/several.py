"""A migration over several databases becomes one play each, on the tables that are there, and a walk of all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from migdsl.executor.apply import Walk
from migdsl.executor.chain import Failed
from migdsl.executor.model import Outcome, Project, Refused, Wishes
from migdsl.executor.rollback import Return
from migdsl.executor.sites import Sites
from migdsl.planning.release import stage_rows
from migdsl.rehearsal import baseline, judge
from migdsl.rehearsal.journal import Connection
from migdsl.rehearsal.model import Log, Stuck, Undoable
from migdsl.rehearsal.stage import Stage, pass_time
from migdsl.rehearsal.troupe import Desk, quiet
from migdsl.runtime.errors import safe_text
from migdsl.runtime.stop import Signals
from migdsl.semantics.model import CheckedModule, StageLine
from migdsl.values import replace

_WANTED = {"backfill": "dualwrite", "validate": "shadow", "cutover": "live", "enforce": "live", "contract": "complete"}
_BACK = {"contract": "rampdown", "enforce": "live", "cutover": "shadow", "validate": "dualwrite", "backfill": "off"}
_AGAIN = 6
DECLARE = "declare what is missing, or leave it out of a copy of the file, and rehearse that"
_WAY = "a phase is over in all databases before the next one begins: see which revision this one is at"


def names(project: Project) -> tuple[str, ...]:
    """The databases in which something changes, the one that has the list of tenants first: the others ask it."""
    module, found = project.planned.module, project.planned.lowered.databases
    listing = module.tenants.database if module.tenants is not None else None
    if listing is not None and listing not in found:
        why = f"the list of tenants is in {listing}, in which nothing changes"
        raise Undoable(why, "a rehearsal has no database but those that change: list tenants in one of them")
    return tuple(sorted(found, key=lambda name: name != listing))


def part(project: Project, name: str) -> Project:
    """What happens in one database, to its own tables."""
    planned = project.planned.of(name)
    module = replace(planned.module, tables=tuple(t for t in planned.module.tables if t.database == name))
    return replace(project, planned=replace(planned, module=module))


def laid(desk: Connection, module: CheckedModule, way: str) -> None:
    """The tables from before are made. Raises Undoable with the way out."""
    for statement in baseline.ddl(module):
        try:
            desk.execute(statement.encode())
        except psycopg.Error as error:
            first = statement.strip().split("\n")[0]
            raise Undoable(f"the tables can't be made from the file alone: {first}: {safe_text(error)}", way) from None


class Together:
    """All databases, moved by one walk. Nobody writes: that is played in each of them."""

    def __init__(self, project: Project, stages: Mapping[str, Stage], log: Log) -> None:
        self._project, self._stages, self._log = project, stages, log
        self._sites = Sites.of(project, {name: stage.url for name, stage in stages.items()}, {}, Signals())
        self._stood = "off"

    def play(self, last: str | None) -> None:
        """Each phase forward, in all of them, and all the way back. Raises Stuck, psycopg.Error."""
        self._made()
        self._sites.open()
        try:
            before = {name: stage.dump() for name, stage in self._stages.items()}
            phases = self._project.phases
            phases = phases[: phases.index(last) + 1] if last is not None else phases
            for phase in phases:
                self._move(_WANTED.get(phase, self._stood))
                self._reach(phase)
                self._stands(phase)
            self._home(phases)
            for name, stage in self._stages.items():
                judge.back(stage, before[name], self._log, f"{name} was walked back together with the others")
        finally:
            self._sites.close()

    def _made(self) -> None:
        for name, stage in self._stages.items():
            with stage.connect() as desk:
                laid(desk, part(self._project, name).planned.module, DECLARE)

    def _home(self, phases: Sequence[str]) -> None:
        """One phase after the other, so that the flag is lowered where it must be."""
        first = phases[max(0, phases.index("expand") - 1)] if "expand" in phases else phases[0]
        for phase in reversed(phases[phases.index(first) + 1 :]):
            before = phases[phases.index(phase) - 1]
            self._move(_BACK.get(phase, "off"))
            self._tried(
                f"the way back from {phase}", lambda to=before: Return(self._sites, Desk(), Wishes(lose=True)).to(to)
            )
            self._stands(before)

    def _reach(self, phase: str) -> None:
        outcome = Outcome("waiting", phase)
        for _ in range(_AGAIN):
            outcome = self._tried(phase, lambda: Walk(self._sites, Desk(), Wishes()).to(phase))
            if outcome.code != "waiting":
                break
            for stage in self._stages.values():
                with stage.connect() as desk:
                    pass_time(desk, "31 days")
        if outcome.code != "reached":
            said = "; ".join(outcome.reasons) or outcome.code
            self._log.against("together", f"{phase} is {outcome.code}: {said}", "", outcome.way_out)
            raise Stuck

    def _tried(self, what: str, run):  # type: ignore[no-untyped-def]
        try:
            with quiet():
                return run()
        except (Failed, Refused) as error:
            self._log.against("together", f"{what} failed: {error.why}", "", _WAY)
        except psycopg.Error as error:
            self._log.against("together", f"{what} failed: {safe_text(error)}", "", _WAY)
        raise Stuck

    def _stands(self, phase: str) -> None:
        """Each has run what belongs to the phases up to this one, and nothing else."""
        phases = self._project.phases
        upto = phases[: phases.index(phase) + 1]
        for site in self._sites.all:
            applied = set(site.chain.standing().applied)
            wanted = {r.id for r in site.project.planned.revisions if r.phase in upto}
            for id_ in sorted(applied ^ wanted):
                how = "hasn't run" if id_ in wanted else "has run already"
                self._log.against("together", f"at {phase} {site.name} {how} {id_}", id_, _WAY)
        self._log.saw("together", f"{len(self._sites.all)} databases at {phase}")

    def _move(self, stage: str) -> None:
        """The flag, for everybody; it is in each ledger."""
        self._stood = stage
        module: CheckedModule = replace(self._project.planned.module, stages=(StageLine("all", stage, None, ()),))
        for site in self._sites.all:
            if site.ledger.there:
                site.ledger.record_all(("stage", subject, at) for subject, at in stage_rows(module))
