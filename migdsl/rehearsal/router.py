"""A play's rules become the router that new code goes through: by the flag, at once, with a list of second writes that failed."""

from __future__ import annotations

import sys

import psycopg

from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.rights import lacking
from migdsl.runtime.routing import Router, Shadow
from migdsl.runtime.routing.repair import Failure, LedgerRecorder
from migdsl.runtime.routing.router import Migration
from migdsl.runtime.routing.standing import Pace


class Recorder:
    """Second writes that failed: the router goes on, and says so in the ledger. `broken` are those that we made fail, as
    tenant, side and key; `failures` are those that it has recorded; `lacking` says what rights they lacked, with the way out.
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.broken: list[tuple[str, str, str]] = []
        self.lacking: dict[str, str] = {}

    def record(self, failure: Failure, on: object | None) -> None:
        self.failures.append(failure)
        error = sys.exception()  # a line has its class alone, and what has failed is being handled just now
        if isinstance(error, psycopg.Error) and (found := lacking(error)) is not None:
            self.lacking[found[0]] = found[1]
        LedgerRecorder().record(failure, on)


class Flags:
    """What the flag file says, by tenant."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def variant(self, flag: str, tenant: str) -> str:  # noqa: ARG002 - the router's protocol
        return self._rules.stages[tenant]


def routed(migration: str, rules: Rules, recorder: Recorder) -> Migration:
    """New code's router, which goes by the flag and stands still for nothing; nothing is compared behind a request's back."""
    router = Router(Flags(rules), recorder, shadow=Shadow(sample=0.0), pace=Pace(ttl=0.0, settle=0.0))
    return router.migration(migration)
