"""Turns a migration's alerts and metrics into Grafana's provisioned alert rules and a dashboard."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from migdsl.emit import telemetry as t
from migdsl.emit.artifact import Artifact, canonical_json

Json: TypeAlias = dict[str, object]

FOLDER = "Migrations"
SCHEMA_VERSION = 41
_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24

# Panel ids stay what they are when a panel is left out: alerts and people's links name them.
_TEXT, _PROGRESS, _REMAINING, _SINCE, _RATE, _FAILED = 1, 2, 3, 4, 5, 6
_DIFFERING, _RATIO, _VIOLATIONS, _UNLISTED, _RECONCILED, _OLD_WRITES = 7, 8, 9, 10, 11, 12
_PANEL_OF_ALERT = {
    "backfill_stalled": _SINCE,
    "backfill_errors": _FAILED,
    "drift": _DIFFERING,
    "constraint_violations": _VIOLATIONS,
    "reconcile_stale": _RECONCILED,
    "tenants_unlisted": _UNLISTED,
    "old_writes": _OLD_WRITES,
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """What a panel is in every migration; a value from `red_from` on is shown red. Sizes are in grid units."""

    id: int
    kind: str
    title: str
    unit: str
    width: int
    height: int
    red_from: float | None
    about: str


# Pairs of PromQL and legend, for each panel that the migration has a use for.
_Queries: TypeAlias = dict[int, tuple[tuple[str, str], ...]]


def short_text(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters; where it is cut, a digest keeps it distinct."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).strip() or "migration"
    return line if len(line) <= limit else f"{line[: limit - 9]}~{_digest(text)[:8]}"


def short_uid(migration: str, kind: str) -> str:
    """A Grafana uid, at most 40 characters of `[a-z0-9_-]`: a readable beginning and a digest of migration and kind."""
    readable = re.sub(r"[^a-z0-9_]+", "-", migration.lower()).strip("-")[:27] or "migration"
    return f"{readable}-{_digest(migration, kind)[:12]}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def alert_rules(view: t.TelemetryView, alerts: tuple[t.AlertSpec, ...], path: str) -> Artifact:
    """The alert rules as a file for `provisioning/alerting`, with the same expressions as Prometheus' rules.

    Queries go to the data source `view.datasource_uid`; alerts of our own link to their panel of `dashboard`.
    """
    group: Json = {
        "orgId": 1,
        "name": _literal(short_text(view.migration, 180)),
        "folder": FOLDER,
        "interval": "1m",
        "rules": [_rule(view, alert) for alert in alerts],
    }
    return Artifact(path, canonical_json({"apiVersion": 1, "groups": [group] if alerts else []}), "alerts")


def _literal(text: str) -> str:
    # Grafana expands environment variables in names and titles; there `$$` stands for `$`.
    return text.replace("$", "$$")


def _rule(view: t.TelemetryView, alert: t.AlertSpec) -> Json:
    panel = _PANEL_OF_ALERT.get(alert.id)
    link: Json = {"dashboardUid": short_uid(view.migration, "dashboard"), "panelId": panel} if panel else {}
    return link | {
        "uid": short_uid(view.migration, f"alert {alert.id}"),
        "title": _literal(f"{short_text(view.migration, 90)}: {short_text(alert.title, 80)}"),
        "condition": "B",
        "data": [_query(view, alert), _threshold()],
        "for": f"{alert.for_seconds}s",
        # The expression yields nothing while all is well.
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": alert.static_labels,
        "annotations": t.alert_annotations(view, alert),
        "isPaused": False,
    }


def _query(view: t.TelemetryView, alert: t.AlertSpec) -> Json:
    # Prometheus fires for every series that an expression yields, whatever its value; `x ^ 0` is 1 even for 0, NaN and
    # infinity. The line break ends a comment that the expression may close with.
    model: Json = {"refId": "A", "expr": f"({alert.expr}\n) ^ 0", "instant": True, "range": False, "editorMode": "code"}
    timing: Json = {"intervalMs": 60000, "maxDataPoints": 100}
    return {
        "refId": "A",
        "queryType": "",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": view.datasource_uid,
        "model": model | timing,
    }


def _threshold() -> Json:
    condition: Json = {"type": "query", "evaluator": {"type": "gt", "params": [0]}}
    model: Json = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [condition]}
    source: Json = {"type": "__expr__", "uid": "__expr__"}
    return {
        "refId": "B",
        "queryType": "",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": "__expr__",
        "model": model | {"datasource": source},
    }


def dashboard(view: t.TelemetryView, path: str) -> Artifact:
    """The dashboard as a file for `provisioning/dashboards`; a variable picks the Prometheus data source."""
    sections = (("Backfill", _backfill_queries(view)), ("Reconciliation", _entity_queries(view)))
    variable: Json = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    document: Json = {
        "uid": short_uid(view.migration, "dashboard"),
        "title": f"Migration {short_text(view.migration, 160)}",
        "description": "Backfill, reconciliation and old writes of one migration. Generated by migdsl; do not edit.",
        "tags": ["migdsl", "migration"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "timezone": "browser",
        "templating": {"list": [variable]},
        "annotations": {"list": []},
        "panels": list(_laid_out(view, sections)),
    }
    return Artifact(path, canonical_json(document), "dashboard")


def _laid_out(view: t.TelemetryView, sections: tuple[tuple[str, _Queries], ...]) -> Iterator[Json]:
    """The text, then each section under a heading; panels stand side by side until the width is full."""
    yield _text_panel(view)
    y = 6
    for number, (title, queries) in enumerate(sections):
        if not queries:
            continue
        grid = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        yield {"id": 100 + number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": grid}
        x, y, height = 0, y + 1, 0
        for panel in (each for each in _PANELS if each.id in queries):
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            yield _panel(view, panel, queries[panel.id], x, y)
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _text_panel(view: t.TelemetryView) -> Json:
    stages = "\n".join(f"- {_markdown(stage)}" for stage in view.stages) or f"- {_markdown(view.stage)} for all"
    content = (
        f"**Stages** in the compiled flag file:\n\n{stages}\n\n"
        f"**Runbook:** {_markdown(view.runbook_path)}, which has a section for each alert."
    )
    return {
        "id": _TEXT,
        "type": "text",
        "title": "Where this migration stands",
        "description": "As of the last compile. A stage changes in the flag block of the .mig file.",
        "gridPos": {"x": 0, "y": 0, "w": _WIDTH, "h": 6},
        "options": {"mode": "markdown", "content": content},
    }


def _markdown(text: str) -> str:
    """`text` so that Markdown, HTML and Grafana's `$name` and `[[name]]` all leave it as it is."""
    line = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"[^\w \-./,:%@]|_", lambda found: f"&#{ord(found[0])};", line)


