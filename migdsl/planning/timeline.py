"""The phases of a plan and its rollout become a timeline: deploys, waits, work, and the least that the calendar shows."""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.plan.model import Cutover
from migdsl.plan.phases import Phase
from migdsl.plan.timeline import Deploy, Timeline, Wait
from migdsl.planning import estimates
from migdsl.planning.beside import each
from migdsl.planning.facts import Facts, new_side
from migdsl.planning.habits import habits, taken_away
from migdsl.planning.model import Revision
from migdsl.planning.words import duration, first_upper, listed

_LATE = ("enforce", "contract")


def timeline(facts: Facts, revisions: tuple[Revision, ...], phases: tuple[Phase, ...], cutover: Cutover) -> Timeline:
    """The timeline section."""
    waits = tuple(_waits(facts, phases, cutover))
    work = [s.estimate_seconds for p in phases for s in p.typed_steps]
    unknown = [s.table for p in phases for s in p.typed_steps if s.estimate_seconds is None and s.table]
    known = sum(seconds for seconds in work if seconds is not None)
    return Timeline(
        deploys=tuple(_deploys(facts, revisions, phases)),
        waits=waits,
        work_seconds=known,
        unknown=tuple(dict.fromkeys(unknown)),
        calendar_seconds=_early_work(phases) + sum(w.seconds for w in waits),
        assumptions=tuple(_assumptions(facts)),
    )


def _early_work(phases: tuple[Phase, ...]) -> int:
    """What must be done before the waits at the end begin, and after them: enforce's work is done while the old soaks."""
    soaks = any(p.soak_seconds for p in phases)
    counted = [p for p in phases if not (soaks and p.id == "enforce")]
    return sum(s.estimate_seconds or 0 for p in counted for s in p.typed_steps)


def _assumptions(facts: Facts) -> Iterator[str]:
    if not facts.tables:
        yield f"No work of a machine is estimated for {facts.subjects}: the time is what people and dates take"
        return
    tables = listed([facts.shown(t) for t in facts.touched])
    filled = [p for p in facts.tables if p.fills]
    owned = any(p.table.owned for p in filled)
    yield from estimates.assumptions(tables, listed([p.table.entity for p in filled]), owned=owned)


def _waits(facts: Facts, phases: tuple[Phase, ...], cutover: Cutover) -> Iterator[Wait]:
    """Pauses before the last step follow one another; after it watching, gates and soak run side by side."""
    pauses = [step.wait_seconds for step in cutover.rollout]
    if sum(pauses[:-1]):
        text = f"The rollout of {facts.migration} reaches everybody in {len(pauses)} steps, {duration(pauses[0])} apart"
        yield Wait(phase="cutover", text=text, seconds=sum(pauses[:-1]))
    beside = each(facts.beside, lambda b: b.waits)
    last = max((*_last_waits(facts, phases, pauses), *beside), key=lambda wait: wait.seconds, default=None)
    if last is not None:
        yield last


def _last_waits(facts: Facts, phases: tuple[Phase, ...], pauses: list[int]) -> Iterator[Wait]:
    soak = next((p.soak_seconds for p in phases if p.soak_seconds), None)
    if soak:
        old = taken_away(facts) if facts.tables else f"what {facts.migration} takes away"
        text = f"{first_upper(old)}: kept for {duration(soak)} after everybody has switched"
        yield Wait(phase="contract", text=text, seconds=soak)
    late = next((p.id for p in phases if p.id in _LATE), None)
    window = max((c.window_seconds or 0 for p in phases for c in p.exit_conditions), default=0)
    if late and window:
        entities = listed([p.table.entity for p in facts.tables])
        text = f"Reconciliations of {entities or facts.migration} are clean for {duration(window)} after the switch"
        yield Wait(phase=late, text=text, seconds=window)
    if pauses and pauses[-1]:
        text = f"Everybody is watched on {facts.migration} for {duration(pauses[-1])}"
        yield Wait(phase="cutover", text=text, seconds=pauses[-1])


def _deploys(facts: Facts, revisions: tuple[Revision, ...], phases: tuple[Phase, ...]) -> Iterator[Deploy]:
    code: dict[str, list[str]] = {}
    for of, text in (*_code(facts, tuple(p.id for p in phases)), *each(facts.beside, lambda b: b.code)):
        code.setdefault(of, []).append(text)
    for phase in phases:
        for text in code.get(phase.id, ()):
            yield Deploy(kind="application", phase=phase.id, text=text, artifact=None)
        for revision in (r for r in revisions if r.phase == phase.id):
            of = f" of {revision.database}" if facts.paths.folders else ""
            text = f"The {phase.id} revision{of}: {facts.paths.alembic(revision.database)} upgrade {revision.id}"
            yield Deploy(kind="revision", phase=phase.id, text=text, artifact=revision.path)
    if not code:
        entities = listed([p.table.entity for p in facts.tables])
        text = f"Code that makes use of the change of {entities}, if any"
        yield Deploy(kind="application", phase=phases[-1].id, text=text, artifact=None)


def _code(facts: Facts, phases: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Versions of the application that must be out before a phase begins."""
    pairs = [p for p in facts.tables if p.switched]
    if "cutover" in phases and pairs:
        new = listed([new_side(p) for p in pairs])
        yield "cutover", f"Code that can read and write {new}, or the old side, as the flag {facts.migration} says"
        if "contract" in phases:
            yield "contract", f"Code that knows {new} alone, and no longer asks the flag"
    if facts.swaps:
        yield "cutover", f"Code that can hold the new values of {listed(facts.swaps)}"
    others = [p.table.entity for p in facts.tables if not (p.switched or p.swapped) and any(habits(p, facts))]
    if "cutover" in phases and others:
        yield "cutover", f"Code that no longer depends on the old shape of {listed(others)}"
