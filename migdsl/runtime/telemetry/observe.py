"""Turns what a running backfill does into a progress bar or structured log lines on stderr, and metrics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO

from migdsl.runtime.telemetry import metrics
from migdsl.runtime.telemetry.bar import Bar, LaneView, View
from migdsl.runtime.telemetry.logline import LogFormat, write_line
from migdsl.runtime.telemetry.metrics import MetricSpec, Sample

if TYPE_CHECKING:
    from migdsl.runtime.backfill.lane import Batch
    from migdsl.runtime.telemetry.probe import Facts

_BAR_EVERY_S: Final = 0.2
_LOG_EVERY_S: Final = 10.0
# A lane whose job asks every second whether to go on is held until it hasn't been told so for a while.
_HELD_S: Final = 3.0


@dataclass(slots=True)
class _Lane:
    """What this process did for a tenant: rows passed since it took the lane; `planned` and `before` where known."""

    began: float
    passed: int = 0
    size: int = 0
    planned: int = 0
    before: int = 0


@dataclass(slots=True)
class Observer:
    """Hears of every batch, from any thread; knows keys, counts and error classes, never values.

    `run` is the correlation id of this process's lines; `planned` and `passed` are the ledger's rows in all tenants,
    `facts` what a probe last read of it.
    """

    stream: TextIO
    migration: str
    backfill: str
    run: str
    planned: int = 0
    passed: int = 0
    log_format: LogFormat = "logfmt"
    changed: int = 0
    scanned: int = 0
    work_s: float = 0.0
    batches: Counter[str] = field(default_factory=Counter)
    # Of a process that commits nothing its beginning: one that waits from the first moment on has to be missed, too.
    last_progress: float = field(default_factory=time.time)
    facts: Facts | None = None
    _unfilled: int | None = None
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _tenants: dict[int, str] = field(default_factory=dict)
    _held_at: float | None = None
    _told: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _shown: float | None = None
    _bar: Bar = field(init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._bar = Bar(self.stream)

    def start(self, planned: int, passed: int) -> None:
        """The ledger's rows as the work begins; the rate counts from here."""
        with self._lock:
            self.planned, self.passed = planned, passed
            self._began = time.monotonic()

    @contextmanager
    def lane(self, tenant: str) -> Iterator[None]:
        """While it lasts, this thread has a slice of the tenant's lane."""
        self.enter(tenant)
        try:
            yield
        finally:
            self.leave(tenant)

    def enter(self, tenant: str, planned: int = 0, passed: int = 0) -> None:
        """This thread takes a tenant's lane, of whose `planned` rows `passed` are done (0: not known)."""
        with self._lock:
            self._tenants[threading.get_ident()] = tenant
            self._lanes[tenant] = _Lane(time.monotonic(), planned=planned, before=passed)

    def leave(self, tenant: str) -> None:
        """The lane is done with, or somebody else's."""
        with self._lock:
            self._lanes.pop(tenant, None)
            self._tenants.pop(threading.get_ident(), None)

    def batch(self, tenant: str, batch: Batch, seconds: float, size: int) -> None:
        """One committed batch."""
        with self._lock:
            self._tenants[threading.get_ident()] = tenant
            lane = self._lanes.setdefault(tenant, _Lane(time.monotonic() - seconds))
            lane.passed += batch.scanned
            lane.size = size
            self.changed += batch.changed
            self.scanned += batch.scanned
            self.passed += batch.scanned
            self.work_s += seconds
            self.batches["committed"] += 1
            self.last_progress = time.time()
            self._held_at = None
            self._show(tenant, size)
            if batch.last:
                self._lanes.pop(tenant, None)

    def retry(self, reason: str, seconds: float) -> None:
        """An error that is tried again after a pause."""
        with self._lock:
            self.batches["retried"] += 1
            tenant = self._tenants.get(threading.get_ident(), "")
            self.log("retry", level="warning", tenant=tenant, error=reason, pause_s=round(seconds, 2))

    def failure(self, tenant: str, reason: str) -> None:
        """A slice that failed, with the class of its error."""
        with self._lock:
            self.batches["failed"] += 1
            self._lanes.pop(tenant, None)
            self.log("slice_failed", level="error", tenant=tenant, error=reason)

    def held(self, reason: str) -> None:
        """Why the work waits; said when it begins to, and now and then."""
        with self._lock:
            now = time.monotonic()
            self._held_at = now
            # The numbers in a reason change all the time.
            kind = "".join(mark for mark in reason if not mark.isdigit())
            if now - self._told.get(kind, -_LOG_EVERY_S) >= _LOG_EVERY_S:
                self._told[kind] = now
                self.log("held", level="warning", why=reason)

    def log(self, event: str, *, level: str = "info", **fields: object) -> None:
        """One structured line on stderr."""
        with self._lock:
            self.clear()
            head = {"event": event, "level": level, "migration": self.migration, "backfill": self.backfill}
            write_line(self.stream, {**head, "run": self.run, **fields}, self.log_format)

    def clear(self) -> None:
        """Takes the bar off the terminal."""
        with self._lock:
            self._bar.erase()

    def export(self, remaining: int | None = None) -> None:
        """What was counted as unfilled after the last slice: from now on part of the rows that remain."""
        with self._lock:
            self._unfilled = remaining

    def samples(self, remaining: int | None = None) -> list[Sample]:
        """This process's counters, and how far the ledger is (`remaining`: rows counted as unfilled at the end)."""
        with self._lock:
            return [*self._counted(), *self._ledger(self._unfilled if remaining is None else remaining)]

    def _counted(self) -> list[Sample]:
        held = self._held_at is not None and time.monotonic() - self._held_at < _HELD_S
        unchanged = max(0, self.scanned - self.changed)
        return [
            self._sample(metrics.BACKFILL_ROWS, self.changed, outcome="changed"),
            self._sample(metrics.BACKFILL_ROWS, unchanged, outcome="unchanged"),
            *(
                self._sample(metrics.BACKFILL_BATCHES, self.batches[name], outcome=name)
                for name in ("committed", "retried", "failed")
            ),
            self._sample(metrics.BACKFILL_BATCH_SECONDS, self.work_s, "_sum"),
            self._sample(metrics.BACKFILL_BATCH_SECONDS, self.batches["committed"], "_count"),
            self._sample(metrics.BACKFILL_LANES, len(self._lanes)),
            self._sample(metrics.BACKFILL_HELD, float(held)),
            self._sample(metrics.BACKFILL_LAST_PROGRESS, self.last_progress),
        ]

    def _ledger(self, unfilled: int | None) -> list[Sample]:
        """What the ledger says; without a probe, as far as this process knows it."""
        facts = self.facts
        left = max(0, self.planned - self.passed) if facts is None else facts.left
        if unfilled is not None:
            left = unfilled + (facts.left if facts else 0)
        done = _share(self.passed, self.planned) if facts is None else facts.progress
        found = [
            self._sample(metrics.BACKFILL_REMAINING, left),
            self._sample(metrics.BACKFILL_PROGRESS, done),
        ]
        if facts is None:
            return found
        health = ((metrics.REPLICATION_LAG, facts.replication_lag), (metrics.LOCK_WAIT, facts.lock_wait))
        return [
            *found,
            self._sample(metrics.BACKFILL_ERRORS, facts.quarantined + facts.failed_slices),
            self._sample(metrics.BACKFILL_QUARANTINED, facts.quarantined),
            *(self._sample(spec, seconds) for spec, seconds in health if seconds is not None),
        ]

    def _sample(self, spec: MetricSpec, value: float, suffix: str = "", **more: str) -> Sample:
        return Sample(spec, {"migration": self.migration, "backfill": self.backfill, **more}, value, suffix)

    def _show(self, tenant: str, size: int) -> None:
        now, terminal = time.monotonic(), self.stream.isatty()
        if self._shown is not None and now - self._shown < (_BAR_EVERY_S if terminal else _LOG_EVERY_S):
            return
        self._shown = now
        if terminal:
            self._bar.draw(self._view(tenant, now))
        else:
            self._progress(tenant, size)

    def _view(self, tenant: str, now: float) -> View:
        lanes = tuple(
            LaneView(name, each.passed, _rate(each.passed, now - each.began), each.size, each.planned, each.before)
            for name, each in sorted(self._lanes.items())
        )
        rate = _rate(self.scanned, now - self._began)
        return View(self.backfill, self.planned, self.passed, rate, tenant, lanes)

    def _progress(self, tenant: str, size: int) -> None:
        self.log(
            "progress",
            tenant=tenant,
            lanes=len(self._lanes),
            rows_passed=self.passed,
            rows_planned=self.planned,
            rows_changed=self.changed,
            rows_per_s=round(_rate(self.scanned, time.monotonic() - self._began)),
            batch=size,
        )


def _rate(rows: int, seconds: float) -> float:
    return rows / max(seconds, 1e-6)


def _share(passed: int, planned: int) -> float:
    return 1.0 if planned <= 0 else min(1.0, passed / planned)
