"""A table that moves to another database is played: carried over, switched tenant by tenant, back, there again, to the end."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

from migdsl.executor.apply import Walk
from migdsl.executor.model import Outcome, Project, Wishes
from migdsl.executor.rollback import Return
from migdsl.executor.sites import Sites
from migdsl.executor.streams import Carried, known, opened, streams
from migdsl.executor.turning import turn
from migdsl.ops.model import TablePlan
from migdsl.planning.release import stage_rows
from migdsl.rehearsal import (
    differing,
    emptied,
    gated,
    holding,
    judge,
    moving,
    overtaken,
    refused,
    relabelled,
    somebody,
    staying,
    unreached,
)
from migdsl.rehearsal.crosser import Crosser, Relay, crossers
from migdsl.rehearsal.flag import Flag, skipping
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.passage import WAY, Passage
from migdsl.rehearsal.stage import pass_time
from migdsl.rehearsal.subjects import Lines, ramp
from migdsl.rehearsal.troupe import Desk
from migdsl.rehearsal.twofold import Module, Twofold
from migdsl.semantics.model import CheckedModule, StageLine
from migdsl.values import replace

_AGAIN = 6
_BACK = "the way back from contract"
_NEW = ("live", "rampdown", "complete")


@dataclass(slots=True)
class Crossing(Passage):
    """One performance."""

    deployed: CheckedModule | None = None

    def whole(self) -> None:
        """All phases that were asked for. Raises Stuck."""
        before = {name: stage.dump() for name, stage in self.stages.items()}
        try:
            with self.step("idle"):
                self._move((("all", "off", None),))
                self.traffic.work(25)
            self._there("")
            if "cutover" in self._phases() and self.settings.back:
                with self.step("back to the start"):
                    self._home()
                    for name, stage in self.stages.items():
                        judge.back(stage, before[name], self.log, f"{name} was taken back to the start")
                self._there(" once more")
            self._end()
        finally:
            for relay in self.relays:
                relay.kill()

    def _phases(self) -> tuple[str, ...]:
        phases = self.project.phases
        return phases[: phases.index(self.settings.to) + 1] if self.settings.to else phases

    # ------------------------------------------------------------------------------------------- the way

    def _there(self, again: str) -> None:
        for phase in (p for p in self._phases() if p not in ("enforce", "contract")):
            with self.step(f"{phase}{again}"):
                if phase == "validate":
                    self._move((("all", "shadow", None),))
                if phase == "backfill" and not again:
                    self._held()
                with self._behind_somebody() if phase == "expand" and not again else nullcontext():
                    self._reach(phase)
                if phase == "expand":
                    self._expanded(first=not again)
                if phase == "backfill":
                    self._carried(killed=not again)
                if phase == "validate" and not again:
                    relabelled.carried(self, "old")
                    emptied.told(self, "old")
                    differing.planted(self)
                    refused.refused(self)
                    overtaken.overtaken(self, "old")
                    unreached.failing(self, "old")
                if phase == "cutover":
                    self._over(first=not again)
                self.traffic.work(10)
                self.look()

    def _behind_somebody(self) -> AbstractContextManager[None]:
        """On both sides, and on both at once."""
        if not self.settings.hold_s:
            return nullcontext()
        tables: dict[str, list[str]] = {}
        for shape in self.shapes:
            move = moving.move_of(shape)
            tables.setdefault(move.table.database, []).append(shape.name)
            tables.setdefault(move.target.database, []).append(shape.new_name)
        places = [somebody.Place(self.stages[name].url, tuple(each)) for name, each in tables.items()]
        return somebody.held(places, self.settings, self.watch, self.log)

    def _expanded(self, *, first: bool) -> None:
        """Back and forward again while there is nothing to bring home; then new code and the sync job are there."""
        if first and self.settings.back and "prepare" in self.project.phases:
            self.traffic.work(10)
            before = [stage.dump() for stage in self.stages.values()]
            self.tried("the way back from expand", lambda: Return(self.sites, Desk(), Wishes(lose=True)).to("prepare"))
            self.look()
            self._reach("expand")
            if before != [stage.dump() for stage in self.stages.values()]:
                self.log.against("catalog_back", "expand makes another catalog the second time", "", WAY)
        self._move((("all", "dualwrite", None),))
        self.rules.new = True
        for carried in streams(self.sites):
            if carried.stream.slot is not None:
                self.run(carried, "slot", "--create")
            relay = Relay(carried, self.project)
            self.relays.append(relay)
            self.started(relay)

    def _held(self) -> None:
        """The first backfill has to wait. It is run by hand, and so is what the runbook says after it."""
        plans = [p for p in self.project.planned.lowered.tables if self._backfills(p) in self.project.texts]
        if not plans or not self.settings.hold_s:
            return
        if holding.stood(self, plans[0], None):
            path = self._backfills(plans[0])
            self.log.against("backfill", f"{path} failed after it had waited", path, "run it by hand: it says why")
        self.drained()
        for carried in streams(self.sites):
            self.run(carried, "sequences")

    def _backfills(self, plan: TablePlan) -> str:
        return self.project.planned.paths.backfill(plan.table)

    def _carried(self, *, killed: bool) -> None:
        """The rows from before are on their way: the sync job is killed meanwhile, and started again."""
        start = self.log.now()
        for relay in self.relays if killed else ():
            relay.kill()
        self.traffic.work(15)
        for relay in self.relays if killed else ():
            self.started(relay)
        if killed:
            self.log.marks.append(Mark("fault", "the sync job is killed", start, self.log.now()))
            self.log.saw("backfill", "the sync job was killed while rows were on their way, and started again")
        self.filled = True
        self.rules.filled = True

    def _over(self, *, first: bool) -> None:
        """Canary, shares, all; back once, and there again."""
        steps = [lines for _, lines in ramp(self.project.planned.module, "shadow")]
        if first and self.tenants.canary is not None:
            staying.turned(self, self.tenants.canary)
        for lines in steps if first else steps[-1:]:
            self._move(lines)
            self.traffic.work(10)
            self.look()
        if first:
            relabelled.carried(self, "new")
            emptied.told(self, "new")
            overtaken.overtaken(self, "new")
            unreached.failing(self, "new")
        if first and self.settings.back:
            self._move((("all", "shadow", None),))
            self.traffic.work(15)
            self.look()
            self._move(steps[-1])

    def _home(self) -> None:
        for stage in ("shadow", "dualwrite", "off"):
            self._move((("all", stage, None),))
            self.traffic.work(5)
        first = self.project.phases[max(0, self.project.phases.index("expand") - 1)]
        self.tried("the way back", lambda: Return(self.sites, Desk(), Wishes(lose=True)).to(first))
        for relay in self.relays:
            relay.kill()
        self.relays.clear()
        self.filled = self.rules.filled = self.rules.new = False
        for journal in self.journals.values():
            for row in journal.rows:
                row.given = frozenset()
        self.traffic.work(10)
        self.look()

    def _end(self) -> None:
        """What binds everybody, and what takes the old side away."""
        for phase, stages in (("enforce", ()), ("contract", ("rampdown", "complete"))):
            if phase not in self._phases():
                continue
            with self.step(phase):
                self._waits(phase)
                for stage in stages:
                    self._move((("all", stage, None),))
                with self._behind_somebody():
                    self._reach(phase)
                self.traffic.work(10)
                self.look()
        if "contract" in self._phases():
            self._uncontracted()
            judge.target(self.stages, self.project, self.files, self.main, self.log)

    def _uncontracted(self) -> None:
        """Contract is taken back, the old side's rows come home by the stream; then it is contracted once more."""
        if not self.settings.back:
            return
        before = self._phases()[self._phases().index("contract") - 1]
        with self.step("back from contract"):
            sites = Sites(self._as_deployed(), self.sites.all)
            # Nobody carries over by then what is written meanwhile, and the reconciliation would wait for it.
            with self.traffic.resting():
                back = self.tried(_BACK, lambda: Return(sites, Desk(), Wishes(lose=True)).to(before))
                # Processes begin anew, who knew that there is no fence.
                for client in self.traffic.clients:
                    if isinstance(client, Crosser):
                        client.ready()
            if back.code != "reached":
                self.log.against("revisions", f"{_BACK} is {back.code}: {'; '.join(back.reasons)}", "", back.way_out)
                raise Stuck
            # Old columns are computed from the new ones by now, for rows that were there as well.
            self.rules.home = True
            for relay in self.relays:
                self.started(relay)
            self.traffic.work(10)
            self.look()
        with self.step("contract once more"):
            self._reach("contract")
            self.traffic.work(5)
            self.look()

    def _as_deployed(self) -> Project:
        """The file with the flag where it stands."""
        module = self.deployed or self.project.planned.module
        return replace(self.project, planned=replace(self.project.planned, module=module))

    # ------------------------------------------------------------------------------------------- moves

    def _reach(self, phase: str) -> None:
        outcome = Outcome("waiting", phase)
        for _ in range(_AGAIN):
            outcome = self.tried(phase, lambda: self._walked(phase))
            if outcome.code == "failed" and any("reconcile/" in reason for reason in outcome.reasons):
                outcome = self._still(phase)
            if outcome.code != "waiting":
                break
            self._later()
        if outcome.code != "reached":
            said = "; ".join(outcome.reasons) or outcome.code
            verdict = (
                "reconciliation" if "reconcile/" in said else "gates" if outcome.code == "waiting" else "revisions"
            )
            self.log.against(verdict, f"{phase} is {outcome.code}: {said}", "", outcome.way_out)
            raise Stuck
        self.traffic.rights.reached(phase)
        self.log.saw("revisions", f"{phase}, in both databases")
        if phase == "validate":
            self.log.saw("reconciliation", "clean at validate, between the databases")

    def _still(self, phase: str) -> Outcome:
        """Once more while nothing is on its way: what took longer to come over than the job waits for is no difference."""
        with self.traffic.resting():
            self.drained()
            return self.tried(phase, lambda: self._walked(phase))

    def _walked(self, phase: str) -> Outcome:
        walk = Walk(self.sites, Desk(), Wishes())
        try:
            return walk.to(phase)
        finally:
            walk.close()

    def _later(self) -> None:
        """A month passes; the sync job is heard of again."""
        for desk in self.desks.values():
            pass_time(desk, "31 days")
            if desk.execute("SELECT to_regclass('migdsl.side') IS NOT NULL").fetchone() == (True,):
                desk.execute("UPDATE migdsl.side SET since = since - interval '31 days'")
        # A reading of a moment in which nothing waits, however busy the machine is.
        with self.traffic.resting():
            self.drained()
            for carried in streams(self.sites) if self.relays else ():
                self.run(carried, "once", "--by-clock")

    def _waits(self, phase: str) -> None:
        """Not yet, in each database by itself: what binds waits for time, and for everybody."""
        for site in self.sites.all:
            gated.waits(self.log, site.project.planned, site.chain, phase, f"{self.standing}, {site.name}")

    def _move(self, lines: Lines) -> None:
        """The flag is deployed, recorded, and whoever writes elsewhere is turned over."""
        canary = self.project.planned.module.rollout.canary
        said_ = tuple(
            StageLine("tenants" if scope == "canary" else scope, stage, percent, canary if scope == "canary" else ())
            for scope, stage, percent in lines
        )
        module = replace(self.project.planned.module, stages=said_)
        self.standing = next(stage for scope, stage, _ in lines if scope == "all")
        named = dict.fromkeys(canary, next((s for scope, s, _ in lines if scope == "canary"), self.standing))
        said = {tenant: named.get(tenant, self.standing) for tenant in self.tenants.ids}
        self.deployed, self.turning.on = module, True
        try:
            before, self.rules.stages = self.rules.stages, Flag(self.project, self.log).resolved(module, said)
            skipping(self.log, before, self.rules.stages)
            self._recorded()
        finally:
            self.turning.on = False
        self.log.marks.append(
            Mark("stage", f"{lines[-1][1]} for {lines[-1][2] or lines[-1][0]}", self.log.now(), self.log.now())
        )

    def _recorded(self) -> None:
        project = self._as_deployed()
        there = [site for site in self.sites.all if site.ledger.there]
        for site in there:
            site.ledger.record_all(("stage", subject, at) for subject, at in stage_rows(project.planned.module))
        heard: list[str] = []
        for carried in streams(self.sites) if self.relays else ():
            refused_ = turn(project, carried, heard.append)
            for why in refused_:
                self.log.against("revisions", f"a tenant isn't turned over: {why}", carried.path, WAY)
            if not refused_:
                self._in_place(carried, len(heard))
        self.log.saw("flag", f"{', '.join(sorted(set(self.rules.stages.values())))}; {len(heard)} tenants turned over")

    def _in_place(self, carried: Carried, turned: int) -> None:
        """Those who were to be turned over have been, and nobody else."""
        with opened(carried) as pair:
            standing = known(pair)
        wanted = {tenant: "new" if at in _NEW else "old" for tenant, at in self.rules.stages.items()}
        astray = [tenant for tenant, side in standing.items() if wanted.get(tenant, side) != side]
        if astray:
            what = f"tenant {astray[0]} writes on the {standing[astray[0]]} side at {self.rules.stages[astray[0]]}"
            self.log.against(
                "isolation", what, carried.path, "a switch may move its own tenant's row of migdsl.side alone"
            )
        elif turned:
            left = max(0, len(standing) - turned)
            self.log.saw("isolation", f"{turned} tenants turned over, {left} left where they were")


def played(crossing: Crossing, far: str, modules: tuple[Module, ...] = ()) -> None:
    """Under traffic of both sides; `far` is the new side's URL, `modules` are those that carry over what they write."""
    kind = partial(Twofold, modules=modules) if modules else Crosser
    with ExitStack() as stack, suppress(Stuck):
        crossing.traffic.client = crossers(far, stack, crossing.turning, crossing.traffic.rights, kind)
        with crossing.traffic.running():
            crossing.whole()
