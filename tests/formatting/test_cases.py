"""The pairs in `tests/cases/format` are fresh, and what people copy is formatted already."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.formatting.support import ROOT, formatted
from tools import refresh_formats
from tools.refresh_formats import CASES, orphans, read, result_of, sources

BLOCK = re.compile(r"^```mig\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_a_case_has_its_expected_result(path: Path):
    assert refresh_formats.formatted(path) == read(result_of(path))


def test_no_result_is_without_its_source():
    assert len(sources()) > 4
    assert orphans() == []


def test_an_orphan_is_seen(tmp_path: Path):
    for name in ("a.mig", "a.formatted.mig", "b.formatted.mig"):
        (tmp_path / name).touch()
    assert [path.name for path in sources(tmp_path)] == ["a.mig"]
    assert [path.name for path in orphans(tmp_path)] == ["b.formatted.mig"]


def test_the_command_rewrites_and_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.mig").write_text("flag a{}")
    (tmp_path / "b.formatted.mig").touch()
    monkeypatch.setattr(refresh_formats, "ROOT", tmp_path)
    monkeypatch.setattr(refresh_formats, "CASES", tmp_path)
    monkeypatch.setattr(refresh_formats.sources, "__defaults__", (tmp_path,))
    monkeypatch.setattr(refresh_formats.orphans, "__defaults__", (tmp_path,))
    assert refresh_formats.main(["--check"]) == 2
    assert not (tmp_path / "a.formatted.mig").exists()
    assert refresh_formats.main([]) == 0
    assert (tmp_path / "a.formatted.mig").read_text() == "flag a {}\n"
    assert not (tmp_path / "b.formatted.mig").exists()
    assert refresh_formats.main(["--check"]) == 0


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.mig")), ids=lambda path: path.name)
def test_the_examples_are_formatted(path: Path):
    assert formatted(read(path)) == read(path)


def test_the_readme_is_formatted():
    found = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    for snippet in found:
        assert formatted(snippet) == snippet


@pytest.mark.parametrize("path", sorted(CASES.glob("*.formatted.mig")), ids=lambda path: path.stem)
def test_a_result_stays_as_it_is(path: Path):
    assert formatted(read(path)) == read(path)
