"""The metrics of the runtime: one list of names, and a text form that Prometheus reads."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from migdsl.runtime.backfill.lane import Batch
from migdsl.runtime.reconcile.report import Comparison, Report, samples
from migdsl.runtime.stop import Signals
from migdsl.runtime.telemetry import metrics
from migdsl.runtime.telemetry.metrics import METRICS, Sample, render, write_textfile
from migdsl.runtime.telemetry.observe import Observer
from migdsl.runtime.telemetry.options import Telemetry
from migdsl.runtime.telemetry.probe import Facts
from migdsl.runtime.telemetry.watched import Comparing
from tests.conftest import needs_tool

HOSTILE = 'a"b\\c\nd{{ $x }}'


def exported() -> list[Sample]:
    """What both kinds of job export, under a name that needs every escape."""
    observer = Observer(io.StringIO(), HOSTILE, "user.c", "r", planned=100)
    observer.batch("t", Batch(60, 50, False), 0.5, 60)
    observer.facts = Facts(100, 60, 40, 1, 0, 2, 0.5, 1.5)
    comparing = Comparing({"migration": HOSTILE, "entity": "User"}, Telemetry(), io.StringIO(), Signals())
    comparing.progress(1, 4)
    tenant = Comparison(
        tenant="t",
        truth="old",
        rows=10,
        hash_left="1",
        hash_right="2",
        mismatched=1,
        violations=2,
        lossy=0,
        missing=3,
        extra=4,
    )
    return [*observer.samples(), *comparing.samples(), *samples(Report(HOSTILE, "User", (tenant,), 5, 6), 1.5)]


def test_names_are_one_of_a_kind_and_follow_the_convention():
    names = [spec.name for spec in METRICS]
    assert len(set(names)) == len(names)
    for spec in METRICS:
        assert spec.name.startswith("migdsl_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert "tenant" not in spec.labels
        assert spec.help.endswith(".")


def test_the_jobs_export_every_metric_and_no_other():
    assert {sample.spec for sample in exported()} == set(METRICS)
    for sample in exported():
        assert set(sample.labels) == set(sample.spec.labels)


def test_the_numbers_are_those_of_the_run():
    text = render(exported())
    head = 'migration="a\\"b\\\\c\\nd{{ $x }}"'
    for line in (
        f'migdsl_backfill_rows_total{{{head},backfill="user.c",outcome="changed"}} 50',
        f'migdsl_backfill_rows_total{{{head},backfill="user.c",outcome="unchanged"}} 10',
        f'migdsl_backfill_remaining_rows{{{head},backfill="user.c"}} 40',
        f'migdsl_backfill_progress_ratio{{{head},backfill="user.c"}} 0.6',
        f'migdsl_reconcile_drift_ratio{{{head},entity="User"}} 0.8',
        f'migdsl_old_writes_total{{{head},entity="User"}} 6',
    ):
        assert line in text.splitlines()


def test_a_report_over_single_tenants_exports_nothing():
    assert samples(Report("m", "User", (), None, None, whole=False), 1.0) == []


def test_prometheus_reads_the_text():
    done = subprocess.run(
        [needs_tool("promtool"), "check", "metrics"],
        input=render(exported()),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "m.prom"
    first = exported()
    write_textfile(str(path), first)
    before = path.read_text()
    assert before == render(first)

    def broken(_samples: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(metrics, "render", broken)
    with pytest.raises(OSError, match="disk full"):
        write_textfile(str(path), exported())
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.prom"]
