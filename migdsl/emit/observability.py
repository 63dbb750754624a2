"""A planned migration becomes its flag file, alerts, dashboard and Prometheus rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from migdsl.emit import flags, grafana, prometheus
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.declared import declared_alerts, own_metrics
from migdsl.emit.standard_alerts import standard_alerts
from migdsl.emit.telemetry import AlertSpec, TelemetryView
from migdsl.ops.demands import backfill_name
from migdsl.planning.release import stage_of_all
from migdsl.planning.streams import streams
from migdsl.semantics.model import StageLine


def emit_flags(context: EmitContext) -> Iterator[Artifact]:
    """The flag file."""
    module, name = context.planned.module, context.planned.plan.migration
    lines = tuple(
        flags.StageLine(cast("flags.Scope", line.scope), line.stage, line.percent, line.tenants)
        for line in module.stages
    )
    # Without tenants a share of the requests moves: the targeting key decides.
    by_request = module.rollout.by_request or module.tenants is None or module.tenants.key is None
    staged = flags.FlagView(name, name, lines, module.rollout.canary, by_request)
    switches = tuple(
        flags.BooleanFlagView(
            switch.name,
            name,
            tuple(flags.OnLine(cast("flags.Scope", x.scope), x.percent, x.tenants) for x in switch.lines),
            module.rollout.canary,
            by_request,
        )
        for switch in module.switches
    )
    yield flags.flag_file(staged, context.planned.paths.flags, switches)


def telemetry(context: EmitContext) -> TelemetryView:
    """The migration as its alerts and panels see it."""
    planned = context.planned
    tables = planned.lowered.tables
    return TelemetryView(
        migration=planned.plan.migration,
        runbook_path=planned.paths.runbook,
        backfills=tuple(backfill_name(p) for p in tables if p.fills),
        entities=tuple(p.table.entity for p in tables),
        has_old_writes=any(p.counter for p in tables),
        compares=any(p.comparisons or p.origin is not None for p in tables),
        binds=any(p.violations or planned.module.policy.invariants(p.table.entity) for p in tables),
        binding=tuple(p for p in ("enforce", "contract") if any(r.phase == p for r in planned.revisions)),
        has_tenants=any(p.table.owned and not p.leaves for p in tables),
        tenanted=any(p.table.owned for p in tables) or not tables,
        routed=any(p.switched for p in tables),
        own=own_metrics(planned.module.policy),
        stage=stage_of_all(planned.module),
        stages=tuple(spoken(line) for line in planned.module.stages) or ("off for all",),
        apis=tuple((api.name, each.version) for api in planned.module.apis for each in api.sunsets),
        carrying=any(line.stage in ("shadow", "live", "rampdown") for line in planned.module.stages),
        streamed=tuple((m.entity, each.lag_s) for each in streams(tables) for m in each.moved),
        captured=tuple(m.entity for each in streams(tables) for m in each.moved if m.captured),
        replaced=tuple(each.name for each in planned.module.replacements),
        strangled=any(each.strangles for each in planned.module.replacements),
    )


def spoken(line: StageLine) -> str:
    """A line of the flag as a person says it: `shadow for canary`."""
    whom = {"all": "all", "canary": "the canary", "percent": f"{line.percent}%"}
    return f"{line.stage} for {whom.get(line.scope) or 'tenants ' + ', '.join(line.tenants)}"


def all_alerts(context: EmitContext, view: TelemetryView) -> tuple[AlertSpec, ...]:
    """The standard alerts, then those that the file asks for."""
    return (*standard_alerts(view), *declared_alerts(context, view))


def emit_alerts(context: EmitContext) -> Iterator[Artifact]:
    """Alert rules and dashboard for Grafana, the same rules for Prometheus, and their tests."""
    paths, view = context.planned.paths, telemetry(context)
    alerts = all_alerts(context, view)
    yield grafana.alert_rules(view, alerts, paths.alerts)
    yield grafana.dashboard(view, paths.dashboard)
    yield prometheus.rules(view, alerts, paths.rules)
    yield prometheus.rule_tests(view, alerts, paths.rule_tests, paths.rules)
