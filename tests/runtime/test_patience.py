"""Rows that are on their way to another database differ for a while, and don't count unless they go on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from migdsl.runtime.jobs import Pace
from migdsl.runtime.reconcile.comparing import Comparer, Patience
from migdsl.runtime.reconcile.look import Finding, Range, Suspect

LATE, WRONG = Finding("missing", ()), Finding("mismatched", ("total",))


class Looker:
    """Row 1 arrives after so many looks; row 2 is wrong for good."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def again(self, _tenant: str, _range: Range) -> dict:
        self.left -= 1
        return {("2",): WRONG} | ({("1",): LATE} if self.left > 0 else {})


def settled(looks: int, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> tuple[Comparer, list[float]]:
    """A comparison after its second looks, and how long it slept; time passes only by sleeping."""
    now, slept = [1000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += max(seconds, 0.0)

    monkeypatch.setattr("migdsl.runtime.reconcile.comparing.time.monotonic", lambda: now[0])
    brake = SimpleNamespace(pace=Pace(), sleep=sleep, check=lambda: None)
    comparer = Comparer(Looker(looks), brake, "t", 0.5, 10, patience)  # type: ignore[arg-type]
    comparer._suspect(Suspect(Range(None, None), {("1",): LATE, ("2",): WRONG}))
    comparer._settle()
    return comparer, slept


def test_a_row_that_arrives_late_does_not_count(monkeypatch: pytest.MonkeyPatch):
    comparer, _ = settled(4, Patience.of(30.0), monkeypatch)
    assert (comparer.tally.counts["missing"], comparer.tally.counts["mismatched"]) == (0, 1)
    assert comparer.tally.unsettled == 1


def test_without_patience_the_second_look_decides(monkeypatch: pytest.MonkeyPatch):
    comparer, slept = settled(4, Patience.of(0.0), monkeypatch)
    assert comparer.tally.counts["missing"] == 1
    assert sum(slept) < 1


def test_a_tenant_is_waited_for_no_longer_than_said_and_a_run_not_for_ever(monkeypatch: pytest.MonkeyPatch):
    patience = Patience.of(30.0)
    comparer, slept = settled(1_000, patience, monkeypatch)
    assert comparer.tally.counts["missing"] == 1
    assert 20 < sum(slept) <= 31
    for _ in range(20):
        settled(1_000, patience, monkeypatch)
    _, slept = settled(1_000, patience, monkeypatch)
    assert sum(slept) < 1
