"""On which side a tenant writes, by the flag's lines; and what a status says of sync jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.cli.status_view import render
from migdsl.emit.run import emit
from migdsl.executor.model import Project, Refused
from migdsl.executor.turning import out_of_place, wanted
from migdsl.planning.build import build
from migdsl.workspace import check
from tests.executor.conftest import ROOT

EXAMPLE = (ROOT / "examples/16_extraction_outbox/orders_extraction.mig").read_text(encoding="utf-8")
CANARY = "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
TENANTS = (CANARY, *(f"{n:032x}" for n in range(1, 200)))


def project(folder: Path, *lines: str) -> Project:
    """The example with these lines in its flag, and its files in a folder."""
    found = check({"m.mig": EXAMPLE.replace("stage off for all", "\n  ".join(lines))}, "m.mig")
    assert found.module is not None, found.diagnostics
    planned = build(found.module, "0" * 64, None)
    texts = {artifact.path: artifact.text for artifact in emit(planned, "m.mig")}
    (folder / planned.paths.flags).parent.mkdir(parents=True)
    (folder / planned.paths.flags).write_text(texts[planned.paths.flags], encoding="utf-8")
    return Project(planned, "m.mig", str(folder), texts)


@pytest.mark.parametrize(
    ("stage", "side"), [("off", "old"), ("shadow", "old"), ("live", "new"), ("rampdown", "new"), ("complete", "new")]
)
def test_who_is_read_is_written(tmp_path: Path, stage: str, side: str):
    assert set(wanted(project(tmp_path, f"stage {stage} for all"), TENANTS).values()) == {side}


def test_the_narrowest_line_decides(tmp_path: Path):
    one, other = TENANTS[1], TENANTS[2]
    lines = ("stage shadow for all", "stage live for canary", f'stage live for tenants "{one}"')
    found = wanted(project(tmp_path, *lines), TENANTS)
    assert (found[CANARY], found[one], found[other]) == ("new", "new", "old")
    back = project(tmp_path / "back", "stage live for all", f'stage shadow for tenants "{one}"')
    found = wanted(back, TENANTS)
    assert (found[CANARY], found[one], found[other]) == ("new", "old", "new")


def test_a_share_is_what_flagd_says(tmp_path: Path):
    lines = ("stage shadow for all", "stage live for canary", "stage live for 25%")
    made = project(tmp_path, *lines)
    found = wanted(made, TENANTS)
    assert found[CANARY] == "new"
    assert 20 < list(found.values()).count("new") < 90
    assert out_of_place(made, dict.fromkeys(TENANTS, "old")) == (CANARY,)
    wider = wanted(project(tmp_path / "wider", *lines[:2], "stage live for 75%"), TENANTS)
    assert {tenant for tenant in found if found[tenant] == "new"} < {t for t in wider if wider[t] == "new"}


def test_a_share_that_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = project(tmp_path, "stage shadow for all", "stage live for 25%")
    monkeypatch.setitem(__import__("sys").modules, "openfeature", None)
    monkeypatch.setitem(__import__("sys").modules, "openfeature.api", None)
    with pytest.raises(Refused) as refused:
        wanted(made, TENANTS)
    assert "migdsl[routing]" in refused.value.help
    # A share that is where all are needs nobody to tell.
    assert set(
        wanted(project(tmp_path / "same", "stage live for all", "stage rampdown for 25%"), TENANTS).values()
    ) == {"new"}


def test_what_is_nobodys_goes_with_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "openfeature.api", None)
    made = project(tmp_path, "stage shadow for all", "stage live for 75%", "stage live for canary")
    assert wanted(made, ("",)) == {"": "old"}
    assert wanted(project(tmp_path / "all", "stage live for all", "stage shadow for 75%"), ("",)) == {"": "new"}
    assert out_of_place(made, {"": "new"}) == ("",)


def test_what_people_see_of_a_stream():
    way = {"entity": "Order", "from": "old", "events": 3, "lag_seconds": 1.5, "dead_letters": 2}
    stream = {
        "stream": "Order",
        "job": "sync/m/order.py",
        "heard_seconds": 61,
        "lag_seconds": 1.5,
        "waiting": [way],
        "sides": {"old": 2, "new": 1},
        "tenants": {"a": "old", "b": "old", "c": "new"},
        "sequences_apart": True,
    }
    nothing: dict = {name: [] for name in ("phases", "backfills", "reconciliations", "conditions", "wrong")}
    last = {"waits_for": [], "command": "x"}
    report = {"migration": "m", "stages": {"recorded": [], "file": []}, "next": last, "streams": [stream], **nothing}
    shown = " ".join(render(report).split())
    assert "Order 2 tenants on the old side, 1 tenant on the new side; its job was last heard of 1 min 1 s ago" in shown
    assert "Order from the old side 3 rows wait, for 1.5 s, 2 can't be applied" in shown
    assert "on the new side c" in shown
