"""A troupe on its stage becomes a whole migration: each phase forward, back and forward again, with faults, under traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import psycopg

from migdsl.executor.chain import Failed
from migdsl.executor.model import Outcome, Refused
from migdsl.planning.model import Revision
from migdsl.rehearsal import (
    emptied,
    faults,
    filling,
    gated,
    judge,
    ramp,
    relabelled,
    scrutiny,
    second,
    soaking,
    somebody,
    staying,
)
from migdsl.rehearsal.journal import Row, View
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import pass_time
from migdsl.rehearsal.standby import Standby
from migdsl.rehearsal.troupe import UNLOADABLE, Troupe
from migdsl.runtime.errors import safe_text
from migdsl.semantics.model import STAGES

_AGAIN = 6  # how often a gate that waits for time is asked
Say = Callable[[str], None]


@dataclass(slots=True)
class Play:
    """One performance."""

    troupe: Troupe
    say: Say
    standby: Standby | None = None
    start: tuple[str, ...] = ()
    offending: list[tuple[Shape, Row]] = field(default_factory=list)
    swapped: bool = False
    home: bool = False
    reached: list[str] = field(default_factory=list)

    def whole(self) -> None:
        """All phases that were asked for. Raises Stuck."""
        troupe = self.troupe
        self.start = troupe.stage.dump()
        self.offending = faults.offended(troupe)
        troupe.move("off")
        with self.step("idle"):
            troupe.traffic.work(60)
        last = troupe.settings.to or troupe.phases[-1]
        for phase in troupe.phases[: troupe.phases.index(last) + 1]:
            with self.step(phase):
                getattr(self, f"_{phase}", lambda p=phase: self._own(p))()
                self.reached.append(phase)
                troupe.traffic.work()
                self.look()
            if phase == "enforce" or (phase == last and phase != "contract"):
                self._all_the_way(phase)
        if last == troupe.phases[-1]:
            stages = dict.fromkeys((site.name for site in troupe.sites.all), troupe.stage)
            ours = troupe.settings.schema is None
            judge.target(stages, troupe.project, troupe.files, troupe.main, troupe.log, ours=ours)

    # ------------------------------------------------------------------------------------------- phases

    def _prepare(self) -> None:
        self._reach("prepare")

    def _own(self, phase: str) -> None:
        """A phase of the user's own: what people do there is taken as done."""
        self._reach(phase)

    def _expand(self) -> None:
        self._there_and_back("expand")
        self.troupe.move("dualwrite")
        # The code that goes by the flag is deployed beside the old.
        self.troupe.rules.new = True
        self.troupe.rules.labels = True
        relabelled.played(self.troupe)

    def _backfill(self) -> None:
        filling.filled(self.troupe, self.standby, self._reach)

    def _validate(self) -> None:
        troupe = self.troupe
        troupe.rules.filled = True
        if troupe.tenants.canary is not None:
            troupe.move("shadow", troupe.tenants.canary)
            troupe.traffic.work(10)
        troupe.move("shadow")
        second.failing(troupe, self.look)
        self._given()
        if self.offending:
            self._refused_for_offenders()
        self._there_and_back("validate")
        relabelled.played(troupe)
        self.look()
        emptied.played(troupe)
        scrutiny.planted(troupe)

    def _given(self) -> None:
        """Rows that old code leaves empty, and no trigger fills, would keep validate from being reached: new code comes first."""
        troupe = self.troupe
        required = [f"{s.entity}.{n}" for s in troupe.shapes if s.plan is not None and s.plan.fills for n in s.required]
        computed = [f"{s.entity}.{o.column.name}" for s in troupe.shapes for o in s.computed]
        with troupe.traffic.resting():
            troupe.rules.given, troupe.rules.still = bool(required), bool(computed)
        if required:
            told = (
                f"from validate on old code too gives {', '.join(required)} a value: until then it may leave it empty"
            )
            troupe.log.notes.append(told)
        if computed:
            told = f"from validate on old code leaves alone what {', '.join(computed)} is computed from: no trigger follows"
            troupe.log.notes.append(told)

    def _cutover(self) -> None:
        troupe = self.troupe
        if (canary := troupe.tenants.canary) is not None:
            staying.moved(troupe, canary, lambda: troupe.move("live", canary))
            troupe.traffic.work(15)
            self.look()
        self._there_and_back("cutover")
        self._live()

    def _live(self) -> None:
        """The rest of the tenants: by shares, then all of them."""
        self._must_wait("enforce")
        ramp.ramped(self.troupe, self.look)
        self.troupe.move("live")
        second.failing(self.troupe, self.look)

    def _enforce(self) -> None:
        if "cutover" not in self.troupe.phases:
            self._live()
        self.troupe.rules.bound = True
        self._there_and_back("enforce")

    def _contract(self) -> None:
        troupe = self.troupe
        for stage in STAGES[STAGES.index(troupe.stood["all"]) + 1 :]:
            self._must_wait("contract")
            troupe.move(stage)
            troupe.traffic.work(15)
        walk = partial(self._tried, lambda: troupe.forward("contract"), "contract", "contract")
        soaking.late(troupe, walk, lambda: self._must_wait("contract"))
        self._there_and_back("contract")

    # ------------------------------------------------------------------------------------------- moves

    def _there_and_back(self, phase: str) -> None:
        """Forward, back, and forward again; the first time with somebody's long transaction in front."""
        troupe = self.troupe
        revision = self._revision(phase)
        before = troupe.stage.dump()
        with self._behind_somebody() if revision is not None and troupe.settings.hold_s else nullcontext():
            self._reach(phase)
        troupe.traffic.bound(phase)
        self.look()
        if revision is None or not troupe.settings.back:
            return
        previous = troupe.phases[troupe.phases.index(phase) - 1]
        stood = troupe.stood["all"]
        self._lower(previous)
        self._return(phase, previous)
        judge.back(troupe.stage, before, troupe.log, f"{phase} was taken back")
        troupe.traffic.work()
        self.look()
        for stage in STAGES[STAGES.index(troupe.stood["all"]) + 1 : STAGES.index(stood) + 1]:
            troupe.move(stage)
        self._reach(phase)

    def _behind_somebody(self) -> AbstractContextManager[None]:
        troupe = self.troupe
        place = somebody.Place(troupe.stage.url, tuple(s.name for s in troupe.shapes if s.plan is not None))
        return somebody.held([place], troupe.settings, troupe.watch, troupe.log)

    def _lower(self, phase: str) -> None:
        """The flag, one stage at a time, to where a phase before cutover bears it."""
        troupe = self.troupe
        if "cutover" in troupe.phases[: troupe.phases.index(phase) + 1]:
            return
        most = next(p.flag_stage for p in troupe.project.planned.plan.phases if p.id == phase)
        while STAGES.index(troupe.stood["all"]) > STAGES.index(most):
            troupe.move(STAGES[STAGES.index(troupe.stood["all"]) - 1])
            troupe.traffic.work(5)

    def _return(self, phase: str, previous: str) -> None:
        troupe = self.troupe
        gone = [s for s in troupe.shapes if s.leaves] if phase == "contract" else []
        if phase == "contract":
            # Old columns are computed from the new ones by now, for rows that were there as well.
            self.home = True
            troupe.rules.home = True
        self._tried(lambda: troupe.backward(previous), f"the way back from {phase}", phase)
        for shape in gone:
            for row in troupe.journals[shape.entity].rows:
                row.alive = False
        self._settle(previous)

    def _all_the_way(self, phase: str) -> None:
        """After the write switch everything is taken back, down to the start, and done once more."""
        troupe = self.troupe
        if not troupe.settings.back or "expand" not in self.reached or phase == "expand":
            return
        first = troupe.phases[max(0, troupe.phases.index("expand") - 1)]
        with self.step(f"back from {phase} to the start"):
            troupe.rules.bound = False
            if phase == "enforce" and "cutover" in troupe.phases:
                # What binds old code goes before old code comes back.
                self._tried(lambda: troupe.backward("cutover"), "the way back from enforce", phase)
            self._lower("expand")
            self._tried(lambda: troupe.backward("expand"), f"the way back from {phase} to expand", phase)
            self._settle("expand")
            self.look()
            self._lower(first)
            self._tried(lambda: troupe.backward(first), "the way back from expand", "expand")
            troupe.rules.labels = troupe.rules.filled = False
            troupe.rules.given = troupe.rules.still = False
            self._new_columns_are_gone()
            judge.back(troupe.stage, self.start, troupe.log, "the whole way back")
            troupe.traffic.work()
            self.look()
        with self.step(f"to {phase} once more"):
            self._once_more(phase)

    def _new_columns_are_gone(self) -> None:
        """What only new code had written is lost with its column, as the plan says; old columns are as they came back."""
        for journal in self.troupe.journals.values():
            for row in journal.rows:
                # What was filled into an old column stays.
                row.given, row.strayed = frozenset(n for n in row.given if n.startswith("~")), False

    def _once_more(self, phase: str) -> None:
        troupe = self.troupe
        for each in troupe.phases[: troupe.phases.index(phase) + 1]:
            wanted = {"validate": "shadow", "cutover": "live", "enforce": "live"}.get(each)
            for stage in STAGES[STAGES.index(troupe.stood["all"]) + 1 :]:
                if wanted is not None and STAGES.index(stage) <= STAGES.index(wanted):
                    troupe.move(stage)
            if each == "validate":
                self._given()
            self._reach(each)
            if each == "expand":
                troupe.move("dualwrite")
                troupe.rules.labels = True
            troupe.rules.filled = troupe.rules.filled or each in ("backfill", "validate")
        troupe.rules.bound = "enforce" in self.reached
        troupe.traffic.work()
        self.look()

    def _reach(self, phase: str) -> None:
        """As often as it takes: what waits for nothing but time is given a month."""
        troupe = self.troupe
        outcome = Outcome("waiting", phase)
        for _ in range(_AGAIN):
            outcome = self._tried(lambda: troupe.forward(phase), phase, phase)
            if outcome.code == "failed" and phase == "backfill" and "unfilled" in troupe.spoken:
                filling.again(troupe)  # rows that moved while it walked: it says so itself
            elif outcome.code != "waiting":
                break
            pass_time(troupe.desk, "31 days")
        if outcome.code != "reached":
            said = "; ".join(outcome.reasons) or outcome.code
            verdict = "reconciliation" if "reconcile/" in said else "backfill" if "backfills/" in said else "revisions"
            verdict = "gates" if outcome.code == "waiting" else verdict
            troupe.log.against(
                verdict, f"{phase} is {outcome.code}: {said}{_heard(troupe.spoken)}", "", outcome.way_out
            )
            raise Stuck
        troupe.log.saw("revisions", phase)
        if phase == "validate" and troupe.project.planned.lowered.tables:
            troupe.log.saw("reconciliation", "clean at validate")
        self._settle(phase)

    def _tried(self, run: Callable[[], Outcome], what: str, phase: str) -> Outcome:
        revision = self._revision(phase)
        path = revision.path if revision is not None else ""
        try:
            return run()
        except Failed as failure:
            self.troupe.log.against("revisions", f"{what} failed: {failure.why}", path, "mend the revision's cause")
        except Refused as refused:
            self.troupe.log.against("revisions", f"{what} is refused: {refused.why}", path, refused.help)
        except psycopg.Error as error:
            self.troupe.log.against("revisions", f"{what} failed: {safe_text(error)}", path)
        except UNLOADABLE as error:
            self.troupe.log.against("revisions", f"{what} failed: {type(error).__name__}: {error}", path)
        raise Stuck

    def _settle(self, phase: str) -> None:
        """What code may count on once the database stands at a phase."""
        troupe = self.troupe
        troupe.traffic.rights.reached(phase)
        behind = troupe.phases.index(phase)
        retyped = [n for s in troupe.shapes for n, o in s.retyped.items() if o.in_place is False]
        if retyped:
            self.swapped = "cutover" in troupe.phases and behind >= troupe.phases.index("cutover")
            troupe.traffic.swap(frozenset(retyped) if self.swapped else frozenset())

    # ------------------------------------------------------------------------------------------- gates

    def _must_wait(self, phase: str) -> None:
        troupe = self.troupe
        gated.waits(troupe.log, troupe.project.planned, troupe.chain, phase, troupe.stood["all"])

    def _refused_for_offenders(self) -> None:
        """Rows that a rule to come forbids keep validate from being reached, until their owners mend them."""
        troupe = self.troupe
        try:
            outcome = troupe.forward("validate")
        except (Failed, Refused, psycopg.Error) as error:
            troupe.log.against("revisions", f"validate failed: {error}")
            raise Stuck from None
        rows = ", ".join(f"{s.entity} {' '.join(r.key.values())}" for s, r in self.offending)
        if outcome.code == "reached":
            what = f"validate was reached while rows break a rule to come: {rows}"
            troupe.log.against("gates", what, "", "the reconciliation must count violations, and fail on them")
        else:
            troupe.log.saw("gates", f"validate waits for the owners of {rows}")
        scrutiny.offenders_fire(troupe)
        faults.mended(troupe, self.offending)
        self.offending = []

    def _revision(self, phase: str) -> Revision | None:
        return next((r for r in self.troupe.project.planned.revisions if r.phase == phase), None)

    # ------------------------------------------------------------------------------------------- looks

    def look(self) -> None:
        """The journal against the rows, while all rest."""
        troupe = self.troupe
        swapped = frozenset(n for s in troupe.shapes for n in s.retyped) if self.swapped else frozenset()
        view = View(troupe.rules.filled, swapped, self.home)
        with troupe.traffic.resting():
            judge.rows(troupe.desk, troupe.journals, view, troupe.log)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the play, with its name for findings and the time it took."""
        log = self.troupe.log
        name = f"{log.place}{name}"
        log.step, start = name, log.now()
        try:
            yield
        finally:
            log.marks.append(Mark("step", name, start, log.now()))
            self.say(f"{name}  {log.now() - start:.1f} s")


_TOLD = 3  # lines of what a job said that are worth repeating


def _heard(spoken: str) -> str:
    """The end of what the jobs of a step said."""
    lines = [" ".join(line.split()) for line in spoken.splitlines() if line.strip()]
    return "".join(f"\n  {line[:200]}" for line in lines[-_TOLD:])
