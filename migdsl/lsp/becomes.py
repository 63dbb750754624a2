"""A checked file becomes what each of its operations does to the database: steps by phase, with their locks."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.ops import api, pairs
from migdsl.ops.context import Context
from migdsl.ops.lower import LOWERINGS, lower
from migdsl.ops.model import Step, TablePlan
from migdsl.semantics.model import PHASES, Change, CheckedModule, ColumnOperation, Operation
from migdsl.source import Span
from migdsl.values import Value


class Becomes(Value):
    """What an operation does: steps of its own, and those that it shares with the other operations of its table.

    `filled`: columns that batches fill; `compared`: columns that are held against their origin.
    """

    span: Span
    own: tuple[Step, ...]
    shared: tuple[Step, ...]
    filled: tuple[str, ...]
    compared: tuple[str, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases in which it does something, in order."""
        found = {step.phase for step in self.own}
        found |= {"backfill"} if self.filled else set()
        found |= {"validate"} if self.compared else set()
        return tuple(phase for phase in PHASES if phase in found)


def becomes(module: CheckedModule) -> tuple[Becomes, ...]:
    """Each operation of a module without errors, in the order of the file; none where there is no header."""
    if module.header is None:
        return ()
    plans = {plan.table.entity: plan for plan in lower(module).tables}
    found = (
        each
        for change in module.changes
        if change.table.entity in plans
        for each in _of(module, change, plans[change.table.entity])
    )
    apis = (Becomes(each.whole, tuple(api.of(module, each)), (), (), ()) for each in module.apis)
    return (*found, *apis)


def _of(module: CheckedModule, change: Change, plan: TablePlan) -> Iterable[Becomes]:
    assert module.header is not None
    context = Context(module.header.name, change, module, pairs.pairs(change), pairs.kept(change))
    spans = {
        operation.span: [o for o in change.operations if o.span == operation.span] for operation in change.operations
    }
    own = {span: _steps(context, operations) for span, operations in spans.items()}
    said = {(step.phase, step.title) for steps in own.values() for step in steps}
    shared = tuple(step for step in plan.steps if (step.phase, step.title) not in said)
    for span, operations in spans.items():
        columns = {o.column.name for o in operations if isinstance(o, ColumnOperation)}
        filled = tuple(fill.column for fill in plan.fills if fill.column in columns)
        compared = tuple(c.column for c in plan.comparisons if c.column in columns)
        yield Becomes(span, own[span], shared, filled, compared)


def _steps(context: Context, operations: Iterable[Operation]) -> tuple[Step, ...]:
    found = [step for each in operations if type(each) in LOWERINGS for step in LOWERINGS[type(each)](context, each)]
    return tuple(sorted(found, key=lambda step: (PHASES.index(step.phase), step.rank)))


def told(found: Becomes) -> str:
    """Markdown: phase by phase, each step with its lock and how long that is held."""
    lines: list[str] = []
    for phase in PHASES:
        steps = [_line(step) for step in found.own if step.phase == phase]
        if phase == "backfill" and found.filled:
            steps.append(f"batches fill {', '.join(found.filled)}, tenant by tenant")
        if phase == "validate" and found.compared:
            steps.append(f"{', '.join(found.compared)} held against what it comes from, tenant by tenant")
        if steps:
            lines += [f"**{phase}**", *(f"- {step}" for step in steps), ""]
    if found.shared:
        lines += ["*With the table's other operations*", *(f"- {step.phase}: {_line(step)}" for step in found.shared)]
    return "\n".join(lines).strip()


def _line(step: Step) -> str:
    lock = f" `{step.lock.value}`" if step.lock.value else ""
    back = "" if step.reversible else ", no way back"
    return f"{step.title} ({step.cost.value}{',' if lock else ''}{lock}{back})"
