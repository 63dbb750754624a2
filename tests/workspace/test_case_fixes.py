"""The fixes of all cases: each does what its code promises, mends its own problem and leaves nothing worse behind."""

from __future__ import annotations

from functools import cache

from migdsl.cli.fixing import Found, fixable, mend
from migdsl.diagnostics import Applicability, Diagnostic
from migdsl.diagnostics.catalog import all_codes
from migdsl.source import SourceFile
from migdsl.syntax.parser import parse
from migdsl.syntax.unit import Files
from migdsl.workspace import check
from tools import refresh_cases

CASES = {
    path.stem: refresh_cases.source(path.read_text(encoding="utf-8"))
    for path in sorted(refresh_cases.CASES.glob("*.mig"))
}


@cache
def problems(text: str) -> tuple[Diagnostic, ...]:
    return check(refresh_cases.files("case.mig", text), "case.mig").diagnostics


PROMISED = {code.id: code.fix for code in all_codes().values() if code.fix != "none"}


@cache
def with_fixes() -> dict[str, str]:
    return {name: text for name, text in CASES.items() if fixable(problems(text), unsafe=True)}


def shown() -> set[tuple[str, str]]:
    """Codes with the kinds of their fixes, over all cases."""
    found = (each for text in CASES.values() for each in problems(text))
    return {(each.code, each.fix.applicability.value) for each in found if each.fix is not None}


@cache
def mended(text: str, *, unsafe: bool) -> tuple[str, int]:
    """The text with its fixes, and how many there were."""

    def look(files: Files) -> Found:
        found = check(files, "case.mig")
        return Found(found.diagnostics, found.sources)

    result = mend(refresh_cases.files("case.mig", text), look, unsafe=unsafe)
    return result.texts.get("case.mig", text), result.count


def test_codes_promise_what_their_fixes_are() -> None:
    best = dict(sorted(shown(), reverse=True))  # safe comes last, and stands
    assert best == PROMISED, "a code's `fix` is the best that a case of it shows"


def test_fixes_mend_what_they_promise() -> None:
    for name, text in with_fixes().items():
        after, count = mended(text, unsafe=True)
        assert count > 0, name
        there = {(each.code, each.title) for each in problems(text)}
        assert there - {(each.code, each.title) for each in problems(after)}, (name, after)
        source, was = SourceFile("case.mig", after), SourceFile("case.mig", text)
        assert len(parse(source).diagnostics) <= len(parse(was).diagnostics), name
        assert mended(after, unsafe=True) == (after, 0), f"nothing is left to mend in {name}"


def test_without_a_look_only_safe_fixes_are_applied() -> None:
    for name, text in with_fixes().items():
        after, count = mended(text, unsafe=False)
        safe = fixable(problems(text), unsafe=False)
        assert (count > 0) == bool(safe), name
        assert (after != text) == bool(safe), name


def test_edits_are_exact_and_stay_in_the_file() -> None:
    for name, text in with_fixes().items():
        for found in fixable(problems(text), unsafe=True):
            assert found.fix is not None
            assert found.fix.title, name
            assert found.fix.edits, name
            for edit in found.fix.edits:
                assert 0 <= edit.span.start <= edit.span.end <= len(text), name
                assert not edit.statement, "settled before anybody sees it"
                assert edit.text or edit.span.start < edit.span.end, name


def test_line_ends_stay() -> None:
    for name, text in with_fixes().items():
        after, count = mended(text.replace("\n", "\r\n"), unsafe=True)
        assert count, name
        assert after.count("\n") == after.count("\r\n"), name
        assert after.replace("\r\n", "\n") == mended(text, unsafe=True)[0], name


def test_both_kinds_are_there() -> None:
    assert {kind for _, kind in shown()} == {kind.value for kind in Applicability}
