"""MIG511: a phase that is said to follow somebody's revision, and has none of its own."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import PHASES, CheckedModule, Follows


def check(module: CheckedModule) -> Iterator[Diagnostic]:
    """Lines `after` of phases in which nothing happens in the database."""
    if not module.phase_after or module.header is None:
        return
    # Few files follow others' revisions, and the others are spared the import.
    from migdsl.ops.lower import lower

    lowered = lower(module)
    revised = {(step.phase, step.place) for step in lowered.steps if step.up or step.down}
    for each in module.phase_after:
        database = each.database or next(iter(lowered.databases), None)
        if (each.phase, database) not in revised:
            yield _said(each, [phase for phase in PHASES if (phase, database) in revised])


def _said(each: Follows, revised: list[str]) -> Diagnostic:
    where = f" in {each.database}" if each.database is not None else ""
    later = [phase for phase in revised if PHASES.index(phase) > PHASES.index(each.phase)]
    help_ = "leave it out: no revision of this migration comes behind it"
    if later:
        help_ = f'say it of the next phase that has one: phase {later[0]} {{ after "{each.revision}"{where} }}'
    return Diagnostic(
        "MIG511",
        Severity.ERROR,
        f"`{each.phase}` of this migration has no revision{where} that could follow {each.revision}",
        Label(each.span, f"there is one of {', '.join(revised)}" if revised else "there is none at all"),
        help=help_,
    )
