"""The project's own scripts and test settings: what they find, what they print, and what CI may not leave out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cold_start import Case, Result, measure, table
from benchmarks.scaling import COLUMNS, Clock, Size, report, targets, watched
from migdsl.syntax import parser
from migdsl.workspace import check
from tools.refresh_examples import orphans, sources

ROOT = Path(__file__).resolve().parent.parent


def test_only_files_with_a_migration_have_output(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.mig").write_text("# of ours\nmigration a {\n}\n")
    (tmp_path / "shared.mig").write_text("# migration of tenants\ntenants none because `no migration`\n")
    assert sources(tmp_path) == [tmp_path / "deep/a.mig"]


def test_output_that_lost_its_source_is_found(tmp_path: Path):
    for name in ("kept", "lost"):
        (tmp_path / name / ".migdsl").mkdir(parents=True)
        (tmp_path / name / ".migdsl/m.manifest.json").touch()
    (tmp_path / "kept.mig").touch()
    assert orphans(tmp_path) == [tmp_path / "lost/.migdsl/m.manifest.json"]


def test_a_benchmark_measures_against_its_first_case(tmp_path: Path):
    prepared: list[int] = []
    bare = Case("bare", (sys.executable, "-c", "pass"), None, tmp_path / "cache")
    program = "import os; open('seen', 'a').write(os.environ['XDG_CACHE_HOME'][-1])"
    busy = Case("busy", (sys.executable, "-c", program), 4, tmp_path / "x", lambda: prepared.append(1))
    first, second = measure([bare, busy], tmp_path, 3)
    assert (first.multiple, first.met) == (1, True)
    assert second.multiple == second.seconds / first.seconds
    assert (len(prepared), (tmp_path / "seen").read_text()) == (3, "xxx")


def test_a_benchmark_shows_what_is_over_its_target():
    lines = table([Result("bare", 0.02, 1, None), Result("quick", 0.08, 4, 4), Result("slow", 0.1, 5, 4)]).splitlines()
    assert lines[2].split() == ["quick", "80", "ms", "4.0", "4"]
    assert lines[3].split() == ["slow", "100", "ms", "5.0", "4", "over"]


SKIPPING = """
import pytest
from tests.conftest import needs_tool

@pytest.mark.needs_tool("no-such-program")
def test_marked(): ...

def test_asks(): needs_tool("no-such-program")

@pytest.mark.skipif(True, reason="always")
def test_skipped(): ...

@pytest.mark.xfail(reason="known")
def test_expected(): assert False

def test_finds(): assert needs_tool("pytest")
"""


@pytest.mark.parametrize(
    ("required", "code", "verdict"), [("0", 0, "1 passed, 3 skipped, 1 xfailed"), ("1", 1, "1 passed, 1 xfailed")]
)
def test_a_skip_is_a_failure_where_tools_are_required(tmp_path: Path, required: str, code: int, verdict: str):
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests/test_skips.py").write_text(SKIPPING)
    environment = {**os.environ, "MIGDSL_REQUIRE_TOOLS": required, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert verdict in done.stdout


def test_time_is_counted_for_the_innermost_phase():
    clock = Clock()
    inner = clock.around("inner", lambda: sum(range(300_000)))
    clock.around("outer", lambda: (inner(), inner()))()
    assert set(clock.seconds) == {"the rest", "outer", "inner"}
    assert clock.seconds["inner"] > clock.seconds["outer"]


def test_a_phase_is_watched_and_left_as_it_was():
    clock = Clock()
    before = vars(parser)["run"]
    with watched(clock):
        check({"a.mig": "flag a { }"}, "a.mig")
    assert {"lex and parse", "syntax tree", "lint", "semantics: tables"} <= set(clock.seconds)
    assert vars(parser)["run"] is before


def test_growth_beyond_ten_to_eleven_is_over_its_target():
    def size(entities: int, seconds: float) -> Size:
        return Size(
            entities, 20, dict.fromkeys(COLUMNS, seconds) | {"bare": 1.0}, {"check": (1.0, 501.0)}, {"lint": 1.0}
        )

    found = {target.name: target.met for target in targets([size(10, 0.1), size(100, 1.1), size(1000, 12.2)])}
    assert found["check: 10 to 100 entities"]
    assert not found["check: 100 to 1000 entities"]
    assert not found["check / bare, 1000 entities"]
    assert not found["memory of check, MB"]
    lines = report([size(10, 0.1), size(100, 1.0)]).splitlines()
    assert [line.split()[-1] for line in lines if "over" in line] == ["over"]
