"""The shares of a rollout become stages of tenants, step by step, as flagd's own provider reads the compiled flag file."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from migdsl.rehearsal.troupe import Troupe
from migdsl.runtime.routing.errors import RoutingError

_ALL = 100.0
_ASKED = 1_000  # tenants that don't exist: a share of six can't be told
_SPREAD = 6.0  # standard deviations: hashes are no dice, and nobody is accused for a few
_WAY = "compile again: the flag file's buckets must be what the rollout says, and grow"


def ramped(troupe: Troupe, look: Callable[[], None]) -> None:
    """All shares below everybody, from the smallest, with traffic and a look at each."""
    plan = troupe.project.planned.plan
    shares = [s.percent for s in plan.cutover.rollout if s.audience == "percent" and s.percent is not None]
    if len(troupe.tenants.ids) < 2 or troupe.module.rollout.by_request:
        return
    before: frozenset[str] = frozenset()
    for share in (each for each in shares if each < _ALL):
        try:
            found = troupe.ramp("live", f"{share:g}", [*troupe.tenants.ids, *_made_up()])
        except RoutingError as error:
            troupe.log.notes.append(f"the rollout by shares wasn't played: {error}")
            return
        before = _judged(troupe, share, found, before)
        troupe.traffic.work(10)
        look()


def _judged(troupe: Troupe, share: float, found: Mapping[str, str], before: frozenset[str]) -> frozenset[str]:
    """Who is live by now: nobody who was may have been taken back, and of many tenants it is the share that was said."""
    live = frozenset(tenant for tenant, stage in found.items() if stage == "live")
    path, log = troupe.project.planned.paths.flags, troupe.log
    if before - live:
        log.against("flag", f"at {share:g}% {len(before - live)} tenants are taken back that were live", path, _WAY)
    asked = [found[tenant] for tenant in _made_up()]
    count, wanted = sum(stage == "live" for stage in asked), _ASKED * share / _ALL
    if abs(count - wanted) > _SPREAD * (wanted * (1 - share / _ALL)) ** 0.5:
        log.against("flag", f"at {share:g}% {count} of {_ASKED} tenants are live", path, _WAY)
    here = sum(tenant in live for tenant in troupe.tenants.ids)
    log.saw("flag", f"at {share:g}%: {count} of {_ASKED:,} made-up tenants are live, and {here} of ours")
    return live


def _made_up() -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_OID, f"migdsl {number}")) for number in range(_ASKED)]