def _panel(view: t.TelemetryView, panel: _Panel, queries: tuple[tuple[str, str], ...], x: int, y: int) -> Json:
    red_from = view.reconcile_stale_seconds if panel.id == _RECONCILED else panel.red_from
    return {
        "id": panel.id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": _field(panel, red_from), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [_target(number, *query) for number, query in enumerate(queries)],
    }


_LEGEND: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_REDUCE: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, Json] = {
    "gauge": {"reduceOptions": _REDUCE, "showThresholdLabels": False, "showThresholdMarkers": False},
    "stat": {"reduceOptions": _REDUCE, "colorMode": "value", "graphMode": "area", "textMode": "auto"},
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
}


def _field(panel: _Panel, red_from: float | None) -> Json:
    red: list[Json] = [] if red_from is None else [{"color": "red", "value": red_from}]
    thresholds: Json = {"mode": "absolute", "steps": [{"color": "green", "value": None}, *red]}
    top: Json = {"max": 1} if panel.kind == "gauge" else {}
    return {"unit": panel.unit, "thresholds": thresholds, "min": 0} | top


def _target(number: int, expr: str, legend: str) -> Json:
    return {"refId": "ABCDEFGH"[number], "datasource": _SOURCE, "expr": expr, "legendFormat": legend}


def _backfill_queries(view: t.TelemetryView) -> _Queries:
    if not view.backfills:
        return {}
    name, by, legend = view.migration, "by (migration, backfill)", "{{backfill}}"
    rate = f"sum by (backfill, outcome) (rate({t.ROWS.of(name)}[$__rate_interval]))"
    return {
        _PROGRESS: ((f"max {by} ({t.PROGRESS.of(name)})", legend),),
        _REMAINING: ((f"max {by} ({t.REMAINING.of(name)})", legend),),
        _SINCE: ((f"time() - max {by} ({t.LAST_PROGRESS.of(name)})", legend),),
        _RATE: ((rate, "{{backfill}} {{outcome}}"),),
        _FAILED: ((f'sum {by} ({t.BATCHES.of(name, outcome="failed")})', legend),),
    }


