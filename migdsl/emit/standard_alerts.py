"""Turns a migration's view into the alerts that it has without being asked, each with cases that fire and that do not."""

from __future__ import annotations

from migdsl.emit import replaced, served, streamed
from migdsl.emit.telemetry import (
    BATCHES,
    ERRORS,
    EXTRA,
    JOB_WINDOW,
    LAST_PROGRESS,
    LAST_RECONCILE,
    MISMATCHED,
    MISSING,
    OLD_WRITES,
    RECONCILE_WINDOW,
    REMAINING,
    SOAK_STAGES,
    STALLED_SECONDS,
    UNLISTED,
    VIOLATIONS,
    AlertCase,
    AlertSpec,
    Labels,
    MetricRef,
    Series,
    TelemetryView,
    kept,
    of_the_newest,
)


def standard_alerts(view: TelemetryView) -> tuple[AlertSpec, ...]:
    """The alerts that this migration has without being asked, in a fixed order."""
    alerts: list[AlertSpec] = []
    if view.backfills:
        alerts += [_backfill_stalled(view), _backfill_errors(view)]
    if view.entities:
        alerts += [_drift(view)] if view.compares else []
        alerts += [_violations(view)] if view.binds else []
        alerts += [_reconcile_stale(view)]
        alerts += [_tenants_unlisted(view)] if view.has_tenants else []
        # Before the last tenant is live, old code is meant to write: only a soak makes its writes news.
        alerts += [_old_writes(view)] if view.has_old_writes and view.stage in SOAK_STAGES else []
    alerts += streamed.alerts(view) if view.streamed else ()
    return (*alerts, *replaced.alerts(view), *served.alerts(view))


def _backfill_stalled(view: TelemetryView) -> AlertSpec:
    last, remaining = (kept(each, view.migration, JOB_WINDOW) for each in (LAST_PROGRESS, REMAINING))
    left = of_the_newest(remaining, LAST_PROGRESS, view.migration, JOB_WINDOW)
    labels = _backfill_labels(view)

    def case(name: str, progress: str, left: str, fires: bool) -> AlertCase:
        series = (Series(LAST_PROGRESS.name, labels, progress), Series(REMAINING.name, labels, left))
        return AlertCase(name, series, 900, labels if fires else None)

    return AlertSpec(
        id="backfill_stalled",
        title="Backfill stalled",
        expr=f"time() - max by (migration, backfill) ({last}) > {STALLED_SECONDS} and {left} > 0",
        for_seconds=60,
        severity="ticket",
        summary="The backfill has not moved for 10 minutes and rows remain",
        what_to_do="See whether the job still runs, read its log, and run it with --status: it says what it waits for. "
        "Starting it again loses and repeats nothing. While rows remain, the drift alert is silent.",
        phase="backfill",
        runbook=view.section("backfill_stalled"),
        subject="backfill",
        cases=(
            case("no progress and rows left", "0x30", "100x30", True),
            case("killed with rows left, and scraped no more", "0+60x3 stale", "100x3 stale", True),
            case("progress every minute", "0+60x30", "100-1x30", False),
            case("nothing left to do", "0x30", "0x30", False),
            case("ended with nothing left", "0+60x3 stale", "100x2 0 stale", False),
        ),
    )


