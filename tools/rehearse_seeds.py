"""Every example (or those that are named) is rehearsed with many seeds, and each run that accuses somebody is told.

python tools/rehearse_seeds.py [--seeds N] [--first N] [--jobs N] [EXAMPLE.mig …]

A seed's runs of all examples come before those of the next seed, so that a part of them says something of each. At the
end, and after Ctrl-C, there is a table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PLAYED = ("change", "create", "drop", "move", "api", "replace")


@dataclass(frozen=True, slots=True)
class Run:
    """One rehearsal: its exit code, what it printed, and how long it took."""

    path: Path
    seed: int
    code: int
    text: str
    seconds: float


def examples() -> list[Path]:
    """All migrations below examples/ that a rehearsal can play."""
    found = sorted((ROOT / "examples").rglob("*.mig"))
    texts = {path: "\n" + path.read_text(encoding="utf-8") for path in found}
    return [
        path for path, text in texts.items() if "\nmigration " in text and any(f"\n{word} " in text for word in _PLAYED)
    ]


def rehearsed(path: Path, seed: int, options: list[str]) -> Run:
    """A rehearsal by the command line, as anybody would start it."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "migdsl", "rehearse", str(path), "--seed", str(seed), *options]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return Run(path, seed, done.returncode, done.stdout + done.stderr, time.perf_counter() - began)


def told(run: Run) -> str:
    """A line, and where it failed the verdicts that did."""
    line = f"{run.path.stem} seed {run.seed}: exit code {run.code}, {run.seconds:.0f} s"
    if run.code == 0:
        return line
    text = run.text
    return f"{line}\n{text[text.find('FAILED') :] if 'FAILED' in text else text[-2000:]}"


def table(runs: Sequence[Run]) -> str:
    """How many runs of each example there were, how many accused somebody, and how long they took."""
    lines = ["| example | runs | clean | seconds |", "| --- | --- | --- | --- |"]
    for path in dict.fromkeys(run.path for run in sorted(runs, key=lambda run: str(run.path))):
        own = [run for run in runs if run.path == path]
        times = sorted(run.seconds for run in own)
        clean = sum(run.code == 0 for run in own)
        lines.append(f"| {path.stem} | {len(own)} | {clean} | {times[0]:.0f} to {times[-1]:.0f} |")
    bad = [f"{run.path.stem} {run.seed}" for run in runs if run.code != 0]
    return "\n".join([*lines, "", f"{len(bad)} runs failed: {', '.join(bad)}" if bad else "nobody was accused"])


def main() -> int:
    """1 where a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--rows", default="400")
    said = parser.parse_args()
    seeds = range(said.first, said.first + said.seeds)
    wanted = [(path.resolve(), seed) for seed in seeds for path in said.files or examples()]
    runs: list[Run] = []
    with ThreadPoolExecutor(said.jobs) as pool:
        pending = [pool.submit(rehearsed, path, seed, ["--rows", said.rows]) for path, seed in wanted]
        try:
            for done in as_completed(pending):
                runs.append(done.result())
                print(told(runs[-1]), flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    print(table(runs))
    return 1 if any(run.code for run in runs) else 0


if __name__ == "__main__":
    raise SystemExit(main())