def _entity_queries(view: t.TelemetryView) -> _Queries:
    if not view.entities:
        return {}
    name, by, legend = view.migration, "by (migration, entity)", "{{entity}}"
    kinds = ((t.MISMATCHED, "mismatched"), (t.MISSING, "missing"), (t.EXTRA, "extra"))
    queries: _Queries = {
        _DIFFERING: tuple((f"max {by} ({kind.of(name)})", f"{legend} {word}") for kind, word in kinds),
        _RATIO: ((f"max {by} ({t.DRIFT_RATIO.of(name)})", legend),),
        _VIOLATIONS: ((f"max {by} ({t.VIOLATIONS.of(name)})", legend),),
        _RECONCILED: ((f"time() - max {by} ({t.LAST_RECONCILE.of(name)})", legend),),
    }
    if view.has_tenants:
        queries[_UNLISTED] = ((f"max {by} ({t.UNLISTED.of(name)})", legend),)
    if view.has_old_writes:
        queries[_OLD_WRITES] = ((f"max {by} (increase({t.OLD_WRITES.of(name)}[1d]))", legend),)
    return queries


# fmt: off
_PANELS = (
    _Panel(_PROGRESS, "gauge", "Progress", "percentunit", 8, 8, None,
           "Share of the rows from before the migration that carry the new shape. Later rows are the trigger's."),
    _Panel(_REMAINING, "stat", "Rows remaining", "short", 8, 8, None,
           "Rows that the backfill has still to fill."),
    _Panel(_SINCE, "stat", "Since last progress", "s", 8, 8, t.STALLED_SECONDS,
           "Time since a batch last moved the watermark. Red from ten minutes on; alerts only while rows remain."),
    _Panel(_RATE, "timeseries", "Rows per second", "rowsps", 12, 8, None,
           "Rows that batches passed, by outcome. The job holds back by itself when the database is busy."),
    _Panel(_FAILED, "timeseries", "Failed batches", "short", 12, 8, 1,
           "Batches that failed for good since the job's process began; its --status names the slices."),
    _Panel(_DIFFERING, "timeseries", "Rows that differ", "short", 12, 8, 1,
           "Rows whose two sides differ, by the last reconciliation. Rows still to be filled count too."),
    _Panel(_RATIO, "timeseries", "Drift", "percentunit", 12, 8, None,
           "Share of all compared rows that differ."),
    _Panel(_VIOLATIONS, "stat", "Constraint violations", "short", 6, 6, 1,
           "Rows that break a constraint still to come. Enforce refuses to run while this is above 0."),
    _Panel(_RECONCILED, "stat", "Since last reconciliation", "s", 6, 6, t.RECONCILE_STALE_SECONDS,
           "Time since the reconciliation job last finished for all tenants."),
    _Panel(_UNLISTED, "stat", "Rows of unlisted tenants", "short", 6, 6, 1,
           "Rows of tenants that the list leaves out, and rows without a tenant. Contract refuses while above 0."),
    _Panel(_OLD_WRITES, "stat", "Writes by old code, last day", "short", 6, 6, None,
           "Writes in the old shape: expected until all tenants are live, and 0 throughout the soak."),
)
# fmt: on