def _backfill_errors(view: TelemetryView) -> AlertSpec:
    failed, last = BATCHES.of(view.migration, outcome="failed"), kept(ERRORS, view.migration, JOB_WINDOW)
    wrong = of_the_newest(last, LAST_PROGRESS, view.migration, JOB_WINDOW)
    labels = _backfill_labels(view)

    def case(name: str, outcome: str, values: str, fires: bool) -> AlertCase:
        series = (Series(BATCHES.name, (*labels, ("outcome", outcome)), values),)
        return AlertCase(name, series, 600, labels if fires else None)

    def of_ledger(name: str, values: str, fires: bool) -> AlertCase:
        series = (Series(ERRORS.name, labels, values), Series(LAST_PROGRESS.name, labels, "0x20"))
        return AlertCase(name, series, 600, labels if fires else None)

    return AlertSpec(
        id="backfill_errors",
        title="Backfill errors",
        # Not a rate: a job's counter is born with its first failure, and a rate never sees a series' first value.
        expr=f"sum by (migration, backfill) ({failed}) > 0 or {wrong} > 0",
        for_seconds=0,
        severity="ticket",
        summary="The backfill has failed slices, or rows that it set aside",
        what_to_do="Run the job with --status: it names the failed slices with error class and SQLSTATE; rows set aside "
        "stand in migdsl.quarantine by their key. Mend the cause and start the job again; failed slices go on from their "
        "watermark.",
        phase="backfill",
        runbook=view.section("backfill_errors"),
        subject="backfill",
        cases=(
            case("a failed batch", "failed", "_x4 1x20", True),
            case("batches that were retried", "retried", "0+9x20", False),
            case("no failure yet", "failed", "0x20", False),
            of_ledger("rows set aside", "0x4 2x20", True),
            of_ledger("rows set aside by a job that has ended", "2x3 stale", True),
            of_ledger("nothing wrong in the ledger", "0x20", False),
        ),
    )


def _drift(view: TelemetryView) -> AlertSpec:
    kinds = (MISMATCHED, MISSING, EXTRA)
    differing = " or ".join(f"{kept(kind, view.migration, RECONCILE_WINDOW)} > 0" for kind in kinds)
    fires = tuple(
        AlertCase(f"rows differ: {kind.name}", _zeros(view, kinds, kind), 900, _entity_labels(view)) for kind in kinds
    )
    once = AlertCase(
        "found by a run that was read once", _zeros(view, kinds, MISMATCHED, "{} stale"), 900, _entity_labels(view)
    )
    first = "Raise no tenant's stage" if view.tenanted else "Leave the flag where it is"
    return AlertSpec(
        id="drift",
        title="Drift",
        expr=f"{_of_last_run(view, differing)}{_unless_filling(view)}",
        for_seconds=60,
        severity="page",
        summary="Reconciliation found rows whose two sides differ",
        what_to_do=f"{first}. Run the reconciliation job: it names the rows by key and the columns that differ. Then repair "
        "them (--repair, where the job has it), or roll back.",
        phase="validate",
        runbook=view.section("drift"),
        subject="entity",
        cases=(
            *fires,
            once,
            AlertCase("both sides agree", _zeros(view, kinds), 900, None),
            *_filling(view, MISMATCHED),
        ),
    )


def _violations(view: TelemetryView) -> AlertSpec:
    refuses = f"{view.binding[0].capitalize()} will refuse to run. " if view.binding else ""
    per = " per tenant" if view.tenanted else ""
    return AlertSpec(
        id="constraint_violations",
        title="Constraint violations",
        expr=f"{_last_run(view, VIOLATIONS)} > 0{_unless_filling(view)}",
        for_seconds=60,
        severity="ticket",
        summary="Rows break a constraint that is still to come",
        what_to_do=f"{refuses}The reconciliation job counts these rows{per}; their owners mend them.",
        phase="enforce",
        runbook=view.section("constraint_violations"),
        subject="entity",
        cases=(*_above_zero(view, VIOLATIONS), *_filling(view, VIOLATIONS)),
    )


def _reconcile_stale(view: TelemetryView) -> AlertSpec:
    limit = view.reconcile_stale_seconds
    labels = _entity_labels(view)
    # promtool's clock begins at 0, so a run before that saves the test a day of minutes.
    long_ago, once, always = f"{600 - limit}x20", f"{600 - limit} stale", "0+60x20"
    return AlertSpec(
        id="reconcile_stale",
        title="Reconciliation stale",
        expr=f"time() - max by (migration, entity) ({kept(LAST_RECONCILE, view.migration, RECONCILE_WINDOW)}) > {limit}",
        for_seconds=60,
        severity="ticket",
        summary="Reconciliation has not run for too long",
        what_to_do="Run the reconciliation job, and see why its schedule did not.",
        phase="validate",
        runbook=view.section("reconcile_stale"),
        subject="entity",
        cases=(
            AlertCase("last run too old", (Series(LAST_RECONCILE.name, labels, long_ago),), 900, labels),
            AlertCase("last run too old, and read once", (Series(LAST_RECONCILE.name, labels, once),), 900, labels),
            AlertCase("runs all the time", (Series(LAST_RECONCILE.name, labels, always),), 900, None),
        ),
    )


