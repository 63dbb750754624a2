"""MIG510: a phase can't be over by the day that is promised."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import PHASES, CheckedModule, Rollout
from migdsl.semantics.replacement import soak_of

_DAY = 86_400


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Dates between which the pauses of the rollout, windows and soaks don't fit, and those before an API's last day."""
    yield from _of_apis(module)
    dues = [due for due in module.policy.dues if due.days is not None]
    if not dues or module.header is None:
        return
    # Few files ask for it, and the others are spared the import.
    from migdsl.ops.gates import WINDOW_SECONDS
    from migdsl.ops.lower import lower

    plans = lower(module).tables
    soaks = [p.soak_seconds for p in plans if p.soak_seconds is not None]
    soak = max([*soaks, *(soak_of(each, module.policy.keep_seconds) for each in module.replacements)], default=0)
    window = WINDOW_SECONDS if any(p.fills for p in plans) else 0
    ramps = bool(module.replacements) or any(p.switched for p in plans)
    waits = _waits(module.rollout if ramps else None, window, soak)
    for due in dues:
        parts = [(what, s) for phase, what, s in waits if PHASES.index(phase) <= PHASES.index(due.phase) and s]
        needed = sum(seconds for _, seconds in parts)
        if due.days is not None and needed > due.days * _DAY:
            yield Diagnostic(
                "MIG510",
                Severity.ERROR,
                f"{due.phase} can't be over by {due.date}",
                Label(due.span, f"{_days(due.days * _DAY)} after the start" if due.days >= 0 else "before the start"),
                body=(
                    "It waits "
                    + " + ".join(f"{_days(s)} ({what})" for what, s in parts)
                    + f" = {_days(needed)} at least."
                    if parts
                    else ""
                ),
                help="start earlier, promise a later day, or take shorter steps",
            )


def _of_apis(module: CheckedModule) -> Iterator[Diagnostic]:
    """Contract takes the old version away, which answers until its last day."""
    for due in (d for d in module.policy.dues if d.phase == "contract"):
        for api in (a for a in module.apis if a.last_day > due.date):
            yield Diagnostic(
                "MIG510",
                Severity.ERROR,
                f"contract can't be over by {due.date}",
                Label(due.span, f"`{api.name}` has an old version until {api.last_day}"),
                (Label(api.span, "declared here"),),
                help=f"due contract {api.last_day}, or later",
            )


def _waits(rollout: Rollout | None, window: int, soak: int) -> list[tuple[str, str, int]]:
    """Per phase: what it waits for, and how many seconds at least. What follows counts from the last step on."""
    steps = 0 if rollout is None else len(rollout.steps) + (bool(rollout.canary) and None not in rollout.steps)
    every = 0 if rollout is None else rollout.every_seconds
    return [
        ("cutover", f"{steps} steps of the ramp", max(0, steps - 1) * every),
        ("enforce", "clean reconciliations after the last switch", window),
        ("contract", "the rest of the soak", max(0, soak - window)),
    ]


def _days(seconds: float) -> str:
    days = seconds / _DAY
    return f"{days:g} day{'s' if days != 1 else ''}" if seconds >= _DAY or not seconds else f"{seconds / 3600:g} hours"
