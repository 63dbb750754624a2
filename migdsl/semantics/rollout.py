"""`cutover` and `flag` become a checked rollout: who goes first, in which steps, and where it stands now."""

from __future__ import annotations

import re

from migdsl.diagnostics import Fix, fixes
from migdsl.semantics.header import again, bad_number
from migdsl.semantics.model import STAGES, Rollout, StageLine, Switch, SwitchLine, Tenants
from migdsl.semantics.problems import Problems, written
from migdsl.source import Span
from migdsl.syntax import ast, lexis

DEFAULT_STEPS = (1.0, 10.0, 50.0, 100.0)
DEFAULT_EVERY = 86400
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INTEGER = re.compile(r"-?\d+")


def rollout(problems: Problems, nodes: list[ast.Cutover], tenants: Tenants | None, *, at_once: bool = False) -> Rollout:
    """The rollout's canary and steps; the default ones where the file says nothing.

    `at_once`: nothing that changes is any tenant's or any request's own, so that by default there is one step for all.
    """
    default = (100.0,) if at_once else DEFAULT_STEPS
    shared = tenants is not None and tenants.none_because is not None and not at_once
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "cutover", "the migration")
    if not nodes:
        return Rollout((), default, DEFAULT_EVERY, shared)
    node = nodes[0]
    for found in (node.canaries, node.ramps):
        if len(found) > 1:
            again(problems, found[1].span, found[0].span, "canary" if found is node.canaries else "ramp", "the cutover")
    canary = tenant_names(problems, [t for c in node.canaries[:1] for t in c.tenants], tenants)
    if not node.ramps:
        return Rollout(canary, default, DEFAULT_EVERY, shared)
    ramp = node.ramps[0]
    steps = DEFAULT_STEPS if ramp.by_request else _steps(problems, ramp, bool(canary))
    # Without tenants a share is one of the requests.
    return Rollout(canary, steps, _every(problems, ramp), ramp.by_request or shared, _steps_span(ramp))


def _every(problems: Problems, ramp: ast.Ramp) -> int:
    if ramp.every is None:
        return DEFAULT_EVERY
    found = lexis.seconds(ramp.every.raw)
    if found is None:
        bad_number(problems, ramp.every, "duration", "24h")
    elif found < 1:
        title, label = "no time passes between the steps: all would move at once", "too short to see what goes wrong"
        problems.error("MIG008", ramp.every.span, title, label, help="every 24h")
    return int(found or DEFAULT_EVERY)


def _steps(problems: Problems, ramp: ast.Ramp, has_canary: bool) -> tuple[float | None, ...]:
    steps: list[float | None] = []
    highest = 0.0
    readable = True
    upwards = _upwards(ramp)
    for number in ramp.steps:
        if number is None:
            steps += _canary_step(problems, ramp, first=not steps, named=has_canary)
            continue
        value = lexis.percent(number.raw)
        if value is None:
            readable = False
            bad_number(problems, number, "percentage from 0% to 100%", "10%")
        elif value <= highest:
            title, label = "a ramp only goes up", f"not more than the {highest:g}% before it"
            help_ = "ramp 1%, 10%, 50%, 100%"
            problems.error("MIG502", number.span, title, label, help=help_, fix=upwards)
        else:
            highest = value
            steps.append(value)
    if highest < 100 and readable:
        title = "the ramp never reaches everybody"
        problems.error("MIG502", ramp.span, title, f"ends at {highest:g}%", help="end it at 100%", fix=upwards)
    return tuple(steps)


def _canary_step(problems: Problems, ramp: ast.Ramp, *, first: bool, named: bool) -> list[None]:
    """The step of the canary; none where it comes too late."""
    if not first:
        title, label = "the canary goes first, and once", "`canary` after another step"
        problems.error("MIG502", ramp.span, title, label, help="ramp canary, 10%, 50%, 100%")
        return []
    if not named:
        title, label = "the ramp begins with a canary, and no canary is named", "`canary` in this ramp"
        help_ = 'canary "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"'
        problems.error("MIG504", ramp.span, title, label, help=help_)
    return [None]


def _steps_span(ramp: ast.Ramp) -> Span | None:
    """From the first percentage to the last."""
    numbers = [number for number in ramp.steps if number is not None]
    return numbers[0].span.to(numbers[-1].span) if numbers else None


def _upwards(ramp: ast.Ramp) -> Fix | None:
    """The same steps from the lowest to all, each once; the canary stays at the head."""
    span = _steps_span(ramp)
    found = [(lexis.percent(n.raw), n.raw) for n in ramp.steps if n is not None]
    if span is None or any(value is None for value, _ in found) or None in ramp.steps[1:]:
        return None
    rising = {value: raw for value, raw in found if value} | {100.0: "100%"}
    steps = ", ".join(raw for _, raw in sorted(rising.items(), key=lambda step: step[0] or 0))
    return fixes.replacing(span, steps, f"the steps become {steps}", safe=False)


