"""A migration whose tables move to another database, and the databases it is played on, become a crossing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from migdsl.executor.model import Project
from migdsl.executor.sites import Sites
from migdsl.executor.streams import streams
from migdsl.rehearsal import several
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.copies import Copies
from migdsl.rehearsal.crosser import Turning
from migdsl.rehearsal.crossing import Crossing, played
from migdsl.rehearsal.gauge import Gauge
from migdsl.rehearsal.journal import Connection, Journal
from migdsl.rehearsal.model import Log, Settings, Undoable
from migdsl.rehearsal.passage import Say
from migdsl.rehearsal.rights import Place, Rights, by_hand, lent, wanted
from migdsl.rehearsal.rows import Maker, seeded, tenancy
from migdsl.rehearsal.second import unsaid
from migdsl.rehearsal.shapes import Shape, shapes
from migdsl.rehearsal.stage import Stage
from migdsl.rehearsal.traffic import Traffic
from migdsl.rehearsal.twofold import modules
from migdsl.rehearsal.watch import Watch
from migdsl.runtime.stop import Signals
from migdsl.runtime.stream.pair import Urls


def ends(project: Project) -> tuple[str, str]:
    """The database that tables leave, and the one that they go to. Raises Undoable where there are several of either."""
    found = {(move.table.database, move.target.database) for move in project.planned.module.moves if move.across}
    if len(found) != 1 or any(not move.across for move in project.planned.module.moves):
        raise Undoable(
            f"{project.name} moves tables between more than two databases", "one rehearsal plays one such move"
        )
    return found.pop()


def play(
    project: Project,
    files: Mapping[str, str],
    main: str,
    stages: Mapping[str, Stage],
    settings: Settings,
    log: Log,
    say: Say,
) -> tuple[Traffic, Watch, Gauge, int]:
    """What there was of requests, of waits and of rows, and how many of these at the start.

    Raises Undoable, JobError, psycopg.Error. A second write is code's own only where the application carries over what it has
    written: else there is no such verdict.
    """
    near, far = ends(project)
    module = several.part(project, near).planned.module
    sites = Sites.of(project, {name: stage.url for name, stage in stages.items()}, {}, Signals())
    tenants = tenancy(module, settings)
    with ExitStack() as stack:
        desks = {name: stack.enter_context(stage.connect()) for name, stage in stages.items()}
        writing = stack.enter_context(stages[near].connect("rehearsal maker"))
        sites.open()
        stack.callback(sites.close)
        for name, desk in desks.items():
            several.laid(desk, several.part(project, name).planned.module, several.DECLARE)
        pointed = Copies(project, far, desks[far], tenants, settings.seed, log)
        pointed.first()
        tables = tuple(map(pointed.pointing, shapes(module, project.planned.lowered)))
        moved = tuple(shape for shape in tables if shape.move is not None)
        journals = {shape.entity: Journal(shape) for shape in tables}
        rules = Rules(dict.fromkeys(tenants.ids, "off"), tenants.busy)
        maker = Maker(module, tables, {**pointed.journals, **journals}, writing, seeded(settings.seed), log)
        count = maker.fill(tenants)
        pointed.then(journals)
        log.saw("baseline", f"{count} rows of {len(tenants.ids)} tenants in {len(tables)} tables")
        say(f"{count} rows of {len(tenants.ids)} tenants in {len(tables)} tables")
        urls = Urls(stages[near].url, stages[far].url)
        traffic = Traffic(urls.old, project.name, moved, journals, maker, rules, log, settings.rate, settings.seed)
        traffic.rights = stack.enter_context(_lent(project, stages, desks, {near: moved, far: ()}, log, settings))
        watch, gauge = looking = Watch(urls.old, log, urls.new), Gauge(urls.old, project.name, moved, log, urls.new)
        found = stack.enter_context(modules(project, streams(sites), urls))
        stack.enter_context(unsaid())
        crossing = Crossing(
            project, files, main, settings, log, sites, moved, journals, tenants, rules, maker, traffic, stages, say, desks,
            watch, Turning(), frozenset(entity for each in found for entity in each.entities),
        )  # fmt: skip
        if not found:
            log.about = tuple(each for each in log.about if each != "second_write")
            log.notes.append("second writes are not judged: code writes one side, and the sync job carries that over")
        for each in looking:
            each.start()
        try:
            played(crossing, urls.new, found)
        finally:
            for each in looking:
                each.over.set()
                each.join()
            _forgotten(Path(project.folder, project.planned.paths.flags))
    return traffic, watch, gauge, count


def _lent(
    project: Project,
    stages: Mapping[str, Stage],
    desks: Mapping[str, Connection],
    tables: Mapping[str, tuple[Shape, ...]],
    log: Log,
    settings: Settings,
) -> AbstractContextManager[Rights]:
    """What applications have in both databases; `tables` are those from before."""
    module, asked = project.planned.module, wanted(project)
    places = [Place(stages[n], desks[n], each, by_hand(module, n), asked) for n, each in tables.items()]
    return lent(places, log, keep=settings.keep)


def _forgotten(path: Path) -> None:
    """Nobody looks at the flag file any more, which goes with the folder."""
    from openfeature import api  # an optional extra
    from openfeature.provider.no_op_provider import NoOpProvider

    api.set_provider(NoOpProvider(), f"migdsl:{path.resolve()}")
