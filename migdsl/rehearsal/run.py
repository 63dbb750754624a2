"""A checked file, its compiled files and what was asked for become a rehearsal: staged, played, and judged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from migdsl.executor.model import Project
from migdsl.executor.sites import Sites
from migdsl.rehearsal import across, beside, moving, several
from migdsl.rehearsal.binding import binding
from migdsl.rehearsal.clients import Rules
from migdsl.rehearsal.gated import asking, patient
from migdsl.rehearsal.gauge import Drift, Gauge, Passed
from migdsl.rehearsal.journal import Connection, Journal
from migdsl.rehearsal.loading import load
from migdsl.rehearsal.model import SEVERAL, Log, Mark, Settings, Stuck, Undoable, Verdict
from migdsl.rehearsal.play import Play, Say
from migdsl.rehearsal.rights import LACKING, Place, by_hand, lent
from migdsl.rehearsal.rows import Maker, seeded, tenancy
from migdsl.rehearsal.ruled import ruled
from migdsl.rehearsal.shapes import shapes
from migdsl.rehearsal.stage import Stage, again, embedded, kept, scratch
from migdsl.rehearsal.standby import Standby
from migdsl.rehearsal.traffic import Traffic
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.watch import Request, Wait, Watch
from migdsl.runtime.stop import Signals


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a rehearsal. `seconds`: how long it took; `waits`: how long traffic waited for which statement;
    `noise`: the longest time that the machine kept us from looking; `progress`, `drift`: how far backfills were, and how many
    rows differed, moment by moment."""

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
    progress: tuple[Passed, ...] = ()
    drift: tuple[Drift, ...] = ()

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
        return _without_tables(piece, say)
    moving.playable(project.planned.module)
    if settings.url is not None and len(databases) == 1:
        with scratch(settings.url, keep=settings.keep) as stage:
            say(f"{project.name} on {stage.told}, seed {settings.seed}")
            return on(stage, piece, say)
    if len(databases) > 1 and (settings.url is not None or settings.schema is not None):
        why = f"{project.name} changes {len(databases)} databases, and --url and --schema know of one"
        raise Undoable(why, "leave them out: a server of the rehearsal's own has them all")
    declared = max(base.version for base in project.planned.module.databases)
    return _embedded(piece, declared, kept() if settings.keep else None, say)


def _embedded(piece: Piece, version: int, folder: str | None, say: Say) -> Report:
    """On a server of our own, a database each."""
    project, seed = piece.project, piece.settings.seed
    databases = several.names(project)
    extra = [f"{name}_together" for name in databases] if len(databases) > 1 else []
    with embedded(version, [*databases, *extra], folder) as stages:
        first = stages[databases[0]]
        say(f"{project.name} on {first.told}, seed {seed}")
        if not extra:
            found = on(first, piece, say)
        elif any(move.across for move in project.planned.module.moves):
            found = _across(piece, {name: stages[name] for name in databases}, say)
        else:
            found = _each(piece, {name: stages[name] for name in databases}, say)
            found = _together(piece, found, {name: stages[f"{name}_together"] for name in databases}, say)
    if folder is not None:
        say(again(first, folder))
    return found


def _across(piece: Piece, stages: Mapping[str, Stage], say: Say) -> Report:
    """Tables that go from one to another."""
    project, settings = piece.project, piece.settings
    log = _log(project, beside.about(project.planned.module, tables=True))
    traffic, watch, gauge, count = across.play(project, piece.files, piece.main, stages, settings, log, say)
    _counted(log, settings, watch, traffic)
    asked = (*traffic.requests, *beside.play(project, settings, log, say))
    told = next(iter(stages.values())).told
    waits = tuple(sorted(watch.waits.values(), key=lambda w: (-w.seconds, w.statement)))
    return Report(
        project.name, settings, told, count, log.now(), log.verdicts(), asked, waits, watch.noise, log, tuple(gauge.passed),
        tuple(gauge.drift),
    )  # fmt: skip


