"""What changes between two versions becomes a screen of text: steps by phase, then the flag, then all else."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import groupby

from migdsl.cli.output import plural
from migdsl.diagnostics.render_text import Ink, visible, wrap
from migdsl.plan.diff import Difference, PlanDiff, StageMove, StepChange

_MARKS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"added": "secondary", "removed": "error", "changed": "warning"}
_LINES = {"+": "secondary", "-": "error", "@": "frame"}


def render(diff: PlanDiff, *, colour: bool, width: int, sql: bool) -> str:
    """The difference for a terminal of `width` columns; with `sql`, each step's unified diff. Ends with a newline."""
    ink = Ink(colour)
    lines = [
        f"{ink('title', visible(diff.migration))}: {counted(diff)}",
        f"has run: {', '.join(diff.ran) or 'nothing'}",
    ]
    for phase, steps in groupby(diff.steps, key=lambda step: step.phase):
        has_run = " (has run)" if phase in diff.ran else ""
        lines += ["", f"{ink('word', phase)}{has_run}"]
        lines += [line for step in steps for line in _step(step, ink, width, sql)]
    if diff.stages:
        lines += ["", ink("word", "flag"), *(line for move in diff.stages for line in _move(move, width))]
    for section, changes in groupby(diff.changes, key=lambda change: change.section):
        lines += ["", ink("word", section), *(line for change in changes for line in _change(change, width))]
    return "\n".join(lines) + "\n"


def counted(diff: PlanDiff) -> str:
    """How much differs, and whether it may, in some words."""
    if not (diff.steps or diff.stages or diff.changes):
        return "nothing changes"
    counts = [(len(diff.steps), "step"), (len(diff.stages), "move of the flag"), (len(diff.changes), "other change")]
    said = [_plural(count, word) for count, word in counts if count]
    return f"{', '.join(said)}; {'allowed' if diff.allowed else 'refused'}"


def _plural(count: int, word: str) -> str:
    first, _, rest = word.partition(" ")
    return plural(count, word) if first != "move" else f"{plural(count, first)} {rest}"


def _step(step: StepChange, ink: Ink, width: int, sql: bool) -> Iterator[str]:
    aspects = f" [{', '.join(step.aspects)}]" if step.aspects else ""
    first, *rest = wrap(step.title + aspects, width - 4)
    yield f"  {ink(_STYLES[step.change], _MARKS[step.change])} {first}"
    yield from (f"    {line}" for line in rest)
    if sql:
        yield from (f"      {line}" for line in _sql(step, ink))


def _sql(step: StepChange, ink: Ink) -> Iterator[str]:
    before, after = (_lines(parts) for parts in (step.before, step.after))
    for line in list(difflib.unified_diff(before, after, lineterm=""))[2:]:
        style = _LINES.get(line[:1])
        yield ink(style, line) if style else line


def _lines(parts: tuple[str, ...]) -> list[str]:
    return [visible(line.rstrip()) for part in parts for line in f"{part.strip()};".split("\n")]


def _move(move: StageMove, width: int) -> Iterator[str]:
    notes = {"forward": "", "back": " (back)", "skips": " (refused: skips a stage)", "no_way_back": " (refused)"}
    text = f"{move.audience}: {' or '.join(move.before)} → {' or '.join(move.after)}{notes[move.verdict]}"
    yield from _indented(text, width)


def _change(change: Difference, width: int) -> Iterator[str]:
    if change.before is None:
        yield from _indented(f"+ {change.subject}: {change.after}", width)
    elif change.after is None:
        yield from _indented(f"- {change.subject}: {change.before}", width)
    else:
        yield from _indented(f"~ {change.subject}: {change.before} → {change.after}", width)


def _indented(text: str, width: int) -> Iterator[str]:
    first, *rest = wrap(text, width - 4)
    yield f"  {first}"
    yield from (f"    {line}" for line in rest)
