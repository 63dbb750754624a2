"""A replacement becomes its parts of the plan: what stands beside what, what proves it, who is sent where, and how to return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from migdsl.ops.replacing import audience, by_request, ramp
from migdsl.plan.model import Check, ModernizationGate, Task
from migdsl.plan.phases import ExitCondition, StageName
from migdsl.plan.timeline import Wait
from migdsl.planning.beside import Beside, Complexity, Manual, Way
from migdsl.planning.owners import owners, systems
from migdsl.planning.paths import Paths
from migdsl.planning.words import duration, listed
from migdsl.semantics.model import STAGES, CheckedModule
from migdsl.semantics.replacement import Replacement, soak_of
from migdsl.values import Value

REQUESTS = "migdsl_replace_requests_total"
TOLERATED = "1 percentage point"
_LIVE = STAGES.index("live")
_QUIET_SECONDS = 86_400
_PATTERNS: Mapping[str, str] = {
    "architecture": "strangler fig: old and new application behind one router",
    "infrastructure": "parallel run: new infrastructure beside the old, requests moved by a flag",
    "dependency": "parallel builds: one with the new dependency, one with the old, requests moved by a flag",
}
_COMPLEXITY: Mapping[str, Complexity] = {
    "architecture": "moderate",
    "infrastructure": "moderate",
    "dependency": "easy",
}


class _About(Value):
    """A replacement, what its file is called, and where its files go. `first`: it speaks for what all of them share."""

    each: Replacement
    module: CheckedModule
    paths: Paths
    file: str
    first: bool

    @property
    def whose(self) -> str:
        return "client" if by_request(self.module) else "tenant"

    @property
    def soak(self) -> int:
        return soak_of(self.each, self.module.policy.keep_seconds)

    @property
    def evidence(self) -> str:
        return f"evidence/{self.paths.migration}.json"

    @property
    def verify(self) -> str:
        return f"python {self.paths.verify} --evidence {self.evidence}"

    @property
    def proven(self) -> str:
        return f"python {self.paths.verify} --proven {self.evidence}"

    @property
    def requests(self) -> str:
        """The requests that move."""
        return f"requests of {listed(list(self.each.routes))}" if self.each.routes else "requests"


def beside(module: CheckedModule, paths: Paths) -> Iterator[Beside]:
    """One part a replacement."""
    file = module.path.replace("\\", "/").rsplit("/", 1)[-1]
    for number, each in enumerate(module.replacements):
        yield _of(_About(each, module, paths, file, number == 0))


def _of(about: _About) -> Beside:
    each, module, paths = about.each, about.module, about.paths
    sides = tuple((stage, each.new if n >= _LIVE else each.old) for n, stage in enumerate(STAGES))
    truths: tuple[tuple[StageName, str], ...] = sides  # type: ignore[assignment]
    return Beside(
        subject=f"replacement {each.name}",
        summary=_sentence(f"{each.old} becomes {each.new}"),
        category=f"{each.kind}_migration",
        pattern=_PATTERNS[each.kind],
        truth=_sentence(f"{each.old} answers through stage shadow, {each.new} from live on, per {about.whose}."),
        systems=systems(module, each.affects),
        truths=truths,
        strategy=_sentences(_strategy(about)),
        constraints=(_sentence(f"{each.old} stays able to take all {about.requests} until contract"),),
        artifacts=(
            (f"verify_{each.name}", paths.verify),
            ("stage", paths.flags),
            *(((f"router_{each.name}", paths.routing),) if each.strangles else ()),
        ),
        manual=tuple(_manual(about)),
        exits=tuple(_exits(about)),
        code=tuple(_code(about)),
        waits=(_soak(about),),
        soak_seconds=about.soak,
        ramps=True,
        approach=_approach(about),
        aborts=_sentences(_aborts(about)),
        downtime=_sentence(
            f"{each.old} and {each.new} are both up until contract, and each request is sent to one of them."
        ),
        ways=tuple(_ways(about)),
        reconciliation=(_reconciliation(about),),
        checks=tuple(_checks(about)),
        metrics=(REQUESTS, *(("migdsl_replace_flag_errors_total",) if each.strangles else ())),
        sampling=(_sampling(about),),
        risks=_sentences(_risks(about)),
        complexity=_COMPLEXITY[each.kind],
        stakeholders=tuple(owners(module, each.affects)),
        gates=(_gate(about),),
        rules=_sentences(_rules(about)),
        before=tuple(_before(about)),
        stages=_stage_meanings(about),
        watched=f"`rate({REQUESTS}[5m])` by side: {each.new} must have the share that was sent to it, and no more errors.",
        tasks=tuple(_tasks(about)),
    )


def _strategy(about: _About) -> Iterator[str]:
    each = about.each
    proofs = listed([f"{verify.text} ({verify.command})" for verify in each.verifies])
    yield f"{each.new} is put beside {each.old}, which answers all requests until the flag says otherwise."
    yield f"Before anybody is sent to {each.new} it is proven that {proofs}."
    if each.strangles:
        paths = listed(list(each.routes)) or "all paths"
        rest = f" Other paths stay with {each.old}." if each.routes else ""
        yield f"For {paths} a router asks the flag which side the {about.whose} is on, and sends the request there, once.{rest}"
    else:
        who = f"the flag {about.paths.migration} per {about.whose}"
        yield f"A process has {each.old} or {each.new}, and counts its requests as of that side; what balances load asks {who}."
    yield f"{each.old} goes {duration(about.soak)} after all {about.whose}s have moved, once it answers none any more."


def _approach(about: _About) -> str:
    each, module = about.each, about.module
    steps = [f"{step:g}%" if step is not None else "the canary" for step in ramp(module)]
    every = duration(module.rollout.every_seconds)
    how = f"{about.requests[0].upper()}{about.requests[1:]} move from {each.old} to {each.new} {about.whose} by {about.whose}"
    return f"{how}: {listed(steps)}, {every} apart, by the flag {about.paths.migration}."


def _before(about: _About) -> Iterator[str]:
    each, paths = about.each, about.paths
    if about.first:
        yield (
            f"`python {paths.verify} --list` shows the commands that are going to be run, and runs none of them. How they "
            f"end is written to `{about.evidence}`; keep that file where the pipeline's other results are."
        )
    if not each.strangles:
        labels = f'migration="{paths.migration}", replace="{each.name}", side="old" or "new", outcome="ok" or "error"'
        yield (
            f"Prometheus reads `{REQUESTS}` ({labels}) from each process: `migdsl.runtime.strangler.Counted` counts for an ASGI "
            "application, and whatever else answers requests counts them itself."
        )


def _stage_meanings(about: _About) -> str:
    each = about.each
    needed = "" if about.module.changes else "; only `off`, `live` and `complete` are needed"
    return (
        f"For {each.name} `off`, `dualwrite` and `shadow` mean that {each.old} answers, `live` and `rampdown` that "
        f"{each.new} does, and `complete` that {each.old} is gone{needed}."
    )


def _manual(about: _About) -> Iterator[Manual]:
    if about.first:
        commands = listed([v.command for other in about.module.replacements for v in other.verifies])
        text = f"Run {commands}, and keep how each ended: {about.verify}"
        yield Manual("validate", text, about.verify)
        yield Manual("validate", f"See that all of them have passed: {about.proven}", about.proven)
        if not about.module.changes:
            yield from _stages(about)
            yield Manual("contract", "After the soak", f"migdsl rollout {about.file} --stage complete --for all")


def _stages(about: _About) -> Iterator[Manual]:
    module, new = about.module, listed([each.new for each in about.module.replacements])
    for step in ramp(module):
        whom = "canary" if step is None else "all" if step == 100 else f"{step:g}%"
        text = (
            f"Send {'the canary' if step is None else audience(module, step)} to {new}; then deploy {about.paths.flags}"
        )
        yield Manual("cutover", text, f"migdsl rollout {about.file} --stage live --for {whom}")


def _exits(about: _About) -> Iterator[tuple[str, ExitCondition]]:
    each, name = about.each, about.each.name
    text = f"The panels of {name} are there, and its alerts are quiet: {REQUESTS} has side old alone"
    yield "prepare", ExitCondition(id=f"watched_{name}", text=text, kind="manual")
    yield "expand", _metric(f"idle_{name}", f"{each.new} is up and has been sent no request", REQUESTS, "= 0")
    if about.first:
        count = sum(len(other.verifies) for other in about.module.replacements)
        text = f"`{about.proven}` returns 0: all {count} commands have passed" if count > 1 else ""
        text = text or f"`{about.proven}` returns 0: its command has passed"
        yield "validate", ExitCondition(id="verified", text=text, kind="manual")
    text = f"{each.new} fails no larger a share of its requests than {each.old} does, {TOLERATED} allowed, since the last step"
    yield "cutover", _metric(f"replace_errors_{name}", text, "replace_errors", "<= 1%")
    text = f"{each.old} has answered none of the {about.requests} for {duration(_QUIET_SECONDS)}"
    yield "cutover", _metric(f"silent_{name}", text, REQUESTS, "= 0", _QUIET_SECONDS)
    who = listed(list(each.affects)) or "a caller"
    yield "contract", ExitCondition(id=f"gone_{name}", text=f"Nobody ({who}) misses {each.old}", kind="manual")


def _metric(id_: str, text: str, metric: str, threshold: str, window: int | None = None) -> ExitCondition:
    return ExitCondition(
        id=id_, text=_sentence(text), kind="metric", metric=metric, threshold=threshold, window_seconds=window
    )


def _code(about: _About) -> Iterator[tuple[str, str]]:
    each, paths = about.each, about.paths
    if each.strangles:
        yield "expand", f"The router of {paths.routing} in front of {each.old} and {each.new}"
        yield "contract", _sentence(
            f"{each.new} without the router, which nothing asks the flag {paths.migration} for any more"
        )
    else:
        yield "expand", f"Processes on {each.old} and on {each.new} that export {REQUESTS} with their side"
        yield "cutover", f"What balances load between {each.old} and {each.new} asks the flag {paths.migration} by {about.whose}"
        yield "contract", f"A build and a configuration that know {each.new} alone"


def _soak(about: _About) -> Wait:
    each = about.each
    text = f"{each.old} stays for {duration(about.soak)} after everybody has moved to {each.new}"
    return Wait(phase="contract", text=_sentence(text), seconds=about.soak)


def _aborts(about: _About) -> Iterator[str]:
    each = about.each
    yield f"{each.new} fails a share of its requests that is more than {TOLERATED} above that of {each.old}"
    yield f"{listed([verify.command for verify in each.verifies], 'or')} fails, having passed before"


def _ways(about: _About) -> Iterator[Way]:
    each, paths = about.each, about.paths
    moved_back = [
        f"migdsl rollout {about.file} --stage off --for all",
        f'# deploy {paths.flags}, and see that {REQUESTS}{{side="new"}} stands still',
    ]
    shared = about.first and not about.module.changes
    kept = _kept(each)
    yield Way(
        "contract",
        (
            f"# {each.way_back}",
            *((f"migdsl rollout {about.file} --stage live --for all --force",) if shared else ()),
        ),
        f"{kept}; {each.old} comes back as it was when it went",
    )
    yield Way(
        "cutover",
        (*(moved_back if shared else ()), f"# {each.way_back}"),
        kept,
        about.soak,
    )
    yield Way(
        "validate",
        (f"# nobody has been sent to {each.new}: mend it, and verify again",),
        f"All data: nothing was sent to {each.new}",
    )
    away = f"# take the router out, then {each.new} away" if each.strangles else f"# take {each.new} away"
    yield Way("expand", (away,), f"All data: {each.old} has answered every request")


def _kept(each: Replacement) -> str:
    """What becomes of what was stored meanwhile."""
    if each.kind == "dependency":
        return f"All data: builds with {each.new} and with {each.old} share their stores"
    return (
        f"What {each.new} alone has stored stays with it, and {each.old} doesn't see it; what both share stays as it is"
    )


def _reconciliation(about: _About) -> str:
    each = about.each
    count = f'increase({REQUESTS}{{replace="{each.name}", side="new"}}[10m])'
    return (
        f"After each step back {count} must be 0, and {each.old} fail no larger a share of its requests than before the ramp; "
        f"no rows are carried. {_kept(each)}"
    )


def _checks(about: _About) -> Iterator[Check]:
    each = about.each
    for number, verify in enumerate(each.verifies, 1):
        yield Check(
            id=f"{each.name}.verify.{number}",
            kind="command",
            entity=each.name,
            text=f"{verify.text}: `{verify.command}` returns 0 within {duration(verify.seconds)}",
            artifact=about.paths.verify,
            threshold="= 0",
        )


def _sampling(about: _About) -> str:
    each, steps = about.each, about.module.rollout.steps
    first = next((f"{step:g}% of the {about.whose}s" for step in steps if step is not None), "everybody")
    return f"None of {each.new}'s requests is left out of {REQUESTS}; the first step has {first}"


def _risks(about: _About) -> Iterator[str]:
    each = about.each
    if each.kind == "architecture":
        yield (
            f"A request that {each.new} fails may have done half of its work: it is never sent to {each.old} as well, and its "
            "caller decides whether to try again."
        )
        yield (
            f"{each.old} and {each.new} may keep state of their own: a {about.whose} that goes back doesn't find in {each.old} "
            f"what {each.new} alone has stored."
        )
    elif each.kind == "infrastructure":
        yield f"Callers that know {each.old} by its address go past the flag: they show as its requests during the soak."
        yield f"{each.new} may hold out at 10% and not at 100%: watch its saturation at each step, beside its errors."
    else:
        yield f"What {each.new} does otherwise than {each.old} and no command tries the ramp's first {about.whose}s meet."
        yield f"Something may pin {each.old} again while both are built: reviews look at the build with {each.new}."


def _rules(about: _About) -> Iterator[str]:
    each = about.each
    yield f"{each.old} is able to take all requests in every phase before contract"
    if each.strangles:
        yield (
            f"A request is sent to {each.old} or {each.new} once; where the flag service fails, whoever is known stays, and "
            f"others are {each.old}'s"
        )
    yield f"The commands that prove {each.new} stand in the file, are shown before they run, and are read by no shell"


def _gate(about: _About) -> ModernizationGate:
    each = about.each
    met = f"{about.verify}, with {listed([verify.command for verify in each.verifies])}"
    text = _sentence(f"{each.new} is proven before anybody uses it")
    return ModernizationGate(id=f"verified.{each.name}", text=text, met_by=met, checks=("verified",))


def _tasks(about: _About) -> Iterator[Task]:
    each, paths = about.each, about.paths
    if about.first:
        proofs = listed([verify.text for other in about.module.replacements for verify in other.verifies])
        yield _task(
            f"Have the pipeline prove that {proofs}, and keep the evidence", "qa", "validate", "verify", paths.verify
        )
    if each.strangles:
        text = f"Run the router in front of {each.old} and {each.new}, and let Prometheus read its counters"
        yield _task(text, "backend", "expand", "routing", paths.routing)


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(_sentence(text) for text in texts)


def _sentence(text: str) -> str:
    """With a capital, where it begins with an article; a name stays as it is written."""
    return text[0].upper() + text[1:] if text.startswith(("the ", "a ", "an ", "requests ")) else text


def _task(text: str, owner: str, phase: str, kind: str, *files: str) -> Task:
    return Task(task=text, owner_role=owner, files_touched=files, phase=phase, artifact_kind=kind, files_later=())
