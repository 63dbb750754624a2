"""Every diagnostic as a person sees it: one file a case, its expectation at its end, rewritten by `tools/refresh_cases.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migdsl.diagnostics.catalog import all_codes
from migdsl.workspace import compile_files
from tools import refresh_cases

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(refresh_cases.CASES.glob("*.mig"))
# Not of a file's text, but of the disk, of two files, or of what the language will have later.
NOT_OF_A_TEXT = (
    frozenset(
        "MIG004 MIG017 MIG430 MIG720 MIG721 MIG702 MIG704 MIG705 MIG706 MIG508 MIG509 MIG707 MIG708 MIG710 MIG809".split()
    )
    | {f"MIG73{digit}" for digit in range(10)}  # of a database
    | {f"MIG74{digit}" for digit in range(4)}
)  # of a database on its way


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_compiler_says_what_the_case_expects(path):
    assert path.read_text(encoding="utf-8") == refresh_cases.refreshed(path), "python tools/refresh_cases.py"


@pytest.mark.parametrize("path", [p for p in CASES if p.name.startswith("MIG")], ids=lambda path: path.stem)
def test_a_case_shows_the_code_of_its_name_and_no_other(path):
    assert set(refresh_cases.codes(path)) == {path.name[:6]} | ({"MIG012"} if path.name.startswith("MIG010") else set())


def test_every_code_has_a_case():
    shown = {path.name[:6] for path in CASES}
    assert set(all_codes()) - shown == NOT_OF_A_TEXT


def test_each_code_is_raised_somewhere_and_none_that_has_no_page():
    sources = [p for p in (ROOT / "migdsl").rglob("*.py") if "catalog" not in p.parts]
    used = {code for p in sources for code in re.findall(r'"(MIG\d{3})"', p.read_text(encoding="utf-8"))}
    assert used == set(all_codes())


def test_nothing_else_lies_among_the_cases():
    assert set(refresh_cases.CASES.iterdir()) == set(CASES)
    for path in CASES:
        text = path.read_text(encoding="utf-8")
        assert text.count(refresh_cases.MARKER) == 1
        assert all(line.startswith("#") for line in text.split(refresh_cases.MARKER)[1].splitlines())


def test_a_stale_case_is_found_and_rewritten(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "MIG601.mig"
    stale.write_text("migration m { }\n# expected\n# something else\n", encoding="utf-8")
    monkeypatch.setattr(refresh_cases, "CASES", tmp_path)
    monkeypatch.setattr(refresh_cases, "ROOT", tmp_path)
    assert refresh_cases.main(["--check"]) == 2
    assert refresh_cases.main([]) == 0
    assert refresh_cases.main(["--check"]) == 0
    assert "nothing" in stale.read_text(encoding="utf-8")


USERS = (ROOT / "examples/users.mig").read_text(encoding="utf-8")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "before",
    ["", "\t", "/* é */ ", "'``' || ", "'é' ||\n\t  ", "-- ``x`` é\n ", "$$ :x `` $$ || 'żółć' ||\n"],
    ids=["plain", "tab", "comment", "backtick", "lines", "line comment", "dollar quote"],
)
def test_places_inside_sql_are_exact(before, end):
    text = USERS.replace(
        "`coalesce(email, username || '@example.com')`", f"`{before}coalesce(email, usernme)`"
    ).replace("\n", end)
    (found,) = compile_files({"users.mig": text}, "users.mig").diagnostics
    assert found.code == "MIG202"
    assert found.primary is not None
    assert text[found.primary.span.start : found.primary.span.end] == "usernme"


@pytest.mark.parametrize("before", ["", "'é' || ", "'``' || "])
@pytest.mark.parametrize(
    ("wrong", "at"), [("'ü' || ) x", ")"), ("max(email)", "max"), ("users.email", "users.email"), ("email || 'x", "'")]
)
def test_other_mistakes_in_sql_have_their_place_too(before, wrong, at):
    text = USERS.replace("`coalesce(email, username || '@example.com')`", f"`{before}{wrong}`")
    found = compile_files({"users.mig": text}, "users.mig").diagnostics[0]
    assert found.primary is not None
    start = text.index(f"{before}{wrong}`") + len(before) + wrong.index(at)
    assert (found.primary.span.start, text[start : found.primary.span.end]) == (start, at)
