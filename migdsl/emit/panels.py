"""Turns a migration's names into the panels of its dashboard as data: what each asks of Prometheus, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from migdsl.emit import replaced, served, streamed
from migdsl.emit import telemetry as t

Queries: TypeAlias = tuple[tuple[str, str], ...]

# Panel ids stay what they are when a panel is left out: alerts and people's links name them.
TEXT, _PROGRESS, _REMAINING, _SINCE, _RATE, _FAILED = 1, 2, 3, 4, 5, 6
_DIFFERING, _RATIO, _VIOLATIONS, _UNLISTED, _RECONCILED, _OLD_WRITES = 7, 8, 9, 10, 11, 12
_ASIDE, _LANES, _HEALTH = 13, 14, 15
_REQUESTS, _REQUEST_ERRORS, _SHADOW, _REPAIRS = 16, 17, 18, 19
_VERSIONS, _CLIENTS, _ROUTES, _UNTIL, _GONE = 20, 21, 22, 23, 24
_SIDES, _SIDE_ERRORS, _SIDE_FLAG = 30, 31, 32
_BEHIND, _WAITING, _LETTERS, _CARRIED, _LOOKED, _KEPT = 40, 41, 42, 43, 44, 45
_OWN = 200
PANEL_OF_ALERT = {
    "backfill_stalled": _SINCE,
    "backfill_errors": _ASIDE,
    "drift": _DIFFERING,
    "constraint_violations": _VIOLATIONS,
    "reconcile_stale": _RECONCILED,
    "tenants_unlisted": _UNLISTED,
    "old_writes": _OLD_WRITES,
    "deprecated_usage": _CLIENTS,
    "gone_requests": _GONE,
    "sync_lag": _BEHIND,
    "sync_silent": _LOOKED,
    "sync_waiting": _WAITING,
    "sync_dead_letters": _LETTERS,
    "sync_wal_kept": _KEPT,
    "replace_errors": _SIDE_ERRORS,
    "replace_flag_errors": _SIDE_FLAG,
}
# What Grafana calls the units of metrics.
_UNITS = {"ratio": "percentunit", "count": "short", "seconds": "s", "bytes": "decbytes", "per_second": "ops"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: pairs of PromQL and legend, sizes in grid units; a value from `red_from` on is shown red."""

    id: int
    kind: str
    title: str
    unit: str
    width: int
    height: int
    red_from: float | None
    about: str
    queries: Queries
    from_zero: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


def sections(view: t.TelemetryView) -> tuple[Section, ...]:
    """All sections in order; one that the migration has no use for has no panels."""
    return (
        Section("Backfill", tuple(_backfill(view)) if view.backfills else ()),
        Section("Reconciliation", tuple(_reconciliation(view)) if view.entities else ()),
        Section("Routing", tuple(_routing(view)) if view.routed else ()),
        Section("Between databases", tuple(_streams(view)) if view.streamed else ()),
        Section("API versions", tuple(_versions(view)) if view.apis else ()),
        Section("Replacement", tuple(_replacement(view)) if view.replaced else ()),
        Section("Metrics of the file", tuple(_own(view))),
    )


# fmt: off
def _backfill(view: t.TelemetryView) -> Iterator[Panel]:
    name, by, legend = view.migration, "by (migration, backfill)", "{{backfill}}"

    def most(metric: t.MetricRef, what: str = legend) -> tuple[str, str]:
        return f"max {by} ({metric.of(name)})", what

    yield Panel(_PROGRESS, "gauge", "Progress", "percentunit", 8, 8, None,
                "Share of the rows from before the migration that carry the new shape. Later rows are the trigger's.",
                (most(t.PROGRESS),))
    yield Panel(_REMAINING, "stat", "Rows remaining", "short", 8, 8, None,
                "Rows that the backfill has still to fill.", (most(t.REMAINING),))
    yield Panel(_SINCE, "stat", "Since last progress", "s", 8, 8, t.STALLED_SECONDS,
                "Time since a batch last moved the watermark. Red from ten minutes on; alerts only while rows remain.",
                ((f"time() - max {by} ({t.LAST_PROGRESS.of(name)})", legend),))
    rate = f"sum by (backfill, outcome) (rate({t.ROWS.of(name)}[$__rate_interval]))"
    yield Panel(_RATE, "timeseries", "Rows per second", "rowsps", 12, 8, None,
                "Rows that batches passed, by outcome. The job holds back by itself when the database is busy.",
                ((rate, "{{backfill}} {{outcome}}"),))
    yield Panel(_FAILED, "timeseries", "Failed batches", "short", 12, 8, 1,
                "Batches that failed for good since the job's process began; its --status names the slices.",
                ((f'sum {by} ({t.BATCHES.of(name, outcome="failed")})', legend),))
    yield Panel(_ASIDE, "stat", "Rows set aside, slices failed", "short", 8, 8, 1,
                "What the ledger has of errors: rows in migdsl.quarantine, and those rows with the slices that failed.",
                (most(t.QUARANTINED, "{{backfill}} rows"), most(t.ERRORS, "{{backfill}} rows and slices")))
    yield Panel(_LANES, "timeseries", "Lanes and waits", "short", 8, 8, None,
                f"Lanes{' (tenants)' if view.tenanted else ''} that processes work on, and processes that wait for the database "
                "to get well.",
                ((f"sum {by} ({t.LANES.of(name)})", "{{backfill}} lanes"),
                 (f"sum {by} ({t.HELD.of(name)})", "{{backfill}} waiting")))
    yield Panel(_HEALTH, "timeseries", "Replication lag, lock waits", "s", 8, 8, None,
                "How far the slowest replica is behind, and the longest wait for a lock, while a job runs.",
                (most(t.REPLICATION_LAG, "{{backfill}} replication lag"), most(t.LOCK_WAIT, "{{backfill}} lock wait")))


