"""Days that an API's clients were told become diagnostics where the newer version of a file lets one of them come earlier."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.planning.model import Planned
from migdsl.semantics.api_model import Api
from migdsl.source import Span


def broken(old: Planned, new: Planned) -> Iterator[Diagnostic]:
    """What was announced and would not be kept; who is told anew, on another day, may be told other days."""
    known = {api.name: api for api in new.module.apis}
    for was in old.module.apis:
        is_ = known.get(was.name)
        if is_ is not None and is_.announce == was.announce:
            yield from _of(was, is_)


def _of(was: Api, is_: Api) -> Iterator[Diagnostic]:
    told = {s.version: s.date for s in was.sunsets}
    for sunset in is_.sunsets:
        if sunset.date < told.get(sunset.version, ""):
            who = f"clients of `{sunset.version}` of `{is_.name}`"
            yield _earlier(who, told[sunset.version], sunset.date, sunset.span)
    days = {tenant: (grace.until, grace.span) for grace in is_.graces for tenant in grace.tenants}
    last = max(sunset.date for sunset in is_.sunsets)
    for tenant, until in ((tenant, grace.until) for grace in was.graces for tenant in grace.tenants):
        day, span = days.get(tenant, (last, is_.span))
        if max(day, last) < until:
            yield _earlier(f"tenant {tenant} of `{is_.name}`", until, max(day, last), span)


def _earlier(who: str, told: str, day: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "MIG809",
        Severity.ERROR,
        f"{who} were told {told}, and would be cut off on {day}",
        Label(span, "earlier than before"),
        help="leave the day, or a later one; where it has to be, announce it anew: `announce` with another day",
    )
