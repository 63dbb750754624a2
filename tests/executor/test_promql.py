"""What a gate asks of Prometheus, proven by promtool on series that differ, are missing, or end too early."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from migdsl.executor.promql import proves
from migdsl.semantics.policy import Comparison, Condition, Held, Joined, Metric
from tests.conftest import needs_tool

ERRORS = Metric("errors", "ratio", "errors_total")
OTHERS = Metric("others", "ratio", "others_total")


def less(metric: Metric = ERRORS, value: str = "0.01", operator: str = "<") -> Comparison:
    return Comparison(metric, operator, value, value)


CASES: list[tuple[str, Condition, dict[str, str], bool]] = [
    ("all are below", less(), {"errors_total{a='1'}": "0+0x300", "errors_total{a='2'}": "0.001+0x300"}, True),
    ("one is above", less(), {"errors_total{a='1'}": "0+0x300", "errors_total{a='2'}": "0.5+0x300"}, False),
    ("never measured", less(), {}, False),
    (
        "above is asked for",
        less(operator=">="),
        {"errors_total{a='1'}": "5+0x300", "errors_total{a='2'}": "0+0x300"},
        False,
    ),
    (
        "all equal",
        less(operator="=", value="0"),
        {"errors_total{a='1'}": "0+0x300", "errors_total{a='2'}": "0+0x300"},
        True,
    ),
    (
        "one differs",
        less(operator="=", value="0"),
        {"errors_total{a='1'}": "0+0x300", "errors_total{a='2'}": "1+0x300"},
        False,
    ),
    ("held", Held(less(), 3600, "1h"), {"errors_total": "0+0x300"}, True),
    ("a moment above", Held(less(), 3600, "1h"), {"errors_total": "0+0x259 1 0+0x40"}, False),
    ("long ago", Held(less(), 3600, "1h"), {"errors_total": "1+0x100 0+0x200"}, True),
    ("measured for half of it", Held(less(), 3600, "1h"), {"errors_total": "_x270 0+0x30"}, False),
    ("both", Joined(False, (less(), less(OTHERS))), {"errors_total": "0+0x300", "others_total": "0+0x300"}, True),
    ("one of both", Joined(False, (less(), less(OTHERS))), {"errors_total": "0+0x300"}, False),
    ("either", Joined(True, (less(), less(OTHERS))), {"others_total": "0+0x300"}, True),
    (
        "both for an hour, and one is not",
        Held(Joined(False, (less(), less(OTHERS))), 3600, "1h"),
        {"errors_total": "0+0x300", "others_total": "0+0x280 1+0x20"},
        False,
    ),
]


@pytest.mark.parametrize(
    ("condition", "series", "opens"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_gate_opens_only_where_nothing_is_in_the_way(
    tmp_path: Path, condition: Condition, series: dict[str, str], opens: bool
) -> None:
    promtool = needs_tool("promtool")
    test = {
        "expr": f"count({proves(condition, 'm')})",
        "eval_time": "5h",
        "exp_samples": [{"labels": "{}", "value": 1}] if opens else [],
    }
    named = [{"series": name.replace("'", '"'), "values": values} for name, values in series.items()]
    tests = {
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": named, "promql_expr_test": [test]}],
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps(tests), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
