"""Generated API descriptions become an old version's whole life: announced, deprecated, gone, under requests of all clients."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from migdsl.executor.conditions import conditions
from migdsl.executor.model import Project
from migdsl.rehearsal import alerts
from migdsl.rehearsal.asgi import Answer, Asked, Clients, Small, ask
from migdsl.rehearsal.calendar import DAY, Call, Days, calls, wrong
from migdsl.rehearsal.model import Log, Settings, Stuck
from migdsl.rehearsal.resolved import Deployed
from migdsl.rehearsal.subjects import Moment, moves, ramp, subjects
from migdsl.runtime.api import Api, ApiMiddleware
from migdsl.runtime.api import text as metrics_text
from migdsl.semantics.model import CheckedModule

Step = Callable[[str], AbstractContextManager[None]]
_OLD = ("off", "dualwrite", "shadow")
_USAGE, _ASKED_GONE = "MigdslDeprecatedUsage", "MigdslGoneRequests"
_NEAR_DAYS = 30
_MANY = 3
_WAYS = {
    "announced": "what the middleware adds is the description's: compile again, and deploy what was compiled",
    "gone": "the days of the description must be the file's: compile again, and deploy what was compiled",
    "grace": "the graces of the description must be the file's: compile again, and deploy what was compiled",
    "counted": "each request that an old version answers must be counted, or it goes while somebody asks for it",
    "flag": "code of your own calls `API.call(stage).at`: the stages must be those of routing",
}
Counts = Counter[tuple[str, ...]]


@dataclass(slots=True)
class Clock:
    """The time of day, as somebody sets it."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Served:
    """The APIs of one migration, played."""

    project: Project
    module: CheckedModule
    settings: Settings
    log: Log
    step: Step
    clients: Clients
    clock: Clock = field(default_factory=Clock)
    own: Small = field(default_factory=lambda: Small("the application", {"x-own": "1", "link": '</next>; rel="next"'}))
    counts: Counts = field(default_factory=Counter)
    before: Mapping[str, str] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)

    def play(self) -> None:
        """The calendar from the day before the first one to the day after the last. Raises Stuck, Undoable."""
        app, apis = self._loaded()
        chance = random.Random(f"{self.settings.seed} requests")  # noqa: S311 (nothing here is secret)
        days = [Days(api) for api in self.module.apis]
        everybody = subjects(self.module, self.settings.seed)
        deployed = Deployed(self.project, self.log, self.module)
        deployed.at(("all", "off", None))
        for name, at in _moments(self.project, self.module, days, self.settings.to):
            self.clock.now = at.when
            with self.step(name):
                if at.stages:
                    moves(self.log, deployed, everybody, at.stages)
                self._asked(app, days, deployed, apis, everybody.sample, chance)
                self._counted(app, at, days)
                self.log.saw("flag", f"{name}: own code calls what the flag says")
        self._conditions(app)
        self._unplayed()

    def _loaded(self) -> tuple[ApiMiddleware, Mapping[str, Api]]:
        path = self.project.planned.paths.api
        space: dict[str, Any] = {"__name__": "migdsl_api"}
        try:
            exec(compile(self.project.texts[path], path, "exec"), space)  # noqa: S102 - the file that is rehearsed
            app = space["middleware"](self.own, tenant_of="x-tenant-id", clock=self.clock)
            return app, {api.name: api for api in space["APIS"]}
        except Exception as error:  # noqa: BLE001 (somebody may have edited it)
            self.log.against("traffic", f"it can't be loaded: {type(error).__name__}: {error}", path, "compile again")
            raise Stuck from None

    # ------------------------------------------------------------------------------------------- requests

    def _asked(
        self,
        app: ApiMiddleware,
        days: list[Days],
        deployed: Deployed,
        apis: Mapping[str, Api],
        tenants: tuple[str, ...],
        chance: random.Random,
    ) -> None:
        """Each version by each route, as tenants with and without a grace and as nobody; and code of one's own."""
        acts: list[tuple[str, Callable[[], Coroutine[Any, Any, bool]]]] = []
        for each in days:
            graced = tuple(t for g in each.api.graces for t in g.tenants)
            some = ("", *graced, *(t.upper() for t in graced[:1]), *chance.sample(tenants, 4))
            for number, tenant in enumerate(some):
                found = calls(each.api, tenant, number + chance.randrange(100))
                acts += [(self._age(each, call), self._one(app, each, call)) for call in found]
            acts += [
                ("new", self._own_code(each, apis, deployed.stage(tenant))) for tenant in chance.sample(tenants, 6)
            ]
        acts.append(("new", self._untouched(app, days)))
        chance.shuffle(acts)
        self.clients.work(acts)

    def _age(self, days: Days, call: Call) -> str:
        return "new" if days.sunset(call.version) is None else "old"

    def _one(self, app: ApiMiddleware, days: Days, call: Call) -> Callable[[], Coroutine[Any, Any, bool]]:
        async def act() -> bool:
            now = self.clock.now
            try:
                answer = await ask(app, call.asked)
            except Exception as error:  # noqa: BLE001 (whatever comes, the client has no answer)
                self._against("traffic", f"{call.version} by {call.route}: {type(error).__name__}: {error}")
                return False
            own = Answer(200, tuple(self.own.headers.items()), self.own.body(call.asked.path))
            found = list(wrong(days, call, answer, own, now))
            for each in found:
                self._against(each.verdict, each.what)
            self._count(days, call, now)
            return not found

        return act

    def _count(self, days: Days, call: Call, now: float) -> None:
        """What a request must have been counted as."""
        api, end = days.api.name, days.end(call.version, call.tenant)
        self.counts["migdsl_api_requests_total", api, call.version] += 1
        if end is not None:
            name = "migdsl_api_gone_requests_total" if now >= end else "migdsl_api_deprecated_requests_total"
            self.counts[name, api, call.version, call.route, call.client] += 1

    def _own_code(self, days: Days, apis: Mapping[str, Api], stage: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        """Which version code of one's own is told to call."""

        async def act() -> bool:
            wanted = days.api.versions[0] if stage in _OLD else days.api.newest
            called = apis[days.api.name].call(stage)
            if called.at != wanted.at:
                self._against("flag", f"at {stage} own code calls {called.name}, and not {wanted.name}")
            return called.at == wanted.at

        return act

    def _untouched(self, app: ApiMiddleware, days: list[Days]) -> Callable[[], Coroutine[Any, Any, bool]]:
        """What isn't the API's, and what a browser asks before it asks."""

        async def act() -> bool:
            first = next(calls(days[0].api, "", 0))
            browser = (*first.asked.headers, ("access-control-request-method", "GET"))
            for asked in (Asked("GET", "/elsewhere"), Asked("OPTIONS", first.asked.path, browser)):
                answer = await ask(app, asked)
                if (answer.status, answer.headers) != (200, tuple(self.own.headers.items())):
                    self._against(
                        "announced", f"{asked.method} {asked.path} isn't for an old version, and is answered as one"
                    )
                    return False
            return True

        return act

    def _against(self, verdict: str, what: str) -> None:
        """The first few of a kind; each request would say the same."""
        self.told[f"{self.log.step} {verdict}"] += 1
        if self.told[f"{self.log.step} {verdict}"] <= _MANY:
            path = self.project.planned.paths.api
            self.log.against(verdict, what, path, _WAYS.get(verdict, "see the application's own log"))

    # -------------------------------------------------------------------------------------------- counters

    def _counted(self, app: ApiMiddleware, at: Moment, days: list[Days]) -> None:
        """The middleware's counters against our own, and the alerts on what this step has added."""
        log, said = self.log, metrics_text(app.samples())
        found: Counts = Counter()
        for sample in app.samples():
            labels = tuple(value for name, value in sample.labels.items() if name != "migration")
            if sample.spec.kind == "counter" and sample.value:
                found[sample.spec.name, *labels] += int(sample.value)
        if found != self.counts:
            (missing, count), *_ = [*(self.counts - found).items(), *(found - self.counts).items()]
            self._against("counted", f"{' '.join(missing)} is off by {count}")
        for private in ("ada@example.org", "ada", "10.0.0.7", *(t for g in _graces(days) for t in g)):
            if f'"{private}"' in said:
                self._against("counted", "a metric has a label that says who somebody is")
        log.saw("counted", f"{sum(self.counts.values())} counted in {len(self.counts)} series")
        now = alerts.samples(said)
        self._alerts(at.when, self.before, now, days)
        self.before = now
        for verdict, what in self._looked(at.when, days):
            log.saw(verdict, f"{log.step}: {what}")

    def _looked(self, now: float, days: list[Days]) -> Iterator[tuple[str, str]]:
        yield "traffic", f"{len(self.clients.requests)} requests"
        for each in days:
            gone = [v.name for v in each.api.versions if (end := each.sunset(v.name)) is not None and now >= end]
            says = each.announced is None or now >= each.announced
            yield "announced", f"old versions of {each.api.name} {'say' if says else 'say not yet'} that they go"
            yield "gone", f"{', '.join(gone) or 'nothing'} of {each.api.name} is gone"
            tenants = [t for g in each.api.graces for t in g.tenants]
            if tenants and gone:
                there = sum(now < (each.graced(t) or 0) for t in tenants)
                yield "grace", f"{there} of {len(tenants)} tenants with a grace are answered"

    def _alerts(self, when: float, before: Mapping[str, str], now: Mapping[str, str], days: list[Days]) -> None:
        """The standard alerts, as if what this step asked were asked within an hour."""
        tool, text = alerts.promtool(), self.project.texts.get(self.project.planned.paths.rules)
        if tool is None or text is None:
            self.log.unplayed["alerts"] = "promtool isn't installed here"
            return
        rules = {name: each for name, each in alerts.expressions(text).items() if name in (_USAGE, _ASKED_GONE)}
        wanted, open_ = self._wanted(when, before, now, days)
        found = alerts.firing_of(tool, rules, _hour(when, before, now), "60m")
        for name in sorted((wanted & rules.keys()) - found):
            self.log.against("alerts", f"{name} stays silent", rules[name], "its expression must see what is counted")
        for name in sorted(found - wanted - open_):
            self.log.against("alerts", f"{name} fires for nothing", rules[name], "its expression must hold only then")
        self.log.saw("alerts", f"{self.log.step}: {', '.join(sorted(found)) or 'no alert'}")

    def _wanted(
        self, when: float, before: Mapping[str, str], now: Mapping[str, str], days: list[Days]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Which should fire; and which may, too near the line to tell."""
        grown = [name for name in now if float(now[name]) > float(before.get(name, "0"))]
        found, open_ = set(), set()
        if any(name.startswith("migdsl_api_gone_requests_total{") for name in grown):
            found.add(_ASKED_GONE)
        for each in days:
            for version in each.api.versions:
                asked = any(n.startswith("migdsl_api_deprecated") and f'version="{version.name}"' in n for n in grown)
                left = ((each.sunset(version.name) or when + 1000 * DAY) - when) / DAY
                if asked and abs(left - _NEAR_DAYS) < 1:
                    open_.add(_USAGE)
                elif asked and left < _NEAR_DAYS:
                    found.add(_USAGE)
        return frozenset(found), frozenset(open_)

    def _conditions(self, app: ApiMiddleware) -> None:
        """The plan's own condition that nobody is answered by an old version: it holds after a week without, and not before."""
        tool = alerts.promtool()
        asked = {
            f"m{number}": alerts.shortened(each.question)
            for number, each in enumerate(c for found in conditions(self.project.planned).values() for c in found)
            if each.kind == "monitored" and each.question and each.id.startswith("quiet_")
        }
        if tool is None or not asked or "cutover" not in self._phases():
            self.log.unplayed["conditions"] = (
                "promtool isn't installed here" if tool is None else "the play ends before it"
            )
            return
        now = alerts.samples(metrics_text(app.samples()))
        quiet = alerts.firing_of(tool, asked, {name: f"{value}x180" for name, value in now.items()}, "180m")
        busy = {name: f"{value}x160 {float(value) + 1:g}+1x20" for name, value in now.items()}
        wrongly = alerts.firing_of(tool, asked, busy, "180m")
        for name in sorted(asked.keys() - quiet):
            self.log.against("conditions", "it doesn't hold where nobody asks any more", asked[name], "see the plan")
        for name in sorted(wrongly):
            self.log.against("conditions", "it holds while an old version is asked for", asked[name], "see the plan")
        self.log.saw("conditions", f"{len(asked)} of the plan, over an hour without requests, and over one with some")

    def _phases(self) -> tuple[str, ...]:
        phases = self.project.phases
        return phases[: phases.index(self.settings.to) + 1] if self.settings.to else phases

    def _unplayed(self) -> None:
        self.log.unplayed["alike"] = (
            f"the versions are applications of yours: `python {self.project.planned.paths.api} probe https://HOST` asks them"
        )
        turns = [turn for api in self.module.apis for turn in Days(api).turns]
        if turns and self.clock.now < max(turns):
            for verdict in ("gone", *(["grace"] if any(api.graces for api in self.module.apis) else [])):
                self.log.unplayed[verdict] = "the play ends before the last day"


def _graces(days: list[Days]) -> Iterator[tuple[str, ...]]:
    yield from (g.tenants for each in days for g in each.api.graces)


def _hour(when: float, before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Minute by minute: counters go from what they were to what they are; a moment in time is as far from the test's clock,
    which begins in 1970, as it is from ours."""
    found = {}
    for name, value in now.items():
        if "_timestamp_seconds" in name:
            found[name] = f"{float(value) - when + 3600:.0f}x60"
            continue
        start = float(before.get(name, min(1.0, float(value))))
        found[name] = f"{start:g}+{(float(value) - start) / 60:.9f}x60"
    return found


def _moments(project: Project, module: CheckedModule, days: list[Days], to: str | None) -> Iterator[tuple[str, Moment]]:
    """What happens when, in order; up to a phase."""
    phases = project.phases
    last = phases.index(to) if to is not None else len(phases) - 1
    first = min(each.first for each in days)
    yield "prepare", Moment(first - 2 * DAY, ())
    if last >= phases.index("expand"):
        yield "expand, before it is announced", Moment(first - DAY, (("all", "dualwrite", None),))
        yield "expand, from the announcement on", Moment(first, ())
    if "cutover" not in phases or last < phases.index("cutover"):
        return
    turns = sorted({turn for each in days for turn in each.turns})
    begin = (first + turns[0]) / 2
    for name, stages in _ramp(module):
        yield f"cutover: {name}", Moment(begin, stages)
    for turn in turns:
        day = datetime.fromtimestamp(turn, UTC).date().isoformat()
        yield f"cutover: the second before {day}", Moment(turn - 1, ())
        yield f"cutover: {day} begins", Moment(turn, ())
    if last > phases.index("cutover"):
        yield "contract, from the last day on", Moment(turns[-1] + DAY, (("all", "complete", None),))


def _ramp(module: CheckedModule) -> Iterator[tuple[str, tuple[tuple[str, str, str | None], ...]]]:
    steps = list(ramp(module, "off"))
    yield from steps
    yield "back to off", (("all", "off", None),)
    yield f"{steps[-1][0]} once more", steps[-1][1]
