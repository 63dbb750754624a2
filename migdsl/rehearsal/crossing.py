"""A table that moves to another database is played: carried over, switched tenant by tenant, back, there again, to the end."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from migdsl.dialect.names import quote
from migdsl.executor.apply import Walk
from migdsl.executor.chain import Failed
from migdsl.executor.model import Outcome, Project, Refused, Wishes
from migdsl.executor.rollback import Return
from migdsl.executor.sites import Sites
from migdsl.executor.streams import Carried, stands, streams
from migdsl.executor.turning import turn
from migdsl.planning.release import stage_rows
from migdsl.rehearsal import judge, moving
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.crosser import Relay, Turning, crossers
from migdsl.rehearsal.flag import Flag, skipping
from migdsl.rehearsal.journal import Connection, Journal
from migdsl.rehearsal.model import Log, Mark, Settings, Stuck
from migdsl.rehearsal.rows import Maker, Tenancy
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import Stage, pass_time
from migdsl.rehearsal.subjects import Lines, ramp
from migdsl.rehearsal.traffic import Traffic
from migdsl.rehearsal.troupe import Desk, quiet
from migdsl.runtime import ReconcileJob, main
from migdsl.runtime.errors import JobError, safe_text
from migdsl.semantics.model import StageLine
from migdsl.values import replace

Say = Callable[[str], None]
_AGAIN, _MANY = 6, 3
# Those of a stream fire whoever writes.
_ALWAYS = b"""
SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal AND tgname LIKE '~%%'"""
_WAY = "see what the sync job carries over, and in which order: nothing that is older may arrive after something newer"


@dataclass(slots=True)
class Crossing:
    """One performance."""

    project: Project
    files: Mapping[str, str]
    main: str
    stages: Mapping[str, Stage]
    settings: Settings
    log: Log
    say: Say
    sites: Sites
    shapes: tuple[Shape, ...]
    journals: Mapping[str, Journal]
    tenants: Tenancy
    rules: Rules
    maker: Maker
    traffic: Traffic
    desks: Mapping[str, Connection]
    turning: Turning
    filled: bool = False
    standing: str = "off"
    relays: list[Relay] = field(default_factory=list)

    def whole(self) -> None:
        """All phases that were asked for. Raises Stuck."""
        before = {name: stage.dump() for name, stage in self.stages.items()}
        try:
            with self.step("idle"):
                self._move((("all", "off", None),))
                self.traffic.work(40)
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
                self._reach(phase)
                if phase == "expand":
                    self._expanded(first=not again)
                if phase == "backfill":
                    self._carried()
                if phase == "validate" and not again:
                    self._planted()
                if phase == "cutover":
                    self._over(first=not again)
                self.traffic.work(15)
                self.look()

    def _expanded(self, *, first: bool) -> None:
        """Back and forward again while there is nothing to bring home; then new code and the sync job are there."""
        if first and self.settings.back and "prepare" in self.project.phases:
            self.traffic.work(15)
            before = [stage.dump() for stage in self.stages.values()]
            self._tried("the way back from expand", lambda: Return(self.sites, Desk(), Wishes(lose=True)).to("prepare"))
            self.look()
            self._reach("expand")
            if before != [stage.dump() for stage in self.stages.values()]:
                self.log.against("catalog_back", "expand makes another catalog the second time", "", _WAY)
        self._move((("all", "dualwrite", None),))
        self.rules.new = True
        for carried in streams(self.sites):
            if carried.stream.slot is not None:
                self._run(carried, "slot", "--create")
            relay = Relay(carried, self.project)
            self.relays.append(relay)
            self._started(relay)

    def _carried(self) -> None:
        """The rows from before are on their way: the sync job is killed meanwhile, and started again."""
        start = self.log.now()
        for relay in self.relays:
            relay.kill()
        self.traffic.work(15)
        for relay in self.relays:
            self._started(relay)
        self.log.marks.append(Mark("fault", "the sync job is killed", start, self.log.now()))
        self.filled = True
        self.rules.filled = True
        self.log.saw("backfill", "the sync job was killed while rows were on their way, and started again")

    def _planted(self) -> None:
        """A row of the new side is made to differ behind everybody's back: the reconciliation finds it, and mends it."""
        for shape in self.shapes:
            path = self.project.planned.paths.reconcile(moving.move_of(shape).target)
            with self.traffic.resting():
                self._drained()
                row = self._differing(shape)
                if row is None:
                    continue
                found, _, left = self._job(path), self._job(path, "--repair"), self._job(path)
            if found == 0:
                what = f"a row of {shape.entity} that was made to differ was not found: {row}"
                self.log.against("reconciliation", what, path, "its comparison must see every column, in every range")
            elif left != 0:
                self.log.against("reconciliation", f"{shape.entity} isn't clean after --repair", path, _WAY)
            else:
                self.log.saw("reconciliation", f"{shape.entity}: a row that was made to differ was found and mended")

    def _differing(self, shape: Shape) -> str | None:
        """The key of a row that has another row's value now."""
        columns = moving.plantable(shape)
        if columns is None:
            return None
        name, tenant, keys = columns
        desk, table = self.desks[moving.move_of(shape).target.database], shape.new_name
        shown = " || ' ' || ".join(f"t.{quote(n)}::text" for n in keys)
        other = f"SELECT o.{name} FROM {table} AS o WHERE o.{tenant} = t.{tenant} AND o.{name} IS DISTINCT FROM t.{name} LIMIT 1"
        some = f"SELECT t.ctid FROM {table} AS t WHERE EXISTS ({other}) ORDER BY {shown} LIMIT 1"
        with desk.transaction():
            desk.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
            statement = f"UPDATE {table} AS t SET {name} = ({other}) WHERE t.ctid = ({some}) RETURNING {shown}"
            row = desk.execute(statement.encode()).fetchone()
            desk.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
            for (trigger,) in desk.execute(_ALWAYS, (table,)).fetchall():
                desk.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}".encode())
        return None if row is None else str(row[0])

    def _job(self, path: str, *words: str) -> int:
        """A generated reconciliation's exit code."""
        space: dict[str, object] = {"__name__": "migdsl_job"}
        exec(compile(self.project.texts[path], path, "exec"), space)  # noqa: S102 - the file that is rehearsed
        job = space["JOB"]
        assert isinstance(job, ReconcileJob)
        job = dataclasses.replace(job, patience_s=1.0)  # nothing is on its way here
        site = self.sites.site(self.project.planned.place(path))
        listed = ["--tenants-url", site.listing] if site.listing is not None else []
        with quiet():
            return main(
                job, ["--url", site.ledger.conninfo, *listed, "--other-url", site.others[job.other_env or ""], *words]
            )

    def _over(self, *, first: bool) -> None:
        """Canary, shares, all; back once, and there again."""
        steps = [lines for _, lines in ramp(self.project.planned.module, "shadow")]
        for lines in steps if first else steps[-1:]:
            self._move(lines)
            self.traffic.work(15)
            self.look()
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
        self._tried("the way back", lambda: Return(self.sites, Desk(), Wishes(lose=True)).to(first))
        for relay in self.relays:
            relay.kill()
        self.relays.clear()
        self.filled = self.rules.filled = self.rules.new = False
        for journal in self.journals.values():
            for row in journal.rows:
                row.given = frozenset()
        self.traffic.work(15)
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
                self._reach(phase)
                self.traffic.work(15)
                self.look()
        if "contract" in self._phases():
            judge.target(self.stages, self.project, self.files, self.main, self.log)

    # ------------------------------------------------------------------------------------------- moves

    def _reach(self, phase: str) -> None:
        outcome = Outcome("waiting", phase)
        for _ in range(_AGAIN):
            outcome = self._tried(phase, lambda: self._walked(phase))
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
        self.log.saw("revisions", f"{phase}, in both databases")
        if phase == "validate":
            self.log.saw("reconciliation", "clean at validate, between the databases")

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
        # What it says of itself as it starts is a reading of a moment in which nothing waits, however busy the machine is.
        with self.traffic.resting():
            self._drained()
            for relay in self.relays:
                self._started(relay)

    def _waits(self, phase: str) -> None:
        """Not yet: what binds waits for time, and for everybody."""
        outcome = self._tried(phase, lambda: self._walked(phase))
        if outcome.code == "reached":
            self.log.against("gates", f"{phase} ran at {self.standing}, before its gates held", "", "see its revision")
            raise Stuck
        self.log.saw("gates", f"{phase} at {self.standing}: {'; '.join(outcome.reasons)[:160]}")

    def _tried(self, what: str, run: Callable[[], Outcome]) -> Outcome:
        try:
            with quiet():
                return run()
        except (Failed, Refused) as error:
            self.log.against("revisions", f"{what} failed: {error.why}", "", getattr(error, "help", ""))
        except psycopg.Error as error:
            self.log.against("revisions", f"{what} failed: {safe_text(error)}")
        except JobError as error:
            self.log.against("revisions", f"{what} failed: {error}")
        raise Stuck

    def _run(self, carried: Carried, *words: str) -> None:
        with quiet():
            code = carried.run(*words)
        if code:
            self.log.against("both_sides", f"{carried.path} {' '.join(words)} ended with {code}", carried.path, _WAY)
            raise Stuck

    def _started(self, relay: Relay) -> None:
        try:
            relay.start()
        except Stuck:
            self.log.against("both_sides", "the sync job doesn't run", "", "run it by hand: it says why")
            raise

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
        self.turning.on = True
        try:
            before, self.rules.stages = self.rules.stages, Flag(self.project, self.log).resolved(module, said)
            skipping(self.log, before, self.rules.stages)
            self._recorded(module)
        finally:
            self.turning.on = False
        self.log.marks.append(
            Mark("stage", f"{lines[-1][1]} for {lines[-1][2] or lines[-1][0]}", self.log.now(), self.log.now())
        )

    def _recorded(self, module) -> None:  # type: ignore[no-untyped-def]
        there = [site for site in self.sites.all if site.ledger.there]
        for site in there:
            site.ledger.record_all(("stage", subject, at) for subject, at in stage_rows(module))
        project = replace(self.project, planned=replace(self.project.planned, module=module))
        heard: list[str] = []
        for carried in streams(self.sites) if self.relays else ():
            for why in turn(project, carried, heard.append):
                self.log.against("revisions", f"a tenant isn't turned over: {why}", carried.path, _WAY)
        self.log.saw("flag", f"{', '.join(sorted(set(self.rules.stages.values())))}; {len(heard)} tenants turned over")

    # ------------------------------------------------------------------------------------------- looks

    def _drained(self) -> None:
        """All that was written is on the other side, while both are there."""
        for carried in streams(self.sites):
            if self.relays and stands(carried):
                self._run(carried, "drain", "--seconds", "60")

    def look(self) -> None:
        """The journal against both databases, once all is carried over, while all rest."""
        told: list[tuple[str, str]] = []
        with self.traffic.resting():
            self._drained()
            for shape in self.shapes:
                move = moving.move_of(shape)
                old, new = self.desks[move.table.database], self.desks[move.target.database]
                rows = self.journals[shape.entity].told()
                told += moving.apart(old, new, shape, rows, filled=self.filled, home=False, early=False)
        count = sum(1 for j in self.journals.values() for row in j.rows if row.alive)
        for verdict in ("acknowledged_writes", "both_sides"):
            self.log.saw(verdict, f"{self.log.step}: {count} rows, {self.turning.refused} requests sent across")
            found = [what for each, what in told if each == verdict]
            for what in found[:_MANY]:
                self.log.against(verdict, what, "", _WAY)
            if len(found) > _MANY:
                self.log.against(verdict, f"and {len(found) - _MANY} rows more", "", _WAY)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the play, with its name for findings and the time it took."""
        self.log.step, start = name, self.log.now()
        try:
            yield
        finally:
            self.log.marks.append(Mark("step", name, start, self.log.now()))
            self.say(f"{name}  {self.log.now() - start:.1f} s")


def played(crossing: Crossing, far: str) -> None:
    """Under traffic of both sides; `far` is the new side's URL."""
    with ExitStack() as stack, suppress(Stuck):
        crossing.traffic.client = crossers(far, stack, crossing.turning)
        with crossing.traffic.running():
            crossing.whole()


def chance(seed: int) -> random.Random:
    """Of rows."""
    return random.Random(f"{seed} rows")  # noqa: S311 (nothing here is secret)
