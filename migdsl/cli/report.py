"""A compile that went well becomes a screen of text: what was written, what comes later, what to do next."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence

from migdsl.cli import again, output
from migdsl.cli.arguments import Options
from migdsl.cli.build import Outcome, Work
from migdsl.cli.changes import MANIFEST, REVISION, Change, State
from migdsl.diagnostics.render_text import Ink
from migdsl.plan import DataMigrationPlan

_STATES: tuple[State, ...] = ("new", "changed", "removed", "kept", "unchanged")
_STYLES = {"new": "word", "changed": "word", "removed": "warning", "kept": "warning", "unchanged": "frame"}
_MOST = 5  # files of one kind and state that are named; a hundred entities are not to push the rest off the screen


def render_summary(outcome: Outcome, options: Options, *, colour: bool) -> str:
    """All migrations of the compile; one line for each that was up to date already."""
    ink = Ink(colour)
    return "\n".join("".join(f"{line}\n" for line in _work(work, options, ink)) for work in outcome.works)


def later_files(plan: DataMigrationPlan) -> dict[str, list[str]]:
    """Per phase, in the plan's order, the files that a later compile writes."""
    found: dict[str, list[str]] = {}
    for task in plan.implementation_plan:
        for path in task.files_later:
            phase = found.setdefault(task.phase, [])
            if path not in phase:
                phase.append(path)
    return found


def _work(work: Work, options: Options, ink: Ink) -> Iterator[str]:
    changes = [change for change in work.comparison.changes if change.kind != MANIFEST]
    where = "" if options.out == "." else f" in {output.shown(options.out)}"
    count = output.plural(sum(change.after is not None for change in changes), "file")
    name = ink("title", output.shown(work.comparison.migration))
    if all(change.state == "unchanged" for change in work.comparison.changes):
        yield f"{name}: up to date ({count}{where})"
        return
    states = Counter(change.state for change in changes)
    yield f"{name}: {count}{where} ({', '.join(f'{states[each]} {each}' for each in _STATES if states[each])})"
    yield ""
    yield from _table(changes, ink)
    if work.compiled.plan is not None:
        yield from _later(work.compiled.plan, ink)
    yield ""
    yield f"{ink('word', 'next')}: {_next(changes, work, options)}"


def _table(changes: Sequence[Change], ink: Ink) -> Iterator[str]:
    """Revisions first, since they are what a deploy runs; then kind by kind."""
    kinds = sorted({change.kind for change in changes}, key=lambda kind: (kind != REVISION, kind))
    wide = max((len(kind) for kind in kinds), default=0)
    for kind in kinds:
        for state in _STATES:
            group = [change.path for change in changes if change.kind == kind and change.state == state]
            for path in _shortened(group):
                yield f"  {kind.replace('_', ' '):<{wide}}  {ink(_STYLES[state], f'{state:<9}')}  {path}"


def _shortened(paths: Sequence[str]) -> list[str]:
    if len(paths) <= _MOST + 1:
        return [output.shown(path) for path in paths]
    return [*(output.shown(path) for path in paths[:_MOST]), f"and {len(paths) - _MOST} more"]


def _later(plan: DataMigrationPlan, ink: Ink) -> Iterator[str]:
    later = later_files(plan)
    if not later:
        return
    yield ""
    yield f"{ink('word', 'later')}, once the flag's stage permits:"
    wide = max(map(len, later))
    for phase, paths in later.items():
        for path in _shortened(paths):
            yield f"  {phase:<{wide}}  {path}"


def _upgrade(work: Work, written: frozenset[str], options: Options) -> str:
    """The first revision that is new, by its name, since there may be several heads; of several databases all of its phase."""
    plan, module = work.compiled.plan, work.compiled.module
    deploys = plan.timeline.deploys if plan is not None else ()
    first = next((d for d in deploys if d.artifact in written), None)
    if first is None:
        return "alembic upgrade head"
    if module is not None and len(module.migrated) > 1:
        return f"migdsl apply {again.file(work.main.name)}{again.compiled(options)} --to {first.phase}"
    return first.text.rpartition(": ")[2]


def _next(changes: Sequence[Change], work: Work, options: Options) -> str:
    runbook = next((output.shown(posixpath.join(options.out, c.path)) for c in changes if c.kind == "runbook"), None)
    runbook = posixpath.normpath(runbook) if runbook else None
    written = frozenset(c.path for c in changes if c.kind == REVISION and c.state in ("new", "changed"))
    tells = f" ({runbook} tells what comes when)" if runbook else ""
    if written:
        return f"commit the files, then {_upgrade(work, written, options)}{tells}"
    through = f" --through {options.through}" if options.through else ""
    plan = f"migdsl plan {again.file(work.main.name)}{through}{again.checked(options)}"
    return f"commit the files; {plan} shows every phase{tells}"
