"""Turns a tenant's stage into who is read, who is written in which order, and who is authoritative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeGuard, get_args

Side = Literal["old", "new"]
Stage = Literal["off", "dualwrite", "shadow", "live", "rampdown", "complete"]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a stage means: the side that answers, the sides that are written (the first is authoritative), and
    whether the other side is read as well and compared."""

    stage: Stage
    reads: Side
    writes: tuple[Side, ...]
    compares: bool = False

    @property
    def authority(self) -> Side:
        """The side whose failing write fails the request."""
        return self.writes[0]


# LaunchDarkly's six stages; the side that is read is always the one that is written first.
POLICIES: Final[Mapping[Stage, Policy]] = MappingProxyType(
    {
        "off": Policy("off", "old", ("old",)),
        "dualwrite": Policy("dualwrite", "old", ("old", "new")),
        "shadow": Policy("shadow", "old", ("old", "new"), compares=True),
        "live": Policy("live", "new", ("new", "old"), compares=True),
        "rampdown": Policy("rampdown", "new", ("new", "old")),
        "complete": Policy("complete", "new", ("new",)),
    }
)


def is_stage(text: object) -> TypeGuard[Stage]:
    """Whether `text` is one of the six stages."""
    return text in STAGES


def other(side: Side) -> Side:
    """The other side."""
    return "new" if side == "old" else "old"


def compatible(one: Stage, another: Stage) -> bool:
    """Whether two processes may serve a tenant in these stages at one time: each writes what the other reads."""
    a, b = POLICIES[one], POLICIES[another]
    return a.reads in b.writes and b.reads in a.writes


def cautious(possible: Iterable[Stage]) -> Stage | None:
    """A stage for a tenant that is in one of these, nobody knows which: it reads what they all read and writes all
    that any of them writes. None where they don't read the same side."""
    stages = frozenset(possible)
    if len(stages) == 1:
        return next(iter(stages))
    policies = [POLICIES[stage] for stage in stages]
    sides = {policy.reads for policy in policies}
    if len(sides) != 1:
        return None
    return "dualwrite" if "old" in sides else "rampdown"
