"""The stages of the flag become the sides on which tenants write: whoever is elsewhere is turned over, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from migdsl.executor.model import Project, Refused
from migdsl.executor.streams import Carried, known, opened
from migdsl.runtime.routing.errors import RoutingError
from migdsl.runtime.routing.flags import NoAnswerError, OpenFeature
from migdsl.runtime.stream.jobs import Side
from migdsl.runtime.stream.newcomers import Newcomers
from migdsl.runtime.stream.switch import Switch, SwitchRefusedError
from migdsl.semantics.model import CheckedModule

# Who is read is who is written: from `live` on that is the new side.
_NEW: Final = frozenset(["live", "rampdown", "complete"])
_TRIES: Final = 3  # a busy tenant, or a lock that somebody holds, is often free a moment later
Say = Callable[[str], None]


def wanted(project: Project, tenants: tuple[str, ...], *, ask: bool = True) -> Mapping[str, Side]:
    """On which side each tenant writes by the flag of the file: its own line, the canary's, its share, the line for all.

    Who is in a share is asked of flagd's own provider on the compiled flag file; without `ask` those tenants are left out.
    Raises Refused where it can't be asked.
    """
    module = project.planned.module
    all_: Side = _side(next((line.stage for line in module.stages if line.scope == "all"), "off"))
    # What belongs to nobody goes with all, and is in no share.
    named = {"": all_} | _named(module)
    shares = {line.stage in _NEW for line in module.stages if line.scope == "percent"}
    if all(share == (all_ == "new") for share in shares):
        return {tenant: named.get(tenant, all_) for tenant in tenants}
    found = {tenant: named[tenant] for tenant in tenants if tenant in named}
    rest = [tenant for tenant in tenants if tenant not in named]
    return found | _asked(project, rest) if ask and rest else found


def _named(module: CheckedModule) -> dict[str, Side]:
    canary = [line for line in module.stages if line.scope == "canary"][:1]
    found = {tenant: _side(line.stage) for line in canary for tenant in module.rollout.canary}
    lines = [line for line in module.stages if line.scope == "tenants"]
    return found | {tenant: _side(line.stage) for line in lines for tenant in line.tenants}


def _side(stage: str) -> Side:
    return "new" if stage in _NEW else "old"


def _asked(project: Project, tenants: list[str]) -> dict[str, Side]:
    path = Path(project.folder, project.planned.paths.flags)
    try:
        flags = OpenFeature.flagd_file(path)
        return {tenant: _side(flags.variant(project.name, tenant)) for tenant in tenants}
    except (RoutingError, NoAnswerError) as error:
        why = f"who is in the flag's share of the tenants isn't known: {error}"
        help_ = "pip install 'migdsl[routing]'; or switch each with the sync job: switch --tenant ID --to new"
        raise Refused("MIG740", why, help_) from None


def turn(project: Project, carried: Carried, say: Say) -> tuple[str, ...]:
    """Turn every tenant to the side that the flag gives it; why some stay where they were. Running it again goes on.

    Raises Refused, JobError, StoppedError, psycopg.Error.
    """
    to = wanted(project, ("",))[""]
    with opened(carried) as pair:
        # Who comes meanwhile is left behind by none; to the new side only when those are there who belong there.
        begun = Newcomers(pair).stand() == "switching"
    if (to == "old" or begun) and (refused := newcomers(carried, to)):
        return refused
    with opened(carried) as pair:
        standing = known(pair)
    return turned(carried, wanted(project, tuple(standing)), say) or newcomers(carried, to)


def newcomers(carried: Carried, to: Side) -> tuple[str, ...]:
    """Turn tenants that are yet to come; why they stay where they were."""
    refused = ""
    for _ in range(_TRIES):
        carried.old.ledger.paused(0)
        try:
            with opened(carried) as pair:
                Newcomers(pair).turn(to)
                return ()
        except SwitchRefusedError as error:
            refused = str(error)
    return (refused,)


def turned(carried: Carried, to: Mapping[str, Side], say: Say) -> tuple[str, ...]:
    """The same for the tenants and sides that are given."""
    left = dict(to)
    refused: dict[str, str] = {}
    for _ in range(_TRIES):
        refused = _round(carried, left, say)
        left = {tenant: to[tenant] for tenant in refused}
        if not left:
            break
    return tuple(refused.values())


def _round(carried: Carried, to: Mapping[str, Side], say: Say) -> dict[str, str]:
    refused: dict[str, str] = {}
    with opened(carried) as pair:
        standing = known(pair)
        for tenant, side in to.items():
            if standing.get(tenant, "old") == side:
                continue
            carried.old.ledger.paused(0)
            try:
                done = Switch(pair, tenant, side).run()
            except SwitchRefusedError as error:
                refused[tenant] = str(error)
                continue
            held = "" if done.pause_ms is None else f"; its writers waited for {done.pause_ms:.0f} ms"
            say(f"{tenant or 'everybody'} writes on the {side} side now{held}")
    return refused


def out_of_place(project: Project, standing: Mapping[str, str]) -> tuple[str, ...]:
    """Tenants that don't write where the flag's stage says, as far as the file alone tells. `standing`: as `known`."""
    right = wanted(project, tuple(standing), ask=False)
    return tuple(tenant for tenant, side in right.items() if standing[tenant] != side)
