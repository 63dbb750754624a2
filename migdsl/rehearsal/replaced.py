"""What is swapped for something else becomes a rollout of two small applications: canary, shares, all, back, forward again."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from migdsl.executor.model import Project
from migdsl.rehearsal import alerts
from migdsl.rehearsal.asgi import App, Asked, Clients, Scope, Small, ask
from migdsl.rehearsal.model import Log, Mark, Settings, Stuck
from migdsl.rehearsal.resolved import Deployed
from migdsl.rehearsal.subjects import Lines, Subjects, moves, ramp, subjects
from migdsl.runtime.strangler import Outcomes, Sides, Strangler, header
from migdsl.runtime.strangler.outcomes import counted
from migdsl.runtime.verify import VerifyJob
from migdsl.runtime.verify import evidence as proof
from migdsl.runtime.verify import main as verify
from migdsl.runtime.verify.run import Outcome, Ran
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.replacement import Replacement

Step = Callable[[str], AbstractContextManager[None]]
Act = Callable[[], Coroutine[Any, Any, bool]]
_SIDES = {"off": "old", "dualwrite": "old", "shadow": "old", "live": "new", "rampdown": "new", "complete": "new"}
_ERRORS, _FLAG_ERRORS = "MigdslReplaceErrors", "MigdslReplaceFlagErrors"
_SUBJECT = "x-tenant-id"
_LOG = logging.getLogger("migdsl.strangler")
_MANY, _REQUESTS, _BROKEN = 3, 90, 3
_PATIENT_S = 20.0


class Service:
    """The flag service: what the deployed file says, and nothing while it is `down`."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self.down = False

    async def variant_async(self, flag: str, tenant: str) -> str:
        """Raises where it is down, and where it doesn't know the flag."""
        if self.down or self._deployed.service is None:
            raise ConnectionError("the flag service doesn't answer")
        return await self._deployed.service.variant_async(flag, tenant)


class Asking:
    """What code does that goes by the flag itself: it asks for the side, and counts what it used."""

    def __init__(self, apps: Mapping[str, App], flags: Service, flag: str, outcomes: Outcomes) -> None:
        self._apps, self.outcomes = apps, outcomes
        self._sides = Sides(flags, flag, outcomes.unanswered, fresh_s=0.0, timeout_s=_PATIENT_S)
        self._subject = header(_SUBJECT)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        subject = self._subject(scope)
        side = await self._sides.side(str(subject)) if subject is not None else "old"
        await counted(self._apps[side], self.outcomes, side, scope, receive, send)


