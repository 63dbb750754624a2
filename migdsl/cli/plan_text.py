"""A plan becomes a few screens of text: each phase with its steps, their locks and costs, and when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.diagnostics.render_text import Ink, text_width, visible, wrap
from migdsl.plan import DataMigrationPlan
from migdsl.plan.phases import Phase, TypedStep

_NO_LOCK = "-"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_NARROWEST = 24  # columns that a step's title gets at least


def render_plan(plan: DataMigrationPlan, *, colour: bool, width: int = 100) -> str:
    """The plan for a terminal of `width` columns; ends with a newline."""
    ink = Ink(colour)
    lines = [*_head(plan, ink, width)]
    for number, phase in enumerate(plan.phases, 1):
        lines += ["", *_phase(number, phase, ink, width)]
    lines += ["", *_tail(plan, ink, width)]
    return "\n".join(lines) + "\n"


def deploys(plan: DataMigrationPlan) -> int:
    """How many times `alembic upgrade` has something to do: one for each phase with a revision, now or later."""
    tasks = (task for task in plan.implementation_plan if task.files_touched or task.files_later)
    return len({task.phase for task in tasks if task.artifact_kind == "revision"})


def duration(seconds: int) -> str:
    """`30d`, `1d 12h`, `0s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


def _head(plan: DataMigrationPlan, ink: Ink, width: int) -> Iterator[str]:
    named = plan.title if plan.title and plan.title != plan.migration else ""
    first, *rest = wrap(f"{plan.migration}: {named}" if named else plan.migration, width)
    yield ink("title", first)
    yield from (ink("title", line) for line in rest)
    count = deploys(plan)
    facts = [
        plan.ticket_id,
        plan.category,
        f"risk {plan.impact.risk}",
        f"rollback {plan.impact.rollback_complexity}",
        f"downtime {plan.impact.downtime_minutes:g} min",
        f"{count} {'deploy' if count == 1 else 'deploys'} of the schema",
    ]
    yield from wrap(", ".join(fact for fact in facts if fact), width)
    yield from wrap(plan.source_of_truth, width)


def _phase(number: int, phase: Phase, ink: Ink, width: int) -> Iterator[str]:
    name = visible(phase.name)
    also = "" if name.casefold() == phase.id else f" ({phase.id})"
    yield f"{ink('word', f'{number}. {name}')}{also}, tenants at most at {ink('title', phase.flag_stage)}"
    if phase.soak_seconds:
        yield f"   begins after a soak of {duration(phase.soak_seconds)}"
    yield from _steps(phase.typed_steps, ink, width)
    if phase.exit_criteria:
        yield f"   {ink('frame', 'done when')}"
        for criterion in phase.exit_criteria:
            yield from _item(criterion, width)


def _steps(steps: Iterable[TypedStep], ink: Ink, width: int) -> Iterator[str]:
    rows = [(visible(step.lock) or _NO_LOCK, visible(step.cost), step) for step in steps]
    if not rows:
        return
    lock_wide = max(len("lock"), *(len(lock) for lock, _, _ in rows))
    cost_wide = max(len("cost"), *(len(cost) for _, cost, _ in rows))
    room = max(width - lock_wide - cost_wide - 11, _NARROWEST)
    yield f"   {ink('frame', _row('', 'step', 'lock', 'cost', room, lock_wide))}"
    for number, (lock, cost, step) in enumerate(rows, 1):
        first, *rest = wrap(step.title + ("" if step.reversible else " [no way back]"), room)
        yield f"   {_row(str(number), first, lock, cost, room, lock_wide)}"
        yield from (f"       {line}" for line in rest)
        if step.precondition:
            yield from (f"       {line}" for line in wrap(f"only if: {step.precondition}", room))


def _row(number: str, title: str, lock: str, cost: str, room: int, lock_wide: int) -> str:
    pad = " " * max(room - text_width(title), 0)
    return f"{number:>2}  {title}{pad}  {lock:<{lock_wide}}  {cost}".rstrip()


def _item(text: str, width: int) -> Iterator[str]:
    first, *rest = wrap(text, width - 5)
    yield f"   - {first}"
    yield from (f"     {line}" for line in rest)


def _tail(plan: DataMigrationPlan, ink: Ink, width: int) -> Iterator[str]:
    lists = {"cutover": plan.cutover.steps or (plan.cutover.approach,), "roll back when": plan.rollback.conditions}
    for name, texts in (lists | {"risks": plan.risks}).items():
        if texts:
            yield ink("word", name)
        for text in texts:
            yield from _item(text, width)
