"""Alert rules that somebody has edited: one that is gone, waits for a month, or that Grafana doesn't have."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.rehearsal.model import Log, Settings, Undoable
from migdsl.rehearsal.ruled import ruled
from tests.rehearsal.conftest import Edit, piece

RULES, GRAFANA = "prometheus/users_email.rules.json", "grafana/alerting/users_email.json"


def found(folder: Path, *edits: Edit) -> list[str]:
    log = Log()
    ruled(piece("users", Settings(), folder, edits).project, log)
    assert all(each.verdict == "alerts" for each in log.findings)
    return [each.what for each in log.findings]


@pytest.mark.needs_tool("promtool")
def test_rules_as_they_were_compiled_pass(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("edit", [('"alert": "MigdslDrift"', '"alert": "Drift"'), ('"for": "60s"', '"for": "30d"')])
def test_a_rule_that_is_gone_or_comes_too_late_is_found(tmp_path: Path, edit: tuple[str, str]) -> None:
    said = found(tmp_path, (RULES, *edit))
    assert "the rules fail their own tests" in said[0]
    assert "Migdsl" in said[0]


@pytest.mark.parametrize(
    "edit",
    [
        ('"for": "60s"', '"for": "30d"'),
        ('"isPaused": false', '"isPaused": true'),
        ("migdsl_backfill", "migdsl_nothing"),
    ],
)
def test_grafanas_are_held_against_prometheus(tmp_path: Path, edit: tuple[str, str]) -> None:
    said = found(tmp_path, (GRAFANA, *edit))
    assert any("Grafana's rules have no Migdsl" in each for each in said)


@pytest.mark.parametrize(
    "edit", [(RULES, '"groups": [', '"groups": '), (RULES, '"groups"', '"group"'), (GRAFANA, '"data": [', '"date": [')]
)
def test_what_is_no_rules_file_is_said_at_once(tmp_path: Path, edit: Edit) -> None:
    with pytest.raises(Undoable, match="the alert rules or their tests can't be read"):
        found(tmp_path, edit)
