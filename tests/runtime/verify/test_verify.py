"""Commands are really run: shown before, ended in time, written down, and proven by what was written."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from migdsl.runtime.verify import Verification, VerifyJob, main

NOW = 1_790_000_000.0


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def job(*runs: tuple[str, ...], seconds: int = 30) -> VerifyJob:
    return VerifyJob("m", tuple(Verification(f"claim {n}", run, seconds) for n, run in enumerate(runs, 1)))


def verify(of: VerifyJob, *argv: str, now: float = NOW) -> int:
    return main(of, argv, lambda: now)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_each_command_is_shown_before_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert verify(job(python("print('mine')"), python("print('too')"))) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "1/2 claim 1"
    assert lines[1].startswith("  $ ")
    assert (lines[2], lines[-1]) == ("mine", "2 of 2 passed")


def test_one_that_fails_is_said_and_the_others_run_all_the_same(tmp_path: Path) -> None:
    evidence = tmp_path / "e" / "m.json"
    found = job(python("raise SystemExit(7)"), ("no-such-program-anywhere",), python("pass"))
    assert verify(found, "--evidence", str(evidence)) == 1
    kept = read(evidence)
    assert [c["outcome"] for c in kept["checks"]] == ["failed", "not started", "passed"]
    assert [c["exit_code"] for c in kept["checks"]] == [7, None, 0]
    assert kept["passed"] is False
    assert kept["checks"][0]["started"] == "2026-09-21T14:13:20Z"


def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    made = tmp_path / "made"
    run = (
        *python("import sys; print(sys.argv[1:]); assert sys.argv[1:] == ['$HOME', ';', 'touch', sys.argv[-1]]"),
        "$HOME",
        ";",
    )
    assert verify(job((*run, "touch", str(made)))) == 0
    assert not made.exists()


def test_a_command_has_no_input(capfd: pytest.CaptureFixture[str]) -> None:
    assert verify(job(python("import sys; assert sys.stdin.read() == ''"))) == 0


def test_a_command_whose_time_is_up_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    run = ("sh", "-c", 'sleep 600 & echo $! > "$1"; wait', "sh", str(pid))
    evidence = tmp_path / "m.json"
    for seconds in (1, 10, 60):  # until the machine was fast enough for the command to have begun
        assert verify(job(run, seconds=seconds), "--evidence", str(evidence)) == 4
        if pid.exists() and pid.read_text().strip():
            break
    assert [c["outcome"] for c in read(evidence)["checks"]] == ["timed out"]
    end = time.monotonic() + 30
    while _runs(int(pid.read_text())):
        assert time.monotonic() < end, "what it started goes on"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_evidence_proves_what_it_is_of_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = tmp_path / "m.json"
    passing, other = job(python("pass")), job(python("0"))
    assert verify(passing, "--evidence", str(evidence)) == 0
    assert verify(passing, "--proven", str(evidence)) == 0
    assert verify(other, "--proven", str(evidence)) == 1
    assert "it is of other commands" in capsys.readouterr().err
    assert verify(passing, "--proven", str(evidence), "--newer-than", "24", now=NOW + 86_400) == 0
    assert verify(passing, "--proven", str(evidence), "--newer-than", "24", now=NOW + 86_500) == 1


def test_evidence_of_a_part_is_not_of_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = tmp_path / "m.json"
    both = job(python("pass"), python("pass"))
    assert verify(both, "--only", "2", "--evidence", str(evidence)) == 0
    assert read(evidence)["passed"] is False
    assert verify(both, "--proven", str(evidence)) == 1
    assert "claim 1: was not run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 1, "checks": [1]}', '"x"'])
def test_what_is_no_evidence_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    evidence = tmp_path / "m.json"
    evidence.write_text(text)
    assert verify(job(python("pass")), "--proven", str(evidence)) == 1
    assert "it is no evidence" in capsys.readouterr().err


def test_a_list_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made"
    assert verify(job(python(f"open({str(made)!r}, 'w')")), "--list") == 0
    assert "claim 1" in capsys.readouterr().out
    assert not made.exists()


@pytest.mark.parametrize("argv", [["--only", "3"], ["--only", "0"], ["--nothing"], ["--proven", "/no/such/file"]])
def test_usage_is_2(argv: list[str]) -> None:
    assert verify(job(python("pass"), python("pass")), *argv) == 2