def _reconciliation(view: t.TelemetryView) -> Iterator[Panel]:
    name, by, legend = view.migration, "by (migration, entity)", "{{entity}}"

    def most(metric: t.MetricRef, what: str = legend) -> tuple[str, str]:
        return f"max {by} ({metric.of(name)})", what

    first = view.binding[0].capitalize() if view.binding else ""
    refused = f" {first} refuses to run while this is above 0." if first else ""
    kinds = ((t.MISMATCHED, "mismatched"), (t.MISSING, "missing"), (t.EXTRA, "extra"))
    yield Panel(_DIFFERING, "timeseries", "Rows that differ", "short", 12, 8, 1,
                "Rows whose two sides differ, by the last reconciliation. Rows still to be filled count too.",
                tuple(most(kind, f"{legend} {word}") for kind, word in kinds))
    yield Panel(_RATIO, "timeseries", "Drift", "percentunit", 12, 8, None,
                "Share of all compared rows that differ.", (most(t.DRIFT_RATIO),))
    yield Panel(_VIOLATIONS, "stat", "Constraint violations", "short", 6, 6, 1,
                f"Rows that break a constraint still to come.{refused}",
                (most(t.VIOLATIONS),))
    if view.has_tenants:
        yield Panel(_UNLISTED, "stat", "Rows of unlisted tenants", "short", 6, 6, 1,
                    f"Rows of tenants that the list leaves out, and rows without a tenant.{refused}",
                    (most(t.UNLISTED),))
    yield Panel(_RECONCILED, "stat", "Since last reconciliation", "s", 6, 6, view.reconcile_stale_seconds,
                f"Time since the reconciliation job last finished{' for all tenants' if view.tenanted else ''}.",
                ((f"time() - max {by} ({t.LAST_RECONCILE.of(name)})", legend),))
    if view.has_old_writes:
        yield Panel(_OLD_WRITES, "stat", "Writes by old code, last day", "short", 6, 6, None,
                    "Writes in the old shape: expected until everybody is live, and 0 throughout the soak.",
                    ((f"max {by} (increase({t.OLD_WRITES.of(name)}[1d]))", legend),))


def _routing(view: t.TelemetryView) -> Iterator[Panel]:
    name = view.migration
    yield Panel(_REQUESTS, "timeseries", "Requests by stage", "ops", 12, 8, None,
                f"Reads and authoritative writes a second, by {'the stage of their tenant' if view.tenanted else 'their stage'} "
                "and the side that served them. "
                "Empty where applications don't use the router.",
                ((f"sum by (stage, side) ({t.routed_requests(name)})", "{{stage}} {{side}}"),))
    yield Panel(_REQUEST_ERRORS, "timeseries", "Requests that fail", "percentunit", 12, 8, None,
                "Share of reads and authoritative writes that fail: cutover_errors, unless the file has its own.",
                ((t.cutover_errors(name), "share"),))
    yield Panel(_SHADOW, "timeseries", "Shadow mismatches", "percentunit", 12, 8, None,
                "Share of compared reads whose two sides differ: shadow_mismatch_rate.",
                ((t.shadow_mismatch_rate(name), "share"),))
    yield Panel(_REPAIRS, "timeseries", "Second writes to repair", "short", 12, 8, 1,
                "Second writes that failed in the last hour, by where they are written down; spilled ones stand in a log.",
                ((f"sum by (outcome) (increase({t.ROUTER_REPAIRS.of(name)}[1h]))", "{{outcome}}"),))


