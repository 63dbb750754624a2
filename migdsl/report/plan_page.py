"""A plan and the files beside it become the flat view that its page is made of, and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.plan import DataMigrationPlan
from migdsl.report.asked import Asked, asked
from migdsl.report.calendar import calendar, ramp
from migdsl.report.diagram import NARROW, WIDE, Drawing, draw
from migdsl.report.files import runbook, wanted
from migdsl.report.page import Link, Page, render
from migdsl.report.parts import Command, Grid
from migdsl.report.phases import PhaseView, phase_views
from migdsl.report.plots import Bars, Plot
from migdsl.report.sections import acceptance, allowed, checks, data, exemptions, gates, rollout, stages, work
from migdsl.report.summary import Summary, summary
from migdsl.report.systems import in_words, systems
from migdsl.report.ways_back import WayBack, ways_back
from migdsl.report.words import listed
from migdsl.values import Value

__all__ = ["plan_page", "wanted"]


class PlanView(Value):
    """All that a plan's page shows, from top to bottom; None and empty where a plan has nothing of it."""

    plan: DataMigrationPlan
    summary: Summary
    asked: Asked | None
    calendar: Bars
    calendar_words: str
    wide: Drawing | None
    narrow: Drawing | None
    words: tuple[str, ...]
    data: Grid | None
    stages: Grid | None
    phases: tuple[PhaseView, ...]
    rollout: Grid | None
    ramp: Plot | None
    moves: Command | None
    ways_back: tuple[WayBack, ...]
    acceptance: Grid | None
    checks: Grid | None
    gates: Grid | None
    exemptions: Grid | None
    allowed: Grid | None
    work: Grid
    runbook: str
    missing: tuple[str, ...]


def plan_page(plan: DataMigrationPlan, files: Mapping[str, str]) -> str:
    """The page. `files`: texts by path of what is there of `wanted(plan)`; of what isn't, the page says that."""
    view = plan_view(plan, files)
    name = plan.title or plan.migration
    over = " · ".join(each for each in (plan.migration, plan.ticket_id, plan.category.replace("_", " ")) if each)
    page = Page(f"{plan.migration}: {name}", "Migration plan", over, name, tuple(_contents(view)))
    return render("plan.html.j2", page, view)


def plan_view(plan: DataMigrationPlan, files: Mapping[str, str]) -> PlanView:
    """The view of a plan."""
    told = runbook(plan, files)
    seen = systems(plan)
    bars = calendar(plan)
    return PlanView(
        plan=plan,
        summary=summary(plan),
        asked=asked(plan),
        calendar=bars,
        calendar_words=_calendar_words(plan),
        wide=draw(seen, WIDE) if seen.drawable else None,
        narrow=draw(seen, NARROW) if seen.drawable else None,
        words=in_words(seen),
        data=data(plan),
        stages=stages(plan),
        phases=tuple(phase_views(plan, files, told)),
        rollout=rollout(plan),
        ramp=ramp(plan),
        moves=_moves(told.source),
        ways_back=tuple(ways_back(plan)),
        acceptance=acceptance(plan),
        checks=checks(plan),
        gates=gates(plan),
        exemptions=exemptions(plan),
        allowed=allowed(plan),
        work=work(plan),
        runbook=next((path for path in wanted(plan) if path.endswith(".md")), ""),
        missing=tuple(path for path in wanted(plan) if path not in files),
    )


def _moves(source: str) -> Command | None:
    if not source:
        return None
    move = f"migdsl rollout {source}"
    lines = (f"{move} --stage STAGE --for WHO", "# once the flag file is deployed", f"{move} --record")
    return Command("Move the flag a stage, then record it", lines)


def _calendar_words(plan: DataMigrationPlan) -> str:
    if not plan.timeline.unknown:
        return ""
    return f"How long it takes isn't known in full: no rows are declared for {listed(plan.timeline.unknown)}."


def _contents(view: PlanView) -> Iterator[Link]:
    yield Link("summary", "Summary")
    yield from [Link("asked", "What was asked for")] if view.asked else []
    yield Link("calendar", "Calendar")
    yield from [Link("systems", "Systems and data")] if view.wide else []
    yield Link("truth", "Source of truth")
    yield Link("phases", "Phases", tuple(Link(p.id, p.heading.partition(":")[0]) for p in view.phases))
    yield Link("rollout", "Rollout")
    yield Link("rollback", "Rollback")
    yield Link("risks", "Risks and impact")
    yield Link("proof", "Proof")
    yield Link("guardrails", "Guardrails")
    yield Link("work", "Work and files")
