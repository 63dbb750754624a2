"""APIs and replacements: the examples as they are pass, and small edits of generated files are caught by the right verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from migdsl.rehearsal import alerts
from migdsl.rehearsal.model import Settings
from migdsl.rehearsal.run import Report, rehearse
from tests.conftest import needs_tool
from tests.rehearsal.conftest import Edit, piece

API = "11_api_retirement/orders_v2"
PYTHON, CACHE, ORDERS = "12_dependency/python_runtime", "13_infrastructure/session_cache", "14_architecture/orders_out"
LATER = pytest.mark.long("MIGDSL_LONG")
QUICK = Settings(rate=500.0)
Play = Callable[..., Report]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Rehearse an example, its files edited."""

    def played(name: str, settings: Settings, *edits: Edit) -> Report:
        return rehearse(piece(name, settings, tmp_path, edits), lambda _: None)

    return played


def states(report: Report) -> dict[str, str]:
    """Verdict → its state."""
    return {v.id: v.state for v in report.verdicts}


@pytest.mark.parametrize(
    ("name", "unplayed"),
    [
        (API, "alike"),
        (ORDERS, "verified"),
        pytest.param(PYTHON, "verified", marks=LATER),
        pytest.param(CACHE, "verified", marks=LATER),
    ],
)
def test_the_examples_pass_but_for_what_is_not_here(play: Play, name: str, unplayed: str):
    needs_tool("promtool")
    report = play(name, QUICK)
    assert [(v.id, v.findings) for v in report.verdicts if v.state == "failed"] == []
    assert states(report) == dict.fromkeys(states(report), "passed") | {unplayed: "not played"}
    (why,) = next(v.evidence for v in report.verdicts if v.id == unplayed)
    assert "python api/orders_v2.py probe" in why or "--evidence FILE` runs python3 checks/" in why
    assert {"old", "new"} == {r.code for r in report.requests}


FAULTS = {
    "a sunset that comes too early": (
        API,
        "gone",
        "cutover",
        ("api/orders_v2.py", 'sunset="2027-03-01"', 'sunset="2027-02-28"'),
    ),
    "a sunset that comes too late": (
        API,
        "gone",
        "cutover",
        ("api/orders_v2.py", 'sunset="2027-03-01"', 'sunset="2027-03-02"'),
    ),
    "a grace that is forgotten": (API, "grace", "cutover", ("api/orders_v2.py", '"2027-04-01"),)', '"2027-03-01"),)')),
    "a grace that doesn't end": (API, "grace", "cutover", ("api/orders_v2.py", '"2027-04-01"),)', '"2028-04-01"),)')),
    "an announcement before its day": (
        API,
        "announced",
        "expand",
        ("api/orders_v2.py", 'announced="2026-12-01"', 'announced="2026-11-01"'),
    ),
    "another day of deprecation": (
        API,
        "announced",
        "expand",
        ("api/orders_v2.py", 'deprecated="2026-12-15"', 'deprecated="2026-12-16"'),
    ),
    "a guide at another address": (
        API,
        "announced",
        "expand",
        ("api/orders_v2.py", "example.com/orders/v2", "example.com/v2"),
    ),
    "a route that isn't declared": (
        API,
        "counted",
        "expand",
        ("api/orders_v2.py", '        ("POST", "/orders"),\n', ""),
    ),
    "a flag that is ahead": (
        API,
        "flag",
        "expand",
        ("flagd.json", '"defaultVariant": "off"', '"defaultVariant": "live"'),
    ),
    "a path that doesn't move": (ORDERS, "sides", "cutover", ("routing/orders_out.py", '        "/orders",\n', "")),
    "a path too much": (
        ORDERS,
        "sides",
        "cutover",
        ("routing/orders_out.py", '"/orders",\n', '"/orders",\n"/elsewhere",\n'),
    ),
    "a router that goes by another flag": (
        ORDERS,
        "sides",
        "cutover",
        ("routing/orders_out.py", 'flag="orders_out"', 'flag="orders_in"'),
    ),
    "a replacement's flag that is ahead": (
        PYTHON,
        "flag",
        "expand",
        ("flagd.json", '"defaultVariant": "off"', '"defaultVariant": "live"'),
    ),
    "a command that is left out": (
        PYTHON,
        "evidence",
        "validate",
        ("verify/python_runtime.py", '"checks/interpreter.py"', '"checks/nothing.py"'),
    ),
}


# Those of every run; the others are tried where MIGDSL_ALL_FAULTS says so.
ALWAYS = (
    "a sunset that comes too early",
    "a grace that is forgotten",
    "a path that doesn't move",
    "a command that is left out",
)


@pytest.mark.parametrize(
    "what", [pytest.param(w, marks=() if w in ALWAYS else pytest.mark.long("MIGDSL_ALL_FAULTS")) for w in FAULTS]
)
def test_a_fault_is_caught_by_its_verdict(play: Play, what: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(alerts, "promtool", lambda: None)  # none of them is about alerts
    name, verdict, to, edit = FAULTS[what]
    report = play(name, replace(QUICK, to=to), edit)
    failed = {v.id: v for v in report.verdicts if v.state == "failed"}
    assert verdict in failed, states(report)
    for finding in failed[verdict].findings:
        assert finding.step
        assert finding.what


@pytest.mark.parametrize(
    ("name", "rule", "edit"),
    [
        (API, "MigdslGoneRequests", ("[1h])) > 0", "[1h])) > 1e6")),
        pytest.param(API, "MigdslDeprecatedUsage", ("< 2592000", "< 1"), marks=LATER),
        pytest.param(ORDERS, "MigdslReplaceErrors", ("* 0) + 0.01)", "* 0) + 2)"), marks=LATER),
        pytest.param(ORDERS, "MigdslReplaceErrors", ("* 0) + 0.01)", "* 0) - 1)"), marks=LATER),
    ],
)
def test_an_alert_that_is_wrong_is_named(play: Play, name: str, rule: str, edit: tuple[str, str]):
    needs_tool("promtool")
    report = play(name, QUICK, (".rules.json", *edit))
    assert states(report)["alerts"] == "failed"
    (verdict,) = [v for v in report.verdicts if v.id == "alerts"]
    assert any(rule in finding.what for finding in verdict.findings)


def test_without_promtool_its_verdicts_are_not_played(play: Play, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(alerts, "promtool", lambda: None)
    found = states(play(API, QUICK))
    assert (found["alerts"], found["conditions"]) == ("not played", "not played")
    assert set(found.values()) == {"passed", "not played"}
