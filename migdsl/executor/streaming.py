"""A migration's sync jobs become the part of a status report that speaks of them: lag, dead letters, the side of each tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from migdsl.executor.sites import Sites
from migdsl.executor.streams import Carried, known, opened, stands, streams
from migdsl.executor.turning import out_of_place, wanted
from migdsl.runtime.stream.newcomers import Newcomers
from migdsl.runtime.stream.sequences import disjoint, ranges
from migdsl.runtime.stream.waiting import Waiting
from migdsl.values import Value


class Streaming(Value):
    """One sync job. `report` is what `--json` prints of it, `wrong` are sentences; `turn` says who doesn't write where the
    flag's stage says, empty where all do."""

    report: Mapping[str, Any]
    wrong: tuple[str, ...]
    turn: str


def streaming(sites: Sites) -> tuple[Streaming, ...]:
    """Every stream that stands. Nothing is written. Raises psycopg.Error, JobError."""
    return tuple(_look(sites, each) for each in streams(sites) if stands(each))


def _look(sites: Sites, carried: Carried) -> Streaming:
    with opened(carried) as pair:
        waiting, standing = pair.waiting(), known(pair)
        newcomers = Newcomers(pair).stand() if carried.stream.tenants is not None else None
        apart = all(disjoint(old, new) for _, old, new in ranges(pair))
    events = carried.old.ledger.newest()
    heard = [events.get(("reading", f"sync_lag:{entity}")) for entity in carried.entities]
    report = {
        "stream": carried.stream.stream,
        "job": carried.path,
        "heard_seconds": max(each.age for each in heard if each) if all(heard) else None,
        "lag_seconds": max((each.lag_s for each in waiting), default=0.0),
        "waiting": [_waiting(each) for each in waiting],
        "sides": dict(Counter(standing.values())),
        "tenants": dict(standing),
        "sequences_apart": apart,
    }
    astray = out_of_place(sites.project, standing)
    whose = (
        f"{len(astray)} tenants don't" if len(astray) > 1 else "one tenant doesn't" if any(astray) else "code doesn't"
    )
    if not astray and newcomers is not None and newcomers != wanted(sites.project, ("",))[""]:
        astray, whose = ("",), "tenants that are yet to come don't"
    turn = f"{whose} write yet where the flag's stage says" if astray else ""
    wrong = (*_wrong(carried, waiting, begun=_begun(carried)), *_between(carried, standing, newcomers))
    return Streaming(report, wrong, turn)


def _waiting(each: Waiting) -> dict[str, object]:
    return {
        "entity": each.entity,
        "from": each.side,
        "events": each.events,
        "lag_seconds": round(each.lag_s, 1),
        "dead_letters": each.letters,
    }


def _begun(carried: Carried) -> bool:
    """Whether rows are on their way: the backfill has begun to enqueue."""
    return any(carried.old.ledger.slices())


def _wrong(carried: Carried, waiting: tuple[Waiting, ...], *, begun: bool) -> Iterator[str]:
    absent = carried.absent() if begun else ""
    if absent:
        yield f"{absent}: start {carried.command('run')}"
    unread = max((each.unread_s for each in waiting), default=0.0)
    if begun and not absent and unread > carried.stream.lag_s:
        why = "its log says why, or who else reads it"
        yield f"nobody has read the slot to its end for {unread:.0f} s ({why}): {carried.command('slot')}"
    for each in waiting:
        if each.letters:
            what = f"{each.letters} rows of {each.entity}, written on the {each.side} side, can't be applied"
            yield f"{what}: {carried.command('dead-letters')}"


def _between(carried: Carried, standing: Mapping[str, str], newcomers: str | None) -> Iterator[str]:
    """A switch was killed: until one is run again, nobody lets these write."""
    for tenant in (tenant for tenant, side in standing.items() if side == "switching"):
        command = carried.command(f"switch {f'--tenant {tenant} ' if tenant else ''}--to new")
        yield f"{tenant or 'the table'} is between the sides, and nobody writes it: {command} (or --to old)"
    if newcomers == "switching":
        command = carried.command("switch --all --to new")
        yield f"tenants to come are between the sides, and can't write: {command} (or --to old)"
