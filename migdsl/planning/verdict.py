"""What changes between two versions becomes the diagnostics that stand in its way, at their places in the newer one."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.plan.diff import StepChange
from migdsl.planning.compare import Compared
from migdsl.planning.model import Planned
from migdsl.planning.promised import broken
from migdsl.planning.stage_moves import Move
from migdsl.planning.words import listed
from migdsl.semantics.model import STAGES, Table
from migdsl.source import Span

_MARKS = {"added": "+", "removed": "-", "changed": "~"}
_DONE = {"added": "would be new", "removed": "would be gone", "changed": "would change"}


def problems(old: Planned, new: Planned, compared: Compared) -> tuple[Diagnostic, ...]:
    """All of them; none where the newer version may follow the older one."""
    found = [*_rewritten(new, compared), *_moved(old, new, compared), *_refused_moves(new, compared), *broken(old, new)]
    return tuple(sorted(found, key=Diagnostic.sort_key))


def renamed(old: Planned, new: Planned) -> Diagnostic:
    """Two versions whose migrations have different names."""
    title = f"`{old.plan.migration}` would become `{new.plan.migration}`: revisions, ledger and flag go by that name"
    label = Label(_header(new), "another name than before")
    help_ = f"keep the name: migration {old.plan.migration} {{ … }}"
    return Diagnostic("MIG707", Severity.ERROR, title, label, help=help_)


def _rewritten(new: Planned, compared: Compared) -> Iterator[Diagnostic]:
    """One diagnostic a phase: whoever mends one of its steps looks at all of them."""
    for phase in compared.ran:
        steps = [step for step in compared.steps if step.phase == phase and step.ran and step.binding]
        if not steps:
            continue
        (first, step), *rest = _places(new, steps)
        count = "a step of it" if len(steps) == 1 else f"{len(steps)} of its steps"
        lines = [f"  {_MARKS[each.change]} {each.title}" for each in steps]
        yield Diagnostic(
            "MIG707",
            Severity.ERROR,
            f"{phase} has run, and {count} would change",
            Label(first, _label(step)),
            tuple(Label(span, _label(each)) for span, each in rest),
            body="\n".join([f"What a database has run it doesn't run again. In {phase}:", *lines]),
            help="leave it as it was, and put what is new into a migration of its own; where no database has run it, "
            "migdsl compile --force writes it anew",
        )


def _label(step: StepChange) -> str:
    what = "the fill of its rows" if step.operation == "fill" else f"step {step.operation}"
    return f"{what} of {step.phase} {_DONE[step.change]}"


def _moved(old: Planned, new: Planned, compared: Compared) -> Iterator[Diagnostic]:
    """Revisions that have run and would follow another one, or would be written elsewhere."""
    after = {revision.id: revision for revision in new.revisions}
    for was in old.revisions:
        is_ = after.get(was.id)
        if is_ is None or was.phase not in compared.ran or (was.after, was.path) == (is_.after, is_.path):
            continue
        title = f"{was.id} has run, and would be moved"
        body = f"It follows {was.after or 'nothing'} in {was.path}, and would follow {is_.after or 'nothing'} in {is_.path}."
        place = new.module.database(is_.database).span
        help_ = 'leave it where it is; a later phase may follow another revision: phase contract { after "…" }'
        yield Diagnostic("MIG707", Severity.ERROR, title, Label(place, "moves it"), body=body, help=help_)


def _refused_moves(new: Planned, compared: Compared) -> Iterator[Diagnostic]:
    by_place: dict[tuple[str, Span], list[Move]] = {}
    for move in compared.moves:
        if move.move.verdict in ("skips", "no_way_back"):
            by_place.setdefault((move.move.verdict, move.line.span or _header(new)), []).append(move)
    for (verdict, span), moves in by_place.items():
        who = listed([move.move.audience for move in moves])
        before = max((stage for move in moves for stage in move.move.before), key=STAGES.index)
        after = moves[0].move.after[0]
        yield _skips(span, who, before, after) if verdict == "skips" else _no_way_back(span, who, after)


def _skips(span: Span, who: str, before: str, after: str) -> Diagnostic:
    between = STAGES[STAGES.index(before) + 1 : STAGES.index(after)]
    title = f"{who}: from {before} to {after} skips {listed(between)}"
    label = Label(span, f"{before} before")
    return Diagnostic("MIG508", Severity.ERROR, title, label, help=f"deploy `stage {between[0]}` first, then go on")


def _no_way_back(span: Span, who: str, after: str) -> Diagnostic:
    title = f"{who}: there is no way back from complete to {after}"
    label = Label(span, "complete before")
    help_ = (
        "downgrade the contract revision and reconcile first, as the runbook says, then move the flag with --url, which "
        "asks the database; or lead back by a new migration"
    )
    return Diagnostic("MIG509", Severity.ERROR, title, label, help=help_)


def _places(new: Planned, steps: list[StepChange]) -> list[tuple[Span, StepChange]]:
    """Where to look: operations that are named by a step; where none is, tables' changes, or the header."""
    exact = {span: step for step in reversed(steps) if (span := _operation(new, step))}
    places = exact or {_table(new, step) or _header(new): step for step in reversed(steps)}
    return sorted(places.items(), key=lambda place: (place[0].path, place[0].start))


def _operation(new: Planned, step: StepChange) -> Span | None:
    """The operation that the step comes from, as far as its words tell."""
    words = f"{step.subject} {step.title} "
    for change in new.module.changes:
        for operation in change.operations if _is(change.table, step) else ():
            name = _column(operation)
            if name and (f"{change.table.entity}.{name} " in words.replace(",", " ") or step.subject == name):
                return operation.span
    return None


def _table(new: Planned, step: StepChange) -> Span | None:
    return next((change.span for change in new.module.changes if _is(change.table, step)), None)


def _is(table: Table, step: StepChange) -> bool:
    return step.table == f"{table.database}.{table.schema}.{table.name}"


def _column(operation: object) -> str | None:
    """The column that an operation is about, where it is about one."""
    return getattr(getattr(operation, "column", None), "name", None)


def _header(new: Planned) -> Span:
    header = new.module.header
    assert header is not None
    return header.span