@dataclass(slots=True)
class Replaced:
    """One replacement, played."""

    project: Project
    module: CheckedModule
    replacement: Replacement
    settings: Settings
    log: Log
    step: Step
    clients: Clients
    deployed: Deployed
    sides: dict[str, Small] = field(default_factory=lambda: {"old": Small("old"), "new": Small("new")})
    wanted: dict[str, str] = field(default_factory=dict)
    number: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def play(self) -> None:
        """From off for all to complete. Raises Stuck, Undoable."""
        each, phases = self.replacement, self._phases()
        self.chance.seed(f"{self.settings.seed} {each.name}")
        who = subjects(self.module, self.settings.seed)
        flags = Service(self.deployed)
        app = self._loaded(flags)
        with self.step(f"{each.name}: the old alone"):
            self._stand(app, who, (("all", "off", None),))
            self._alerts(app, _at_start(app), frozenset())
        if "validate" in phases:
            with self.step(f"{each.name}: validate"):
                self._evidence()
        if "cutover" in phases:
            self._cutover(app, flags, who)
        if "contract" in phases:
            with self.step(f"{each.name}: contract"):
                self._stand(app, who, (("all", "complete", None),))

    def _cutover(self, app: Any, flags: Service, who: Subjects) -> None:
        name, steps = self.replacement.name, list(ramp(self.module, "off"))
        for at, (step, lines) in enumerate(steps):
            with self.step(f"{name}: cutover, {step}"):
                before = app.outcomes.text()
                self._stand(app, who, lines)
                self._alerts(app, before, frozenset())
                if at == len(steps) // 2:
                    self._outage(app, flags, who)
                    self._failing(app, who)
        with self.step(f"{name}: back to the old"):
            found = self._stand(app, who, (("all", "off", None),), "way_back")
            self.log.saw("way_back", f"{found} requests, all answered by the old side")
        with self.step(f"{name}: cutover once more"):
            self._stand(app, who, steps[-1][1])
            self._stand(app, who, (("all", "rampdown", None),))

    # ------------------------------------------------------------------------------------------- requests

    def _stand(self, app: Any, who: Subjects, lines: Lines, verdict: str = "sides") -> int:
        """The flag at these lines, and requests of everybody; how many."""
        moves(self.log, self.deployed, who, lines)
        return self._asked(app, who, verdict)

    def _asked(self, app: App, who: Subjects, verdict: str, *, failing: bool = False) -> int:
        expected: dict[str, str] = {}
        acts: list[tuple[str, Act]] = []
        for _ in range(_REQUESTS):
            subject = self.chance.choice(("", *who.sample, *who.sample))
            path, moved = self._path()
            side = _SIDES[self.deployed.stage(subject)] if subject and moved else "old"
            self.number += 1
            expected[str(self.number)] = side
            acts.append((side, self._one(app, path, subject, str(self.number), side, failing=failing)))
        before = {name: len(small.seen) for name, small in self.sides.items()}
        self.clients.work(acts)
        self._once(expected, {name: small.seen[before[name] :] for name, small in self.sides.items()}, verdict)
        self.log.saw("traffic", f"{self.log.step}: {len(acts)} requests")
        return len(acts)

    def _path(self) -> tuple[str, bool]:
        """A path, and whether it is one of those that move."""
        routes = self.replacement.routes
        if not routes or not self.replacement.strangles:
            return self.chance.choice(("/", "/orders/5", "/a/b")), True
        route = "/".join("7" if part.startswith("{") else part for part in self.chance.choice(routes).split("/"))
        return self.chance.choice(((route, True), (f"{route}/x", True), (f"{route}-not", False), ("/elsewhere", False)))

    def _one(self, app: App, path: str, subject: str, number: str, side: str, *, failing: bool) -> Act:
        headers = (("x-request-id", number), *(((_SUBJECT, subject),) if subject else ()))

        async def act() -> bool:
            try:
                answer = await ask(app, Asked("GET", path, headers))
            except Exception as error:  # noqa: BLE001 (what the application raises goes on to the server)
                if not (failing and side == "new"):
                    self.log.against("traffic", f"{path}: {type(error).__name__}: {error}", self._file(), _SEE)
                return False
            ok = answer.status == 200 or (failing and side == "new" and answer.status == 503)
            if not ok or (answer.status == 200 and answer.body != self.sides[side].body(path)):
                self.log.against("sides", f"{path} isn't answered as the {side} side answers it", self._file(), _SEE)
            return answer.status == 200

        return act

    def _once(self, expected: Mapping[str, str], seen: Mapping[str, list[str]], verdict: str) -> None:
        """Each request reached one side, once, and it is the one that the flag says."""
        told = 0
        for number, side in expected.items():
            reached = [name for name, numbers in seen.items() for n in numbers if n == number]
            if reached != [side] and told < _MANY:
                told += 1
                what = f"a request of the {side} side reached {' and '.join(reached) or 'neither'}"
                self.log.against(verdict, what, self._file(), _SEE)
        self.log.saw("sides", f"{self.log.step}: {len(expected)} requests by {self._by()}")

    def _by(self) -> str:
        return "the generated router" if self.replacement.strangles else "code that asks the flag itself"

    def _file(self) -> str:
        paths = self.project.planned.paths
        return paths.routing if self.replacement.strangles else paths.flags

    # --------------------------------------------------------------------------------------------- faults

    def _outage(self, app: Any, flags: Service, who: Subjects) -> None:
        """The flag service fails: who is known stays, and whoever comes new is the old side's."""
        start, errors = self.log.now(), app.outcomes.text()
        known = [s for s in who.sample if s]
        for subject in known:  # so that this process knows each of them
            self._ask_alone(app, subject)
        flags.down = True
        _LOG.disabled = True  # it says of each request what is done on purpose
        try:
            wrong = [s for s in known if self._ask_alone(app, s) != _SIDES[self.deployed.stage(s)]]
            wrong += [s for s in who.others[-5:] if self._ask_alone(app, s) != "old"]
        finally:
            flags.down = _LOG.disabled = False
        self.log.marks.append(Mark("fault", "the flag service doesn't answer", start, self.log.now()))
        if wrong:
            what = f"{len(wrong)} of {len(known) + 5} were answered by another side than before"
            self.log.against("outage", what, self._file(), "who is known stays on its side, and whoever isn't is old")
        self.log.saw("outage", f"{len(known)} that were known, and 5 that were not")
        wanted = frozenset([_FLAG_ERRORS])
        self._alerts(app, errors, wanted, frozenset([_ERRORS]))

    def _ask_alone(self, app: App, subject: str) -> str:
        """Which side a request of a subject reaches."""
        path = next((p for p, moved in (self._path() for _ in range(200)) if moved), "/")
        before = {name: len(small.seen) for name, small in self.sides.items()}

        async def act() -> bool:
            await ask(app, Asked("GET", path, ((_SUBJECT, subject),)))
            return True

        self.clients.work([("new", act)])
        return next((name for name, small in self.sides.items() if len(small.seen) > before[name]), "neither")

    def _failing(self, app: Any, who: Subjects) -> None:
        """The new side fails one request in three: none is tried again on the old, and the alert says so."""
        start, before = self.log.now(), app.outcomes.text()
        moves(self.log, self.deployed, who, (("all", "live", None),))
        self.sides["new"].broken = _BROKEN
        try:
            self._asked(app, who, "sides", failing=True)
        finally:
            self.sides["new"].broken = 0
        self.log.marks.append(Mark("fault", "the new side fails one request in three", start, self.log.now()))
        self._alerts(app, before, frozenset([_ERRORS]))

    # -------------------------------------------------------------------------------------------- counters

    def _alerts(self, app: Any, before: str, wanted: frozenset[str], permitted: frozenset[str] = frozenset()) -> None:
        """The counters, and the standard alerts on what was added to them, as if it went on so."""
        then, now = alerts.samples(before), alerts.samples(app.outcomes.text())
        self._outcomes(now)
        tool, text = alerts.promtool(), self.project.texts.get(self.project.planned.paths.rules)
        if tool is None or text is None:
            self.log.unplayed["alerts"] = "promtool isn't installed here"
            return
        rules = {name: each for name, each in alerts.expressions(text).items() if name in (_ERRORS, _FLAG_ERRORS)}
        series = {name: f"0+{float(value) - float(then.get(name, '0')):g}x60" for name, value in now.items()}
        found = alerts.firing_of(tool, rules, series, "30m")
        for name in sorted((wanted & rules.keys()) - found):
            self.log.against("alerts", f"{name} stays silent", rules[name], "its expression must see what is counted")
        for name in sorted(found - wanted - permitted):
            self.log.against("alerts", f"{name} fires for nothing", rules[name], "its expression must hold only then")
        self.log.saw("alerts", f"{self.log.step}: {', '.join(sorted(found)) or 'no alert'}")

    def _outcomes(self, now: Mapping[str, str]) -> None:
        """All requests of paths that move are counted, by side."""
        totals = {
            side: sum(float(v) for n, v in now.items() if "_requests_total{" in n and f'side="{side}"' in n)
            for side in self.sides
        }
        if totals["new"] != len(self.sides["new"].seen):
            what = f"{totals['new']:.0f} requests of the new side are counted, and {len(self.sides['new'].seen)} were sent there"
            self.log.against("counted", what, self._file(), _SEE)
        self.log.saw("counted", f"{totals['old']:.0f} of the old side, {totals['new']:.0f} of the new one")

    # -------------------------------------------------------------------------------------------- the files

    def _loaded(self, flags: Service) -> Any:
        """The application behind the generated router; where none is generated, code that asks the flag by itself."""
        apps = {"old": self.sides["old"], "new": self.sides["new"]}
        if not self.replacement.strangles:
            name = self.project.name
            return Asking(apps, flags, name, Outcomes(name, self.replacement.name))
        path = self.project.planned.paths.routing
        space = self._run(path)
        try:
            # A machine that is busy is no flag service that fails.
            found = space["router"](
                apps["old"], apps["new"], flags, header(_SUBJECT), fresh_s=0.0, timeout_s=_PATIENT_S
            )
        except Exception as error:  # noqa: BLE001 (somebody may have edited it)
            self.log.against("sides", f"it can't be loaded: {type(error).__name__}: {error}", path, "compile again")
            raise Stuck from None
        assert isinstance(found, Strangler)
        return found

    def _run(self, path: str) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": "migdsl_generated"}
        try:
            exec(compile(self.project.texts[path], path, "exec"), space)  # noqa: S102 - the file that is rehearsed
        except Exception as error:  # noqa: BLE001 (somebody may have edited it)
            self.log.against("traffic", f"it can't be loaded: {type(error).__name__}: {error}", path, "compile again")
            raise Stuck from None
        return space

    def _evidence(self) -> None:
        """The file's commands are what is to be proven, and nothing less proves it. None of them is run."""
        checks = [v for each in self.module.replacements for v in each.verifies]
        path = self.project.planned.paths.verify
        if not checks:
            return
        job = self._run(path).get("JOB")
        assert isinstance(job, VerifyJob)
        said = [(c.text, c.run, c.seconds) for c in job.checks]
        if said != [(v.text, v.words, v.seconds) for v in checks]:
            self.log.against("evidence", "its commands aren't those of the file", path, "compile again")
        for what, outcomes, passes in _cases(len(job.checks)):
            if (_proven(job, outcomes) == 0) != passes:
                self.log.against(
                    "evidence", f"{what} {'proves nothing' if passes else 'counts as proof'}", path, "compile again"
                )
        self.log.saw(
            "evidence", f"{len(job.checks)} commands; {', '.join(what for what, *_ in _cases(len(job.checks)))}"
        )
        named = "; ".join(v.command for v in checks)
        self.log.unplayed["verified"] = (
            f"they prove what isn't here, and are run where it is: `python {path} --evidence FILE` runs {named}"
        )

    def _phases(self) -> tuple[str, ...]:
        phases = self.project.phases
        return phases[: phases.index(self.settings.to) + 1] if self.settings.to else phases


_SEE = "compile again, and deploy router and flag as they were compiled: the side is the flag's to say"


def _at_start(app: Any) -> str:
    """Counters begin at 0."""
    return "\n".join(f"{name} 0" for name in alerts.samples(app.outcomes.text()))


def _cases(count: int) -> tuple[tuple[str, tuple[Outcome, ...], bool], ...]:
    """Evidence of so many commands, and whether it proves anything."""
    well: Outcome = "passed"
    passed = tuple(well for _ in range(count))
    return (
        ("evidence of all", passed, True),
        ("evidence of one that failed", (*passed[1:], "failed"), False),
        ("evidence of a part", passed[1:], False),
    )


def _proven(job: VerifyJob, outcomes: tuple[Outcome, ...]) -> int:
    """What `--proven` answers of such evidence."""
    with tempfile.TemporaryDirectory(prefix="migdsl-evidence-") as folder:
        path = str(Path(folder, "evidence.json"))
        runs = [Ran(check, each, 0, 0.0, 0.1) for check, each in zip(job.checks, outcomes, strict=False)]
        proof.write(path, job, runs)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return verify(job, ["--proven", path])
