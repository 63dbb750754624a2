"""The JSON renderer: its shape, literally and by the schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from migdsl.diagnostics import Applicability, Diagnostic, Edit, Fix, Label, Severity
from migdsl.diagnostics.render_json import render_json
from migdsl.source import SourceFile, Span

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/diagnostics.schema.json").read_text(encoding="utf-8"))
SOURCES = {"u.mig": SourceFile("u.mig", "entity User {\n  日本 text\n}\n")}
PROBLEM = Diagnostic(
    "MIG105",
    Severity.ERROR,
    "there is no type `text`",
    Label(Span("u.mig", 19, 23), "here"),
    (Label(Span("gone.mig", 1, 2), "there"),),
    "body",
    "help\x1b",
    Fix("write é", (Edit(Span("u.mig", 16, 18), "é"),), Applicability.SAFE),
)


def place(line: int, column: int, offset: int) -> dict[str, int]:
    return {"line": line, "column": column, "offset": offset}


def test_shape() -> None:
    here = {"start": place(2, 6, 19), "end": place(2, 10, 23)}
    assert json.loads(render_json([PROBLEM], SOURCES, docs="https://example.org/")) == [
        {
            "code": "MIG105",
            "severity": "error",
            "title": "there is no type `text`",
            "file": "u.mig",
            "range": here,
            "labels": [
                {"file": "u.mig", "range": here, "text": "here", "primary": True},
                {"file": "gone.mig", "range": None, "text": "there", "primary": False},
            ],
            "body": "body",
            "help": "help\x1b",
            "fix": {
                "title": "write é",
                "applicability": "safe",
                "edits": [
                    {"file": "u.mig", "range": {"start": place(2, 3, 16), "end": place(2, 5, 18)}, "text": "é"},
                ],
            },
            "url": "https://example.org/MIG105",
        }
    ]


def test_bytes() -> None:
    nowhere = Diagnostic("MIG004", Severity.WARNING, "é\x7f", None)
    assert render_json([nowhere], {}) == (
        '[\n  {\n    "body": "",\n    "code": "MIG004",\n    "file": null,\n    "fix": null,\n    "help": "",\n'
        '    "labels": [],\n    "range": null,\n    "severity": "warning",\n    "title": "\\u00e9\\u007f"\n  }\n]\n'
    )
    assert render_json([], {}) == "[]\n"


def test_the_order_is_the_terminals() -> None:
    other = Diagnostic("MIG001", Severity.ERROR, "x", Label(Span("u.mig", 3, 4), "y"))
    assert render_json([PROBLEM, other], SOURCES) == render_json([other, PROBLEM], SOURCES)
    assert [each["code"] for each in json.loads(render_json([PROBLEM, other], SOURCES))] == ["MIG001", "MIG105"]


def test_the_schema_is_strict_and_described() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for name, shape in SCHEMA["$defs"].items():
        assert shape["additionalProperties"] is False, name
        assert shape["description"], name
        assert all(field.get("description") for field in shape["properties"].values()), name
        assert set(shape["properties"]) - set(shape["required"]) <= {"url"}


@pytest.mark.parametrize("field", ["code", "fix", "severity"])
def test_the_schema_refuses_what_lacks_a_field(field: str) -> None:
    shown = json.loads(render_json([PROBLEM], SOURCES))
    assert Draft202012Validator(SCHEMA).is_valid(shown)
    del shown[0][field]
    assert not Draft202012Validator(SCHEMA).is_valid(shown)


LABELS = st.builds(
    Label,
    st.builds(Span, st.sampled_from(["u.mig", "gone"]), st.integers(-3, 40), st.integers(-3, 40)),
    st.text(st.characters()),
)
EDITS = LABELS.map(lambda label: (Edit(label.span, label.text),))


@given(
    st.builds(
        Diagnostic,
        st.just("MIG001"),
        st.sampled_from(Severity),
        st.text(st.characters()),
        st.none() | LABELS,
        st.lists(LABELS).map(tuple),
        st.text(),
        st.text(),
        st.none() | st.builds(Fix, st.text(), EDITS, st.sampled_from(Applicability)),
    ),
    st.text(st.characters(), max_size=30),
)
def test_anything_is_plain_ascii_by_the_schema(problem: Diagnostic, text: str) -> None:
    shown = render_json([problem], {"u.mig": SourceFile("u.mig", text)})
    assert shown.isascii()
    assert all(line.isprintable() for line in shown.split("\n"))
    Draft202012Validator(SCHEMA).validate(json.loads(shown))
    assert json.loads(shown)[0]["title"] == problem.title
