"""Jobs are put to the test: on one tenant alone, on rows that were made to differ, and their metrics on the alert rules."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

from migdsl.executor.model import Project
from migdsl.ops.model import TablePlan
from migdsl.rehearsal import alerts, faults, kinds
from migdsl.rehearsal.kinds import Bench, Planted
from migdsl.rehearsal.model import Log, Mark
from migdsl.rehearsal.troupe import Troupe

DRIFT = "MigdslDrift"
_VIOLATED = "MigdslConstraintViolations"
# What a row that differs may set off beside: rules to come, and what the file itself says of drift.
BESIDE = frozenset([_VIOLATED, "MigdslAbort", "MigdslRollBack"])
# What fires for want of a sync job's metrics says nothing where another job's are looked at.
_SILENT, _OF_SYNC = "MigdslSyncSilent", "migdsl_sync_"


def isolated(troupe: Troupe, plan: TablePlan) -> None:
    """The backfill of the canary alone leaves a tenant as it is whose rows nobody writes."""
    canary, outside = troupe.tenants.canary, troupe.tenants.quiet
    if canary is None or outside is None:
        return
    path = troupe.project.planned.paths.backfill(plan.table)
    before = faults.content(troupe, outside)
    troupe.job(path, "--tenant", canary, "--duty", "1")
    _untouched(troupe, before, outside, path)


def _untouched(troupe: Troupe, before: dict[str, str], outside: str, path: str) -> None:
    after = faults.content(troupe, outside)
    changed = [name for name in before if before[name] != after.get(name)]
    for name in changed:
        what = f"a job for one tenant alone changed rows of another in {name}"
        troupe.log.against("isolation", what, path, "each statement of it must be confined to :tenant_id")
    if not changed:
        troupe.log.saw("isolation", f"{path} for one tenant left another's {len(before)} tables as they were")


def planted(troupe: Troupe) -> None:
    """Rows of two tenants are made to differ: the reconciliation finds each, and mends one tenant's alone."""
    for plan in troupe.project.planned.lowered.tables:
        path = troupe.project.planned.paths.reconcile(plan.table)
        if plan.comparisons and not plan.leaves and path in troupe.project.texts:
            with troupe.traffic.resting():
                _alone(troupe, plan, path)


def _alone(troupe: Troupe, plan: TablePlan, path: str) -> None:
    entity, log = plan.table.entity, troupe.log
    clean, metrics = _reconciled(troupe, path)
    if clean:
        log.against("reconciliation", f"{entity} isn't clean: {_said(metrics)}", path, _SEE)
        return
    fire(troupe, metrics, frozenset(), f"{entity}, clean")
    start = log.now()
    bench = kinds.benched(plan, troupe.desk, troupe.tenants.canary, troupe.tenants.quiet)
    rows = kinds.values(bench, _apart(troupe, bench))
    log.marks.append(Mark("fault", f"rows of {entity} made to differ", start, log.now()))
    if not rows:
        return
    _, metrics = _reconciled(troupe, path)
    kinds.judged(log, troupe.desk, troupe.project.name, bench, rows, path)
    fire(
        troupe, metrics, frozenset([DRIFT]), f"{entity}, rows that differ", BESIDE | kinds.alerts(troupe.project.texts)
    )
    _mended(troupe, bench, path, rows)


def _apart(troupe: Troupe, bench: Bench) -> list[Planted]:
    """Rows that one side alone has, where there are two."""
    origin = bench.plan.origin
    shape = next((s for s in troupe.shapes if origin is not None and s.entity == origin.table.entity), None)
    client = next(client for client in troupe.traffic.clients if client.code == "old")
    if shape is None:
        return []
    rows = kinds.spares(bench, client, shape, troupe.tenants.ids[0])
    return kinds.one_sided(bench, troupe.project.name, (troupe.desk, shape.name), rows)


def _mended(troupe: Troupe, bench: Bench, path: str, rows: list[Planted]) -> None:
    log, (first, *others) = troupe.log, bench.tenants
    if first is not None and others:
        before = faults.content(troupe, others[0] or "")
        troupe.job(path, "--repair", "--tenant", first, still=True)
        _untouched(troupe, before, others[0] or "", path)
    else:
        troupe.job(path, "--repair", still=True)
    kinds.kept(log, bench, rows, path)
    troupe.job(path, "--repair", "--delete", still=True)
    code, metrics = _reconciled(troupe, path)
    if code:
        what = f"{bench.entity} isn't clean after --repair: {_said(metrics)}"
        log.against("reconciliation", what, path, "what it compares and what it repairs must be the same")
    else:
        log.saw("reconciliation", f"{bench.entity}: {kinds.summed(rows)} were found and mended")


_SEE = "the keys of the rows that differ: run the job; old and new columns must agree before anybody is live"


def _reconciled(troupe: Troupe, path: str, *, still: bool = True) -> tuple[int, str]:
    """The job's exit code, and the metrics that it leaves."""
    with tempfile.TemporaryDirectory(prefix="migdsl-metrics-") as folder:
        file = Path(folder, "migdsl.prom")
        code, _ = troupe.job(path, "--metrics", str(file), "--limit", kinds.LIMIT, still=still)
        return code, file.read_text(encoding="utf-8") if file.exists() else ""


def _said(metrics: str) -> str:
    """What isn't 0 of the readings."""
    names = ("rows_mismatched", "rows_missing", "rows_extra", "violations", "tenants_unlisted")
    found = [
        line for line in metrics.splitlines() if any(n in line for n in names) and not line.endswith((" 0", " 0.0"))
    ]
    return "; ".join(line.split("{")[0] + " " + line.rsplit(" ", 1)[-1] for line in found if not line.startswith("#"))


def offenders_fire(troupe: Troupe) -> None:
    """Rows that break a rule to come are counted, and the alert on them fires."""
    for plan in troupe.project.planned.lowered.tables:
        path = troupe.project.planned.paths.reconcile(plan.table)
        if path in troupe.project.texts and plan.violations:
            code, metrics = _reconciled(troupe, path, still=False)
            if code:
                fire(troupe, metrics, frozenset([_VIOLATED]), f"{plan.table.entity}, rows that break a rule to come")


class Rehearsed(Protocol):
    """Files that are rehearsed, and where what is found is noted."""

    @property
    def project(self) -> Project: ...

    @property
    def log(self) -> Log: ...


def fire(
    of: Rehearsed, metrics: str, wanted: frozenset[str], when: str, permitted: frozenset[str] = frozenset()
) -> None:
    """These alerts, and no other that isn't permitted, have something to say of the metrics."""
    tool = alerts.promtool()
    text = next((t for p, t in of.project.texts.items() if p.endswith(".rules.json")), None)
    if tool is None or text is None or not metrics:
        return
    rules = {name: rule for name, rule in alerts.expressions(text).items() if name != _SILENT or _OF_SYNC in metrics}
    try:
        found = alerts.firing(tool, rules, metrics)
    except ValueError as error:
        of.log.against("alerts", f"promtool can't evaluate the rules: {error}", "", "see the rules file")
        return
    for name in sorted(wanted & rules.keys() - found):
        of.log.against(
            "alerts", f"{name} stays silent: {when}", rules[name], "its expression must see what the job measures"
        )
    for name in sorted(found - wanted - permitted):
        of.log.against("alerts", f"{name} fires for nothing: {when}", rules[name], "its expression must hold only then")
    of.log.saw("alerts", f"{when}: {', '.join(sorted(found)) or 'no alert'}")
