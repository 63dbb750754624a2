"""The entities that a sync job carries to another database become its alerts, each with cases that fire and that do not."""

from __future__ import annotations

from migdsl.emit.telemetry import (
    JOB_WINDOW,
    SYNC_KEPT,
    SYNC_LAG,
    SYNC_LETTERS,
    SYNC_LOOKED,
    SYNC_WAITING,
    AlertCase,
    AlertSpec,
    Labels,
    MetricRef,
    Series,
    TelemetryView,
    kept,
)

# A backfill that enqueues stops above the first; counting ends at 100,000.
_MANY = 50_000
# The job looks every two seconds; one that a clock starts, once a minute.
SILENT_SECONDS = 180
# Ten times the max_wal_size of a server that nobody has set one for.
KEPT_BYTES = 10 * 1024**3


def alerts(view: TelemetryView) -> tuple[AlertSpec, ...]:
    """The alerts of a migration with a stream."""
    # At complete contract ends the job, and its gates ask themselves whether anything waits.
    silent = () if view.stage == "complete" else (_silent(view),)
    kept = (_kept(view),) if view.captured else ()
    return _behind(view), *silent, _waiting(view), _letters(view), *kept


def _behind(view: TelemetryView) -> AlertSpec:
    bound = min(seconds for _, seconds in view.streamed)
    nobody = "no tenant" if view.tenanted else "nobody"
    return AlertSpec(
        id="sync_lag",
        title="Sync lag",
        expr=f"max by (migration, entity) ({SYNC_LAG.of(view.migration)}) > {bound:g}",
        for_seconds=300,
        severity="page",
        summary="What is written on one side has waited for too long to be carried to the other",
        what_to_do="See that the sync job runs and what it logs, and ask it for its status; start more workers where it "
        f"can't keep up.{_open(view)} Nothing is lost while it stands still, {nobody} is switched, and readers of the "
        "other side see old rows.",
        phase="cutover",
        runbook=view.section("sync_lag"),
        subject="entity",
        cases=_cases(view, SYNC_LAG, bound),
    )


def _open(view: TelemetryView) -> str:
    """What only a slot can be late with."""
    if not view.captured:
        return ""
    return (
        " What was written may not have been read from the WAL yet: the job's slot command says who reads it, and how much there "
        "is, which is all since the oldest transaction began that is open and writes: end that."
    )


def _silent(view: TelemetryView) -> AlertSpec:
    """A job that is dead exports nothing, or for ever what it said last: no lag of its own can tell."""
    last = kept(SYNC_LOOKED, view.migration, JOB_WINDOW)
    # Before anybody reads both sides there may be no job yet.
    absent = [_absent(view, entity) for entity, _ in view.streamed if view.carrying]
    looks, dead, nothing = "0+60x40", "0+60x5 stale", "_x40"
    cases = [
        _heard(view, "it looks all the time", looks, fires=False),
        _heard(view, "it was killed, and is scraped no more", dead, fires=True),
        _heard(view, "it was killed, and a gateway keeps what it said", "0x40", fires=True),
    ]
    cases += [_heard(view, "it has never said anything", nothing, fires=True)] if view.carrying else []
    return AlertSpec(
        id="sync_silent",
        title="Sync job silent",
        expr=" or ".join([f"time() - max by (migration, entity) ({last}) > {SILENT_SECONDS}", *absent]),
        for_seconds=120,
        severity="page",
        summary="No sync job has looked for minutes at what waits to be carried over: it is dead, or out of a database's reach",
        what_to_do="See that the sync job runs, reaches both databases, and says its metrics (MIGDSL_PUSHGATEWAY, --metrics or "
        "--metrics-port); started again it goes on where it was. Until it has caught up, as its status says, move no "
        "reader, neither on nor back: the side that isn't written falls behind, and the alerts on lag see nothing of it. "
        "Where the migration was given up, take its alerts away.",
        phase="cutover",
        runbook=view.section("sync_silent"),
        subject="entity",
        cases=tuple(cases),
    )


