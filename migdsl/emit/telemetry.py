"""Turns a migration's names into its metrics and alerts as data, for the Grafana and Prometheus emitters to print."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["page", "ticket", "info"]
SEVERITIES: tuple[Severity, ...] = ("page", "ticket", "info")
Labels = tuple[tuple[str, str], ...]

STALLED_SECONDS = 600
RECONCILE_STALE_SECONDS = 26 * 3600
SOAK_STAGES = frozenset({"live", "rampdown", "complete"})
# How long what a job said last is gone by: nobody scrapes a job that has ended, or was killed. That of a reconciliation must
# outlast the time after which it is too old.
JOB_WINDOW, RECONCILE_WINDOW = "1d", "3d"


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric of the user's: its PromQL, unit, and from which value on some alert of the file is in its condition."""

    name: str
    promql: str
    unit: str
    red_from: float | None = None


@dataclass(frozen=True, slots=True)
class TelemetryView:
    """One migration as its alerts and panels see it.

    `backfills` and `entities` are the values of those labels; `stage` is where the flag's line for all stands; `stages`
    are all its lines for people (`shadow for canary`); `routed`: applications choose a side by it; `own` are metrics of
    the user's; `replaced` are replacements, and `strangled`: a router is in front of one; `apis` are
    their names, each with a version that goes away; `streamed` are entities that a sync job carries to another database, each
    with the seconds that it may be behind, and `captured` those that a slot is read for; `tenanted`: rows belong to
    tenants, and `has_tenants`: those who own none are counted;
    `compares`: there are two sides; `binds`: there are rules to come, or invariants;
    `carrying`: somebody has come so far that a sync job has to run;
    `binding` are the phases whose revisions refuse while something is wrong; `runbook_path` is relative to the repository;
    `datasource_uid` is Prometheus' data source in Grafana.
    """

    migration: str
    runbook_path: str
    backfills: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    has_old_writes: bool = False
    has_tenants: bool = True
    tenanted: bool = True
    routed: bool = False
    own: tuple[OwnMetric, ...] = ()
    stage: str = "off"
    stages: tuple[str, ...] = ()
    datasource_uid: str = "prometheus"
    reconcile_stale_seconds: int = RECONCILE_STALE_SECONDS
    replaced: tuple[str, ...] = ()
    strangled: bool = False
    apis: tuple[tuple[str, str], ...] = ()
    streamed: tuple[tuple[str, float], ...] = ()
    captured: tuple[str, ...] = ()
    carrying: bool = False
    compares: bool = True
    binds: bool = True
    binding: tuple[str, ...] = ("enforce", "contract")

    def section(self, alert_id: str) -> str:
        """Where the runbook explains an alert."""
        return f"{self.runbook_path}#{runbook_anchor(alert_id)}"


@dataclass(frozen=True, slots=True)
class MetricRef:
    """A metric that the runtime exports: its name and all its labels."""

    name: str
    labels: tuple[str, ...]

    def of(self, migration: str, **matchers: str) -> str:
        """A PromQL selector of this metric for one migration."""
        pairs = {"migration": migration, **matchers}
        return f"{self.name}{{{','.join(f'{key}={promql_string(value)}' for key, value in pairs.items())}}}"


_BACKFILL = ("migration", "backfill")
_ENTITY = ("migration", "entity")

