"""Conditions as written become checked ones: metrics known, units right, times read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from migdsl.semantics import sense
from migdsl.semantics.header import bad_number
from migdsl.semantics.policy import Comparison, Condition, Held, Joined, Metric, spoken
from migdsl.semantics.problems import Problems
from migdsl.syntax import ast, lexis

UNITS = ("ratio", "count", "seconds", "bytes", "per_second")
# What a number of each unit looks like.
_EXAMPLES = {"ratio": "0.1%", "count": "100", "seconds": "10s", "bytes": "64MB", "per_second": "500"}
_KINDS = {"ratio": "percentage", "seconds": "duration", "bytes": "amount of data"}
_KINDS |= dict.fromkeys(["count", "per_second"], "whole number")
_SPOKEN = {
    "ratio": "a ratio",
    "count": "a count",
    "seconds": "a time",
    "bytes": "an amount of data",
    "per_second": "a count per second",
}
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "backfill_progress": "ratio",
        "backfill_errors": "count",
        "backfill_rate": "per_second",
        "drift_rate": "ratio",
        "rows_missing": "count",
        "rows_extra": "count",
        "rows_mismatched": "count",
        "tenants_unlisted": "count",
        "sync_lag": "seconds",
        "sync_waiting": "count",
        "dead_letters": "count",
        "replication_lag": "seconds",
        "lock_wait": "seconds",
        "cutover_errors": "ratio",
        "shadow_mismatch_rate": "ratio",
        "replace_errors": "ratio",
        "deprecated_requests": "per_second",
    }
)
# What the jobs put into Prometheus. The rest is known to whoever serves the traffic or runs the database.
EXPORTED = frozenset(
    "backfill_progress backfill_errors backfill_rate drift_rate rows_missing rows_extra rows_mismatched tenants_unlisted".split()
)
# What an application exports that routes its requests by the flag (migdsl.runtime.routing); another one may say its own.
ROUTED = frozenset(["shadow_mismatch_rate", "cutover_errors", "replace_errors"])
# What the job exports that carries rows to another database, where the file has a move there.
SYNCED = ("sync_lag", "sync_waiting", "dead_letters")
# What the middleware of an API exports, where the file has one.
SERVED = "deprecated_requests"
# What a backfill can ask the database that it writes to, and exports while it runs.
SEEN_BY_JOBS = frozenset(["replication_lag", "lock_wait"])
_BYTES = re.compile(r"(\d[\d_]*)(B|kB|MB|GB|TB)")
_POWERS = ("B", "kB", "MB", "GB", "TB")


def watched(
    problems: Problems, node: ast.Condition, metrics: Mapping[str, Metric], *, alarms: bool = False
) -> Condition | None:
    """A condition that monitoring, or a gate, can tell; None where it can't be (and was reported).

    `alarms`: something goes off while it holds, so that one that always does is a mistake.
    """
    found = _checked(_Reader(problems, metrics, pausing=False), node)
    if alarms:
        _not_always(problems, node, found, "goes off with the first reading, and never stops")
    return found


def pausing(problems: Problems, node: ast.Condition) -> Condition | None:
    """A condition that a backfill asks itself about between two batches."""
    found = _checked(_Reader(problems, {}, pausing=True), node)
    _not_always(problems, node, found, "the job would pause, and never go on")
    return found


class _Reader:
    """What reading a condition needs: where to leave problems, the user's metrics, and who is going to ask."""

    def __init__(self, problems: Problems, metrics: Mapping[str, Metric], *, pausing: bool) -> None:
        self.problems = problems
        self.metrics = metrics
        self.pausing = pausing


def _checked(reader: _Reader, node: ast.Condition) -> Condition | None:
    if isinstance(node, ast.Comparison):
        return _comparison(reader, node)
    if isinstance(node, ast.Held):
        return _held(reader, node)
    parts = [_checked(reader, part) for part in node.parts]
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        return None
    found = Joined(node.either, known)
    _together(reader.problems, node, found)
    return found


def _together(problems: Problems, node: ast.Joined, found: Joined) -> None:
    """Report what can't all be true at one moment. A part that never is alone has been told of."""
    if not sense.never(found) or any(sense.never(part) for part in found.parts):
        return
    both = sense.contradiction(sense.at_once(found)) or ()
    title = f"`{sense.shown(both)}` never holds" if both else "this condition never holds"
    help_ = "one or the other: join them with `or`; or change one of the numbers"
    problems.error("MIG126", node.span, title, "can't be true at one moment", help=help_)


def _not_always(problems: Problems, node: ast.Condition, found: Condition | None, what: str) -> None:
    if found is not None and sense.always(found):
        title = f"`{spoken(found)}` holds always"
        problems.error("MIG126", node.span, title, what, help="change the number, or the direction of the comparison")