def _absent(view: TelemetryView, entity: str) -> str:
    return f"absent_over_time({SYNC_LOOKED.of(view.migration, entity=entity)}[{JOB_WINDOW}])"


def _heard(view: TelemetryView, name: str, values: str, *, fires: bool) -> AlertCase:
    """What the job says of the first entity; of all others it goes on."""
    labels: Labels = (("migration", view.migration), ("entity", view.streamed[0][0]))
    series = [
        Series(
            SYNC_LOOKED.name,
            (("migration", view.migration), ("entity", entity), ("direction", way)),
            "0+60x40" if number else values,
        )
        for number, (entity, _) in enumerate(view.streamed)
        for way in ("old_to_new", "new_to_old")
    ]
    return AlertCase(name, tuple(series), 1500, labels if fires else None)


def _waiting(view: TelemetryView) -> AlertSpec:
    return AlertSpec(
        id="sync_waiting",
        title="Keys that wait",
        expr=f"max by (migration, entity) ({SYNC_WAITING.of(view.migration)}) > {_MANY}",
        for_seconds=600,
        severity="ticket",
        summary="More keys wait to be carried over than the sync job works off",
        what_to_do="Start the sync job with more workers (run --workers N), or a second process; look for a "
        "writer that touches many rows at once. The outbox grows until it catches up.",
        phase="backfill",
        runbook=view.section("sync_waiting"),
        subject="entity",
        cases=_cases(view, SYNC_WAITING, _MANY),
    )


def _letters(view: TelemetryView) -> AlertSpec:
    whose = "Their tenants" if view.tenanted else "Writes"
    return AlertSpec(
        id="sync_dead_letters",
        title="Dead letters",
        expr=f"max by (migration, entity) ({SYNC_LETTERS.of(view.migration)}) > 0",
        for_seconds=60,
        severity="ticket",
        summary="The other side refuses rows, which were set aside",
        what_to_do="The sync job's dead-letters names them by key, with the class of the error: mend the row where it is "
        f"written, or the mapping, then try them again with --retry. {whose} can't be switched until then.",
        phase="cutover",
        runbook=view.section("sync_dead_letters"),
        subject="entity",
        cases=_cases(view, SYNC_LETTERS, 0),
    )


def _kept(view: TelemetryView) -> AlertSpec:
    return AlertSpec(
        id="sync_wal_kept",
        title="WAL kept for the sync job",
        expr=f"max by (migration, entity) ({SYNC_KEPT.of(view.migration)}) > {KEPT_BYTES}",
        for_seconds=600,
        severity="ticket",
        summary="The slot that the sync job reads keeps more than 10 GB of WAL on the old side's server",
        what_to_do="See that the sync job runs, and end what has held a writing transaction open for long (pg_stat_activity, "
        "backend_xid, the oldest xact_start): WAL is kept, and read again each time, from where that began. Drop the slot only "
        "where the move is given up: what it hasn't been read for is lost with it, and the rows must be enqueued once more.",
        phase="backfill",
        runbook=view.section("sync_wal_kept"),
        subject="entity",
        cases=_cases(view, SYNC_KEPT, KEPT_BYTES, view.captured[0]),
    )


def _cases(view: TelemetryView, metric: MetricRef, bound: float, entity: str = "") -> tuple[AlertCase, ...]:
    labels: Labels = (("migration", view.migration), ("entity", entity or view.streamed[0][0]))

    def case(name: str, value: float, fires: bool) -> AlertCase:
        forth = Series(metric.name, (*labels, ("direction", "old_to_new")), f"{value:.12g}x40")
        back = Series(metric.name, (*labels, ("direction", "new_to_old")), "0x40")
        return AlertCase(name, (forth, back), 1500, labels if fires else None)

    return case("above its bound", bound + 1, True), case("at its bound", bound, False)