ROWS = MetricRef("migdsl_backfill_rows_total", (*_BACKFILL, "outcome"))
BATCHES = MetricRef("migdsl_backfill_batches_total", (*_BACKFILL, "outcome"))
REMAINING = MetricRef("migdsl_backfill_remaining_rows", _BACKFILL)
PROGRESS = MetricRef("migdsl_backfill_progress_ratio", _BACKFILL)
LAST_PROGRESS = MetricRef("migdsl_backfill_last_progress_timestamp_seconds", _BACKFILL)
ERRORS = MetricRef("migdsl_backfill_errors", _BACKFILL)
QUARANTINED = MetricRef("migdsl_backfill_quarantined_rows", _BACKFILL)
LANES = MetricRef("migdsl_backfill_lanes", _BACKFILL)
HELD = MetricRef("migdsl_backfill_held", _BACKFILL)
REPLICATION_LAG = MetricRef("migdsl_replication_lag_seconds", _BACKFILL)
LOCK_WAIT = MetricRef("migdsl_lock_wait_seconds", _BACKFILL)
MISMATCHED = MetricRef("migdsl_reconcile_rows_mismatched", _ENTITY)
MISSING = MetricRef("migdsl_reconcile_rows_missing", _ENTITY)
EXTRA = MetricRef("migdsl_reconcile_rows_extra", _ENTITY)
VIOLATIONS = MetricRef("migdsl_reconcile_violations", _ENTITY)
DRIFT_RATIO = MetricRef("migdsl_reconcile_drift_ratio", _ENTITY)
LAST_RECONCILE = MetricRef("migdsl_reconcile_last_run_timestamp_seconds", _ENTITY)
UNLISTED = MetricRef("migdsl_tenants_unlisted", _ENTITY)
OLD_WRITES = MetricRef("migdsl_old_writes_total", _ENTITY)
# What the sync job exports that carries rows between two databases.
_DIRECTION = ("migration", "entity", "direction")
SYNC_LAG = MetricRef("migdsl_sync_lag_seconds", _DIRECTION)
SYNC_WAITING = MetricRef("migdsl_sync_events_waiting", _DIRECTION)
SYNC_LETTERS = MetricRef("migdsl_sync_dead_letters", _DIRECTION)
SYNC_LOOKED = MetricRef("migdsl_sync_last_look_timestamp_seconds", _DIRECTION)
SYNC_EVENTS = MetricRef("migdsl_sync_events_total", _DIRECTION)
SYNC_KEPT = MetricRef("migdsl_sync_wal_kept_bytes", _DIRECTION)
SYNC_METRICS = (SYNC_LAG, SYNC_WAITING, SYNC_LETTERS, SYNC_LOOKED, SYNC_EVENTS, SYNC_KEPT)
# What applications export that route their requests by the flag.
ROUTER_READS = MetricRef("migdsl_router_reads_total", ("migration", "stage", "side"))
ROUTER_WRITES = MetricRef("migdsl_router_writes_total", ("migration", "stage", "side", "order"))
ROUTER_FAILURES = MetricRef("migdsl_router_failures_total", ("migration", "stage", "side", "operation"))
ROUTER_REPAIRS = MetricRef("migdsl_router_repairs_total", ("migration", "outcome"))
SHADOW_COMPARED = MetricRef("migdsl_router_shadow_compared_total", ("migration",))
SHADOW_MISMATCHED = MetricRef("migdsl_router_shadow_mismatched_total", ("migration",))
# What the middleware of an API exports.
DEPRECATED = MetricRef("migdsl_api_deprecated_requests_total", ("migration", "api", "version", "route", "client"))
VERSIONS = MetricRef("migdsl_api_requests_total", ("migration", "api", "version"))
SUNSET = MetricRef("migdsl_api_sunset_timestamp_seconds", ("migration", "api", "version"))
GONE = MetricRef("migdsl_api_gone_requests_total", ("migration", "api", "version", "route", "client"))

METRICS = (
    *(ROWS, BATCHES, REMAINING, PROGRESS, LAST_PROGRESS),
    *(ERRORS, QUARANTINED, LANES, HELD, REPLICATION_LAG, LOCK_WAIT),
    *(MISMATCHED, MISSING, EXTRA, VIOLATIONS, DRIFT_RATIO, LAST_RECONCILE, UNLISTED, OLD_WRITES),
)
API_METRICS = (VERSIONS, DEPRECATED, GONE, SUNSET)
# What a generated router exports, or applications themselves, by which side they are of.
REPLACE_REQUESTS = MetricRef("migdsl_replace_requests_total", ("migration", "replace", "side", "outcome"))
REPLACE_FLAG_ERRORS = MetricRef("migdsl_replace_flag_errors_total", ("migration", "replace"))
REPLACE_METRICS = (REPLACE_REQUESTS, REPLACE_FLAG_ERRORS)
ROUTER_METRICS = (*(ROUTER_READS, ROUTER_WRITES, ROUTER_FAILURES, ROUTER_REPAIRS, SHADOW_COMPARED, SHADOW_MISMATCHED),)


def kept(metric: MetricRef, migration: str, window: str) -> str:
    """What a job said last, also of one that isn't there any more."""
    return f"last_over_time({metric.of(migration)}[{window}])"


def of_the_newest(condition: str, stamp: MetricRef, migration: str, window: str) -> str:
    """The most of a condition's series (by `stamp`'s labels), of the process alone whose `stamp` is the latest.

    A job that ran elsewhere before has left numbers that were true once, at a Pushgateway and in what is `kept`.
    """
    by, stamps = ", ".join(stamp.labels), kept(stamp, migration, window)
    newest = f"{stamps} == on ({by}) group_left () max by ({by}) ({stamps})"
    return f"max by ({by}) (({condition}) and ({newest}))"


