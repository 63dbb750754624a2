"""Turns a job and where its metrics shall go into the exporter around its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

from migdsl.runtime.address import conninfo_of
from migdsl.runtime.database import Stop
from migdsl.runtime.jobs import BackfillJob
from migdsl.runtime.telemetry import metrics
from migdsl.runtime.telemetry.export import Exporter
from migdsl.runtime.telemetry.logline import write_line
from migdsl.runtime.telemetry.metrics import Sample
from migdsl.runtime.telemetry.observe import Observer
from migdsl.runtime.telemetry.options import Telemetry, application_name
from migdsl.runtime.telemetry.probe import Probe


@contextmanager
def watched(job: BackfillJob, telemetry: Telemetry, url: str, observer: Observer, stop: Stop) -> Iterator[None]:
    """A backfill's run with its metrics to be had; nothing at all where none were asked for.

    Raises UsageError and OSError before the run, and what the run raises.
    """
    if not telemetry.exports:
        yield
        return
    probe = Probe(
        conninfo_of(url, application_name(job.migration, job.backfill, telemetry.run)), job.migration, job.backfill
    )
    hidden: set[str] = set()

    def look(last: bool) -> None:
        found = probe.facts()
        if not isinstance(found, str):
            # A file or a gateway keeps what was said last; how the database is only holds while somebody looks.
            observer.facts = replace(found, replication_lag=None, lock_wait=None) if last else found
        elif found not in hidden:
            hidden.add(found)
            observer.log("probe_failed", level="warning", error=found)

    grouping = {"migration": job.migration, "backfill": job.backfill}
    exporter = Exporter(telemetry, observer.samples, grouping, observer.log, look, lambda: stop.requested)
    try:
        with exporter:
            yield
    finally:
        probe.close()


class Comparing:
    """What a reconciliation measures: how far it is while it runs, and its report when it has ended.

    `labels` are migration and entity.
    """

    def __init__(self, labels: Mapping[str, str], telemetry: Telemetry, err: TextIO, stop: Stop) -> None:
        self.labels = labels
        self._telemetry = telemetry
        self._err = err
        self._stop = stop
        self._progress: float | None = None
        self._final: list[Sample] = []

    def exporter(self) -> Exporter:
        """Files and gateways keep what the last run found until this one has ended."""
        return Exporter(
            self._telemetry, self.samples, self.labels, self.log, stopped=lambda: self._stop.requested, live=False
        )

    def progress(self, done: int, of: int) -> None:
        """So many tenants of so many."""
        self._progress = done / max(of, 1)

    def report(self, samples: list[Sample]) -> None:
        """What was found; nothing where single tenants were compared."""
        self._final = samples
        self._progress = None if not samples else 1.0

    def samples(self) -> list[Sample]:
        """The report's, and the progress where there is one."""
        progress = self._progress
        share = [] if progress is None else [Sample(metrics.RECONCILE_PROGRESS, self.labels, progress)]
        return [*share, *self._final]

    def log(self, event: str, *, level: str = "info", **fields: object) -> None:
        """One structured line on stderr."""
        head = {"event": event, "level": level, **self.labels, "run": self._telemetry.run}
        write_line(self._err, {**head, **fields}, self._telemetry.log_format)
