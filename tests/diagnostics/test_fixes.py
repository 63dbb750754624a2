"""Edits of whole statements become exact ones: no empty line, no lonely `;`, no comment lost."""

from __future__ import annotations

import pytest

from migdsl.diagnostics import Applicability, Diagnostic, Edit, Fix, Label, Severity, fixes
from migdsl.diagnostics.suggest import is_sure
from migdsl.source import SourceFile, Span


def applied(text: str, fix: Fix) -> str:
    found = Diagnostic("MIG001", Severity.ERROR, "x", Label(Span("a.mig", 0, 0), ""), fix=fix)
    exact = fixes.settled(found, {"a.mig": SourceFile("a.mig", text)}).fix
    assert exact is not None
    (edit,) = exact.edits
    assert not edit.statement
    return text[: edit.span.start] + edit.text + text[edit.span.end :]


def place(text: str, what: str) -> Span:
    start = text.index(what)
    return Span("a.mig", start, start + len(what))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("{ a; GO }", "{ a }"),
        ("{ GO; a }", "{ a }"),
        ("{ a; GO; b }", "{ a; b }"),
        ("{a;GO}", "{a}"),
        ("{ GO }", "{ }"),
        ("{\n  a\n  GO\n}\n", "{\n  a\n}\n"),
        ("{\r\n  a\r\n  GO\r\n}\r\n", "{\r\n  a\r\n}\r\n"),
        ("{\n  GO;\n  a\n}", "{\n  a\n}"),
        ("{\n  GO # why\n  a\n}", "{\n  # why\n  a\n}"),
        ("{\n  a; GO # why\n}", "{\n  a # why\n}"),
        ("text pii GO key", "text pii key"),
        ("text pii GO\nb", "text pii\nb"),
        ("GO", ""),
    ],
)
def test_a_statement_goes_with_what_parted_it(text: str, after: str) -> None:
    assert applied(text, fixes.removing(place(text, "GO"), "it goes", safe=True)) == after


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("{ a }", "}", "{ a; NEW }"),
        ("{ a; }", "}", "{ a; NEW }"),
        ("{}", "}", "{ NEW }"),
        ("{\n  a\n}", "}", "{\n  a\n  NEW\n}"),
        ("  {\r\n    a\r\n  }", "}", "  {\r\n    a\r\n    NEW\r\n  }"),
        ("{\n  a\n}", "a", "{\n  NEW\n  a\n}"),
        ("{ a }", "a", "{ NEW; a }"),
    ],
)
def test_a_statement_comes_with_what_parts_it(text: str, before: str, after: str) -> None:
    fix = fixes.inserting(place(text, before), "NEW", "it comes", safe=True, statement=True)
    assert applied(text, fix) == after


def test_exact_edits_stay_as_they_are() -> None:
    fix = fixes.replacing(Span("a.mig", 0, 1), "b", "b for a", safe=False)
    found = Diagnostic("MIG001", Severity.ERROR, "x", None, fix=fix)
    assert fixes.settled(found, {}) is found
    assert fix == Fix("b for a", (Edit(Span("a.mig", 0, 1), "b"),), Applicability.UNSAFE)


def test_respelling_is_safe_where_there_is_but_one_word() -> None:
    span = Span("a.mig", 0, 4)
    fix = fixes.respelling(span, "livve", ["live", "off"])
    assert fix is not None
    assert (fix.applicability, fix.edits[0].text) == (Applicability.SAFE, "live")
    unsure = fixes.respelling(span, "lave", ["live", "love"])
    assert unsure is not None
    assert unsure.applicability is Applicability.UNSAFE
    assert fixes.respelling(span, "xyz", ["live", "off"]) is None


@pytest.mark.parametrize(
    ("word", "sure"), [("stgae", True), ("stal", False), ("zzz", False), ("", False), ("x" * 99, False)]
)
def test_is_sure(word: str, sure: bool) -> None:
    assert is_sure(word, ["stage", "stale", "stall", "off"]) == sure
