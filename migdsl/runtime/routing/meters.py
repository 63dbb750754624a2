"""Turns what routers do into counters, and counters into Prometheus text; labels hold no tenant and no key."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Final

from migdsl.runtime.telemetry.metrics import MetricSpec, Sample, render

_MIGRATION: Final = ("migration",)

READS: Final = MetricSpec(
    "migdsl_router_reads_total", "counter", ("migration", "stage", "side"), "Reads that a side answered, by stage."
)
WRITES: Final = MetricSpec(
    "migdsl_router_writes_total",
    "counter",
    ("migration", "stage", "side", "order"),
    "Writes that succeeded, by stage, side and order: first (authoritative), second.",
)
FAILURES: Final = MetricSpec(
    "migdsl_router_failures_total",
    "counter",
    ("migration", "stage", "side", "operation"),
    "What failed: read and write failed the request; second_write was recorded for repair, or waits in an outbox.",
)
REPAIRS: Final = MetricSpec(
    "migdsl_router_repairs_total",
    "counter",
    ("migration", "outcome"),
    "Second writes that failed, by where they are written down: recorded, spilled (the recorder failed).",
)
FLAG_ERRORS: Final = MetricSpec(
    "migdsl_router_flag_errors_total",
    "counter",
    _MIGRATION,
    "Times that the flag service gave no stage, and the last known or the default one stood.",
)
MOVES: Final = MetricSpec(
    "migdsl_router_moves_total",
    "counter",
    ("migration", "stage", "verdict"),
    "Stages that tenants took: moves, held (the flag jumped), and refused (it wanted to leave complete).",
)
TENANTS: Final = MetricSpec(
    "migdsl_router_tenants", "gauge", ("migration", "stage"), "Tenants that this process knows, by stage."
)
COMPARED: Final = MetricSpec(
    "migdsl_router_shadow_compared_total", "counter", _MIGRATION, "Reads whose two sides were compared."
)
MISMATCHED: Final = MetricSpec(
    "migdsl_router_shadow_mismatched_total",
    "counter",
    _MIGRATION,
    "Compared reads whose sides differed, twice in a row; their share is shadow_mismatch_rate.",
)
DROPPED: Final = MetricSpec(
    "migdsl_router_shadow_dropped_total",
    "counter",
    ("migration", "reason"),
    "Comparisons that were not made, by reason: full, late, budget, error, timeout, lease, closed.",
)
# Of applications that write both sides of a move between databases.
CARRIED: Final = MetricSpec(
    "migdsl_router_second_writes_total",
    "counter",
    ("migration", "direction", "outcome"),
    "Writes that went on to the other database, by outcome: carried, nothing (left to do), part; and those that wait in the "
    "outbox: late, failed, paused, full, closed.",
)
CARRY_SECONDS: Final = MetricSpec(
    "migdsl_router_second_write_duration_seconds",
    "summary",
    _MIGRATION,
    "How long writes waited for the other database, in seconds.",
)

ROUTER_METRICS: Final[tuple[MetricSpec, ...]] = (
    *(READS, WRITES, FAILURES, REPAIRS, FLAG_ERRORS, MOVES, TENANTS),
    *(COMPARED, MISMATCHED, DROPPED, CARRIED, CARRY_SECONDS),
)
# A rate never sees a series' first value, so what is divided and alerted on begins at 0.
_BORN_AT_ZERO: Final = (
    (COMPARED, ()),
    (MISMATCHED, ()),
    (FLAG_ERRORS, ()),
    (REPAIRS, ("recorded",)),
    (REPAIRS, ("spilled",)),
)


class Meters:
    """The counters of one router; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[MetricSpec, tuple[str, ...]]] = Counter()
        self._seconds: dict[tuple[MetricSpec, tuple[str, ...]], tuple[float, int]] = {}

    def begin(self, migration: str) -> None:
        """A migration's first values."""
        with self._lock:
            for spec, labels in _BORN_AT_ZERO:
                self._counts[spec, (migration, *labels)] += 0

    def count(self, spec: MetricSpec, *labels: str) -> None:
        """One more; `labels` in the order of the metric's own."""
        with self._lock:
            self._counts[spec, labels] += 1

    def took(self, spec: MetricSpec, seconds: float, *labels: str) -> None:
        """One more of a summary."""
        with self._lock:
            total, times = self._seconds.get((spec, labels), (0.0, 0))
            self._seconds[spec, labels] = (total + seconds, times + 1)

    def value(self, spec: MetricSpec, *labels: str) -> int:
        """What was counted, over all series whose labels begin with these."""
        with self._lock:
            return sum(n for (of, its), n in self._counts.items() if of is spec and its[: len(labels)] == labels)

    def samples(self) -> list[Sample]:
        """All counters and summaries, in a fixed order."""
        with self._lock:
            found = sorted(self._counts.items(), key=lambda item: (item[0][0].name, item[0][1]))
            times = sorted(self._seconds.items(), key=lambda item: (item[0][0].name, item[0][1]))
        counted = [Sample(spec, dict(zip(spec.labels, labels, strict=True)), n) for (spec, labels), n in found]
        for (spec, labels), (total, number) in times:
            named = dict(zip(spec.labels, labels, strict=True))
            counted += [Sample(spec, named, total, "_sum"), Sample(spec, named, number, "_count")]
        return counted


def text(samples: Iterable[Sample]) -> str:
    """Prometheus text format 0.0.4."""
    return render(samples, ROUTER_METRICS)