def stages(
    problems: Problems, nodes: list[ast.Flag], name: str | None, canary: tuple[str, ...], tenants: Tenants | None
) -> tuple[StageLine, ...]:
    """Where the rollout stands now; off for all where the file says nothing."""
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "flag", "the migration")
    for node in nodes[:1]:
        if node.entity is not None:
            title = "a flag for one entity is part of the language, and not of this release"
            problems.error("MIG007", node.entity.span, title, "not supported yet")
        if name is not None and node.name.text != name and name not in problems.broken:
            title = f"the staged flag has the name of its migration: `{name}`"
            fix = fixes.replacing(node.name.span, written(name), f"it is called `{name}`", safe=False)
            problems.error("MIG107", node.name.span, title, "another name", help=f"flag {name} {{ … }}", fix=fix)
        return tuple(_stage_lines(problems, node, canary, tenants))
    return ()


def _stage_lines(
    problems: Problems, node: ast.Flag, canary: tuple[str, ...], tenants: Tenants | None
) -> list[StageLine]:
    seen: dict[str, ast.Stage] = {}
    lines = []
    for item in node.stages:
        if item.stage.text not in STAGES:
            problems.unknown("MIG106", "stage", item.stage.text, item.stage.span, STAGES)
            continue
        kind, percent, names = _scope(problems, item.scope, canary, tenants)
        for who in names or (f"{percent}%" if percent else kind,):
            if who in seen:
                _contradiction(problems, item, seen[who], who)
            seen.setdefault(who, item)
        lines.append(StageLine(kind, item.stage.text, percent, names, item.span))
    _complete(problems, node, lines)
    return lines


def _complete(problems: Problems, node: ast.Flag, lines: list[StageLine]) -> None:
    """New code that is complete looks at the new shape alone, which old code beside it no longer does."""
    everybody = any(line.scope == "all" for line in lines)
    behind = [line for line in lines if STAGES.index(line.stage) < STAGES.index("live")]
    done = next((item for item in node.stages if item.stage.text == "complete"), None)
    if done is not None and (behind or not everybody):
        title = "`complete` is possible once every tenant is live"
        label = f"others are {behind[0].stage if behind else 'off'}"
        problems.error("MIG506", done.span, title, label, help="stage live for all")


def _contradiction(problems: Problems, line: ast.Stage, first: ast.Stage, who: str) -> None:
    title = f"the flag says twice where `{who}` stands"
    help_ = "keep the line that is true now"
    same = line.stage.text == first.stage.text and len(line.scope.tenants) < 2
    fix = fixes.removing(line.span, "the second one goes, which says the same", safe=True) if same else None
    problems.error("MIG506", line.span, title, "again", more=[(first.span, "first said here")], help=help_, fix=fix)


def switches(
    problems: Problems, nodes: list[ast.BooleanFlag], canary: tuple[str, ...], tenants: Tenants | None
) -> tuple[Switch, ...]:
    """The boolean flags."""
    found: dict[str, Switch] = {}
    for node in nodes:
        if node.name.text in found:
            title = f"two flags are called `{node.name.text}`"
            problems.error("MIG104", node.name.span, title, "the second one")
        lines = tuple(SwitchLine(*_scope(problems, scope, canary, tenants)) for scope in node.scopes)
        found[node.name.text] = Switch(node.name.text, lines)
    return tuple(found.values())


def _scope(
    problems: Problems, scope: ast.Scope, canary: tuple[str, ...], tenants: Tenants | None
) -> tuple[str, str | None, tuple[str, ...]]:
    if scope.kind == "canary" and not canary:
        title = "no canary is named"
        problems.error("MIG504", scope.span, title, "this line is for nobody", help='cutover { canary "…" }')
    if scope.percent is not None:
        value = lexis.percent(scope.percent.raw)
        if value is None:
            bad_number(problems, scope.percent, "percentage from 0% to 100%", "10%")
        return "percent", f"{value or 0:g}", ()
    return scope.kind, None, tenant_names(problems, list(scope.tenants), tenants)


def tenant_names(problems: Problems, texts: list[ast.Text], tenants: Tenants | None) -> tuple[str, ...]:
    """Tenants named in the file, each held against the type of the tenant key."""
    if texts and tenants is not None and tenants.none_because:
        title = "there are no tenants to name"
        problems.error(
            "MIG504",
            texts[0].span,
            title,
            "the file says `tenants none`",
            help="leave it out: without tenants the ramp's steps are shares of the requests",
        )
    base = tenants.type.base if tenants is not None and tenants.type else None
    shape = {"uuid": _UUID, "integer": _INTEGER, "bigint": _INTEGER, "smallint": _INTEGER}.get(base or "")
    for text in texts:
        if shape is not None and shape.fullmatch(text.value) is None:
            title = f"`{text.value}` is no {base}"
            help_ = "name a tenant by its key, as the list of tenants gives it"
            problems.error("MIG503", text.span, title, f"tenants are of type {base}", help=help_)
    # A uuid has one canonical spelling, which is what the database and the flag's callers use.
    return tuple(t.value.lower() if shape is _UUID else t.value for t in texts)
