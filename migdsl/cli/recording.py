"""The stages of a file's flag become events of the ledger, where gates and jobs look; and whether a stage may come yet."""

from __future__ import annotations

from migdsl.cli import again, output
from migdsl.cli.arguments import Options
from migdsl.cli.projects import guarded, project, sites_of
from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.executor.keeping import GONE, farthest_stage
from migdsl.executor.model import Project, Refused
from migdsl.planning.model import Planned
from migdsl.planning.release import least_stage, stage_rows
from migdsl.planning.words import listed
from migdsl.semantics.model import PHASES, STAGES, StageLine

TYPE_CHECKING = False  # what needs the driver is imported where it is known to be there
if TYPE_CHECKING:
    from collections.abc import Iterator

    from migdsl.executor.sites import Sites
    from migdsl.runtime.stop import Signals
    from migdsl.runtime.stream.jobs import Side

# What must have been done before anybody may be at a stage.
_NEEDS = {
    "dualwrite": "expand",
    "shadow": "backfill",
    "live": "validate",
    "rampdown": "validate",
    "complete": "enforce",
}
_NEW = frozenset(["live", "rampdown", "complete"])
_LACKS = "the side that is going to be read lacks writes"


def record(options: Options) -> int:
    """Record what stands in the file as deployed; once is enough."""
    return guarded(lambda signals: _record(options, signals))


def _record(options: Options, signals: Signals) -> int:
    found = project(options, exact=True)
    sites = sites_of(options, found, signals)
    try:
        sites.open()
        rows = stage_rows(found.planned.module)
        before = {site.name: site.ledger.stages() for site in sites.all}
        for name in (name for name, stages in before.items() if not stages):
            where = "this database" if len(before) == 1 else f"the database {name}"
            help_ = f"migdsl apply {found.named} --to expand makes it"
            raise Refused("MIG740", f"there is no ledger of {found.name} in {where}", help_)
        told = ", ".join(f"{stage} for {who}" for who, stage in rows)
        late = [site for site in sites.all if before[site.name] != rows]
        for site in late:
            site.ledger.record_all(("stage", subject, stage) for subject, stage in rows)
        output.say(f"{found.name}: {f'recorded {told}' if late else f'{told} is recorded already'}\n")
        code = _turned(found, sites)
        if late and not code:
            output.say(f"next: reconcile, and look: migdsl status {found.named}\n")
        return code
    finally:
        sites.close()


def _turned(found: Project, sites: Sites) -> int:
    """Where rows go to another database, whose stage has moved writes on the other side from now on."""
    from migdsl.executor.streams import stands, streams  # see above
    from migdsl.executor.turning import turn

    refused: list[str] = []
    for carried in (each for each in streams(sites) if stands(each)):
        refused += turn(found, carried, lambda line: output.say(f"{output.shown(line)}\n"))
    if not refused:
        return 0
    lines = [*(f"  {output.shown(reason)}" for reason in refused), f"next: migdsl rollout {found.named} --record"]
    output.complain("".join(f"{line}\n" for line in ["not everybody writes where the flag says:", *lines]))
    return 1


def unready(options: Options, before: Planned, after: Planned) -> tuple[Diagnostic, ...]:
    """MIG743 where the database hasn't done what the farthest stage rests on, or has run what would be released no more.

    Where it hasn't run that, `options.taken_back` says so.
    """
    found: list[Diagnostic] = []
    code = guarded(lambda signals: _look(options, before, after, found, signals))
    # What kept us from looking has been said.
    return tuple(found) if code == 0 else (_unknown(),)


def _look(options: Options, before: Planned, after: Planned, found: list[Diagnostic], signals: Signals) -> int:
    from migdsl.executor.status import unrepaired  # see above

    left = _left(before, after)
    texts = _jobs(before) if left else {}
    here = Project(after, output.shown(options.words[0]), options.out, texts, again.connected(options))
    sites = sites_of(options, here, signals)
    try:
        sites.open()
        sites.proven()
        now = sites.now()
        waiting = [text for site in sites.all if left for text in unrepaired(site.project, site.ledger)]
        found.extend(_behind(sites, left))
    finally:
        sites.close()
    found.extend(_stale(here, reason) for reason in waiting)
    line = max(after.module.stages, key=lambda line: STAGES.index(line.stage), default=None)
    later = {revision.phase for revision in after.revisions if not revision.released}
    unreleased = {revision.phase for revision in before.revisions if not revision.released}
    if line is not None and line.stage != "off":
        most = PHASES.index(_NEEDS[line.stage])
        # What the stage itself releases can't have run before.
        needed = [p for p in here.phases if p in PHASES and PHASES.index(p) <= most and p not in unreleased]
        if now.index(here) < here.phases.index(needed[-1]):
            found.append(_too_early(here, needed[-1], now.reached(here), line))
    gone = {r.phase for r in before.revisions if r.released and r.phase in later}
    if least_stage(after.module) != "complete":
        gone.add("contract")  # with its file or without: whoever goes back finds nothing there
    # What broke off needs its file for the way back as well.
    applied = frozenset(phase for place in now.places for phase in place.applied | place.broken)
    run = tuple(phase for phase in PHASES if phase in gone & applied)
    found.extend([_too_late(here, before, run)] if run else [])
    options.taken_back = not found and bool(gone)
    return 0


