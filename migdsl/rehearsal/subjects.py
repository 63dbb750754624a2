"""A file's rollout becomes those who are moved by it, and the steps in which they are: tenants, or else clients."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from migdsl.dialect.types import SqlType
from migdsl.rehearsal import making
from migdsl.rehearsal.model import Log, Mark
from migdsl.rehearsal.resolved import Deployed
from migdsl.semantics.model import CheckedModule
from migdsl.values import Value

_MANY = 400
Lines = tuple[tuple[str, str, str | None], ...]


class Moment(Value):
    """When (Unix time), and where the flag stands from then on; nothing where it stays."""

    when: float
    stages: Lines


class Subjects(Value):
    """`canary`: those who go first, by name. `others`: many more."""

    canary: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def sample(self) -> tuple[str, ...]:
        """Few enough to send requests as."""
        return (*self.canary[:2], *self.others[:30])


def subjects(module: CheckedModule, seed: int) -> Subjects:
    """Those of a module: tenants of the type that it says, or clients by ids of their own."""
    of = module.tenants.type if module.tenants is not None else None
    return Subjects(module.rollout.canary, tuple(_one(of, seed, number) for number in range(_MANY)))


def _one(of: SqlType | None, seed: int, number: int) -> str:
    if of is None or of.base == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"migdsl rehearsal {seed} {number}"))
    return making.fresh(of, number + 1, "tenant ") if making.freshable(of) else str(number + 1)


def ramp(module: CheckedModule, rest: str) -> Iterator[tuple[str, Lines]]:
    """The file's steps, by their names: who is live; everybody else is at `rest`."""
    canary: Lines = (("canary", "live", None),) if module.rollout.canary else ()
    if canary:
        yield "canary", (("all", rest, None), *canary)
    for percent in (step for step in module.rollout.steps if step is not None and step < 100):
        yield f"{percent:g}%", (("all", rest, None), *canary, ("percent", "live", f"{percent:g}"))
    yield "all", (("all", "live", None),)


def moves(log: Log, deployed: Deployed, who: Subjects, lines: Lines) -> dict[str, str]:
    """The flag moves; the stage of each of the others by now. Nobody goes back while shares grow."""
    before = tuple((line.scope, line.stage, line.percent) for line in deployed.standing)
    was = {each for each in who.others if deployed.stage(each) == "live"} if before else set()
    deployed.at(*lines)
    whole = next((stage for scope, stage, _ in lines if scope == "all"), "off")
    first = next((stage for scope, stage, _ in lines if scope == "canary"), whole)
    found = deployed.check(dict.fromkeys(who.canary, first), who.others)
    if _live(lines) >= _live(before) and any(found[each] != "live" for each in was) and whole in ("off", "live"):
        log.against(
            "flag", "who was live is not any more while the share grew", "", "shares must begin at the same end"
        )
    said = ", ".join(f"{stage} for {percent + '%' if percent else scope}" for scope, stage, percent in lines)
    log.marks.append(Mark("stage", said, log.now(), log.now()))
    return found


def _live(lines: Lines) -> float:
    """The share of all that is live."""
    shares = [
        float(percent or 100) for scope, stage, percent in lines if stage == "live" and scope in ("all", "percent")
    ]
    return max(shares, default=0.0)
