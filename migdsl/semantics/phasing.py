"""`phase` and `rollback` become what is done in a phase besides, phases of the user's own, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

from migdsl.semantics.header import again, bad_number
from migdsl.semantics.model import PHASES, Follows
from migdsl.semantics.policy import Condition, ManualStep, Metric, PhaseNote
from migdsl.semantics.problems import Problems
from migdsl.semantics.watch import conditions, named
from migdsl.syntax import ast, lexis


def phase_after(nodes: list[ast.Phase], problems: Problems, databases: tuple[str, ...]) -> tuple[Follows, ...]:
    """Phases whose revisions follow one of other people: one a database."""
    found: dict[tuple[str, str | None], Follows] = {}
    for node in nodes:
        first: dict[str | None, ast.After] = {}
        for after in node.afters:
            database = after.database.text if after.database is not None else None
            if database in first:
                span = first[database].revision.span
                again(problems, after.revision.span, span, "after", f"phase {node.phase.text}")
                continue
            first[database] = after
            if node.place is not None:
                title = f"`{node.phase.text}` has no revision that could follow another"
                problems.error("MIG511", after.revision.span, title, "a phase of your own has steps for people alone")
            elif after.database is not None and database not in databases:
                problems.unknown("MIG103", "database", after.database.text, after.database.span, databases)
            elif node.phase.text in PHASES:
                follows = Follows(node.phase.text, after.revision.value, database, after.span)
                found.setdefault((follows.phase, database), follows)
    return tuple(found.values())


def notes(problems: Problems, nodes: list[ast.Phase], metrics: Mapping[str, Metric]) -> tuple[PhaseNote, ...]:
    """What is said of phases, in the order in which they stand."""
    own = {n.phase.text for n in nodes if n.place is not None and n.phase.text not in PHASES}
    seen: dict[str, ast.Phase] = {}
    found = []
    for node in nodes:
        name = node.phase.text
        if name in seen:
            again(problems, node.phase.span, seen[name].phase.span, f"phase {name}", "the migration")
            continue
        seen[name] = node
        if _placed(problems, node, own):
            exits = conditions(problems, node.exits, metrics)
            place = node.place.text if node.place else None
            found.append(PhaseNote(name, place, steps(problems, node.steps), exits))
    return _ordered(problems, tuple(found), seen)


def _placed(problems: Problems, node: ast.Phase, own: set[str]) -> bool:
    """Whether it is clear where a phase is."""
    name, place = node.phase.text, node.place
    if place is None:
        if name not in PHASES:
            problems.unknown("MIG106", "phase", name, node.phase.span, PHASES)
        return name in PHASES
    if name in PHASES:
        title = f"`{name}` has its place: it is one of the phases that are derived"
        problems.error("MIG511", place.span, title, "can't be moved", help=f"phase {name} {{ … }}")
        return False
    named(problems, ast.Name(name, False, node.phase.span), "phase")
    if place.text not in PHASES and place.text not in own:
        problems.unknown("MIG106", "phase", place.text, place.span, (*PHASES, *sorted(own - {name})))
        return False
    return True


def _ordered(problems: Problems, found: tuple[PhaseNote, ...], nodes: Mapping[str, ast.Phase]) -> tuple[PhaseNote, ...]:
    """Phases of the user's own behind those that they follow; those that follow one another in a circle are reported."""
    ready = [note for note in found if note.place is None]
    waiting = [note for note in found if note.place is not None]
    known = {*PHASES}
    while True:
        nexts = [note for note in waiting if note.place in known]
        if not nexts:
            break
        ready += nexts
        known |= {note.name for note in nexts}
        waiting = [note for note in waiting if note.name not in known]
    for note in waiting[:1]:
        place = nodes[note.name].place
        if place is not None and place.text in {w.name for w in waiting}:
            title = f"`{note.name}` follows itself: {' after '.join([*(w.name for w in waiting), note.name])}"
            problems.error("MIG511", place.span, title, "a circle", help=f"phase {note.name} after validate {{ … }}")
    return tuple(ready)


def steps(problems: Problems, nodes: tuple[ast.ManualStep, ...]) -> tuple[ManualStep, ...]:
    """Steps for people; a command is one line, since it is copied as one."""
    found = []
    for node in nodes:
        run = node.run.value.strip() if node.run else None
        if node.run is not None and (not run or not run.isprintable()):
            problems.error("MIG008", node.run.span, "a command is one line of text", "can't be copied as it is")
        found.append(ManualStep(" ".join(node.text.value.split()), run))
    return tuple(found)


def way_back(
    problems: Problems, nodes: list[ast.Rollback], metrics: Mapping[str, Metric]
) -> tuple[tuple[Condition, ...], tuple[ManualStep, ...], int | None]:
    """When to go back, what to do then besides, and for how long that must stay possible, in seconds."""
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "rollback", "the migration")
    if not nodes:
        return (), (), None
    node = nodes[0]
    for setting in node.keeps[1:]:
        again(problems, setting.span, node.keeps[0].span, "keep", "the rollback")
    keep = None
    for setting in node.keeps[:1]:
        keep = lexis.seconds(setting.numbers[0].raw)
        if keep is not None and keep < 1:
            title, label = "the way back would be gone at once", "no time is left for it"
            problems.error("MIG008", setting.numbers[0].span, title, label, help="keep 14d")
            keep = None
        elif keep is None:
            bad_number(problems, setting.numbers[0], "duration", "14d")
    found = conditions(problems, node.whens, metrics, alarms=True)
    return found, steps(problems, node.steps), None if keep is None else int(keep)
