"""The phases of a plan become rows of bars on its calendar: work, waits and deploys, to scale."""

from __future__ import annotations

from migdsl.plan import DataMigrationPlan
from migdsl.plan.phases import Phase
from migdsl.report.plots import Bar, Bars, Row, Sign, Tick, calendar_ticks, percent, plot, stairs
from migdsl.report.plots import Plot as Curves
from migdsl.report.words import duration, movers, plural, short
from migdsl.values import Value

_LATE = ("enforce", "contract")  # their waits come before their work; those of other phases after it


class Span(Value):
    """When a phase is at work: seconds from the first step on. `unknown`: of some of its work nobody knows how long it takes."""

    begins: int
    waits_before: int
    work: int
    waits_after: int
    unknown: bool

    @property
    def work_begins(self) -> int:
        """When its own steps begin."""
        return self.begins + self.waits_before

    @property
    def ends(self) -> int:
        """When it is done."""
        return self.work_begins + self.work + self.waits_after


def spans(plan: DataMigrationPlan) -> tuple[Span, ...]:
    """One span a phase: one begins where the one before ends, but enforce's work is done while the old is kept."""
    soaks = any(phase.soak_seconds for phase in plan.phases)
    found, at = [], 0
    for phase in plan.phases:
        waits = sum(wait.seconds for wait in plan.timeline.waits if wait.phase == phase.id)
        before, after = (waits, 0) if phase.id in _LATE else (0, waits)
        work = sum(step.estimate_seconds or 0 for step in phase.typed_steps)
        found.append(Span(at, before, work, after, phase.estimate_seconds is None))
        at = at if soaks and phase.id == "enforce" else found[-1].ends
    return tuple(found)


def calendar(plan: DataMigrationPlan) -> Bars:
    """All phases on one axis."""
    placed = spans(plan)
    whole = max([span.ends for span in placed], default=0)
    rows = tuple(_row(plan, phase, span, whole) for phase, span in zip(plan.phases, placed, strict=True))
    return Bars("Phases on the calendar", rows, calendar_ticks(whole))


def _row(plan: DataMigrationPlan, phase: Phase, span: Span, whole: int) -> Row:
    stretches = [("wait", span.begins, span.waits_before), ("work", span.work_begins, span.work)]
    stretches.append(("wait", span.work_begins + span.work, span.waits_after))
    bars = [Bar(kind, percent(start, whole), percent(long, whole)) for kind, start, long in stretches if long]
    at = percent(span.work_begins, whole)
    signs = [
        Sign(at, "open" if d.kind == "application" else "full", 0) for d in plan.timeline.deploys if d.phase == phase.id
    ]
    inward = -1 if at > 90 else 1  # several at one place stand side by side, and none leaves the picture
    marks = [Sign(at, "tick", -3 if inward < 0 else 0)]
    marks += [Sign(at, sign.kind, inward * (10 + 14 * place)) for place, sign in enumerate(signs)]
    return Row(phase.id, f"at most {phase.flag_stage}", tuple(bars), tuple(marks), *_said(span, phase))


def _said(span: Span, phase: Phase) -> tuple[str, str]:
    """How long its work and its waits are."""
    work = "? of work" if span.unknown else f"~{short(span.work)} of work" if span.work else ""
    waits = span.waits_before + span.waits_after
    wait = f"{short(waits)} of waiting" if waits else ""
    said = [each for each in (wait, work) if each] or ["at once"]
    return said[0], said[1] if len(said) > 1 else "has run" if phase.passed else ""


def ramp(plan: DataMigrationPlan) -> Curves | None:
    """How many tenants have moved, day by day; None where there are fewer than two steps of percentages."""
    at, points = 0, [(0, 0.0)]
    for step in plan.cutover.rollout:
        if step.percent is not None:
            points.append((at, step.percent))
        at += step.wait_seconds
    if len(points) < 3 or not at:
        return None
    said = ", ".join(f"{value:g}% after {duration(time)}" for time, value in points[1:])
    along = [
        Tick(percent(time, at), short(time) if time else "start", "middle" if time else "start")
        for time, _ in points[1:]
    ]
    canary = plan.cutover.rollout[0]
    who = f", after {plural(len(canary.tenants), 'canary tenant')}" if canary.audience == "canary" else ""
    curve = [(percent(time, at), value) for time, value in [*points, (at, points[-1][1])]]
    moved = movers(plan)
    name = f"{moved.capitalize()} at stage live, in percent{who}"
    return plot(name, said, [(moved, stairs(curve))], along, top=100, unit="%")
