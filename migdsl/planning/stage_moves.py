"""Two versions of a staged flag become the moves of those who stand elsewhere in the newer one, each with a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migdsl.plan.diff import StageMove
from migdsl.semantics.model import STAGES, CheckedModule, StageLine
from migdsl.values import Value

Where = Callable[[CheckedModule], tuple[StageLine, ...]]
_NOBODY = StageLine("all", "off", None, ())
# Where no column takes the place of another there is nothing to write twice, to compare, or to read no more.
_NEEDED_ALONE = frozenset(["live"])


class Move(Value):
    """A move, and the line of the newer version that makes it (a line without a span: none says so)."""

    move: StageMove
    line: StageLine


def moves(old: CheckedModule, new: CheckedModule, *, pairs: bool) -> tuple[Move, ...]:
    """Who moves. `pairs`: old and new columns live side by side, so that every stage has something to prove."""
    found = []
    for audience, where in _audiences(old, new):
        before, after = where(old), where(new)
        stages = _stages(before), _stages(after)
        if stages[0] != stages[1]:
            verdict = _verdict(*stages, pairs)
            move = StageMove(audience=audience, before=stages[0], after=stages[1], verdict=verdict)
            found.append(Move(move, after[0]))
    return tuple(found)


def _stages(lines: tuple[StageLine, ...]) -> tuple[str, ...]:
    return tuple(sorted({line.stage for line in lines}, key=STAGES.index))


def _verdict(before: tuple[str, ...], after: tuple[str, ...], pairs: bool) -> str:
    """The mildest of all moves that may be meant: who is in which share of the tenants, no file tells."""
    found = {_one(STAGES.index(b), STAGES.index(a), pairs) for b in before for a in after}
    return next(verdict for verdict in ("forward", "back", "skips", "no_way_back") if verdict in found)


def _one(before: int, after: int, pairs: bool) -> str:
    if after < before:
        return "no_way_back" if STAGES[before] == "complete" else "back"
    between = STAGES[before + 1 : after]
    return "skips" if any(pairs or stage in _NEEDED_ALONE for stage in between) else "forward"


def _audiences(old: CheckedModule, new: CheckedModule) -> Iterator[tuple[str, Where]]:
    """Everybody, in groups within which a version of the flag treats all alike: tenants by name, canary, shares, the rest."""
    lines = (*old.stages, *new.stages)
    named = dict.fromkeys(tenant for line in lines for tenant in line.tenants)
    yield from ((f"tenant {tenant}", _of_tenant(tenant)) for tenant in named)
    canaries = (*old.rollout.canary, *new.rollout.canary) if any(line.scope == "canary" for line in lines) else ()
    yield from ((f"canary {t}", _of_tenant(t)) for t in dict.fromkeys(canaries) if t not in named)
    reached = 0.0
    for share in sorted({_share(line) for line in lines if line.scope == "percent"}):
        yield f"{reached:g}% to {share:g}%", _of_share(share)
        reached = share
    if reached < 100:
        yield "everybody else" if reached or named or canaries else "everybody", _of_share(100.0)


def _share(line: StageLine) -> float:
    return float(line.percent or 0)


def _of_share(share: float) -> Where:
    """The tenants of the share that ends at `share` percent: the narrowest line that covers them decides."""

    def where(module: CheckedModule) -> tuple[StageLine, ...]:
        covering = sorted((_share(line), n) for n, line in _numbered(module, "percent") if _share(line) >= share)
        return (module.stages[covering[0][1]] if covering else _rest(module),)

    return where


def _of_tenant(tenant: str) -> Where:
    """One tenant: by its own line, else as canary, else in a share or in none, which only the flag service knows."""

    def where(module: CheckedModule) -> tuple[StageLine, ...]:
        own = [line for _, line in _numbered(module, "tenants") if tenant in line.tenants]
        if not own and tenant in module.rollout.canary:
            own = [line for _, line in _numbered(module, "canary")]
        shares = [line for _, line in _numbered(module, "percent")]
        return (own[0],) if own else (*shares, _rest(module))

    return where


def _numbered(module: CheckedModule, scope: str) -> list[tuple[int, StageLine]]:
    return [(number, line) for number, line in enumerate(module.stages) if line.scope == scope]


def _rest(module: CheckedModule) -> StageLine:
    return next((line for line in module.stages if line.scope == "all"), _NOBODY)
