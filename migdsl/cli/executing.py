"""`migdsl apply` and `migdsl rollback`: what will be done is said and asked, then done, and how it ended an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from migdsl.cli import output
from migdsl.cli.arguments import Options
from migdsl.cli.projects import guarded, project, sites_of
from migdsl.executor.model import WAITING, Answer, Outcome, Project, Refused, Wishes
from migdsl.planning.works import works

TYPE_CHECKING = False  # what needs the driver is imported where it is known to be there
if TYPE_CHECKING:
    from migdsl.executor.apply import Walk
    from migdsl.executor.sites import Sites
    from migdsl.runtime.stop import Signals

_POLL_S = 60.0


def apply_command(options: Options) -> int:
    """0 reached, 1 a check failed, 2 files or words are wrong, 3 a database failed, 4 waiting, 130 interrupted."""
    return guarded(lambda signals: _with_turn(options, signals, _apply))


def rollback_command(options: Options) -> int:
    """The same exit codes; there is nothing that a way back waits for."""
    return guarded(lambda signals: _with_turn(options, signals, _rollback))


Work = Callable[[Options, Project, "Sites"], int]


def _with_turn(options: Options, signals: Signals, work: Work) -> int:
    from migdsl.executor.apply import known  # see above

    found = project(options, exact=True)
    known(found, options.to or "")
    sites = sites_of(options, found, signals)
    try:
        sites.open()
        sites.take_turn()
        sites.proven()
        return work(options, found, sites)
    finally:
        sites.close()


def _apply(options: Options, found: Project, sites: Sites) -> int:
    from migdsl.executor.apply import Walk  # see above

    wishes = Wishes(_confirmable(options, found), options.prometheus, carry=options.carry)
    walk = Walk(sites, _Desk(wishes), wishes)
    try:
        return _walked(options, found, sites, walk)
    finally:
        walk.close()


def _walked(options: Options, found: Project, sites: Sites, walk: Walk) -> int:
    at = walk.look().index(found)
    if not options.yes and not _agreed(_announced(found, sites, at, options.to or "")):
        return 2
    said: tuple[str, ...] = ()
    while True:
        outcome = walk.to(options.to or "")
        if outcome.code != "waiting" or not options.wait:
            return _ended(outcome)
        if outcome.reasons != said:
            said = outcome.reasons
            _ended(outcome)
        sites.ledgers.paused(_POLL_S)


def _rollback(options: Options, found: Project, sites: Sites) -> int:
    from migdsl.executor.rollback import Return  # see above

    wishes = Wishes(lose=options.lose)
    back = Return(sites, _Desk(wishes), wishes)
    left = back.way(options.to or "")
    ways = {way.from_phase: way.keeps for way in found.planned.plan.rollback.phases}
    if left and not options.yes:
        lines = [f"{found.name} goes back to {options.to}:", *(f"  {phase}: {ways.get(phase, '')}" for phase in left)]
        if not _agreed(lines):
            return 2
    return _ended(back.to(options.to or ""))


def _confirmable(options: Options, found: Project) -> frozenset[str]:
    """Raises Refused for a condition that the plan hasn't, or that the database itself answers."""
    from migdsl.executor.conditions import conditions  # see above

    asked = [each for group in conditions(found.planned).values() for each in group if each.kind != "ledger"]
    known = {each.id for each in asked}
    for phase in found.phases:
        steps = [work for work in works(found.planned, phase) if work.kind == "manual"]
        known |= {f"step_{number}" for number in range(1, len(steps) + 1)}
    for name in options.confirmed:
        if name not in known:
            help_ = f"there is {', '.join(sorted(known))}" if known else "the database itself knows all"
            raise Refused("MIG740", f"{output.shown(name)} is nothing that a person confirms here", help_, 2)
    return frozenset(options.confirmed)


def _announced(found: Project, sites: Sites, at: int, to: str) -> Iterator[str]:
    """What is about to happen."""
    yield f"{found.name} is at {found.phases[at] if at >= 0 else 'its beginning'}, and goes on to {to}:"
    ours = {revision.id for revision in found.planned.revisions}
    standing = {site.name: site.chain.standing() for site in sites.all}
    for phase in found.phases[at + 1 : found.phases.index(to) + 1]:
        for work in (w for w in works(found.planned, phase) if w.kind not in ("look", "told")):
            beside = " (has to be running)" if work.kind == "carry" else ""
            yield f"  {phase}: {work.command or work.subject}{beside}"
            if work.kind == "upgrade" and work.path in found.texts:
                waiting = sites.site(work.database).chain.waiting(work.subject, standing[work.database])
                others = [each for each in waiting if each not in ours]
                yield from (f"  {phase}:   with {each}, which comes before it" for each in others)


class _Desk:
    """Whoever runs the command."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes

    def say(self, line: str) -> None:
        output.say(f"{output.shown(line)}\n")
        output.flush()

    def confirm(self, answer: Answer) -> bool:
        """What was said on the command line; else a person at a terminal is asked."""
        if answer.condition.id in self._wishes.confirmed:
            return True
        return _at_terminal() and _asked(f"{answer.condition.text} ({answer.reason}). Is it so?")


def _agreed(lines: Iterator[str] | list[str]) -> bool:
    """Whether a person at a terminal agrees; without one nobody does."""
    for line in lines:
        output.say(f"{output.shown(line)}\n")
    output.flush()
    if not _at_terminal():
        output.complain("nothing was done: say --yes where nobody can be asked\n")
        return False
    return _asked("Go on?")


def _at_terminal() -> bool:
    return output.is_terminal(sys.stdout) and sys.stdin is not None and sys.stdin.isatty()


def _asked(question: str) -> bool:
    output.say(f"{question} [y/N] ")
    output.flush()
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _ended(outcome: Outcome) -> int:
    """How it ended, for people; the exit code."""
    if outcome.code == "reached":
        output.say(f"{outcome.phase}: reached\n")
        return 0
    lines = [f"{outcome.phase}: {outcome.code}", *(f"  {reason}" for reason in outcome.reasons)]
    lines += [f"next: {outcome.way_out}"] if outcome.way_out else []
    text = "".join(f"{output.shown(line)}\n" for line in lines)
    if outcome.exit == WAITING:
        output.say(text)
        output.flush()
    else:
        output.complain(text)
    return outcome.exit
