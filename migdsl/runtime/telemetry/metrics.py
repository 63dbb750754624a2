"""The name, kind, labels and help of every metric that the runtime exports, and their Prometheus text form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from migdsl.runtime.telemetry.sinks import replace_file

Kind = Literal["counter", "gauge", "summary"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric family. A summary has the samples NAME_sum and NAME_count, without quantiles."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_BACKFILL: Final = ("migration", "backfill")
_ENTITY: Final = ("migration", "entity")

BACKFILL_ROWS: Final = MetricSpec(
    "migdsl_backfill_rows_total",
    "counter",
    (*_BACKFILL, "outcome"),
    "Rows that this process passed, by outcome: changed, unchanged (filled already).",
)
BACKFILL_BATCHES: Final = MetricSpec(
    "migdsl_backfill_batches_total",
    "counter",
    (*_BACKFILL, "outcome"),
    "Batches that this process ran, by outcome: committed, retried, failed.",
)
BACKFILL_BATCH_SECONDS: Final = MetricSpec(
    "migdsl_backfill_batch_duration_seconds", "summary", _BACKFILL, "Duration of committed batches, in seconds."
)
BACKFILL_REMAINING: Final = MetricSpec(
    "migdsl_backfill_remaining_rows",
    "gauge",
    _BACKFILL,
    "Rows that the ledger still has to pass; after the last slice, rows counted as unfilled.",
)
BACKFILL_PROGRESS: Final = MetricSpec(
    "migdsl_backfill_progress_ratio", "gauge", _BACKFILL, "Rows passed of rows planned, in all tenants, from 0 to 1."
)
BACKFILL_LAST_PROGRESS: Final = MetricSpec(
    "migdsl_backfill_last_progress_timestamp_seconds",
    "gauge",
    _BACKFILL,
    "When a batch last committed, or the process began that has committed none yet, as a Unix time.",
)
BACKFILL_ERRORS: Final = MetricSpec(
    "migdsl_backfill_errors",
    "gauge",
    _BACKFILL,
    "Rows set aside and slices that failed, as the ledger has them; backfill_errors in a condition.",
)
BACKFILL_QUARANTINED: Final = MetricSpec(
    "migdsl_backfill_quarantined_rows", "gauge", _BACKFILL, "Rows set aside in migdsl.quarantine."
)
BACKFILL_LANES: Final = MetricSpec(
    "migdsl_backfill_lanes", "gauge", _BACKFILL, "Lanes (tenants) that this process is working on."
)
BACKFILL_HELD: Final = MetricSpec(
    "migdsl_backfill_held", "gauge", _BACKFILL, "1 while this process waits for the database to get well, else 0."
)
REPLICATION_LAG: Final = MetricSpec(
    "migdsl_replication_lag_seconds",
    "gauge",
    _BACKFILL,
    "How far the slowest replica of the job's database is behind; none where the role may not see it.",
)
LOCK_WAIT: Final = MetricSpec(
    "migdsl_lock_wait_seconds",
    "gauge",
    _BACKFILL,
    "How long the longest wait for a lock in the job's database has lasted.",
)
RECONCILE_PROGRESS: Final = MetricSpec(
    "migdsl_reconcile_progress_ratio",
    "gauge",
    _ENTITY,
    "Tenants compared of the tenants to compare, in the run that is under way, from 0 to 1.",
)
RECONCILE_MISMATCHED: Final = MetricSpec(
    "migdsl_reconcile_rows_mismatched", "gauge", _ENTITY, "Rows on both sides that differ, in the last run."
)
RECONCILE_MISSING: Final = MetricSpec(
    "migdsl_reconcile_rows_missing", "gauge", _ENTITY, "Rows that the new side lacks, in the last run."
)
RECONCILE_EXTRA: Final = MetricSpec(
    "migdsl_reconcile_rows_extra", "gauge", _ENTITY, "Rows that only the new side has, in the last run."
)
RECONCILE_VIOLATIONS: Final = MetricSpec(
    "migdsl_reconcile_violations",
    "gauge",
    _ENTITY,
    "Rows that break a constraint that is still to come, in the last run.",
)
RECONCILE_DRIFT: Final = MetricSpec(
    "migdsl_reconcile_drift_ratio",
    "gauge",
    _ENTITY,
    "Mismatched, missing and extra rows of all rows compared, from 0 to 1.",
)
RECONCILE_LAST_RUN: Final = MetricSpec(
    "migdsl_reconcile_last_run_timestamp_seconds",
    "gauge",
    _ENTITY,
    "When a reconciliation of all tenants last ended, as a Unix time.",
)
TENANTS_UNLISTED: Final = MetricSpec(
    "migdsl_tenants_unlisted",
    "gauge",
    _ENTITY,
    "What the list of tenants leaves out: nothing may, before anything is dropped.",
)
OLD_WRITES: Final = MetricSpec(
    "migdsl_old_writes_total",
    "counter",
    _ENTITY,
    "Rows that old code wrote and a trigger carried over, since the trigger was made.",
)
METRICS: Final[tuple[MetricSpec, ...]] = (
    BACKFILL_ROWS,
    BACKFILL_BATCHES,
    BACKFILL_BATCH_SECONDS,
    BACKFILL_REMAINING,
    BACKFILL_PROGRESS,
    BACKFILL_LAST_PROGRESS,
    BACKFILL_ERRORS,
    BACKFILL_QUARANTINED,
    BACKFILL_LANES,
    BACKFILL_HELD,
    REPLICATION_LAG,
    LOCK_WAIT,
    RECONCILE_PROGRESS,
    RECONCILE_MISMATCHED,
    RECONCILE_MISSING,
    RECONCILE_EXTRA,
    RECONCILE_VIOLATIONS,
    RECONCILE_DRIFT,
    RECONCILE_LAST_RUN,
    TENANTS_UNLISTED,
    OLD_WRITES,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric; `suffix` is `_sum` or `_count` for a summary."""

    spec: MetricSpec
    labels: Mapping[str, str]
    value: float
    suffix: str = ""


def render(samples: Iterable[Sample], families: tuple[MetricSpec, ...] = METRICS) -> str:
    """Prometheus text format 0.0.4, in the order of `families`."""
    rows = tuple(samples)
    lines: list[str] = []
    for spec in families:
        mine = [sample for sample in rows if sample.spec is spec]
        if mine:
            lines += [f"# HELP {spec.name} {spec.help}", f"# TYPE {spec.name} {spec.kind}"]
            lines += [_line(sample) for sample in mine]
    return "".join(f"{line}\n" for line in lines)


def write_textfile(path: str, samples: Iterable[Sample]) -> None:
    """Replaces `path` in one step. Raises OSError."""
    replace_file(path, render(samples))


def _line(sample: Sample) -> str:
    names = sample.spec.labels
    labels = ",".join(f'{name}="{_escape(sample.labels[name])}"' for name in names)
    return f"{sample.spec.name}{sample.suffix}{{{labels}}} {sample.value!r}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