def _each(piece: Piece, stages: Mapping[str, Stage], say: Say) -> Report:
    """One database after the other."""
    log = _log(piece.project, (*beside.about(piece.project.planned.module, tables=True), *SEVERAL))
    urls, reports = {name: stage.url for name, stage in stages.items()}, []
    for name, stage in stages.items():
        log.place = f"{name}: "
        own = replace(piece, project=several.part(piece.project, name))
        reports.append(on(stage, own, say, log, urls))
    log.place = ""
    whole = reports[-1]
    return replace(
        whole,
        rows=sum(r.rows for r in reports),
        requests=tuple(x for r in reports for x in r.requests),
        waits=tuple(x for r in reports for x in r.waits),
        noise=max(r.noise for r in reports),
        progress=tuple(x for r in reports for x in r.progress),
        drift=tuple(x for r in reports for x in r.drift),
    )


def _together(piece: Piece, found: Report, stages: Mapping[str, Stage], say: Say) -> Report:
    """All of them, walked together."""
    log, project = found.log, piece.project
    log.step, start = "all together", log.now()
    with suppress(Stuck):
        several.Together(project, stages, log).play(piece.settings.to)
    log.marks.append(Mark("step", log.step, start, log.now()))
    say(f"{log.step}  {log.now() - start:.1f} s")
    asked = tuple(beside.play(project, piece.settings, log, say))
    return replace(found, seconds=log.now(), verdicts=log.verdicts(), requests=(*found.requests, *asked))


def _without_tables(piece: Piece, say: Say) -> Report:
    """APIs and replacements need no database. Raises Undoable."""
    project, settings = piece.project, piece.settings
    log = _log(project, beside.about(project.planned.module, tables=False))
    if not log.about:
        raise Undoable(f"{project.name} changes no database, no API and nothing else: there is nothing to rehearse")
    say(f"{project.name} on {beside.STAGE}, seed {settings.seed}")
    asked = tuple(beside.play(project, settings, log, say))
    return Report(project.name, settings, beside.STAGE, 0, log.now(), log.verdicts(), asked, (), 0.0, log)


def _log(project: Project, about: tuple[str, ...]) -> Log:
    log = Log(about=about)
    if "alerts" in about:
        ruled(project, log)
    if "gates" in about:
        asking(log, project.planned, project.texts)
        patient(log, project.planned, project.texts)
    return log


@contextmanager
def _modules(home: Path) -> Iterator[None]:
    """Functions of the user's own are found as the job finds them: where it is run."""
    sys.path.insert(0, str(home))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(home))


def on(stage: Stage, piece: Piece, say: Say, log: Log | None = None, urls: Mapping[str, str] | None = None) -> Report:
    """The same on a stage that is there already: an empty database. With a log: it is one of several, whose `urls` these are."""
    project, alone = piece.project, log is None
    log = log if log is not None else _log(project, beside.about(project.planned.module, tables=True))
    sites = Sites.of(project, urls or dict.fromkeys(project.planned.lowered.databases, stage.url), {}, Signals())
    sites.open()
    try:
        with stage.connect() as desk, stage.connect("rehearsal maker") as writing, _modules(piece.home):
            troupe = _troupe(stage, piece, log, sites, desk, writing)
            with _lagging(troupe) as standby:
                count = _filled(troupe)
                say(f"{count} rows of {len(troupe.tenants.ids)} tenants in {len(troupe.shapes)} tables")
                with lent([_place(troupe)], log, keep=piece.settings.keep) as troupe.traffic.rights:
                    _played(troupe, say, standby)
        asked = beside.play(project, piece.settings, log, say) if alone else []
    finally:
        sites.close()
    _counted(log, piece.settings, troupe.watch, troupe.traffic)
    waits = tuple(sorted(troupe.watch.waits.values(), key=lambda w: (-w.seconds, w.statement)))
    return Report(
        project.name,
        piece.settings,
        stage.told,
        count,
        log.now(),
        log.verdicts(),
        (*troupe.traffic.requests, *asked),
        waits,
        troupe.watch.noise,
        log,
        tuple(troupe.gauge.passed),
        tuple(troupe.gauge.drift),
    )