def _held(reader: _Reader, node: ast.Held) -> Condition | None:
    inner = _checked(reader, node.condition)
    seconds = lexis.seconds(node.time.raw)
    if seconds is None:
        bad_number(reader.problems, node.time, "duration", "24h")
        return None
    if seconds < 1:
        title = "a condition holds for a second at least, or no `for` is needed"
        reader.problems.error("MIG008", node.time.span, title, "too short to be seen", help="for 5m")
        return None
    if reader.pausing:
        title = "a job pauses at once, and goes on at once"
        label = "it looks at the moment alone"
        reader.problems.error("MIG007", node.time.span, title, label, help="leave `for` out")
        return None
    return Held(inner, seconds, node.time.raw) if inner is not None else None


def _comparison(reader: _Reader, node: ast.Comparison) -> Condition | None:
    metric = _metric(reader, node)
    if metric is None:
        return None
    value = amount(node.number.raw, metric.unit)
    if value is None:
        _wrong_unit(reader.problems, node, metric)
        return None
    found = Comparison(metric, node.operator, value, node.number.raw)
    if sense.never(found):
        high = found.value != "0"
        help_ = f"for example {metric.name} = {'100%' if high else '0'}"
        help_ += "" if high else f"; or {metric.name} {node.operator} {_example(metric)}"
        title = f"`{spoken(found)}` never holds"
        reader.problems.error("MIG126", node.span, title, sense.reason(metric, above=high), help=help_)
    return found


def _metric(reader: _Reader, node: ast.Comparison) -> Metric | None:
    name, problems = node.metric.text, reader.problems
    if name not in reader.metrics and name not in BUILT_IN:
        known = SEEN_BY_JOBS if reader.pausing else {*(EXPORTED | ROUTED | SEEN_BY_JOBS), *reader.metrics}
        problems.unknown("MIG121", "metric", name, node.metric.span, known, most=len(BUILT_IN))
        return None
    if reader.pausing and name not in SEEN_BY_JOBS:
        title = f"a backfill can't tell what `{name}` is"
        help_ = f"a job asks its database, which knows {' and '.join(sorted(SEEN_BY_JOBS))}"
        problems.error("MIG007", node.metric.span, title, "not for a job to know, in this release", help=help_)
        return None
    if name in reader.metrics:
        return reader.metrics[name]
    if not reader.pausing and name not in EXPORTED | ROUTED | SEEN_BY_JOBS:
        title = f"nothing of this release measures `{name}`"
        served = "; an `api` of the file has it counted by its middleware" if name == SERVED else ""
        served += "; a `move` to another database has it measured by its sync job" if name in SYNCED else ""
        help_ = f"say where it comes from: metric {name} = `…` unit {BUILT_IN[name]}{served}"
        problems.error("MIG007", node.metric.span, title, "not measured by the jobs", help=help_)
        return None
    return Metric(name, BUILT_IN[name], None)


def _example(metric: Metric) -> str:
    return "100%" if metric.name == "backfill_progress" else _EXAMPLES[metric.unit]


def _wrong_unit(problems: Problems, node: ast.Comparison, metric: Metric) -> None:
    others = [unit for unit in UNITS if amount(node.number.raw, unit) is not None]
    example = _example(metric)
    if not others and metric.unit == "ratio" and node.number.raw.endswith("%"):
        title = f"`{node.number.raw}` is more than all there is"
        problems.error("MIG008", node.number.span, title, "a ratio ends at 100%", help=f"for example {example}")
        return
    if not others:
        bad_number(problems, node.number, _KINDS[metric.unit], example)
        return
    title = f"`{metric.name}` is {_SPOKEN[metric.unit]}, and `{node.number.raw}` is {_SPOKEN[others[0]]}"
    help_ = f"for example {metric.name} {node.operator} {example}"
    problems.error(
        "MIG122", node.number.span, title, "another unit", more=[(node.metric.span, metric.unit)], help=help_
    )


def amount(raw: str, unit: str) -> str | None:
    """A number as a decimal in the base unit of `unit`; None where it is none of that unit. 0 is 0 in all of them."""
    if lexis.count(raw) == 0:
        return "0"
    if unit == "ratio":
        share = lexis.percent(raw)
        return None if share is None else _decimal(share / 100)
    if unit == "seconds":
        seconds = lexis.seconds(raw)
        return None if seconds is None else _decimal(seconds)
    match = _BYTES.fullmatch(raw) if unit == "bytes" else None
    if match and len(match[1]) <= 30:  # of very many digits, Python makes no number
        return str(int(match[1].replace("_", "")) * 1000 ** _POWERS.index(match[2]))
    count = lexis.count(raw)
    return None if count is None else str(count)


def _decimal(value: float) -> str:
    """Without exponent, and without what binary fractions leave behind."""
    return f"{value:.12f}".rstrip("0").rstrip(".")
