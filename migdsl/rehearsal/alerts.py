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
_ASKED_AT = "30m"


def promtool() -> str | None:
    """Where it is, None where it isn't installed."""
    return shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))


def expressions(rules: str) -> Mapping[str, str]:
    """Alert → its expression, of a rules file as JSON."""
    groups = json.loads(rules)["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


def firing(tool: str, rules: Mapping[str, str], metrics: str) -> frozenset[str]:
    """The alerts whose expression holds while the metrics are as a job has left them. Raises ValueError."""
    series = [
        {"series": found["series"], "values": f"{found['value']}+0x60"}
        for line in metrics.splitlines()
        if (found := _SAMPLE.match(line)) is not None and found["value"] not in ("NaN", "+Inf", "-Inf")
    ]
    named = (f'label_replace(count({each}) > 0, "fires", "{name}", "", "")' for name, each in rules.items())
    # All in one question: where any holds, promtool says what it got instead of nothing.
    asked = {"expr": " or ".join(named), "eval_time": _ASKED_AT, "exp_samples": []}
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
        raise ValueError(said.strip()[:400])
    return frozenset(_FIRES.findall(said.partition("got:")[2]))