def _streams(view: t.TelemetryView) -> Iterator[Panel]:
    name, by, legend = view.migration, "by (migration, entity, direction)", "{{entity}} {{direction}}"
    behind = min(seconds for _, seconds in view.streamed)
    yield Panel(_BEHIND, "timeseries", "Behind", "s", 12, 8, behind,
                "How long the oldest key has waited that is to be carried over"
                f"{', or the WAL to be read' if view.captured else ''}. No switch is made above the bound.",
                ((f"max {by} ({t.SYNC_LAG.of(name)})", legend),))
    yield Panel(_WAITING, "timeseries", "Keys that wait", "short", 12, 8, None,
                "Keys in the outboxes; a backfill that enqueues holds back above 20,000.",
                ((f"max {by} ({t.SYNC_WAITING.of(name)})", legend),))
    yield Panel(_LETTERS, "stat", "Dead letters", "short", 6, 8, 1,
                "Rows that the other side refuses, set aside by their key: they keep "
                f"{'their tenant' if view.tenanted else 'all'} from being switched.",
                ((f"max {by} ({t.SYNC_LETTERS.of(name)})", legend),))
    yield Panel(_LOOKED, "stat", "Since the sync job looked", "s", 6, 8, streamed.SILENT_SECONDS,
                "Time since a sync job last saw in both databases what waits. Of a dead one the other panels are old or empty.",
                ((f"time() - max by (migration, entity) ({t.kept(t.SYNC_LOOKED, name, t.JOB_WINDOW)})", "{{entity}}"),))
    yield Panel(_CARRIED, "timeseries", "Keys carried over", "ops", 12, 8, None,
                "Keys a second, by direction: "
                f"the way back is busy once {'tenants write' if view.tenanted else 'code writes'} on the new side.",
                ((f"sum by (entity, direction) (rate({t.SYNC_EVENTS.of(name)}[$__rate_interval]))", legend),))
    if view.captured:
        yield Panel(_KEPT, "timeseries", "WAL kept for the sync job", "decbytes", 12, 8, streamed.KEPT_BYTES,
                "What the old side's server keeps for the slot: from where the oldest transaction began that is open and writes, "
                "or since the job stands.",
                ((f"max by (migration, entity) ({t.SYNC_KEPT.of(name)})", "{{entity}}"),))


def _versions(view: t.TelemetryView) -> Iterator[Panel]:
    name, by = view.migration, "by (migration, api, version)"
    yield Panel(_VERSIONS, "timeseries", "Requests by version", "reqps", 12, 8, None,
                "Requests a second of each version, those answered 410 too. The old ones' end is what the migration is for.",
                ((f"sum {by} (rate({t.VERSIONS.of(name)}[$__rate_interval]))", "{{api}} {{version}}"),))
    yield Panel(_CLIENTS, "timeseries", "Who still asks for an old version", "short", 12, 8, None,
                "Requests of the last day that an old version answered, by client: software, as far as it names itself.",
                ((served.by_client(t.DEPRECATED, name, "1d"), "{{api}} {{version}} {{client}}"),))
    routes = f"sum by (api, version, route) (increase({t.DEPRECATED.of(name)}[1d]))"
    yield Panel(_ROUTES, "timeseries", "What of an old version is still asked for", "short", 12, 8, None,
                "Requests of the last day that an old version answered, by route; `other` is no route that the file declares.",
                ((routes, "{{api}} {{version}} {{route}}"),))
    yield Panel(_UNTIL, "stat", "Until the sunset", "s", 6, 8, None,
                "Time until an old version answers 410; below zero it does. A tenant's grace may be longer.",
                ((served.near(name), "{{api}} {{version}}"),), from_zero=False)
    yield Panel(_GONE, "stat", "Answered 410, last hour", "short", 6, 8, 1,
                "Requests for versions that are gone, by client.",
                ((served.by_client(t.GONE, name, "1h"), "{{api}} {{version}} {{client}}"),))


def _replacement(view: t.TelemetryView) -> Iterator[Panel]:
    name = view.migration
    by = f"sum by (replace, side) (rate({t.REPLACE_REQUESTS.of(name)}[$__rate_interval]))"
    yield Panel(_SIDES, "timeseries", "Requests by side", "ops", 12, 8, None,
                "Requests a second that the old and the new side answer, failed ones too. The old one's end with the ramp.",
                ((by, "{{replace}} {{side}}"),))
    yield Panel(_SIDE_ERRORS, "timeseries", "Requests that fail, by side", "percentunit", 12, 8, None,
                "Share of each side's requests that fail: what replace_errors and its alert compare.",
                ((replaced.errors(name, "old"), "{{replace}} old"), (replaced.errors(name, "new"), "{{replace}} new")))
    if view.strangled:
        unanswered = f"sum by (replace) (rate({t.REPLACE_FLAG_ERRORS.of(name)}[$__rate_interval]))"
        yield Panel(_SIDE_FLAG, "timeseries", "Flag without an answer", "ops", 24, 8, None,
                    "Requests a second for which the flag service gave no stage: whoever is known stays, others are old.",
                    ((unanswered, "{{replace}}"),))
# fmt: on


def _own(view: t.TelemetryView) -> Iterator[Panel]:
    """A panel a metric, two side by side; ids go by their place in the file."""
    for number, metric in enumerate(view.own):
        alone = number + 1 == len(view.own) and number % 2 == 0
        width, unit = 24 if alone else 12, _UNITS[metric.unit]
        about = f"The file's own metric, in {metric.unit.replace('_', ' ')}."
        queries = ((metric.promql, ""),)
        yield Panel(
            _OWN + number, "timeseries", metric.name, unit, width, 8, metric.red_from, about, queries, from_zero=False
        )
