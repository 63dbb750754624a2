"""A replacement becomes its parts of the plan: what stands beside what, what proves it, who is sent where, and how to return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.ops.replacing import audience, ramp
from migdsl.plan.model import Check, ModernizationGate, Task
from migdsl.plan.phases import ExitCondition, StageName
from migdsl.plan.timeline import Wait
from migdsl.planning import replacing_texts as texts
from migdsl.planning.beside import Beside, Complexity, Manual, Way
from migdsl.planning.owners import owners, systems
from migdsl.planning.paths import Paths
from migdsl.planning.replacing_texts import REQUESTS, TOLERATED, About
from migdsl.planning.words import duration, listed
from migdsl.semantics.model import STAGES, CheckedModule

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


def beside(module: CheckedModule, paths: Paths) -> Iterator[Beside]:
    """One part a replacement."""
    file = module.path.replace("\\", "/").rsplit("/", 1)[-1]
    for number, each in enumerate(module.replacements):
        yield _of(About(each, module, paths, file, number == 0))


def _of(about: About) -> Beside:
    each, module, paths = about.each, about.module, about.paths
    sides = tuple((stage, each.new if n >= _LIVE else each.old) for n, stage in enumerate(STAGES))
    truths: tuple[tuple[StageName, str], ...] = sides  # type: ignore[assignment]
    return Beside(
        subject=f"replacement {each.name}",
        summary=texts.sentence(f"{each.old} becomes {each.new}"),
        category=f"{each.kind}_migration",
        pattern=_PATTERNS[each.kind],
        truth=texts.sentence(f"{each.old} answers through stage shadow, {each.new} from live on, per {about.whose}."),
        systems=systems(module, each.affects),
        truths=truths,
        strategy=texts.sentences(texts.strategy(about)),
        constraints=(texts.sentence(f"{each.old} stays able to take all {about.requests} until contract"),),
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
        approach=texts.approach(about),
        aborts=texts.sentences(texts.aborts(about)),
        downtime=texts.sentence(
            f"{each.old} and {each.new} are both up until contract, and each request is sent to one of them."
        ),
        ways=tuple(_ways(about)),
        reconciliation=(texts.reconciliation(about),),
        checks=tuple(_checks(about)),
        metrics=(REQUESTS, *(("migdsl_replace_flag_errors_total",) if each.strangles else ())),
        sampling=(texts.sampling(about),),
        risks=texts.sentences(texts.risks(about)),
        complexity=_COMPLEXITY[each.kind],
        stakeholders=tuple(owners(module, each.affects)),
        gates=(_gate(about),),
        rules=texts.sentences(texts.rules(about)),
        before=tuple(texts.before(about)),
        stages=texts.stages(about),
        watched=f"`rate({REQUESTS}[5m])` by side: {each.new} must have the share that was sent to it, and no more errors.",
        tasks=tuple(_tasks(about)),
    )


def _manual(about: About) -> Iterator[Manual]:
    if about.first:
        commands = listed([v.command for other in about.module.replacements for v in other.verifies])
        text = f"Run {commands}, and keep how each ended: {about.verify}"
        yield Manual("validate", text, about.verify)
        yield Manual("validate", f"See that all of them have passed: {about.proven}", about.proven)
        if not about.module.changes:
            yield from _stages(about)
            yield Manual("contract", "After the soak", f"migdsl rollout {about.file} --stage complete --for all")


def _stages(about: About) -> Iterator[Manual]:
    module, new = about.module, listed([each.new for each in about.module.replacements])
    for step in ramp(module):
        whom = "canary" if step is None else "all" if step == 100 else f"{step:g}%"
        text = (
            f"Send {'the canary' if step is None else audience(module, step)} to {new}; then deploy {about.paths.flags}"
        )
        yield Manual("cutover", text, f"migdsl rollout {about.file} --stage live --for {whom}")


def _exits(about: About) -> Iterator[tuple[str, ExitCondition]]:
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
        id=id_, text=texts.sentence(text), kind="metric", metric=metric, threshold=threshold, window_seconds=window
    )


def _code(about: About) -> Iterator[tuple[str, str]]:
    each, paths = about.each, about.paths
    if each.strangles:
        yield "expand", f"The router of {paths.routing} in front of {each.old} and {each.new}"
        yield "contract", texts.sentence(
            f"{each.new} without the router, which nothing asks the flag {paths.migration} for any more"
        )
    else:
        yield "expand", f"Code that exports {REQUESTS}, by whether {each.old} or {each.new} was used"
        yield "cutover", texts.asked(about).rstrip(".")
        what = "A build" if each.kind == "dependency" else "Code and a configuration"
        yield "contract", f"{what} without {each.old}, and nothing asks the flag {paths.migration} any more"


def _soak(about: About) -> Wait:
    each = about.each
    text = f"{each.old} stays for {duration(about.soak)} after everybody has moved to {each.new}"
    return Wait(phase="contract", text=texts.sentence(text), seconds=about.soak)


def _ways(about: About) -> Iterator[Way]:
    each, paths = about.each, about.paths
    moved_back = [
        f"migdsl rollout {about.file} --stage off --for all",
        f'# deploy {paths.flags}, and see that {REQUESTS}{{side="new"}} stands still',
    ]
    shared = about.first and not about.module.changes
    kept = texts.kept(each)
    yield Way(
        "contract",
        (
            f"# contract has taken {each.old} away: bring it back first",
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


def _checks(about: About) -> Iterator[Check]:
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


def _gate(about: About) -> ModernizationGate:
    each = about.each
    met = f"{about.verify}, with {listed([verify.command for verify in each.verifies])}"
    text = texts.sentence(f"{each.new} is proven before anybody uses it")
    return ModernizationGate(id=f"verified.{each.name}", text=text, met_by=met, checks=("verified",))


def _tasks(about: About) -> Iterator[Task]:
    each, paths = about.each, about.paths
    if about.first:
        proofs = listed([verify.text for other in about.module.replacements for verify in other.verifies])
        yield _task(
            f"Have the pipeline prove that {proofs}, and keep the evidence", "qa", "validate", "verify", paths.verify
        )
    if each.strangles:
        text = f"Run the router in front of {each.old} and {each.new}, and let Prometheus read its counters"
        yield _task(text, "backend", "expand", "routing", paths.routing)


def _task(text: str, owner: str, phase: str, kind: str, *files: str) -> Task:
    return Task(task=text, owner_role=owner, files_touched=files, phase=phase, artifact_kind=kind, files_later=())
