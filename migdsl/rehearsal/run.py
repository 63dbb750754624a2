"""A checked file, its compiled files and what was asked for become a rehearsal: staged, played, and judged."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from migdsl.executor.model import Project
from migdsl.executor.sites import Sites
from migdsl.rehearsal import baseline
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.journal import Connection, Journal
from migdsl.rehearsal.model import Log, Settings, Stuck, Undoable, Verdict
from migdsl.rehearsal.play import Play, Say
from migdsl.rehearsal.rows import Maker, tenancy
from migdsl.rehearsal.shapes import shapes
from migdsl.rehearsal.stage import Stage, embedded, load, scratch
from migdsl.rehearsal.traffic import Traffic
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.watch import Request, Wait, Watch
from migdsl.runtime.errors import safe_text
from migdsl.runtime.stop import Signals


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a rehearsal. `seconds`: how long it took; `waits`: how long traffic waited for which statement;
    `noise`: the longest time that the machine kept us from looking."""

    migration: str
    settings: Settings
    told: str
    rows: int
    seconds: float
    verdicts: tuple[Verdict, ...]
    requests: tuple[Request, ...]
    waits: tuple[Wait, ...]
    noise: float
    log: Log

    @property
    def passed(self) -> bool:
        return all(v.state != "failed" for v in self.verdicts)


@dataclass(frozen=True, slots=True)
class Piece:
    """What is rehearsed: a project with its files in a folder, the sources by name with the main one's, and where the
    user's own modules are."""

    project: Project
    files: Mapping[str, str]
    main: str
    home: Path
    settings: Settings


def rehearse(piece: Piece, say: Say) -> Report:
    """Hold a rehearsal, on a server of its own or in a scratch database. Raises Undoable, JobError, psycopg.Error."""
    project, settings = piece.project, piece.settings
    databases = project.planned.lowered.databases
    if not databases:
        raise Undoable(f"{project.name} changes no database: there is nothing to rehearse")
    if len(databases) > 1:
        why = f"{project.name} changes {len(databases)} databases, and a rehearsal has one so far"
        raise Undoable(why, "rehearse what happens in one of them in a file of its own")
    if project.planned.module.moves:
        raise Undoable(f"{project.name} moves a table, which a rehearsal can't play yet")
    declared = max(base.version for base in project.planned.module.databases)
    place = embedded(declared) if settings.url is None else scratch(settings.url, keep=settings.keep)
    with place as stage:
        say(f"{project.name} on {stage.told}, seed {settings.seed}")
        return on(stage, piece, say)


@contextmanager
def _modules(home: Path) -> Iterator[None]:
    """Functions of the user's own are found as the job finds them: where it is run."""
    sys.path.insert(0, str(home))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(home))


def on(stage: Stage, piece: Piece, say: Say) -> Report:
    """The same on a stage that is there already: an empty database."""
    project, log = piece.project, Log()
    sites = Sites.of(project, dict.fromkeys(project.planned.lowered.databases, stage.url), {}, Signals())
    sites.open()
    try:
        with stage.connect() as desk, stage.connect("rehearsal maker") as writing, _modules(piece.home):
            troupe = _troupe(stage, piece, log, sites, desk, writing)
            count = _filled(troupe)
            say(f"{count} rows of {len(troupe.tenants.ids)} tenants in {len(troupe.shapes)} tables")
            _played(troupe, say)
    finally:
        sites.close()
    _counted(troupe)
    waits = tuple(sorted(troupe.watch.waits.values(), key=lambda w: (-w.seconds, w.statement)))
    return Report(
        project.name,
        piece.settings,
        stage.told,
        count,
        log.now(),
        log.verdicts(),
        tuple(troupe.traffic.requests),
        waits,
        troupe.watch.noise,
        log,
    )


def _troupe(stage: Stage, piece: Piece, log: Log, sites: Sites, desk: Connection, writing: Connection) -> Troupe:
    project, settings = piece.project, piece.settings
    module = project.planned.module
    tables = shapes(module, project.planned.lowered)
    journals = {shape.entity: Journal(shape) for shape in tables}
    tenants = tenancy(module, settings)
    rules = Rules(dict.fromkeys(tenants.ids, "off"), tenants.busy)
    chance = random.Random(f"{settings.seed} rows")  # noqa: S311 (nothing here is secret)
    maker = Maker(module, tables, journals, writing, chance, log)
    traffic = Traffic(stage.url, project.name, tables, journals, maker, rules, log, settings.rate, settings.seed)
    watch = Watch(stage.url, log)
    return Troupe(
        project,
        piece.files,
        piece.main,
        piece.home,
        stage,
        settings,
        log,
        desk,
        tables,
        journals,
        tenants,
        rules,
        maker,
        traffic,
        watch,
        sites,
    )


def _filled(troupe: Troupe) -> int:
    """The tables from before, with rows in them; how many. Raises Undoable."""
    if troupe.settings.schema is not None:
        load(troupe.stage, troupe.settings.schema)
    else:
        for statement in baseline.ddl(troupe.module):
            try:
                troupe.desk.execute(statement.encode())
            except psycopg.Error as error:
                first = statement.strip().split("\n")[0]
                way = "give the tables as they are: --schema FILE, which pg_dump -s makes"
                raise Undoable(
                    f"the tables can't be made from the file alone: {first}: {safe_text(error)}", way
                ) from None
    count = troupe.maker.fill(troupe.tenants)
    troupe.desk.execute("ANALYZE")
    troupe.log.saw("baseline", f"{count} rows of {len(troupe.tenants.ids)} tenants in {len(troupe.shapes)} tables")
    return count


def _played(troupe: Troupe, say: Say) -> None:
    troupe.watch.start()
    try:
        with troupe.traffic.running(), suppress(Stuck):
            Play(troupe, say).whole()
    finally:
        troupe.watch.over.set()
        troupe.watch.join()


def _counted(troupe: Troupe) -> None:
    """What is judged by all that was seen: waits, errors, second writes that failed."""
    log, watch, traffic = troupe.log, troupe.watch, troupe.traffic
    for (what, _), wait in sorted(watch.waits.items()):
        if wait.seconds > watch.limit(troupe.settings.limit_s, wait.step):
            told = f"traffic waited {wait.seconds:.1f} s for one statement of the migration"
            log.against("blocked", told, what, _WAY, wait.step)
    longest = max(watch.waits.values(), key=lambda each: each.seconds, default=None)
    if watch.failed is not None:
        log.against("blocked", f"the locks could not be watched: {watch.failed}")
    elif longest is None:
        log.saw("blocked", "no request waited for a statement of the migration")
    else:
        limit = watch.limit(troupe.settings.limit_s, longest.step)
        log.saw("blocked", f"at most {longest.seconds * 1000:.0f} ms, in {longest.step} (limit {limit:.1f} s)")
    for failure in traffic.recorder.failures[:3]:
        log.against("traffic", f"a second write failed at {failure.stage}, on the {failure.side} side: {failure.error}")
    if traffic.requests:
        log.saw("traffic", f"{len(traffic.requests)} requests, {traffic.refused} refused by rules that bind by then")


_WAY = "let it take its locks with a lock_timeout and try again, or do it CONCURRENTLY, or in batches"
