"""Alerts, dashboards and promtool tests speak only of metrics and labels that the runtime exports, or that the file declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from migdsl.emit import telemetry
from migdsl.executor.promql import proves
from migdsl.runtime.api.meters import API_METRICS
from migdsl.runtime.routing.meters import ROUTER_METRICS
from migdsl.runtime.strangler.outcomes import METRICS as REPLACE_METRICS
from migdsl.runtime.stream.meters import SYNC_METRICS
from migdsl.runtime.telemetry.metrics import METRICS, MetricSpec
from migdsl.semantics.conditions import BUILT_IN, SYNCED
from migdsl.semantics.policy import Comparison, Held, Metric
from migdsl.workspace import Compilation, compile_files
from tests.emit.promql_reader import Selected, selected, unknown

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")
OF_EXAMPLES = sorted(
    path for kind in ("grafana/**", "prometheus") for path in (ROOT / "examples").glob(f"**/{kind}/*.json")
)


def families(specs: tuple[MetricSpec, ...]) -> Iterator[tuple[str, frozenset[str]]]:
    """The names under which samples stand, with their labels."""
    for spec in specs:
        for suffix in ("_sum", "_count") if spec.kind == "summary" else ("",):
            yield spec.name + suffix, frozenset(spec.labels)


EXPORTED = dict(families((*METRICS, *SYNC_METRICS, *ROUTER_METRICS, *REPLACE_METRICS, *API_METRICS)))
# Expressions of the user's own, which stand in generated ones word for word.
QUEUE = 'sum by (queue) (mq_length{why=~".*[[]x$"})'
OWN = f"""
metric busy = `{QUEUE}` unit count
metric sync_lag = `max(replica_lag_seconds)` unit seconds
"""
REPLACED = """
replace engine {
  kind     architecture
  old      "the monolith"
  new      "the users service"
  verify   "it is up" run "make health"
  rollback "nothing to redeploy"
}
"""
RETIRED = """
api users_http {
  version   v1 at "/api/v1"
  version   v2 at "/api/v2" replaces v1
  deprecate v1 on 2026-12-15
  sunset    v1 on 2027-03-01
  guide     "https://docs.example.com/users/v2"
}
"""
# As they leave the compiler: Grafana would expand `$` and `[[`.
EMBEDDED = (r'sum by (queue) (mq_length{why=~".*\x5b[]x\x24"})', "max(replica_lag_seconds)")
BUILT = [name for name in BUILT_IN if name not in SYNCED]


def numbered(name: str) -> str:
    return {"ratio": "50%", "seconds": "5s"}.get(BUILT_IN[name], "5")


@cache
def compiled() -> Compilation:
    """A file with an alert for every built-in metric, two metrics of its own, and all that becomes an alert."""
    alerts = "".join(f"alert it_{name} {{ when {name} > {numbered(name)} for 5m }}\n" for name in BUILT)
    text = EXAMPLE.replace("downtime none", "downtime none\n  slo cutover_errors < 1% for 10m")
    text = text.replace("every 24h", "every 24h\n  abort when (busy > 3 or shadow_mismatch_rate >= 1%) for 5m")
    asked = "rollback { when sync_lag > 10s and drift_rate > 1% }\ngate calm when lock_wait < 2s for 1h\n"
    more = f"{OWN}{REPLACED}{RETIRED}{alerts}{asked}"
    found = compile_files({"users.mig": text + more}, "users.mig")
    assert found.ok, found.diagnostics
    return found


def expressions(document: object) -> Iterator[str]:
    """All PromQL of a rule file or a dashboard; Grafana's own `__expr__` has none."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "expr":
                yield str(value).replace("$__rate_interval", "5m")
            else:
                yield from expressions(value)
    elif isinstance(document, list):
        for each in document:
            yield from expressions(each)


def unknown_in(document: dict) -> list[str]:
    """What a generated file speaks of that nothing exports; series of promtool tests have all labels, and no other."""
    found = []
    for expression in expressions(document):
        found += unknown(expression.replace(EMBEDDED[0], "vector(1)").replace(EMBEDDED[1], "vector(1)"), EXPORTED)
    for test in document.get("tests", ()):
        for series in test["input_series"]:
            (only,) = selected(series["series"])
            found += [] if EXPORTED.get(only.metric) == only.labels else [series["series"]]
    return found


def test_there_are_files_to_look_at() -> None:
    assert len(OF_EXAMPLES) >= 4 * 10


@pytest.mark.parametrize("path", OF_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_the_examples_speak_of_exported_metrics(path: Path) -> None:
    assert unknown_in(json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("kind", ["alerts", "dashboard", "prometheus_rules", "prometheus_tests"])
def test_every_built_in_metric_and_the_files_own_are_exported_or_declared(kind: str) -> None:
    (text,) = (a.text for a in compiled().artifacts if a.kind == kind)
    assert unknown_in(json.loads(text)) == []
    if kind != "prometheus_tests":
        assert all(own in text.replace("\\\\", "\\").replace('\\"', '"') for own in EMBEDDED)


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_a_gate_asks_of_prometheus_is_exported(name: str) -> None:
    condition = Held(Comparison(Metric(name, BUILT_IN[name], None), "<", "5", "5"), 3600, "1h")
    asked = proves(condition, "users_email")
    assert unknown_in({"expr": asked}) == []
    assert selected(asked)


def test_emit_and_runtime_agree_on_names_and_labels() -> None:
    of_all = ("METRICS", "SYNC_METRICS", "ROUTER_METRICS", "REPLACE_METRICS", "API_METRICS")
    refs = [ref for name in of_all for ref in getattr(telemetry, name)]
    assert {ref.name: frozenset(ref.labels) for ref in refs}.items() <= EXPORTED.items()


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("migdsl_backfill_errors > 0", []),
        ("migdsl_backfill_errs > 0", ["migdsl_backfill_errs"]),
        ('max by (migration, entity) (migdsl_backfill_errors{migration="m"})', ["migdsl_backfill_errors by entity"]),
        ('sum(rate(migdsl_backfill_errors{tenant="m"}[5m]))', ["migdsl_backfill_errors by tenant"]),
        ("time() - max by (backfill) (up) > bool 3", ["up"]),
        ('sum by (backfill) (migdsl_backfill_held) unless on (x) (count({a="b"}))', None),
        ("migdsl_backfill_batch_duration_seconds", ["migdsl_backfill_batch_duration_seconds"]),
        ("migdsl_backfill_batch_duration_seconds_sum", []),
    ],
)
def test_what_the_reader_notices(expression: str, wrong: list[str] | None) -> None:
    if wrong is None:
        with pytest.raises(ValueError, match="without a name"):
            unknown(expression, EXPORTED)
    else:
        assert unknown(expression, EXPORTED) == wrong


def test_a_renamed_metric_is_noticed_in_a_generated_file() -> None:
    for kind in ("alerts", "dashboard", "prometheus_rules", "prometheus_tests"):
        (text,) = (a.text for a in compiled().artifacts if a.kind == kind)
        for name in set(re.findall(r"\bmigdsl_\w+", text)) & set(EXPORTED):
            assert unknown_in(json.loads(re.sub(rf"\b{name}\b", f"{name}x", text))), name


def test_the_reader_tells_metrics_from_functions() -> None:
    found = selected(
        'min_over_time((max by (a) (x{b="sum(y)"}))[60s:1m]) == 1 and count_over_time((z)[1m:1m]) >= 2 # w'
    )
    assert found == (Selected("x", frozenset("ab")), Selected("z", frozenset()))