def _troupe(stage: Stage, piece: Piece, log: Log, sites: Sites, desk: Connection, writing: Connection) -> Troupe:
    project, settings = piece.project, piece.settings
    module = project.planned.module
    tables = shapes(module, project.planned.lowered)
    journals = {shape.entity: Journal(shape) for shape in tables}
    tenants = tenancy(module, settings)
    rules = Rules(dict.fromkeys(tenants.ids, "off"), tenants.busy)
    maker = Maker(module, tables, journals, writing, seeded(settings.seed), log)
    traffic = Traffic(stage.url, project.name, tables, journals, maker, rules, log, settings.rate, settings.seed)
    traffic.binding = binding(project.planned.lowered)
    watch, gauge = Watch(stage.url, log), Gauge(stage.url, project.name, tables, log)
    return Troupe(
        project, piece.files, piece.main, settings, log, sites, tables, journals, tenants, rules, maker, traffic, piece.home,
        stage, desk, watch, gauge,
    )  # fmt: skip


def _filled(troupe: Troupe) -> int:
    """The tables from before, with rows in them; how many. Raises Undoable."""
    if troupe.settings.schema is not None:
        load(troupe.stage, troupe.settings.schema)
    else:
        way = "give the tables as they are: --schema FILE, which pg_dump -s makes"
        several.laid(troupe.desk, troupe.module, way)
    count = troupe.maker.fill(troupe.tenants)
    troupe.desk.execute("ANALYZE")
    troupe.log.saw("baseline", f"{count} rows of {len(troupe.tenants.ids)} tenants in {len(troupe.shapes)} tables")
    return count


def _place(troupe: Troupe) -> Place:
    """The database, as applications may use it."""
    (base,) = troupe.project.planned.lowered.databases
    return Place(troupe.stage, troupe.desk, troupe.shapes, by_hand(troupe.module, base), records=True)


def _played(troupe: Troupe, say: Say, standby: Standby | None) -> None:
    looking = (troupe.watch, troupe.gauge)
    for each in looking:
        each.start()
    try:
        with troupe.traffic.running(), suppress(Stuck):
            Play(troupe, say, standby).whole()
    finally:
        for each in looking:
            each.over.set()
            each.join()


@contextmanager
def _lagging(troupe: Troupe) -> Iterator[Standby | None]:
    """A standby of a server of our own, which a backfill will have to wait for; None on somebody else's server."""
    if not troupe.stage.own or not any(plan.fills for plan in troupe.project.planned.lowered.tables):
        yield None
        return
    standby = Standby(troupe.stage.url)
    standby.start()
    try:
        yield standby
    finally:
        standby.stop()


def _counted(log: Log, settings: Settings, watch: Watch, traffic: Traffic) -> None:
    """What is judged by all that was seen: waits, errors, second writes that failed."""
    for (what, _), wait in sorted(watch.waits.items()):
        if wait.seconds > watch.limit(settings.limit_s, wait.step):
            told = f"traffic waited {wait.seconds:.1f} s for one statement of the migration"
            log.against("blocked", told, what, _WAY, wait.step)
    longest = max(watch.waits.values(), key=lambda each: each.seconds, default=None)
    if watch.failed is not None:
        log.against("blocked", f"the locks could not be watched: {watch.failed}")
    elif longest is None:
        log.saw("blocked", "no request waited for a statement of the migration")
    else:
        limit = watch.limit(settings.limit_s, longest.step)
        log.saw("blocked", f"at most {longest.seconds * 1000:.0f} ms, in {longest.step} (limit {limit:.1f} s)")
    known = set(traffic.recorder.broken)
    failures = [f for f in traffic.recorder.failures if (f.tenant, f.side, f.key) not in known]
    for failure in [f for f in failures if LACKING not in f.error][:3]:
        log.against("traffic", f"a second write failed at {failure.stage}, on the {failure.side} side: {failure.error}")
    for what, way in traffic.recorder.lacking.items():
        log.against("traffic", f"new code, in its second write: {what}", "", way)
    if traffic.requests:
        log.saw("traffic", f"{len(traffic.requests)} requests, {traffic.refused} refused by rules that bind by then")


_WAY = "let it take its locks with a lock_timeout and try again, or do it CONCURRENTLY, or in batches"
