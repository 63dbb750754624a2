"""Requests of an API's versions become counters; labels hold no tenant, no path of a request, and a bounded number of clients."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Final

from migdsl.runtime.api.model import Api
from migdsl.runtime.telemetry.metrics import MetricSpec, Sample, render

REQUESTS: Final = MetricSpec(
    "migdsl_api_requests_total", "counter", ("migration", "api", "version"), "Requests of an API, by version."
)
_WHO: Final = ("migration", "api", "version", "route", "client")
DEPRECATED: Final = MetricSpec(
    "migdsl_api_deprecated_requests_total",
    "counter",
    _WHO,
    "Requests that a version answered that goes away, by route and client; their rate is deprecated_requests.",
)
GONE: Final = MetricSpec(
    "migdsl_api_gone_requests_total", "counter", _WHO, "Requests that were answered 410 after the sunset."
)
SUNSET: Final = MetricSpec(
    "migdsl_api_sunset_timestamp_seconds",
    "gauge",
    ("migration", "api", "version"),
    "From when on a version answers 410 to those without a grace, as a Unix time.",
)
API_METRICS: Final[tuple[MetricSpec, ...]] = (REQUESTS, DEPRECATED, GONE, SUNSET)


class Meters:
    """The counters of one middleware; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[MetricSpec, tuple[str, ...]]] = Counter()
        self._sunsets: list[Sample] = []

    def begin(self, api: Api) -> None:
        """An API's first values: a rate never sees a series' first one."""
        for version in api.versions:
            self.count(REQUESTS, api.migration, api.name, version.name, by=0)
            end = api.ends(version)
            if end is None:
                continue
            labels = {"migration": api.migration, "api": api.name, "version": version.name}
            self._sunsets.append(Sample(SUNSET, labels, int(end)))
            for spec in (DEPRECATED, GONE):
                self.count(spec, *labels.values(), "other", "other", by=0)

    def count(self, spec: MetricSpec, *labels: str, by: int = 1) -> None:
        """So many more; `labels` in the order of the metric's own."""
        with self._lock:
            self._counts[spec, labels] += by

    def samples(self) -> list[Sample]:
        """All of them, in a fixed order."""
        with self._lock:
            found = sorted(self._counts.items(), key=lambda item: (item[0][0].name, item[0][1]))
        counted = (Sample(spec, dict(zip(spec.labels, labels, strict=True)), n) for (spec, labels), n in found)
        return [*counted, *self._sunsets]


def text(samples: Iterable[Sample]) -> str:
    """Prometheus text format 0.0.4."""
    return render(samples, API_METRICS)
