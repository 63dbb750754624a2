"""What a reviewer is told of a migration becomes Markdown, the short answers first and the long lists folded."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.cli import markdown
from migdsl.cli.diff_text import counted
from migdsl.cli.output import plural
from migdsl.cli.summary_view import PhaseRow, StepRow, Summary
from migdsl.plan.diff import Difference, PlanDiff, Problem

_FEW = 8  # rows that stand open
_PHASES = ("phase", "state", "stage at most", "strongest lock", "cost", "work", "steps that differ")
_STEPS = ("change", "step", "lock", "cost", "work", "differs in")
REFUSED = "This may not follow what is deployed."


def render(summary: Summary, source: str) -> str:
    """One section with a heading; ends with a newline."""
    return "\n\n".join(_sections(summary, source)) + "\n"


def heading(name: str, title: str = "") -> str:
    """A section's first line."""
    return f"## {markdown.code(name)}" + (f": {markdown.text(title)}" if title and title != name else "")


def caution(said: str, problems: tuple[Problem, ...], source: str) -> str:
    """What stands in the way, where nobody overlooks it; `source` is the name of the file that lines are of."""
    lines = ["[!CAUTION]", markdown.text(said), *(f"- {_problem(each, source)}" for each in problems)]
    return "\n".join(f"> {line}" for line in lines)


def _problem(problem: Problem, source: str) -> str:
    place = f"{source}:{problem.line}" if problem.line is not None else source
    return f"{markdown.code(problem.code)} {markdown.code(place)}: {markdown.text(problem.title)}"


def _sections(summary: Summary, source: str) -> Iterator[str]:
    yield heading(summary.name, summary.title)
    yield f"**{markdown.text(_verdict(summary.diff))}** · {' · '.join(map(markdown.text, summary.facts))}"
    if summary.diff is not None and summary.diff.problems:
        yield caution(REFUSED, summary.diff.problems, source)
    if summary.differs:
        yield from _released(summary)
        yield markdown.table(_PHASES, map(_phase, summary.phases))
        yield from _lists(summary)
    yield from _files(summary)


def _verdict(diff: PlanDiff | None) -> str:
    return "A new migration" if diff is None else counted(diff)


def _released(summary: Summary) -> Iterator[str]:
    """The revisions that may run once this is merged, or may no more."""
    for state, said in (("released by this", "Released by this"), ("taken back by this", "Taken back by this")):
        phases = [markdown.code(row.id) for row in summary.phases if row.state == state]
        if phases:
            yield f"{said}: {', '.join(phases)}"


def _phase(row: PhaseRow) -> tuple[str, ...]:
    state = f"**{row.state}**" if row.state.endswith("by this") else row.state
    touched = str(row.touched) if row.touched else ""
    return markdown.code(row.id), state, row.stage, row.lock, row.cost, row.time, touched


def _lists(summary: Summary) -> Iterator[str]:
    new = summary.diff is None
    if summary.stages:
        yield "### The flag begins" if new else "### The flag moves"
        yield markdown.table(("who", "before", "stage" if new else "after"), map(_move, summary.stages))
    if summary.steps:
        count = sum(len(steps) for _, steps in summary.steps)
        yield "### What happens" if new else "### Steps that differ"
        yield from (_steps(phase, steps, count <= _FEW) for phase, steps in summary.steps)
    if summary.diff is not None and summary.diff.changes:
        yield "### What else differs"
        yield markdown.table(("part", "of what", "before", "after"), map(_difference, summary.diff.changes))
    if summary.risks:
        yield "### Risks" if new else "### Risks that come and go"
        yield markdown.bullets(
            f"{how}: {markdown.text(said)}" if how else markdown.text(said) for how, said in summary.risks
        )
    if summary.gates:
        yield "### What is waited for"
        body = (f"{markdown.code(phase)} is done when\n\n{_texts(said)}" for phase, said in summary.gates)
        yield markdown.folded(plural(sum(len(said) for _, said in summary.gates), "condition"), "\n\n".join(body))


def _move(move: tuple[str, str, str]) -> tuple[str, ...]:
    who, before, after = move
    return markdown.code(who), before, after


def _steps(phase: str, steps: tuple[StepRow, ...], is_open: bool) -> str:
    body = markdown.table(_STEPS, map(_step, steps))
    title = f"{phase}: {plural(len(steps), 'step')}"
    return f"**{markdown.text(title)}**\n\n{body}" if is_open else markdown.folded(title, body)


def _step(step: StepRow) -> tuple[str, ...]:
    return step.change, markdown.text(step.title), step.lock, step.cost, step.time, step.aspects


def _difference(change: Difference) -> tuple[str, ...]:
    values = (markdown.code(value) if value is not None else "" for value in (change.before, change.after))
    return change.section, markdown.text(change.subject), *values


def _files(summary: Summary) -> Iterator[str]:
    if not summary.files:
        return
    yield "### Files"
    body = markdown.table(("file", "change"), ((markdown.code(path), state) for path, state in summary.files))
    yield body if len(summary.files) <= _FEW else markdown.folded(plural(len(summary.files), "file"), body)


def _texts(said: tuple[str, ...]) -> str:
    return markdown.bullets(map(markdown.text, said))
