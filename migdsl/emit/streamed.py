"""The entities that a sync job carries to another database become its alerts, each with cases that fire and that do not."""

from __future__ import annotations

from migdsl.emit.telemetry import (
    SYNC_LAG,
    SYNC_LETTERS,
    SYNC_WAITING,
    AlertCase,
    AlertSpec,
    Labels,
    MetricRef,
    Series,
    TelemetryView,
)

# A backfill that enqueues stops above the first; counting ends at 100,000.
_MANY = 50_000


def alerts(view: TelemetryView) -> tuple[AlertSpec, ...]:
    """The alerts of a migration with a stream."""
    return _behind(view), _waiting(view), _letters(view)


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
        f"can't keep up. Nothing is lost while it stands still, {nobody} is switched, and readers of the "
        "other side see old rows.",
        phase="cutover",
        runbook=view.section("sync_lag"),
        subject="entity",
        cases=_cases(view, SYNC_LAG, bound),
    )


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


def _cases(view: TelemetryView, metric: MetricRef, bound: float) -> tuple[AlertCase, ...]:
    labels: Labels = (("migration", view.migration), ("entity", view.streamed[0][0]))

    def case(name: str, value: float, fires: bool) -> AlertCase:
        forth = Series(metric.name, (*labels, ("direction", "old_to_new")), f"{value:g}x40")
        back = Series(metric.name, (*labels, ("direction", "new_to_old")), "0x40")
        return AlertCase(name, (forth, back), 1500, labels if fires else None)

    return case("above its bound", bound + 1, True), case("at its bound", bound, False)
