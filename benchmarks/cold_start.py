"""Runs of the command line become multiples of bare Python's start, measured side by side, next to their targets."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "users.mig"


@dataclass(frozen=True, slots=True)
class Case:
    """A command to time, with a cache folder of its own: `target` in multiples of bare Python, `prepare` runs before each
    run, outside the clock."""

    name: str
    argv: tuple[str, ...]
    target: float | None
    cache: Path
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Result:
    """Medians over all rounds: `seconds` of the command, `multiple` of bare Python's median."""

    name: str
    seconds: float
    multiple: float
    target: float | None

    @property
    def met(self) -> bool:
        """Whether the multiple is within its target (always, where there is none)."""
        return self.target is None or self.multiple <= self.target


def cases(folder: Path) -> list[Case]:
    """Bare Python first, then each command with a target, at work in `folder` alone."""
    source = folder / "users.mig"
    shutil.copyfile(EXAMPLE, source)
    fresh, warm, cold, none = (folder / name for name in ("fresh", "warm", "cold", "none"))
    tool = _command()
    check, compile_ = (*tool, "check", source.name), (*tool, "compile", source.name, "--out")
    _run((*compile_, "done"), folder, warm)

    def first_compile() -> None:
        # The grammar's tables are made once for each release; black's memory is what a first compile lacks.
        _remove(fresh, cold)
        _run(check, folder, cold)

    return [
        Case("python -c pass", (sys.executable, "-c", "pass"), None, warm),
        Case("migdsl --version", (*tool, "--version"), 4, warm),
        Case("migdsl check", check, 15, warm),
        Case("migdsl compile, nothing to do", (*compile_, "done"), 6, warm),
        Case("migdsl compile, first time", (*compile_, fresh.name), 40, cold, first_compile),
        Case("migdsl check, first on this machine", check, None, none, lambda: _remove(none)),
    ]


def measure(all_cases: Sequence[Case], folder: Path, rounds: int) -> list[Result]:
    """Time every case once a round, in turn, so that a slow spell of the machine falls on all of them alike."""
    times: list[list[float]] = [[] for _ in all_cases]
    for _ in range(rounds):
        for case, taken in zip(all_cases, times, strict=True):
            case.prepare()
            taken.append(_run(case.argv, folder, case.cache))
    medians = [statistics.median(taken) for taken in times]
    return [Result(c.name, m, m / medians[0], c.target) for c, m in zip(all_cases, medians, strict=True)]


def table(results: Sequence[Result]) -> str:
    """The results for people, a line each."""
    lines = [f"{'command':<36}{'median':>10}{'multiple':>10}{'target':>8}"]
    for result in results:
        target = "" if result.target is None else f"{result.target:g}"
        verdict = "" if result.met else "  over"
        lines.append(f"{result.name:<36}{result.seconds * 1000:>7.0f} ms{result.multiple:>10.1f}{target:>8}{verdict}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; the exit code is 0 whatever it says, and 1 where a command can't be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each command (default 15)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="migdsl-bench-") as name:
        try:
            results = measure(cases(Path(name)), Path(name), options.rounds)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{' '.join(error.cmd)} exited with {error.returncode}\n{error.stderr}")
            return 1
    rows = [
        {"command": r.name, "seconds": r.seconds, "multiple": r.multiple, "target": r.target, "met": r.met}
        for r in results
    ]
    sys.stdout.write((json.dumps(rows, indent=2) if options.json else table(results)) + "\n")
    return 0


def _command() -> tuple[str, ...]:
    script = Path(sys.executable).parent / "migdsl"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "migdsl")


def _run(argv: Sequence[str], folder: Path, cache: Path) -> float:
    """Seconds that the command took; CalledProcessError where it failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    environment["XDG_CACHE_HOME"] = str(cache)
    if argv[1:3] == ("-m", "migdsl"):
        environment["PYTHONPATH"] = str(ROOT)
    began = time.perf_counter()
    subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
