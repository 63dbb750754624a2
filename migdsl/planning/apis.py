"""An API becomes its parts of the plan: what its clients are told, how they move, what proves that none is left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from migdsl.ops.api import pairs
from migdsl.plan.model import Check, ModernizationGate, Task
from migdsl.plan.phases import ExitCondition, StageName
from migdsl.plan.timeline import Wait
from migdsl.planning.beside import Beside, Manual, Way
from migdsl.planning.paths import Paths
from migdsl.planning.words import listed
from migdsl.semantics.api_model import Api, Route
from migdsl.semantics.conditions import BUILT_IN, SERVED
from migdsl.semantics.model import STAGES, CheckedModule
from migdsl.semantics.policy import Comparison, Held, Metric
from migdsl.values import Value

# What must hold before an old version leaves the code.
QUIET = Held(Comparison(Metric(SERVED, BUILT_IN[SERVED], None), "=", "0", "0"), 7 * 86_400, "7d")
_LIVE = STAGES.index("live")
_PARAMETER = re.compile(r"\{(\w+)\}")


class _About(Value):
    """An API, where its files go, and what its file is called."""

    api: Api
    paths: Paths
    file: str
    by_request: bool

    @property
    def old(self) -> str:
        """The versions that go away."""
        return listed([old for old, _ in pairs(self.api)])

    @property
    def new(self) -> str:
        """The version that stays."""
        return self.api.newest.name

    @property
    def name(self) -> str:
        return self.api.name

    @property
    def probe(self) -> str:
        """The command that asks all versions."""
        asked = (route for route in self.api.routes if route.method in ("GET", "HEAD"))
        found = dict.fromkeys(name for route in asked for name in _PARAMETER.findall(route.path))
        fills = "".join(f" --fill {name}=VALUE" for name in found)
        return f"python {self.paths.api} probe --api {self.name}{fills} https://HOST"


def beside(module: CheckedModule, paths: Paths) -> Iterator[Beside]:
    """One part an API."""
    file = module.path.replace("\\", "/").rsplit("/", 1)[-1]
    by_request = module.rollout.by_request or module.tenants is None or module.tenants.key is None
    for number, api in enumerate(module.apis):
        yield _of(_About(api, paths, file, by_request), first=number == 0)


def _of(about: _About, *, first: bool) -> Beside:
    api, paths = about.api, about.paths
    steps = ("announce_api", "serve_version", "deploy_middleware", "compare_versions")
    later = ("ramp_clients", "deprecate_version", "sunset_version", "remove_version")
    files = (paths.api_guide, None, paths.api, paths.api, paths.flags, paths.api, paths.api, None)
    return Beside(
        subject=f"API {api.name}",
        summary=f"{api.name}: {about.old} to {about.new}",
        category="api_migration",
        pattern="announce, deprecate, sunset, remove",
        truth=_truth(about),
        systems=(f"API {api.name} ({_where(api)})",),
        truths=tuple(_truths(about)),
        strategy=tuple(_strategy(about)),
        constraints=tuple(_constraints(about)),
        artifacts=tuple((o, p) for o, p in zip((*steps, *later), files, strict=True) if p is not None),
        manual=tuple(_manual(about)),
        exits=tuple(_exits(about)),
        code=tuple(_code(about)),
        waits=tuple(_waits(about)),
        ramps=True,
        approach=_approach(about),
        moves=tuple(_moves(about)),
        aborts=tuple(_aborts(about)),
        downtime=f"Clients of {about.name} find both versions answering until {about.old} is gone.",
        ways=tuple(_ways(about)),
        reconciliation=tuple(_reconciliation(about)),
        checks=tuple(_checks(about)),
        metrics=("migdsl_api_requests_total", "migdsl_api_deprecated_requests_total", "migdsl_api_gone_requests_total"),
        sampling=(
            f"{about.name}: every request is counted; of the answers, those that the probe asks for are compared",
        ),
        risks=tuple(_risks(about)),
        complexity="moderate",
        breaking=tuple(_breaking(about)),
        stakeholders=(f"whoever calls {api.name}", *(f"tenant {t}" for g in api.graces for t in g.tenants)),
        gates=tuple(_gates(about)),
        rules=tuple(_rules(about)),
        before=tuple(_before(about)),
        stages=_stages(about),
        watched=f"`{about.probe}`, and the dashboard's panel of versions: what was moved must show there.",
        tasks=tuple(_tasks(about)) if first else (),
    )


def _where(api: Api) -> str:
    return listed([f"{v.name} {place(api, v.name)}" for v in api.versions])


def place(api: Api, version: str) -> str:
    """Where a version answers, as people say it."""
    at = api.version(version).at
    return {"url": f"below {at}", "header": f"with {api.header}: {at}", "media_type": f"as {at}"}[api.strategy]


def _truth(about: _About) -> str:
    return f"All versions of {about.name} read and write the same data: none of them is ahead of the others."


def _truths(about: _About) -> Iterator[tuple[StageName, str]]:
    oldest = about.api.versions[0].name
    for number, stage in enumerate(_STAGES):
        yield stage, f"{about.name} {about.new if number >= _LIVE else oldest}"


_STAGES: tuple[StageName, ...] = ("off", "dualwrite", "shadow", "live", "rampdown", "complete")


def _strategy(about: _About) -> Iterator[str]:
    api = about.api
    told = f"are told on {api.announce}" if api.announce else "are told"
    for each in api.sunsets:
        new = api.successor(each.version)
        yield (
            f"Clients of {each.version} of {api.name} {told}, read from {api.deprecation(each.version)} on that it is "
            f"deprecated, and get 410 from {each.date} on; meanwhile {new.name if new else about.new} answers beside it."
        )
    for grace in api.graces:
        yield f"For {_tenants(grace.tenants)} the old versions of {api.name} answer until {grace.until}."
    yield (
        f"The middleware of {about.paths.api} says so in Deprecation, Sunset and Link on each answer of {about.old}, and counts "
        "who still asks; dates decide, so that no deploy is needed on a day."
    )


def _tenants(tenants: tuple[str, ...]) -> str:
    return f"{'tenant' if len(tenants) == 1 else 'tenants'} {listed(list(tenants))}"


def _constraints(about: _About) -> Iterator[str]:
    for each in about.api.sunsets:
        yield f"{each.version} of {about.name} answers until {each.date}, as its clients were told"
    for grace in about.api.graces:
        yield f"{_tenants(grace.tenants)} may use the old versions of {about.name} until {grace.until}"


def _manual(about: _About) -> Iterator[Manual]:
    found = {
        "expand": f"Ask all versions of {about.name}: each answers, and the old ones say that they go",
        "validate": f"Ask all versions of {about.name} with real ids: same status, same kind of answer",
        "cutover": f"After each step: all versions of {about.name} answer as the day wants it",
    }
    yield from (Manual(phase, text, about.probe, asked=False) for phase, text in found.items())


def _exits(about: _About) -> Iterator[tuple[str, ExitCondition]]:
    api, name = about.api, about.name
    yield "prepare", _person(f"told_{name}", f"Whoever calls {name} has been told, and {api.guide} can be read")
    for old, new in pairs(api):
        since = f"from {api.announce} on" if api.announce else "at once"
        text = f"{new} of {name} answers {place(api, new)}, and {old} as before {place(api, old)}"
        text = f"{text}, {since} with Deprecation, Sunset and Link"
        yield "expand", _person(f"beside_{name}_{old}", text)
    yield "validate", _person(
        f"alike_{name}", f"The probe found 0 routes of {name} on which the versions answer differently"
    )
    yield "cutover", _person(f"day_{name}", f"It is {api.last_day} or later: sunset and grace of {name} are over")
    yield (
        "cutover",
        ExitCondition(
            id=f"quiet_{name}",
            text=f"0 requests of {about.old} of {name} were answered in the last 7 days (migdsl_api_deprecated_requests_total)",
            kind="metric",
            metric=SERVED,
            threshold="= 0",
            window_seconds=int(QUIET.seconds),
        ),
    )
    yield "contract", _person(
        f"removed_{name}", f"The application has no code of {about.old} of {name} left, nor its middleware"
    )


def _person(name: str, text: str) -> ExitCondition:
    return ExitCondition(id=name, text=text, kind="manual")


def _code(about: _About) -> Iterator[tuple[str, str]]:
    yield "expand", f"The application with {about.new} of {about.name} beside {about.old}, behind the middleware"
    yield "cutover", f"Your own clients, which ask the flag {about.paths.migration} which version of {about.name} to call"
    yield "contract", f"The application without {about.old} of {about.name}, and clients that no longer ask the flag"


def _waits(about: _About) -> Iterator[Wait]:
    api = about.api
    first = min(api.announce or d.date for d in api.deprecations)
    days = (date.fromisoformat(api.last_day) - date.fromisoformat(first)).days
    what = "announcement" if api.announce else "deprecation"
    end = "the end of the last grace" if api.graces and api.last_day in {g.until for g in api.graces} else "the sunset"
    text = f"{about.name}: from its {what} on {first} to {end} on {api.last_day}"
    yield Wait(phase="contract", text=text, seconds=days * 86_400)


def _approach(about: _About) -> str:
    who = "request by request" if about.by_request else "tenant by tenant"
    return (
        f"Your own clients move from {about.old} to {about.new} of {about.name} {who}, by the flag {about.paths.migration}. "
        f"Clients of others go by the dates that they were told: {about.api.last_day} is the last."
    )


def _before(about: _About) -> Iterator[str]:
    yield (
        f"`{about.paths.api}` needs `migdsl` beside the application, without any extra: the standard library does. "
        "`HOST` in commands is where the application answers."
    )
    yield (
        f"The probe of {about.name} asks GET routes alone, changes nothing, and wants `--fill NAME=VALUE` for each "
        "parameter, one that is there; `--header-env Authorization=TOKEN` sends what an environment variable holds."
    )


def _stages(about: _About) -> str:
    oldest = about.api.versions[0].name
    alike = f"At dualwrite and shadow they still call {oldest}, at rampdown {about.new}: an API skips these."
    return (
        f"What the stages mean for {about.name}: at off your own clients call {oldest}, at live {about.new}, at complete they "
        f"no longer ask, which is possible from {about.api.last_day} on. {alike} What others call "
        "is theirs; for them the dates hold."
    )


def _moves(about: _About) -> Iterator[str]:
    for each in about.api.deprecations:
        yield f"{each.date}: {each.version} of {about.name} is deprecated; its answers have said so since the middleware is there"
    for each in about.api.sunsets:
        yield f"{each.date}: {each.version} of {about.name} answers 410, with {about.api.guide}"
    for grace in about.api.graces:
        yield f"{grace.until}: so it does for {_tenants(grace.tenants)}"


def _aborts(about: _About) -> Iterator[str]:
    yield f"{about.new} of {about.name} fails where {about.old} answers"
    whose = f"A client of {about.old} of {about.name} that matters"
    yield f"{whose} can't move before its sunset: its grace, or a later day, comes first"


def _ways(about: _About) -> Iterator[Way]:
    api, file, name = about.api, about.file, about.name
    yield Way(
        "contract",
        (f"# deploy the application's version before: it has {about.old} of {name} and the middleware", about.probe),
        f"All data: the versions of {name} share it; {about.old} answers again where its day isn't past",
    )
    later = f"# where {about.old} is gone too early: in {file} move `sunset` to a later day, then"
    yield Way(
        "cutover",
        (
            f"migdsl rollout {file} --stage off --for all",
            f"# deploy the flag file: your own clients call {api.versions[0].name} again",
            later,
            f"migdsl compile {file}",
            f"# deploy {about.paths.api}: whoever asks is answered at once, since no 410 may be stored",
            about.probe,
        ),
        f"All data: what was written by {about.new} of {name} is read by {about.old}",
    )
    yield Way(
        "expand",
        (f"# deploy the application without {about.new} of {name} and without the middleware",),
        f"All data; whoever calls {about.new} of {name} already gets 404, which migdsl_api_requests_total shows beforehand",
    )


def _reconciliation(about: _About) -> Iterator[str]:
    routes = listed([spoken(r) for r in about.api.routes]) or f"what is {_where(about.api)}"
    yield f"Run `{about.probe}` after each step back: {routes} must be answered by each version with the same status"
    yield (
        f"migdsl_api_deprecated_requests_total of {about.name} names the clients that still ask for {about.old}: before contract "
        "it must have stood still for 7 days"
    )


def spoken(route: Route) -> str:
    """A route as people write it."""
    return f"{route.method} {route.path}"


def _checks(about: _About) -> Iterator[Check]:
    def check(name: str, text: str, threshold: str) -> Check:
        path = about.paths.api
        return Check(
            id=f"{about.name}.{name}", kind="answers", entity=about.name, text=text, artifact=path, threshold=threshold
        )

    for route in about.api.routes:
        probed = route.method in ("GET", "HEAD")
        how = "the probe asks for both" if probed else "your tests send both, since a probe must change nothing"
        all_ = listed([v.name for v in about.api.versions])
        text = f"{spoken(route)} of {about.name}: {all_} answer with the same status; {how}"
        yield check(f"alike.{route.method}.{route.path}", text, "0 differences")
    for each in about.api.sunsets:
        moment = int(_epoch(about.api.deprecation(each.version)))
        yield check(
            f"headers.{each.version}",
            f"Each answer of {each.version} of {about.name} has `Deprecation: @{moment}`, its Sunset and the guide's Link",
            "0 without",
        )
        yield check(
            f"gone.{each.version}", f"From {each.date} on {each.version} of {about.name} answers 410", "0 others"
        )


def _epoch(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * 86_400


def _risks(about: _About) -> Iterator[str]:
    api = about.api
    yield (
        f"A client of {about.old} of {api.name} that reads neither mail nor headers fails on {api.sunsets[0].date}: "
        f"migdsl_api_deprecated_requests_total names it while there is time."
    )
    if api.strategy != "url":
        what = f"the header {api.header}" if api.strategy == "header" else "a versioned media type"
        yield (
            f"Requests of {api.name} without {what} count as {api.versions[0].name}, the oldest: who never named a version "
            "is among those that must move."
        )
    if not api.graces:
        yield f"Nobody has a grace for {about.old} of {api.name}: on {api.last_day} it ends for all at once."


def _breaking(about: _About) -> Iterator[str]:
    for text in about.api.breaking:
        yield f"{about.name} {about.new}: {text}"
    for each in about.api.sunsets:
        yield f"{about.name} {each.version} answers 410 from {each.date} on: whoever still calls it fails"


def _gates(about: _About) -> Iterator[ModernizationGate]:
    yield ModernizationGate(
        id=f"contract.{about.name}",
        text=f"No client of {about.name} loses {about.old} unannounced",
        met_by=f"Deprecation, Sunset and Link on each of its answers (RFC 9745, RFC 8594), and {about.api.guide}",
    )
    yield ModernizationGate(
        id=f"usage.{about.name}",
        text=f"{about.old} of {about.name} goes only once nobody asks for it",
        met_by="migdsl_api_deprecated_requests_total by client, its alert, and the exit condition of cutover",
    )


def _rules(about: _About) -> Iterator[str]:
    yield f"{about.old} and {about.new} of {about.name} both answer in every phase before the sunset"
    yield f"Metrics of {about.name} know clients by the software's name, 50 at most; no address, no token, no tenant"


def _tasks(about: _About) -> Iterator[Task]:
    """The files are those of all APIs."""
    paths = about.paths
    yield _task(
        f"Publish the migration guide of {paths.migration}", "tech lead", "prepare", "api_guide", paths.api_guide
    )
    text = f"Put the middleware of {paths.api} in front of the application"
    yield _task(text, "backend", "expand", "api", paths.api)


def _task(text: str, owner: str, phase: str, kind: str, path: str) -> Task:
    return Task(task=text, owner_role=owner, files_touched=(path,), phase=phase, artifact_kind=kind, files_later=())
