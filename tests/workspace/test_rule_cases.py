"""Codes, pages and cases belong together: what lacks one of the others is listed by name.

A bad case is `tests/cases/check/MIGnnn_….mig`, a good one `fine_MIGnnn_….mig`: near a bad one, and without a problem.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

from migdsl.diagnostics.catalog import all_codes
from migdsl.lint.run import RULES
from tests.workspace.test_cases import NOT_OF_A_TEXT
from tools import refresh_cases

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(refresh_cases.CASES.glob("*.mig"))
BAD = {code: [path for path in CASES if path.name.startswith(code)] for code in all_codes()}
GOOD = {code: [path for path in CASES if path.name.startswith(f"fine_{code}")] for code in all_codes()}
# What looks at the meaning of a file, and not at how it is written: there a near miss must pass.
RULED = {code for code in all_codes() if code[3] in "3456"} | {code for code, _ in RULES} - {"MIG007"}
NEAR = 0.6  # of the lines are the same


def named(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.stem for path in (ROOT / "docs/rules").glob("MIG*.md")}
    assert sorted(all_codes().keys() - pages) == [], "codes without docs: python tools/refresh_docs.py"
    assert sorted(pages - all_codes().keys()) == [], "docs without codes: python tools/refresh_docs.py"


def test_every_code_has_a_bad_case() -> None:
    missing = sorted(code for code, paths in BAD.items() if not paths and code not in NOT_OF_A_TEXT)
    assert missing == [], f"codes without a bad case in tests/cases/check/: {', '.join(missing)}"


def test_every_rule_has_a_good_case() -> None:
    missing = sorted(code for code in RULED - NOT_OF_A_TEXT if not GOOD[code])
    assert (
        missing == []
    ), f"rules without a good case (fine_{missing[:1]}_….mig) in tests/cases/check/: {', '.join(missing)}"


def test_cases_are_of_codes_that_exist() -> None:
    strange = [path for path in CASES if (found := re.search(r"MIG\d{3}", path.name)) and found[0] not in all_codes()]
    assert not strange, named(strange)


@pytest.mark.parametrize("code", sorted(code for code, paths in GOOD.items() if paths))
def test_a_good_case_is_near_a_bad_one_and_passes(code: str) -> None:
    for path in GOOD[code]:
        assert refresh_cases.codes(path) == [], path.name
        lines = refresh_cases.source(path.read_text(encoding="utf-8")).splitlines()
        near = [
            difflib.SequenceMatcher(
                None, refresh_cases.source(bad.read_text(encoding="utf-8")).splitlines(), lines
            ).ratio()
            for bad in BAD[code]
        ]
        assert NEAR <= max(near) < 1, path.name
