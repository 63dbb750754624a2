"""A replacement becomes steps: the new beside the old, proven by commands, ramped by the flag, the old away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.ops.model import Step
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.replacement import CANARY, Replacement

_BESIDE: Mapping[str, str] = {
    "architecture": "Deploy {new} beside {old}, at an address of its own; no request is sent there yet",
    "infrastructure": "Bring up {new} beside {old}, reachable by the same callers; nothing is sent there yet",
    "dependency": "Build and deploy with {new} beside what is built with {old}, from one commit; it takes no requests yet",
}
_AWAY: Mapping[str, str] = {
    "architecture": "Take the router out, so that {new} is asked directly; then {paths} and what serves them out of {old}",
    "infrastructure": "Shut {old} down; with it go its addresses, credentials, backups and alerts",
    "dependency": "Take {old} out of builds, images and lock files; with it goes what only {old} needed",
}


def steps(module: CheckedModule) -> Iterator[Step]:
    """The steps of all replacements of a module."""
    for each in module.replacements:
        yield from _of(each)
    yield from _ramp(module)
    for each in module.replacements:
        yield _step("contract", f"away_{each.name}", _AWAY[each.kind].format(**_said(each)))


def _of(each: Replacement) -> Iterator[Step]:
    yield _step("expand", f"beside_{each.name}", _BESIDE[each.kind].format(**_said(each)))
    if each.strangles:
        title = f"Put the router in front of {each.old} and {each.new}; while the flag is off {each.old} answers all requests"
        yield _step("expand", f"router_{each.name}", title)
    else:
        title = (
            f"Have each request counted by whether {each.old} or {each.new} served it; migdsl_replace_requests_total"
        )
        yield _step("expand", f"count_{each.name}", title)
    for verify in each.verifies:
        yield _step("validate", f"verify_{each.name}", f"Prove of {each.new} that {verify.text}: {verify.command}")


def _said(each: Replacement) -> Mapping[str, str]:
    return {"old": each.old, "new": each.new, "paths": _listed(list(each.routes)) or "all paths"}


def _ramp(module: CheckedModule) -> Iterator[Step]:
    """The flag is the migration's, and its steps are the same for all that is replaced."""
    if not module.replacements:
        return
    new = _listed([each.new for each in module.replacements])
    for step in ramp(module):
        whom = canary(module) if step is None else audience(module, step)
        title = f"Send {whom} to {new}; compare its errors with those of {_olds(module)} before the next step"
        yield _step("cutover", "stage", title)
    has = "have" if len(module.replacements) > 1 else "has"
    title = f"Once {_olds(module)} {has} answered no request throughout the soak, move the flag to complete"
    yield _step("contract", "stage", title)


def ramp(module: CheckedModule) -> tuple[float | None, ...]:
    """The steps of the rollout, None for the canary."""
    steps_, named = module.rollout.steps, module.rollout.canary
    return (None, *steps_) if named and None not in steps_ else steps_


def canary(module: CheckedModule) -> str:
    """Who goes first."""
    named = module.rollout.canary
    if named == (CANARY,):
        return f"the canary (whoever asks the flag as `{CANARY}`)"
    return f"the canary ({_listed(list(named))})"


def audience(module: CheckedModule, percent: float) -> str:
    """Whom a step of the ramp is for."""
    whose = "clients" if by_request(module) else "tenants"
    return f"all {whose}" if percent == 100 else f"{percent:g}% of the {whose}"


def by_request(module: CheckedModule) -> bool:
    """Whether each client has a side of its own, as there are no tenants, or the file says so."""
    return module.rollout.by_request or module.tenants is None or module.tenants.key is None


def points(module: CheckedModule) -> Iterator[tuple[int, str]]:
    """What raises the risk of a migration with replacements, each with its weight."""
    for each in module.replacements:
        count = len(each.affects)
        if each.kind == "architecture":
            paths = _listed(list(each.routes)) or "all paths"
            yield 2, f"{each.name}: another application answers {paths}, and what the two store is not compared"
        if each.kind == "infrastructure":
            yield 1, f"{each.name}: what runs on {each.old} moves as it is, and no flag moves what it holds"
        if count > 1:
            yield 1, f"{each.name}: {_listed(list(each.affects))} notice"
        if len(each.verifies) == 1:
            yield 1, f"{each.name}: one command alone ({each.verifies[0].command}) proves {each.new}"


def _olds(module: CheckedModule) -> str:
    return _listed([each.old for each in module.replacements])


def _step(phase: str, operation: str, title: str) -> Step:
    return Step(phase, operation, title, None)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