def _jobs(planned: Planned) -> dict[str, str]:
    """The files that carry rows to another database, and those beside them; none where no table goes there."""
    if not any(plan.moved is not None for plan in planned.lowered.tables):
        return {}
    from migdsl.emit.run import emit  # few rollouts need the files

    return {each.path: each.text for each in emit(planned, "")}


def _behind(sites: Sites, left: frozenset[Side]) -> Iterator[Diagnostic]:
    """Streams of which something waits on a side that readers leave."""
    from migdsl.executor.streams import late, stands, streams  # see above

    for carried in streams(sites) if left else ():
        if stands(carried) and (reason := late(carried, left)):
            help_ = f"see that `{carried.command('run')}` is running, then `{carried.command('drain')}`; or --force"
            yield Diagnostic("MIG743", Severity.ERROR, f"{_LACKS}: {reason}", None, help=help_)


def _left(before: Planned, after: Planned) -> frozenset[Side]:
    """The sides that somebody reads no more: what waits there to be carried over, they miss on the other one."""
    was, becomes = _readers(before), _readers(after)
    gone, came = {side for *_, side in was - becomes}, {side for *_, side in becomes - was}
    found: set[Side] = set()
    # Where nobody reads the new side, lines of the old one come and go without a change.
    if any(side == "new" for *_, side in was) and ("new" in gone or "old" in came):
        found.add("new")
    if any(side == "new" for *_, side in becomes) and ("old" in gone or "new" in came):
        found.add("old")
    return frozenset(found)


def _readers(planned: Planned) -> frozenset[tuple[str, object, Side]]:
    """The lines of the flag, each with the side that its tenants read."""
    lines = planned.module.stages
    return frozenset(
        (line.scope, line.percent or line.tenants, "new" if line.stage in _NEW else "old") for line in lines
    )


def _stale(here: Project, reason: str) -> Diagnostic:
    title = f"{_LACKS}: {reason}"
    help_ = "work them off first: migdsl.runtime.routing.repair(connection, "
    return Diagnostic("MIG743", Severity.ERROR, title, None, help=f'{help_}"{here.name}", copy); or --force')


def _too_early(here: Project, needed: str, reached: str | None, line: StageLine) -> Diagnostic:
    title = f"{line.stage} rests on {needed}, and the database is at {reached or 'its beginning'}"
    label = Label(line.span, "too early") if line.span is not None else None
    help_ = f"migdsl apply {here.named} --to {needed}; or --force"
    return Diagnostic("MIG743", Severity.ERROR, title, label, help=help_)


def _too_late(here: Project, before: Planned, run: tuple[str, ...]) -> Diagnostic:
    """Phases that have run and aren't released any more: they are taken back first where the flag lets them, else after it."""
    title = f"the database has run {listed(run)}, which this stage doesn't release any more"
    place, last = here.phases[here.phases.index("contract" if "contract" in run else run[0]) - 1], run[-1]
    most, back = farthest_stage(here, place), f"migdsl rollback {here.named} --to {place}"
    ahead = any(most is not None and STAGES.index(line.stage) > STAGES.index(most) for line in before.module.stages)
    files = "its file stays" if len(run) == 1 else "their files stay"
    flag_first = (
        f"the flag goes back first, and {files} meanwhile: say --through {last} here, at --record, and then in "
        f"{back} --through {last}; {GONE}"
    )
    return Diagnostic("MIG743", Severity.ERROR, title, None, help=flag_first if ahead else f"first {back}")


def _unknown() -> Diagnostic:
    title = "whether the database is ready for this stage isn't known"
    return Diagnostic(
        "MIG743", Severity.ERROR, title, None, help="leave --url out, or mend what keeps it from being read"
    )
