"""Durations come from rows and stated rates, and the calendar adds up what follows one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.ops.model import BuildIndex, Cost, Step
from migdsl.plan import DataMigrationPlan
from migdsl.planning import estimates
from migdsl.workspace import compile_files

USERS = (Path(__file__).resolve().parents[2] / "examples/users.mig").read_text(encoding="utf-8")
DAY = 86_400


def planned(*edits: tuple[str, str]) -> DataMigrationPlan:
    text = USERS
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    compiled = compile_files({"users.mig": text}, "users.mig")
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def test_rows_and_rates_make_seconds():
    assert estimates.of_cost(Cost.INSTANT, None) == 0
    assert estimates.of_cost(Cost.SCAN, None) is None
    assert estimates.of_cost(Cost.SCAN, 5_000_000) == 5_000_000 // estimates.SCANNED
    assert estimates.of_cost(Cost.REWRITE, 1) == 1
    assert estimates.of_cost(Cost.BATCHES, 0) == 0
    assert estimates.SCANNED > estimates.INDEXED > estimates.REWRITTEN > estimates.FILLED


def test_an_index_takes_longer_than_a_scan():
    plain = Step("enforce", "anything", "Any title", None, cost=Cost.SCAN)
    assert estimates.of_step(plain) is None
    plan = planned(("rows 500k", "rows 10M"))
    (enforce,) = [p for p in plan.phases if p.id == "enforce"]
    scans = {s.title.split()[0]: s.estimate_seconds for s in enforce.typed_steps if s.cost == "scan"}
    assert scans == {"Prove": 10, "Build": 40}
    assert enforce.estimate_seconds == 50
    assert BuildIndex.__name__ in estimates.__dict__  # told apart by the part, not by the name of the operation


def test_one_unknown_makes_the_sum_unknown():
    assert estimates.total((1, None)) is None
    assert estimates.total((1, 0, 2)) == 3
    assert estimates.total(()) == 0


def test_pauses_come_one_after_the_other_and_the_soak_after_the_last():
    line = planned().timeline
    assert [(w.phase, w.seconds) for w in line.waits] == [("cutover", 4 * DAY), ("contract", 30 * DAY)]
    # Enforce is done while the old soaks: its work doesn't lengthen the calendar.
    assert line.calendar_seconds == 34 * DAY + 50 + 1
    assert line.work_seconds == 54


@pytest.mark.parametrize(
    ("edits", "last"),
    [
        ((("drop email after 30d", ""),), ("contract", 14 * DAY)),
        ((("after 30d", "after 1h"), ("every 24h", "every 5d")), ("cutover", 5 * DAY)),
        ((("after 30d", "after 1h"), ("every 24h", "every 1h")), ("enforce", DAY)),
    ],
    ids=["default soak", "long pause", "clean reconciliations"],
)
def test_the_longest_of_what_runs_side_by_side_counts(edits: tuple[tuple[str, str], ...], last: tuple[str, int]):
    waits = planned(*edits).timeline.waits
    assert (waits[-1].phase, waits[-1].seconds) == last


def test_a_rename_of_nothing_needs_no_second_version_of_the_application():
    change = USERS[USERS.index("change User {") : USERS.index("cutover {")]
    plain = planned((change, 'change User { add badge text default "x" }\n'))
    assert [(d.kind, d.phase) for d in plain.timeline.deploys] == [("revision", "expand"), ("application", "validate")]
    assert plain.timeline.waits == ()
    dropped = planned((change, 'change User { drop email after 30d irreversible because "unread" }\n'))
    kinds = [(d.kind, d.phase) for d in dropped.timeline.deploys]
    assert ("application", "cutover") in kinds
    assert ("application", "contract") not in kinds
    assert kinds[-1] == ("revision", "contract")


def test_released_and_passed_follow_the_flag():
    def states(stage: str) -> dict[str, tuple[bool, bool]]:
        return {p.id: (p.released, p.passed) for p in planned(("stage off for all", stage)).phases}

    assert states("stage off for all")["expand"] == (True, False)
    assert states("stage dualwrite for canary")["expand"] == (True, True)
    assert states("stage shadow for all")["validate"] == (True, False)
    assert states("stage live for 10%")["enforce"] == (False, False)
    assert states("stage live for all")["enforce"] == (True, False)
    assert states("stage rampdown for all")["enforce"] == (True, True)
    assert states("stage complete for all")["contract"] == (True, False)


def test_what_is_not_released_has_not_been_passed():
    found = planned(
        ("downtime none", "downtime none\n  through expand"), ("stage off for all", "stage rampdown for all")
    )
    assert {p.id: p.passed for p in found.phases}["enforce"] is False
