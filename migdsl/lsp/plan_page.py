"""A plan becomes Markdown: phase by phase, with locks, gates and waits."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.plan import DataMigrationPlan
from migdsl.plan.phases import Phase


def plan_page(plan: DataMigrationPlan) -> str:
    """The whole plan as a page."""
    lines = [
        f"# {plan.migration}: {plan.title}",
        "",
        f"{plan.category}, risk {plan.impact.risk}. {plan.source_of_truth}",
    ]
    for number, phase in enumerate(plan.phases, 1):
        lines += ["", *_phase(number, phase)]
    lists = [("Roll back when", plan.rollback.conditions), ("Risks", plan.risks)]
    for name, said in lists:
        if said:
            lines += ["", f"## {name}", "", *(f"- {each}" for each in said)]
    return "\n".join(lines) + "\n"


def _phase(number: int, phase: Phase) -> Iterator[str]:
    state = "has run" if phase.passed else "written" if phase.released else "later"
    yield from (f"## {number}. {phase.name} ({phase.id})", "", f"Stage at most: `{phase.flag_stage}`; {state}.", "")
    if phase.typed_steps:
        yield from ("| step | lock | cost |", "| --- | --- | --- |")
        for step in phase.typed_steps:
            title = step.title if step.reversible else f"{step.title} **no way back**"
            yield f"| {title.replace('|', chr(92) + '|')} | {step.lock or '-'} | {step.cost} |"
    if phase.exit_conditions:
        yield from ("", "Done when:", "", *(f"- {condition.text}" for condition in phase.exit_conditions))
