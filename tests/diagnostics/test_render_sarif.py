"""The SARIF renderer: read back by somebody else's models, and its places, rules and fixes literally."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sarif_pydantic import Sarif

from migdsl.diagnostics import Applicability, Diagnostic, Edit, Fix, Label, Severity
from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.render_sarif import render_sarif
from migdsl.source import SourceFile, Span

TEXT = "entity User {\n  日本 text\n}\n"
SOURCES = {"a b/ü.mig": SourceFile("a b/ü.mig", TEXT)}
PROBLEM = Diagnostic(
    "MIG105",
    Severity.ERROR,
    "there is no type `text`",
    Label(Span("a b/ü.mig", 19, 23), "here"),
    (Label(Span("gone.mig", 1, 2), ""),),
    "body",
    "help",
    Fix("write é", (Edit(Span("a b/ü.mig", 16, 18), "é"),), Applicability.SAFE),
)


def run(*problems: Diagnostic) -> dict[str, Any]:
    text = render_sarif(problems, SOURCES, version="1.2.3", docs="https://example.org/")
    Sarif.model_validate_json(text)
    return json.loads(text)["runs"][0]


def test_a_result():
    (found,) = run(PROBLEM)["results"]
    place = {
        "artifactLocation": {"uri": "a%20b/%C3%BC.mig"},
        "region": {"startLine": 2, "startColumn": 6, "endLine": 2, "endColumn": 10},
    }
    assert len(found.pop("partialFingerprints")["migdsl/v1"]) == 32
    assert found == {
        "ruleId": "MIG105",
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": "there is no type `text`: here\n\nbody\n\nhelp: help"},
        "locations": [{"physicalLocation": place}],
        "relatedLocations": [
            {"id": 0, "physicalLocation": {"artifactLocation": {"uri": "gone.mig"}}, "message": {"text": "see here"}}
        ],
        "fixes": [
            {
                "description": {"text": "write é"},
                "artifactChanges": [
                    {
                        "artifactLocation": {"uri": "a%20b/%C3%BC.mig"},
                        "replacements": [
                            {
                                "deletedRegion": {"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 5},
                                "insertedContent": {"text": "é"},
                            }
                        ],
                    }
                ],
            }
        ],
    }


def test_rules_are_those_of_the_results():
    other = Diagnostic("MIG001", Severity.ERROR, "odd", None)
    found = run(PROBLEM, other)
    rules = found["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["MIG001", "MIG105"]
    assert [rules[each["ruleIndex"]]["id"] for each in found["results"]] == [
        each["ruleId"] for each in found["results"]
    ]
    assert rules[1]["helpUri"] == "https://example.org/MIG105"


def test_every_code_makes_a_rule():
    problems = [Diagnostic(code, each.severity, "x", None) for code, each in all_codes().items()]
    assert len(run(*problems)["tool"]["driver"]["rules"]) == len(all_codes())


def test_the_same_problem_further_down_is_the_same():
    moved = {"a b/ü.mig": SourceFile("a b/ü.mig", f"\n{TEXT}")}
    below = Diagnostic("MIG105", Severity.ERROR, PROBLEM.title, Label(Span("a b/ü.mig", 20, 24), "here"))
    text = render_sarif([below], moved, version="1")
    print_of = json.loads(text)["runs"][0]["results"][0]["partialFingerprints"]
    assert print_of == run(PROBLEM)["results"][0]["partialFingerprints"]


def test_an_unsafe_fix_is_not_offered():
    assert PROBLEM.fix is not None
    unsafe = Diagnostic(
        "MIG105", Severity.WARNING, "t", PROBLEM.primary, fix=Fix("t", PROBLEM.fix.edits, Applicability.UNSAFE)
    )
    assert "fixes" not in run(unsafe)["results"][0]


@given(text=st.text(), start=st.integers(-3, 40), end=st.integers(-3, 40))
def test_any_text_and_any_place(text: str, start: int, end: int):
    run(Diagnostic("MIG105", Severity.ERROR, text, Label(Span("a b/ü.mig", start, end), text), body=text, help=text))