def routed_requests(migration: str) -> str:
    """What routers did a second that a request hung on, failed or not; a series each, with the labels of all three."""
    first = ROUTER_WRITES.of(migration, order="first")
    return f"rate({ROUTER_READS.of(migration)}[5m]) or rate({first}[5m]) or rate({_failed_requests(migration)}[5m])"


def cutover_errors(migration: str) -> str:
    """The share of reads and authoritative writes that failed; 0 where requests come and none has failed."""
    # A counter of failures is born with the first of them.
    done = f"sum by (migration) ({routed_requests(migration)})"
    return f"(sum by (migration) (rate({_failed_requests(migration)}[5m])) or 0 * {done}) / {done}"


def shadow_mismatch_rate(migration: str) -> str:
    """The share of compared reads whose sides differed."""
    compared = f"sum by (migration) (rate({SHADOW_COMPARED.of(migration)}[5m]))"
    return f"sum by (migration) (rate({SHADOW_MISMATCHED.of(migration)}[5m])) / {compared}"


def _failed_requests(migration: str) -> str:
    selector = ROUTER_FAILURES.of(migration)
    # A second write that fails is recorded for repair, and its request goes on.
    return f'{selector[:-1]},operation!="second_write"}}'


@dataclass(frozen=True, slots=True)
class Series:
    """Samples one minute apart in promtool's notation: `0+60x30` counts up by 60, thirty times."""

    metric: str
    labels: Labels
    values: str


@dataclass(frozen=True, slots=True)
class AlertCase:
    """What an alert does `at_seconds` after `series` began: it `fires` with these labels of its result, or None."""

    name: str
    series: tuple[Series, ...]
    at_seconds: int
    fires: Labels | None


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """One alert: every series that `expr` (PromQL) yields for `for_seconds` fires.

    `title`, `summary` and `what_to_do` are plain text, which the emitters escape. `subject` is the label of the result
    that says what it is about, or empty. `runbook` is a path with the anchor that `runbook_heading` has in Markdown.
    """

    id: str
    title: str
    expr: str
    for_seconds: int
    severity: Severity
    summary: str
    what_to_do: str
    phase: str
    runbook: str
    subject: str = ""
    cases: tuple[AlertCase, ...] = ()

    @property
    def alert_name(self) -> str:
        """The name in Prometheus: `MigdslBackfillStalled`."""
        return "Migdsl" + "".join(word.capitalize() for word in re.split(r"[^0-9A-Za-z]+", self.id))

    @property
    def static_labels(self) -> dict[str, str]:
        """The labels that every instance of this alert carries."""
        return {"phase": self.phase, "severity": self.severity}


def elsewhere(alert: AlertSpec, runbook: str) -> AlertSpec:
    """The same alert, which is explained on another page."""
    return replace(alert, runbook=runbook)


def runbook_anchor(alert_id: str) -> str:
    """The fragment of an alert's section in the runbook."""
    return "alert-" + alert_id.replace("_", "-")


def runbook_heading(alert: AlertSpec) -> str:
    """The text of the runbook's heading whose Markdown anchor is `runbook_anchor`."""
    return f"Alert: {alert.id.replace('_', ' ')}"


def promql_string(text: str) -> str:
    """`text` as a PromQL string literal.

    `$` and `[` are written as escapes too, since Grafana replaces `$name` and `[[name]]` in a dashboard's queries.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f$\[]", lambda found: f"\\x{ord(found[0]):02x}", escaped) + '"'


def template_text(text: str) -> str:
    """`text` so that Go templates print it as it is: in annotations of Prometheus and of Grafana.

    `$` is written inside an action as an escape, since Grafana first expands environment variables in these strings.
    """
    return re.sub(r"[{$]", lambda found: f'{{{{"\\x{ord(found[0]):02x}"}}}}', text)


def alert_annotations(view: TelemetryView, alert: AlertSpec) -> dict[str, str]:
    """An alert's annotations as Go templates; `.Labels` and not `$labels`, which Grafana's own expansion would eat."""
    about = f" ({alert.subject} {{{{ .Labels.{alert.subject} }}}})" if alert.subject else ""
    return {
        "summary": f"{template_text(f'{alert.summary} in migration {view.migration}')}{about}",
        "description": template_text(f"{alert.what_to_do} See {alert.runbook}."),
        "runbook": template_text(alert.runbook),
    }
