"""`cutover`, `flag`, `phase` and `rollback`: who goes first, in which steps, where the rollout stands now, and the way back."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import conditions, nodes
from migdsl.syntax.build.nodes import Context, Node

_SCOPES = ("scope_all", "scope_canary", "scope_percent", "scope_tenants")


def cutover(node: Node, context: Context) -> ast.Cutover:
    """`cutover { … }`."""
    canaries = [canary(child, context) for child in nodes.subtrees(node, "canary")]
    ramps = [ramp(child, context) for child in nodes.subtrees(node, "ramp", "ramp_by_request")]
    return ast.Cutover(
        tuple(canaries),
        tuple(ramps),
        nodes.allows(node, context),
        context.span(node),
        tuple(nodes.setting(child, context) for child in nodes.subtrees(node, "reads", "writes")),
        conditions.whens(node, context, "abort"),
    )


def flag(node: Node, context: Context) -> ast.Flag:
    """`flag NAME { stage … for … }`."""
    of = nodes.first(node, "flag_of")
    return ast.Flag(
        nodes.names(node, context)[0],
        nodes.names(of, context)[0] if of else None,
        tuple(_stage(child, context) for child in nodes.subtrees(node, "stage")),
        nodes.allows(node, context),
        context.span(node),
    )


def boolean_flag(node: Node, context: Context) -> ast.BooleanFlag:
    """`flag NAME boolean { on for … }`."""
    scopes = tuple(_scope(child, context) for child in nodes.subtrees(node, "on"))
    return ast.BooleanFlag(nodes.names(node, context)[0], scopes, context.span(node))


def phase(node: Node, context: Context) -> ast.Phase:
    """`phase NAME { … }` and `phase NAME after OTHER { … }`."""
    afters = tuple(_after(child, context) for child in nodes.subtrees(node, "phase_after"))
    place = nodes.first(node, "phase_place")
    return ast.Phase(
        nodes.words(node, context)[0],
        afters,
        context.span(node),
        nodes.words(place, context)[0] if place else None,
        _steps(node, context),
        conditions.whens(node, context, "exit"),
        nodes.allows(node, context),
    )


def _after(node: Node, context: Context) -> ast.After:
    database = next(iter(nodes.names(node, context)), None)
    return ast.After(nodes.texts(node, context)[0], database, context.span(node))


def rollback(node: Node, context: Context) -> ast.Rollback:
    """`rollback { … }`."""
    return ast.Rollback(
        conditions.whens(node, context, "rollback_when"),
        _steps(node, context),
        tuple(nodes.setting(child, context) for child in nodes.subtrees(node, "keep")),
        nodes.allows(node, context),
        context.span(node),
    )


def _steps(node: Node, context: Context) -> tuple[ast.ManualStep, ...]:
    return tuple(_step(child, context) for child in nodes.subtrees(node, "step"))


def _step(node: Node, context: Context) -> ast.ManualStep:
    command = nodes.first(node, "run")
    run = nodes.texts(command, context)[0] if command else None
    return ast.ManualStep(nodes.texts(node, context)[0], run, context.span(node))


def canary(node: Node, context: Context) -> ast.Canary:
    """`canary "…"`."""
    return ast.Canary(nodes.texts(node, context), context.span(node))


def ramp(node: Node, context: Context) -> ast.Ramp:
    """`ramp 1%, 100% every 24h` and `ramp by request`."""
    every = nodes.first(node, "every")
    steps = nodes.subtrees(node, "percent_step", "canary_step")
    return ast.Ramp(
        tuple(nodes.numbers(s, context)[0] if s.data == "percent_step" else None for s in steps),
        nodes.numbers(every, context)[0] if every else None,
        node.data == "ramp_by_request",
        context.span(node),
    )


def _stage(node: Node, context: Context) -> ast.Stage:
    return ast.Stage(nodes.words(node, context)[0], _scope(node, context), context.span(node))


def _scope(node: Node, context: Context) -> ast.Scope:
    found = nodes.subtrees(node, *_SCOPES)[0]
    percents = nodes.numbers(found, context)
    return ast.Scope(
        found.data.removeprefix("scope_"),
        percents[0] if percents else None,
        nodes.texts(found, context),
        context.span(node),
    )
