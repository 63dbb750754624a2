"""The metrics of a sync job: their names, and what the appliers and both databases say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migdsl.runtime.stream.jobs import other
from migdsl.runtime.telemetry.export import Exporter
from migdsl.runtime.telemetry.metrics import MetricSpec, Sample

if TYPE_CHECKING:
    from migdsl.runtime.database import Stop
    from migdsl.runtime.stream.relay import Relay
    from migdsl.runtime.telemetry.options import Telemetry

_DIRECTION: Final = ("migration", "entity", "direction")

LAG: Final = MetricSpec(
    "migdsl_sync_lag_seconds",
    "gauge",
    _DIRECTION,
    "How long the oldest key that waits to be carried to the other database has waited, or the WAL to be read that it is in.",
)
WAITING: Final = MetricSpec(
    "migdsl_sync_events_waiting", "gauge", _DIRECTION, "Keys that wait to be carried over, counted up to 100000."
)
LETTERS: Final = MetricSpec(
    "migdsl_sync_dead_letters", "gauge", _DIRECTION, "Rows that can't be applied on the other side."
)
LOOKED: Final = MetricSpec(
    "migdsl_sync_last_look_timestamp_seconds",
    "gauge",
    _DIRECTION,
    "When this process last saw in both databases what waits, as a Unix time.",
)
KEPT: Final = MetricSpec(
    "migdsl_sync_wal_kept_bytes",
    "gauge",
    _DIRECTION,
    "WAL that the stream's replication slot keeps on the old side's server; none without a slot.",
)
EVENTS: Final = MetricSpec(
    "migdsl_sync_events_total", "counter", _DIRECTION, "Keys that this process has carried over."
)
ROWS: Final = MetricSpec(
    "migdsl_sync_rows_changed_total", "counter", _DIRECTION, "Rows that this process has written or deleted thereby."
)
BATCH_SECONDS: Final = MetricSpec(
    "migdsl_sync_batch_duration_seconds", "summary", _DIRECTION, "Duration of the appliers' batches, in seconds."
)

SYNC_METRICS: Final[tuple[MetricSpec, ...]] = (LAG, WAITING, LETTERS, LOOKED, KEPT, EVENTS, ROWS, BATCH_SECONDS)


def exporter(relay: Relay, telemetry: Telemetry, stop: Stop, *, live: bool = True) -> Exporter:
    """A context in which the metrics are to be had; nothing at all where none were asked for.

    `live`: file and gateway are written all the time. A run that a clock starts each minute writes them at its end: before it
    has looked it would take away what the one before has said.
    """
    grouping = {"migration": relay.stream.migration, "stream": relay.stream.stream}
    return Exporter(
        telemetry,
        lambda: samples(relay),
        grouping,
        relay.log,
        stopped=lambda: stop.requested,
        live=live,
        families=SYNC_METRICS,
    )


def samples(relay: Relay) -> list[Sample]:
    """This process's counters, and what waits in both databases."""
    meters, found = relay.meters, []
    for w in meters.waiting:
        labels = _labels(relay, w.entity, f"{w.side}_to_{other(w.side)}")
        found += [Sample(WAITING, labels, w.events), Sample(LAG, labels, w.lag_s), Sample(LETTERS, labels, w.letters)]
        found += [Sample(LOOKED, labels, meters.looked)]
        found += [Sample(KEPT, labels, w.kept)] if w.kept is not None else []
    for move in relay.stream.moves:
        for way in ("old_to_new", "new_to_old"):
            name, labels = (move.entity, way), _labels(relay, move.entity, way)
            found += [
                Sample(EVENTS, labels, meters.events[name]),
                Sample(ROWS, labels, meters.changed[name]),
                Sample(BATCH_SECONDS, labels, meters.seconds.get(name, 0.0), "_sum"),
                Sample(BATCH_SECONDS, labels, meters.batches[name], "_count"),
            ]
    return found


def _labels(relay: Relay, entity: str, way: str) -> dict[str, str]:
    return {"migration": relay.stream.migration, "entity": entity, "direction": way}
