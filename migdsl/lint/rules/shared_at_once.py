"""MIG512, MIG453: rows of no tenant that go to another database are written on one side or the other for everybody at once."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity, fixes
from migdsl.semantics.model import STAGES, Change, CheckedModule, CreateTable, StageLine
from migdsl.semantics.move_model import Move
from migdsl.semantics.phrases import switches_nothing

_BODY = (
    "What is one tenant's turns over with that tenant. These rows are nobody's own: all who write them turn over in one moment. "
    "Until then the flag would send some of them to the side where nobody may write, and an UPDATE that meets no row there is "
    "lost without a word."
)
_LIVE = STAGES.index("live")


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """A ramp of several steps, or a flag that treats some otherwise than all, where such a table moves.

    Likewise requests that would go either way, where it is a tenant that has a side.
    """
    owned = next((move for move in module.moves if move.across and move.table.owned), None)
    if owned is not None and module.rollout.by_request:
        yield _by_request(owned)
    # A way to the tenant that leads nowhere is an error of its own.
    shared = [move for move in module.moves if move.across and not move.table.owned and move.table.scope != "via"]
    if not shared or module.header is None:
        return
    if module.rollout.steps != (100.0,) or module.rollout.canary:
        yield _ramp(module, shared[0])
        return
    everybody = next((line for line in module.stages if line.scope == "all"), None)
    for line in module.stages:
        if line.scope != "all" and _new(line) != (everybody is not None and _new(everybody)):
            yield _line(shared[0], line)


def _by_request(move: Move) -> Diagnostic:
    title = f"`{move.table.entity}` turns over tenant by tenant, and the ramp goes request by request"
    body = "A tenant's rows are written on one side at a time. With a share of its requests at `live`, some would be sent to the "
    body += "side that refuses them, and an UPDATE that meets no row there is lost without a word."
    label, help_ = "a tenant is written on one side", "cutover { ramp 1%, 10%, 50%, 100% every 24h }"
    return Diagnostic("MIG453", Severity.ERROR, title, Label(move.span, label), body=body, help=help_)


def _new(line: StageLine) -> bool:
    return STAGES.index(line.stage) >= _LIVE


def _ramp(module: CheckedModule, move: Move) -> Diagnostic:
    entity, span = move.table.entity, module.rollout.steps_span
    others = any(not _goes_at_once(c) and not switches_nothing(c) for c in module.changes)
    what = "with the requests" if module.rollout.by_request else "tenant by tenant"
    if others:
        help_ = (
            f"move `{entity}` in a migration of its own, before this one or after it, with `cutover {{ ramp 100% }}`"
        )
    else:
        help_ = "cutover { ramp 100% }, without a canary; it is the default here"
    help_ += '; or, where code writes it on the old side until the flag is live for all: allow MIG512 because "…"'
    fix = fixes.replacing(span, "100%", "one step, for everybody", safe=False) if span and not others else None
    title = f"`{entity}` can't turn over {what}: it has no tenants"
    label, more = "is written by everybody at once", (Label(span, "goes step by step"),) if span else ()
    return Diagnostic("MIG512", Severity.ERROR, title, Label(move.span, label), more, body=_BODY, help=help_, fix=fix)


def _goes_at_once(change: Change) -> bool:
    moves = (o.move for o in change.operations if isinstance(o, CreateTable) and o.move is not None)
    return any(move.across and not move.table.owned for move in moves)


def _line(move: Move, line: StageLine) -> Diagnostic:
    title = f"`{move.table.entity}` has no tenants, and can't be {line.stage} for some of them alone"
    help_ = f"stage {line.stage} for all; dualwrite and shadow may be for some, since they change nothing of who writes"
    span = line.span or move.span
    return Diagnostic("MIG512", Severity.ERROR, title, Label(span, "for some"), body=_BODY, help=help_)
