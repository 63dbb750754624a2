"""What routers of both kinds share of one migration: stages, counters and log lines; it waits for nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.errors import StageUnknownError, named
from migdsl.runtime.routing.fallback import Fallback
from migdsl.runtime.routing.mask import Key, Mask, key_text
from migdsl.runtime.routing.meters import Meters
from migdsl.runtime.routing.repair import Failure
from migdsl.runtime.routing.sql import fields
from migdsl.runtime.routing.stages import POLICIES, Policy, Side, Stage, is_stage
from migdsl.runtime.routing.standing import Pace, Standings
from migdsl.runtime.telemetry.metrics import Sample

_LOG: Final = logging.getLogger("migdsl.routing")
_QUIET_S: Final = 1.0
Clock = Callable[[], float]


@dataclass(slots=True)
class Core:
    """One migration in one router. `flag` is the flag's name, `fallback` what stands where nobody knows.

    `columns` are the names of what is read that may stand in logs.
    """

    migration: str
    flag: str
    fallback: Fallback | None
    meters: Meters
    mask: Mask
    pace: Pace
    policies: Mapping[Stage, Policy] = field(default_factory=lambda: POLICIES)
    columns: frozenset[str] = frozenset()
    clock: Clock = time.monotonic
    standings: Standings = field(init=False)
    told: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.standings = Standings(self.pace, self.clock)
        self.meters.begin(self.migration)

    def fresh(self, tenant: str) -> Policy | None:
        """What stands for a tenant whose flag was asked a moment ago."""
        stage = self.standings.fresh(tenant)
        return None if stage is None else self.policies[stage]

    def answered(self, tenant: str, variant: str, asked: float) -> Policy:
        """Takes in what the flag said. Raises StageUnknownError where it said nothing and nothing is known."""
        if not is_stage(variant):
            return self.unanswered(tenant, asked, f"variant {variant!r} is no stage")
        step = self.standings.observe(tenant, variant, asked)
        if step.verdict != "stays":
            self.meters.count(m.MOVES, self.migration, step.stage, step.verdict)
            level = {"moves": logging.INFO, "held": logging.WARNING, "refused": logging.ERROR}[step.verdict]
            said = self.log if step.verdict == "moves" else self.log_at_times
            said(level, "stage", tenant=tenant, stage=step.stage, flag=variant, verdict=step.verdict)
        return self.policies[step.stage]

    def unanswered(self, tenant: str, asked: float, why: str) -> Policy:
        """The last known stage, else the default's. Raises StageUnknownError where there is neither."""
        self.meters.count(m.FLAG_ERRORS, self.migration)
        stage = self.standings.unanswered(tenant, asked, self.fallback.stage(tenant) if self.fallback else None)
        self.log_at_times(logging.WARNING, "flag_error", tenant=tenant, error=why, stage=stage or "unknown")
        if stage:
            return self.policies[stage]
        reason = self.fallback.reason() if self.fallback else "it has no default"
        raise StageUnknownError(self.migration, tenant, f"{why}, and {reason}")

    def read(self, policy: Policy, side: Side) -> None:
        """A read that a side answered."""
        self.meters.count(m.READS, self.migration, policy.stage, side)

    def wrote(self, policy: Policy, side: Side, order: str) -> None:
        """A write that succeeded; `order` is `first` or `second`."""
        self.meters.count(m.WRITES, self.migration, policy.stage, side, order)

    def failed(self, policy: Policy, side: Side, operation: str) -> None:
        """A read or write that failed."""
        self.meters.count(m.FAILURES, self.migration, policy.stage, side, operation)

    def failure(self, tenant: str, policy: Policy, side: Side, key: Key, error: BaseException) -> Failure:
        """A second write that failed, as it is recorded."""
        self.failed(policy, side, "second_write")
        text, said = key_text(key), named(error)
        self.log(logging.WARNING, "second_write_failed", tenant=tenant, key=text, side=side, error=said)
        return Failure(self.migration, tenant, text, side, policy.stage, said)

    def unsettled(self, tenant: str, policy: Policy, side: Side, key: Key, error: BaseException) -> Failure:
        """An authoritative write that failed and may be there all the same, while `side` wasn't written."""
        text, said = key_text(key), named(error)
        self.log(logging.WARNING, "first_write_unknown", tenant=tenant, key=text, side=side, error=said)
        return Failure(self.migration, tenant, text, side, policy.stage, f"unknown {said}")

    def recorded(self, outcome: str) -> None:
        """A failure is written down; `outcome` is `recorded`, or `spilled` where the recorder failed."""
        self.meters.count(m.REPAIRS, self.migration, outcome)

    def recorder_failed(self, error: BaseException) -> None:
        """The recorder failed, so that the next one is asked."""
        self.log(logging.ERROR, "recorder_failed", error=named(error))

    def mismatch(self, tenant: str, key: Key | None, old: object, new: object) -> None:
        """A comparison whose sides differ: said with the key and with keyed hashes."""
        self.meters.count(m.MISMATCHED, self.migration)
        difference = self.mask.difference(old, new, self.columns)
        self.log(logging.WARNING, "shadow_mismatch", tenant=tenant, key=key_text(key), differs=difference)

    def census(self) -> list[Sample]:
        """How many tenants are in each stage."""
        found = self.standings.census()
        return [Sample(m.TENANTS, {"migration": self.migration, "stage": s}, found[s]) for s in self.policies]

    def log_at_times(self, level: int, event: str, **about: object) -> None:
        """One structured line, of an event that may befall all tenants at once: the counters have the rest."""
        now = self.clock()
        if now - self.told.get(event, -_QUIET_S) >= _QUIET_S:
            self.told[event] = now
            self.log(level, event, **about)

    def log(self, level: int, event: str, **about: object) -> None:
        """One structured line."""
        if _LOG.isEnabledFor(level):
            _LOG.log(level, "%s", fields({"event": event, "migration": self.migration, **about}))
