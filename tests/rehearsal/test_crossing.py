"""Tables that move to another database: what a rehearsal plays of it, what it says that it doesn't, and what it catches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.rehearsal.model import Settings
from migdsl.rehearsal.run import Piece, Report, rehearse
from migdsl.workspace import compile_files, source_digest
from tests.rehearsal.conftest import ROOT, Edit, edited

OUTBOX, CDC = "16_extraction_outbox/orders_extraction", "17_extraction_cdc/orders_cdc"
FEW = Settings(rows=60, tenants=4, rate=200.0)
SYNC, OLD = "sync/orders_extraction/order.py", "77c617_expand.py"
FAULTS: dict[str, tuple[str, Edit]] = {
    "a way there that is wrong in the sync job": (
        "both_sides",
        (SYNC, "CAST((t.total_cents * 0.01) AS numeric) AS total", "CAST((t.total_cents * 0.1) AS numeric) AS total"),
    ),
    "an outbox that doesn't hear of what is deleted": (
        "acknowledged_writes",
        (OLD, "OR UPDATE OR DELETE ON public.orders\n", "OR UPDATE ON public.orders\n"),
    ),
}


def played(name: str, settings: Settings, folder: Path, *edits: Edit) -> Report:
    """A rehearsal of an example, its files edited, on a server of its own."""
    path = ROOT / "examples" / f"{name}.mig"
    found = compile_files({path.name: path.read_text(encoding="utf-8")}, path.name, through="contract")
    assert found.module is not None
    texts = edited({a.path: a.text for a in found.artifacts}, edits)
    for each, text in texts.items():
        target = folder / each
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    planned = build(found.module, source_digest(found.sources), "contract")
    project = Project(planned, path.name, str(folder), texts)
    sources = {path.name: found.sources[path.name].text}
    return rehearse(Piece(project, sources, path.name, path.parent, settings), lambda _: None)


def failed(report: Report) -> dict[str, object]:
    """Verdict → what speaks against it."""
    return {v.id: v.findings for v in report.verdicts if v.state == "failed"}


def test_rows_are_carried_over_while_the_sync_job_is_killed(tmp_path: Path):
    report = played(OUTBOX, replace(FEW, to="backfill", back=False), tmp_path)
    assert failed(report) == {}
    states = {v.id: v.state for v in report.verdicts}
    assert {states[name] for name in ("acknowledged_writes", "both_sides", "backfill", "traffic")} == {"passed"}
    assert {states[name] for name in ("hold", "quarantine", "isolation", "alerts")} == {"not played"}
    assert any(mark.name == "the sync job is killed" for mark in report.log.marks)


@pytest.mark.long("MIGDSL_LONG")
@pytest.mark.parametrize("name", [OUTBOX, CDC])
def test_the_examples_pass_whole(name: str, tmp_path: Path):
    report = played(name, FEW, tmp_path)
    assert failed(report) == {}
    passed = {v.id for v in report.verdicts if v.state == "passed"}
    assert passed >= {"gates", "catalog_back", "catalog_target", "reconciliation", "flag", "revisions"}


@pytest.mark.long("MIGDSL_ALL_FAULTS")
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_caught_by_its_verdict(what: str, tmp_path: Path):
    verdict, edit = FAULTS[what]
    assert verdict in failed(played(OUTBOX, replace(FEW, to="validate"), tmp_path, edit))
