"""Turns what a running backfill does into a progress bar or structured log lines on stderr, and a metrics file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TextIO

from migdsl.runtime import metrics
from migdsl.runtime.lane import Batch
from migdsl.runtime.logline import write_line
from migdsl.runtime.metrics import MetricSpec, Sample

_BAR_EVERY_S: Final = 0.2
_LOG_EVERY_S: Final = 10.0
_METRICS_EVERY_S: Final = 5.0
_BAR_WIDTH: Final = 24


@dataclass(slots=True)
class Observer:
    """Hears of every batch; knows keys, counts and error classes, never values.

    `run` is the correlation id of this process's lines; `planned` and `passed` are the ledger's rows in all tenants.
    """

    stream: TextIO
    migration: str
    backfill: str
    run: str
    planned: int = 0
    passed: int = 0
    metrics_path: str | None = None
    changed: int = 0
    scanned: int = 0
    work_s: float = 0.0
    batches: Counter[str] = field(default_factory=Counter)
    last_progress: float | None = None
    tenant: str = ""
    _began: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _exported: float = 0.0
    _told: float = -_LOG_EVERY_S

    def start(self, planned: int, passed: int) -> None:
        """The ledger's rows as the work begins; the rate counts from here."""
        self.planned, self.passed = planned, passed
        self._began = time.monotonic()

    def batch(self, tenant: str, batch: Batch, seconds: float, size: int) -> None:
        """One committed batch."""
        self.tenant = tenant
        self.changed += batch.changed
        self.scanned += batch.scanned
        self.passed += batch.scanned
        self.work_s += seconds
        self.batches["committed"] += 1
        self.last_progress = time.time()
        self._tick(size)

    def retry(self, reason: str, seconds: float) -> None:
        """An error that is tried again after a pause."""
        self.batches["retried"] += 1
        self.log("retry", tenant=self.tenant, error=reason, pause_s=round(seconds, 2))

    def failure(self, tenant: str, reason: str) -> None:
        """A slice that failed, with the class of its error."""
        self.batches["failed"] += 1
        self.log("slice_failed", tenant=tenant, error=reason)

    def held(self, reason: str) -> None:
        """Why the work waits; said when it begins to, and now and then."""
        now = time.monotonic()
        if now - self._told >= _LOG_EVERY_S:
            self._told = now
            self.log("held", why=reason)

    def log(self, event: str, **fields: object) -> None:
        """One structured line on stderr."""
        self.clear()
        labels = {"migration": self.migration, "backfill": self.backfill, "run": self.run}
        write_line(self.stream, {"event": event, **labels, **fields})

    def clear(self) -> None:
        """Takes the bar off the terminal's line."""
        if self.stream.isatty() and self._shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def export(self, remaining: int | None = None) -> None:
        """Writes the metrics file, if one was asked for. Raises OSError."""
        if self.metrics_path is not None:
            metrics.write_textfile(self.metrics_path, self.samples(remaining))

    def samples(self, remaining: int | None = None) -> list[Sample]:
        """This process's counters, and how far the ledger is (`remaining`: the count at the end)."""
        left = max(0, self.planned - self.passed) if remaining is None else remaining
        done = 1.0 if self.planned <= 0 else min(1.0, self.passed / self.planned)
        found = [
            self._sample(metrics.BACKFILL_ROWS, self.changed, outcome="changed"),
            self._sample(metrics.BACKFILL_ROWS, max(0, self.scanned - self.changed), outcome="unchanged"),
            *(
                self._sample(metrics.BACKFILL_BATCHES, self.batches[name], outcome=name)
                for name in ("committed", "retried", "failed")
            ),
            self._sample(metrics.BACKFILL_BATCH_SECONDS, self.work_s, "_sum"),
            self._sample(metrics.BACKFILL_BATCH_SECONDS, self.batches["committed"], "_count"),
            self._sample(metrics.BACKFILL_REMAINING, left),
            self._sample(metrics.BACKFILL_PROGRESS, done),
        ]
        if self.last_progress is not None:
            found.append(self._sample(metrics.BACKFILL_LAST_PROGRESS, self.last_progress))
        return found

    def _sample(self, spec: MetricSpec, value: float, suffix: str = "", **more: str) -> Sample:
        return Sample(spec, {"migration": self.migration, "backfill": self.backfill, **more}, value, suffix)

    def _tick(self, size: int) -> None:
        now = time.monotonic()
        show: Callable[[int], None] = self._bar if self.stream.isatty() else self._line
        if now - self._shown >= (_BAR_EVERY_S if self.stream.isatty() else _LOG_EVERY_S):
            self._shown = now
            show(size)
        if now - self._exported >= _METRICS_EVERY_S:
            self._exported = now
            self.export()

    def _rate(self) -> float:
        return self.scanned / max(time.monotonic() - self._began, 1e-6)

    def _bar(self, size: int) -> None:
        share = min(1.0, self.passed / self.planned) if self.planned else 1.0
        full = int(share * _BAR_WIDTH)
        left = max(0, self.planned - self.passed) / max(self._rate(), 1e-6)
        self.stream.write(
            f"\r\x1b[K{self.backfill} [{'#' * full}{'.' * (_BAR_WIDTH - full)}] {share:4.0%}"
            f"  {self.passed:,} of {self.planned:,} rows  {self._rate():,.0f}/s  ETA {_clock(left)}"
            f"  batch {size}  tenant {self.tenant[:36]}"
        )
        self.stream.flush()

    def _line(self, size: int) -> None:
        self.log(
            "progress",
            tenant=self.tenant,
            rows_passed=self.passed,
            rows_planned=self.planned,
            rows_changed=self.changed,
            rows_per_s=round(self._rate()),
            batch=size,
        )


def _clock(seconds: float) -> str:
    whole = int(min(seconds, 360_000))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
