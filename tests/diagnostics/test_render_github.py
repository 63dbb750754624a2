"""The renderer of workflow commands: what GitHub's runner reads out of a line is what was meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.diagnostics.render_github import render_github
from migdsl.source import SourceFile, Span

SOURCES = {"u.mig": SourceFile("u.mig", "entity User {\n  日本 text\n}\n")}


def read(line: str) -> tuple[str, dict[str, str], str]:
    """As the runner reads it: the command, its properties, its text."""
    head, _, text = line.removeprefix("::").partition("::")
    command, _, listed = head.partition(" ")
    properties = dict(part.split("=", 1) for part in listed.split(","))
    codes = (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
    for code, plain in codes:
        properties = {name: value.replace(code, plain) for name, value in properties.items()}
        text = text if plain in ":," else text.replace(code, plain)
    return command, properties, text


def test_one_line():
    label = Label(Span("u.mig", 19, 23), "here")
    problem = Diagnostic("MIG105", Severity.WARNING, "a: 100%, really", label, body="b\nc", help="d")
    assert render_github([problem], SOURCES) == (
        "::warning file=u.mig,line=2,endLine=2,col=6,endColumn=10,title=MIG105 a%3A 100%25%2C really"
        "::here%0A%0Ab%0Ac%0A%0Ahelp: d%0A%0Amore: migdsl explain MIG105\n"
    )


def test_several_lines_have_no_columns():
    found = render_github([Diagnostic("MIG105", Severity.ERROR, "t", Label(Span("u.mig", 3, 20), ""))], SOURCES)
    assert read(found.strip())[1] == {"file": "u.mig", "line": "1", "endLine": "2", "title": "MIG105 t"}


def test_no_place():
    assert read(render_github([Diagnostic("MIG105", Severity.ERROR, "t", None)], {}))[1] == {"title": "MIG105 t"}


@given(title=st.text(), text=st.text())
def test_any_text_comes_out_as_it_was(title: str, text: str):
    found = render_github([Diagnostic("MIG105", Severity.ERROR, title, Label(Span("x", 0, 0), ""), body=text)], {})
    assert found.count("\n") == 1
    command, properties, said = read(found[:-1])
    assert (command, properties["title"]) == ("error", f"MIG105 {title}")
    assert said == "\n\n".join(part for part in (text, "more: migdsl explain MIG105") if part)
