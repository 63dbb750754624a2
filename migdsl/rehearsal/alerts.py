"""Recorded metrics and the generated rules become which alerts fire, as promtool evaluates them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_SAMPLE = re.compile(r"^(?P<series>[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) (?P<value>\S+)$")
_FIRES = re.compile(r'fires=\\*"(\w+)')
_WINDOW = re.compile(r"\[(\d+)s:1m\]")
_LEAST = re.compile(r"(\]\) >= bool )(\d+)")
_ASKED_AT = "30m"
_HOUR = 60


def promtool() -> str | None:
    """Where it is, None where it isn't installed."""
    return shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))


def expressions(rules: str) -> Mapping[str, str]:
    """Alert → its expression, of a rules file as JSON."""
    groups = json.loads(rules)["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


def firing(tool: str, rules: Mapping[str, str], metrics: str) -> frozenset[str]:
    """The alerts whose expression holds while the metrics are as a job has left them. Raises ValueError."""
    return firing_of(tool, rules, {series: f"{value}+0x60" for series, value in samples(metrics).items()}, _ASKED_AT)


def samples(metrics: str) -> Mapping[str, str]:
    """Series → value, of Prometheus' text; what is no number is left out."""
    found = (_SAMPLE.match(line) for line in metrics.splitlines())
    return {each["series"]: each["value"] for each in found if each and each["value"] not in ("NaN", "+Inf", "-Inf")}


def shortened(question: str) -> str:
    """A condition over days as one over an hour: promtool's tests hold no more than a week's samples."""
    minutes = [int(seconds) // 60 for seconds in _WINDOW.findall(question)]
    if not minutes or max(minutes) <= _HOUR:
        return question
    least = _LEAST.sub(lambda found: f"{found[1]}{int(found[2]) * _HOUR // max(minutes)}", question)
    return _WINDOW.sub(f"[{_HOUR * 60}s:1m]", least)


def firing_of(tool: str, rules: Mapping[str, str], values: Mapping[str, str], at: str) -> frozenset[str]:
    """The alerts whose expression holds `at` a time, of series with their values minute by minute, as promtool's tests write
    them. Raises ValueError."""
    series = [{"series": name, "values": each} for name, each in values.items()]
    named = (f'label_replace(count({each}) > 0, "fires", "{name}", "", "")' for name, each in rules.items())
    # All in one question: where any holds, promtool says what it got instead of nothing.
    asked = {"expr": " or ".join(named), "eval_time": at, "exp_samples": []}
    # By the test's clock, which begins in 1970, nothing that a job has measured is old.
    test = {
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}],
    }
    with tempfile.TemporaryDirectory(prefix="migdsl-alerts-") as folder:
        path = Path(folder, "test.json")
        path.write_text(json.dumps(test), encoding="utf-8")
        done = subprocess.run([tool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode and "got:" not in said:
        raise ValueError(said.strip()[-400:])
    return frozenset(_FIRES.findall(said.partition("got:")[2]))