def _tenants_unlisted(view: TelemetryView) -> AlertSpec:
    return AlertSpec(
        id="tenants_unlisted",
        title="Tenants unlisted",
        expr=f"{_last_run(view, UNLISTED)} > 0",
        for_seconds=0,
        severity="ticket",
        summary="Rows belong to tenants that the list of tenants leaves out",
        what_to_do=_of_unlisted(view),
        phase="validate",
        runbook=view.section("tenants_unlisted"),
        subject="entity",
        cases=_above_zero(view, UNLISTED),
    )


def _of_unlisted(view: TelemetryView) -> str:
    lost = "No backfill carries these rows over. " if view.backfills else "No check looks at these rows. "
    jobs = "backfill and reconciliation" if view.backfills else "the reconciliation"
    waits = (
        f"{' and '.join(view.binding)} {'refuse' if len(view.binding) > 1 else 'refuses'} to run. "
        if view.binding
        else ""
    )
    mend = f"Add the tenants to the list, or mend rows without a tenant, then run {jobs} again."
    return f"{lost}{waits[:1].upper()}{waits[1:]}{mend}"


def _old_writes(view: TelemetryView) -> AlertSpec:
    labels = _entity_labels(view)
    return AlertSpec(
        id="old_writes",
        title="Old writes",
        expr=f"max by (migration, entity) (increase({OLD_WRITES.of(view.migration)}[1d])) > 0",
        for_seconds=0,
        severity="ticket",
        summary="Old code still wrote during the last day of the soak",
        what_to_do="Find the client that still writes the old shape and bring it up to date: contract waits until the "
        "counter stands still. A failover or a crash of the server moves it too, once and by 32 at most: then contract waits "
        "for another soak, which begins with the next reconciliation.",
        phase="contract",
        runbook=view.section("old_writes"),
        subject="entity",
        cases=(
            AlertCase("the counter moved", (Series(OLD_WRITES.name, labels, "5x20 6x40"),), 3000, labels),
            AlertCase("the counter stands still", (Series(OLD_WRITES.name, labels, "5x60"),), 3000, None),
        ),
    )


def _of_last_run(view: TelemetryView, condition: str) -> str:
    return of_the_newest(condition, LAST_RECONCILE, view.migration, RECONCILE_WINDOW)


def _last_run(view: TelemetryView, metric: MetricRef) -> str:
    """What the last reconciliation found: a job that was read at its end, once."""
    return _of_last_run(view, kept(metric, view.migration, RECONCILE_WINDOW))


def _unless_filling(view: TelemetryView) -> str:
    # A row that the backfill hasn't reached differs, and may break a constraint, as a matter of course.
    return f" unless on (migration) max by (migration) ({REMAINING.of(view.migration)} > 0)" if view.backfills else ""


def _filling(view: TelemetryView, metric: MetricRef) -> tuple[AlertCase, ...]:
    if not view.backfills:
        return ()
    left = Series(REMAINING.name, _backfill_labels(view), "5x20")
    return (AlertCase("the backfill is under way", (*_zeros(view, (metric,), metric), left), 900, None),)


def _zeros(
    view: TelemetryView, metrics: tuple[MetricRef, ...], above: MetricRef | None = None, values: str = "{}x20"
) -> tuple[Series, ...]:
    """What a reconciliation has found, and when."""
    found = ((each.name, "2" if each is above else "0") for each in (*metrics, LAST_RECONCILE))
    return tuple(Series(name, _entity_labels(view), values.format(number)) for name, number in found)


def _above_zero(view: TelemetryView, metric: MetricRef) -> tuple[AlertCase, ...]:
    labels = _entity_labels(view)
    return (
        AlertCase("some", _zeros(view, (metric,), metric), 900, labels),
        AlertCase("none", _zeros(view, (metric,)), 900, None),
    )


def _backfill_labels(view: TelemetryView) -> Labels:
    return (("migration", view.migration), ("backfill", view.backfills[0]))


def _entity_labels(view: TelemetryView) -> Labels:
    return (("migration", view.migration), ("entity", view.entities[0]))
