"""`explain` prints the whole page of a code."""

from __future__ import annotations

import pytest

from migdsl.diagnostics.catalog import all_codes
from migdsl.diagnostics.explain import explain

PAGE = """\
error[MIG501]: this reaches everybody at once

The first step is 100%. If something is wrong that no test showed, every tenant
has it in the same minute. Begin with a few, wait long enough to notice, go on.
The last step is always 100%; the ones before it cost a few days and can be
taken back for a few tenants. Only a migration without data to move may do
without.

bad:
    cutover {
      ramp 100% every 24h
    }

good:
    cutover {
      ramp 1%, 10%, 50%, 100% every 24h
    }

fix: `migdsl check --unsafe-fixes` can mend it; a person should look at the result
"""


def test_page() -> None:
    assert explain("MIG501", colour=False) == PAGE


def test_colour_changes_no_word() -> None:
    page = explain("MIG501", colour=True)
    assert page is not None
    assert page.startswith("\x1b[1;31merror[MIG501]\x1b[0m")
    for code in ("1;31", "1", "1;36", "0"):
        page = page.replace(f"\x1b[{code}m", "")
    assert page == PAGE


@pytest.mark.parametrize("spelling", ["mig011", " MIG011\n", "11", "011"])
def test_spellings(spelling: str) -> None:
    assert explain(spelling, colour=False) == explain("MIG011", colour=False) is not None


@pytest.mark.parametrize("word", ["", "MIG", "MIG999", "999", "users.mig", "MIG0011", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_unknown(word: str) -> None:
    assert explain(word, colour=False) is None


@pytest.mark.parametrize("code", all_codes())
def test_every_page_has_its_examples_and_fits(code: str) -> None:
    page = explain(code, colour=False)
    assert page is not None
    assert page.endswith("\n")
    entry = all_codes()[code]
    for example in (entry.bad, entry.good):
        assert "".join(f"    {line}".rstrip() + "\n" for line in example.splitlines()) in page
    assert max(map(len, page.splitlines())) <= 110
