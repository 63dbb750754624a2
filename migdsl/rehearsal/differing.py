"""Rows of a moving table are made to differ: the reconciliation finds them, mends one tenant's alone, and its metrics say so."""

from __future__ import annotations

import tempfile
from pathlib import Path

from migdsl.dialect.names import literal
from migdsl.ops.model import TablePlan
from migdsl.rehearsal import kinds, moving
from migdsl.rehearsal.belonging import whose
from migdsl.rehearsal.kinds import Bench, Planted
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import WAY, Passage
from migdsl.rehearsal.scrutiny import BESIDE, DRIFT, fire
from migdsl.rehearsal.shapes import Shape


def planted(passage: Passage) -> None:
    """Rows of two tenants, behind everybody's back."""
    for shape in passage.shapes:
        plan = next((p for p in passage.project.planned.lowered.tables if p.move is shape.move), None)
        if plan is not None:
            with passage.traffic.resting():
                passage.drained()
                _played(passage, shape, plan, passage.project.planned.paths.reconcile(plan.table))


def _played(passage: Passage, shape: Shape, plan: TablePlan, path: str) -> None:
    log, start, own, name = passage.log, passage.log.now(), passage.tenants, passage.project.name
    code, metrics = _reconciled(passage, path)
    if code:
        log.against("reconciliation", f"{shape.entity} isn't clean: {code}", path, WAY)
        return
    fire(passage, metrics, frozenset(), f"{shape.entity}, clean")
    bench = kinds.benched(plan, passage.end(shape, "new")[0], own.canary, own.quiet)
    spare = kinds.spares(bench, passage.client("old"), shape, own.ids[0])
    passage.drained()
    rows = kinds.values(bench, kinds.one_sided(bench, name, passage.end(shape, "old"), spare))
    log.marks.append(Mark("fault", f"rows of {shape.entity} made to differ", start, log.now()))
    if not rows:
        return
    _, metrics = _reconciled(passage, path)
    kinds.judged(log, passage.desk, name, bench, rows, path)
    permitted = BESIDE | kinds.alerts(passage.project.texts)
    fire(passage, metrics, frozenset([DRIFT]), f"{shape.entity}, rows that differ", permitted)
    _mended(passage, shape, bench, path, rows)


def _mended(passage: Passage, shape: Shape, bench: Bench, path: str, rows: list[Planted]) -> None:
    log, (first, *others) = passage.log, bench.tenants
    if first is not None and others:
        before = _content(passage, shape, others[0] or "")
        passage.job(path, "--repair", "--tenant", first)
        if _content(passage, shape, others[0] or "") != before:
            what = f"a job for one tenant alone changed rows of another in {shape.entity}"
            log.against("isolation", what, path, "each statement of it must be confined to :tenant_id")
        else:
            log.saw("isolation", f"{path} for one tenant left another's rows as they were, on both sides")
    else:
        passage.job(path, "--repair")
    passage.drained()
    kinds.kept(log, bench, rows, path)
    passage.job(path, "--repair", "--delete")
    passage.drained()
    if passage.job(path) != 0:
        log.against("reconciliation", f"{shape.entity} isn't clean after --repair", path, WAY)
    else:
        log.saw("reconciliation", f"{shape.entity}: {kinds.summed(rows)} were found and mended")


def _content(passage: Passage, shape: Shape, tenant: str) -> tuple[str, ...]:
    """A digest of a tenant's rows on both sides."""
    move, found = moving.move_of(shape), []
    for side, where in (("old", whose(move.table, "t")), ("new", whose(move.target, "t"))):
        desk, table = passage.end(shape, side)
        query = f"SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {table} AS t"
        own = f" WHERE {where}::text = {literal(tenant)}" if where is not None else ""
        row = desk.execute((query + own).encode()).fetchone()
        found.append(str(row[0]) if row else "")
    return tuple(found)


def _reconciled(passage: Passage, path: str) -> tuple[int, str]:
    """The job's exit code, and the metrics that it leaves."""
    with tempfile.TemporaryDirectory(prefix="migdsl-metrics-") as folder:
        file = Path(folder, "migdsl.prom")
        code = passage.job(path, "--metrics", str(file), "--limit", kinds.LIMIT)
        return code, file.read_text(encoding="utf-8") if file.exists() else ""
