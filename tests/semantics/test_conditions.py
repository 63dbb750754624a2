"""Conditions: numbers in their units, the text that stands for them, their opposites, and PromQL that fits into a rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.ops.conditions import Subjects, split
from migdsl.semantics import check
from migdsl.semantics.conditions import BUILT_IN, EXPORTED, SEEN_BY_JOBS, SYNCED, UNITS, amount
from migdsl.semantics.policy import Comparison, Condition, Metric, negated, spoken
from migdsl.semantics.promql import embedded, flaw
from migdsl.source import SourceFile
from migdsl.syntax.parser import parse

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "examples/users.mig").read_text(encoding="utf-8")


def condition(text: str) -> Condition:
    metric = "metric busy = `up` unit count\n"
    module, found = check(parse(SourceFile("x.mig", f"{EXAMPLE}\n{metric}gate g when {text}\n")))
    assert not found
    return module.policy.gates[0].condition


@pytest.mark.parametrize(
    ("raw", "unit", "value"),
    [
        *(("0.1%", "ratio", "0.001"), ("100%", "ratio", "1"), ("0.7%", "ratio", "0.007"), ("1", "ratio", None)),
        *(("10s", "seconds", "10"), ("250ms", "seconds", "0.25"), ("2d", "seconds", "172800"), ("5", "seconds", None)),
        *(("1.5k", "count", "1500"), ("1_000", "count", "1000"), ("10%", "count", None), ("3s", "count", None)),
        *(("64MB", "bytes", "64000000"), ("2k", "bytes", "2000"), ("64MiB", "bytes", None)),
        *(("500", "per_second", "500"), ("101%", "ratio", None), ("2026-01-01", "seconds", None)),
        *(("0", unit, "0") for unit in UNITS),
    ],
)
def test_a_number_in_the_unit_of_its_metric(raw: str, unit: str, value: str | None) -> None:
    assert amount(raw, unit) == value


def test_each_built_in_metric_has_a_unit() -> None:
    assert set(BUILT_IN.values()) <= set(UNITS)
    assert set(BUILT_IN) > EXPORTED | SEEN_BY_JOBS


@pytest.mark.parametrize(
    "text",
    [
        "drift_rate < 0.1%",
        "drift_rate < 0.1% for 24h and backfill_progress = 100%",
        "(drift_rate < 0.1% or rows_missing != 3) for 2h",
        "busy > 3 or drift_rate >= 1% and rows_extra <= 1k",
        "(busy > 3 or busy < 1) and (busy > 0 for 5m or busy = 7)",
    ],
)
def test_a_condition_is_spoken_as_it_is_written(text: str) -> None:
    said = spoken(condition(text))
    assert spoken(condition(said)) == said
    assert said.replace("(", "").replace(")", "") == text.replace("(", "").replace(")", "")


def test_and_binds_before_or_and_for_before_both() -> None:
    loose, tight = condition("busy > 1 or busy > 2 and busy > 3 for 5m"), "busy > 1 or (busy > 2 and busy > 3 for 5m)"
    assert spoken(loose) == tight


def test_a_condition_goes_on_after_and_or_and_inside_parentheses() -> None:
    assert spoken(condition("(busy > 1\n  or busy > 2) and\n  busy > 3")) == "(busy > 1 or busy > 2) and busy > 3"


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("busy < 3", "busy >= 3"),
        ("busy = 3 and drift_rate > 1% for 5m", "busy != 3 or drift_rate <= 1%"),
        ("(busy <= 3 or busy >= 9) for 1h", "busy > 3 and busy < 9"),
    ],
)
def test_what_no_longer_holds(text: str, opposite: str) -> None:
    assert spoken(negated(condition(text))) == opposite


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sum(rate(x[5m])", "`(` is never closed"),
        ("x)", "`)` closes nothing"),
        ("x{a=~{b}}", "`{` can't stand inside `{`"),
        ("x[[5m]]", "`[` can't stand inside `[`"),
        ("", "it says nothing"),
        ("# nothing", "it says nothing"),
        ('x{a="b}', "a string is never closed"),
        ("rate(x[$__interval])", "'$' has no meaning in PromQL"),
        ("x{a='${HOME}'}", "`$` and `[[` are Grafana's in such a string: write it in double quotes"),
        ("x\x00", "'\\x00' has no meaning in PromQL"),
    ],
)
def test_promql_that_would_break_out_is_refused(text: str, what: str) -> None:
    found = flaw(text)
    assert found is not None
    assert found.what == what
    assert 0 <= found.start <= found.end <= len(text)


def test_promql_is_put_on_one_line_with_its_strings_as_they_are() -> None:
    text = 'sum by (a) (\n  rate(x{a="b  # c$", d=~"[[x]]", e=\'two  blanks\'}[5m]) # why\n)\n/ 3 # end'
    assert flaw(text) is None
    assert embedded(text) == ('sum by (a) ( rate(x{a="b  # c\\x24", d=~"\\x5b[x]]", e=\'two  blanks\'}[5m]) ) / 3')


def test_what_a_stream_measures_is_asked_of_what_it_carries_alone() -> None:
    assert set(SYNCED) < set(BUILT_IN)
    subjects = Subjects("m", ("User", "Order"), ("User",), ("User",), carried=("Order",))
    assert subjects.of("dead_letters") == subjects.of("sync_lag") == ("Order",)
    known = [Comparison(Metric(name, BUILT_IN[name], None), "=", "0", "0") for name in SYNCED]
    # Keys that wait are told to Prometheus alone.
    assert [split(each)[0] is not None for each in known] == [True, False, True]
