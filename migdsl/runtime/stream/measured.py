"""Turns what the appliers do into metrics, and where they shall go into the exporter around a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migdsl.runtime.telemetry import metrics
from migdsl.runtime.telemetry.export import Exporter
from migdsl.runtime.telemetry.metrics import Sample

if TYPE_CHECKING:
    from migdsl.runtime.database import Stop
    from migdsl.runtime.stream.relay import Relay
    from migdsl.runtime.telemetry.options import Telemetry


def exporter(relay: Relay, telemetry: Telemetry, stop: Stop) -> Exporter:
    """A context in which the metrics are to be had; nothing at all where none were asked for."""
    grouping = {"migration": relay.stream.migration, "stream": relay.stream.stream}
    return Exporter(telemetry, lambda: samples(relay), grouping, relay.log, stopped=lambda: stop.requested)


def samples(relay: Relay) -> list[Sample]:
    """This process's counters, and what waits in both databases."""
    meters = relay.meters
    found = [
        Sample(metrics.SYNC_WAITING, _labels(relay, w.entity, f"{w.side}_to_{_other(w.side)}"), w.events)
        for w in meters.waiting
    ]
    found += [
        Sample(metrics.SYNC_LAG, _labels(relay, w.entity, f"{w.side}_to_{_other(w.side)}"), w.lag_s)
        for w in meters.waiting
    ]
    found += [
        Sample(metrics.SYNC_LETTERS, _labels(relay, w.entity, f"{w.side}_to_{_other(w.side)}"), w.letters)
        for w in meters.waiting
    ]
    for move in relay.stream.moves:
        for way in ("old_to_new", "new_to_old"):
            name, labels = (move.entity, way), _labels(relay, move.entity, way)
            found += [
                Sample(metrics.SYNC_EVENTS, labels, meters.events[name]),
                Sample(metrics.SYNC_ROWS, labels, meters.changed[name]),
                Sample(metrics.SYNC_BATCH_SECONDS, labels, meters.seconds.get(name, 0.0), "_sum"),
                Sample(metrics.SYNC_BATCH_SECONDS, labels, meters.batches[name], "_count"),
            ]
    return found


def _other(side: str) -> str:
    return "new" if side == "old" else "old"


def _labels(relay: Relay, entity: str, way: str) -> dict[str, str]:
    return {"migration": relay.stream.migration, "entity": entity, "direction": way}
