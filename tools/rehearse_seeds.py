"""Every example (or those that are named) is rehearsed with many seeds, and each run that accuses somebody is told.

python tools/rehearse_seeds.py [--seeds N] [--first N] [EXAMPLE.mig …]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def examples() -> list[Path]:
    """All migrations below examples/ that a rehearsal can play."""
    found = sorted((ROOT / "examples").rglob("*.mig"))
    texts = {path: "\n" + path.read_text(encoding="utf-8") for path in found}
    return [
        path
        for path, text in texts.items()
        if ("\nmigration " in text and "\nchange " in text) or "\ncreate " in text or "\ndrop " in text
    ]


def rehearsed(path: Path, seed: int, options: list[str]) -> tuple[int, str, float]:
    """Exit code, what it printed, and how long it took."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "migdsl", "rehearse", str(path), "--seed", str(seed), *options]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, time.perf_counter() - began


def main() -> int:
    """1 where a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--rows", default="400")
    said = parser.parse_args()
    bad = 0
    for path in said.files or examples():
        times = []
        for seed in range(said.first, said.first + said.seeds):
            code, text, seconds = rehearsed(path, seed, ["--rows", said.rows])
            times.append(seconds)
            if code != 0:
                bad += 1
                told = text[text.find("FAILED") :] if "FAILED" in text else text[-2000:]
                print(f"{path.name} seed {seed}: exit code {code}\n{told}", flush=True)
        print(f"{path.name}: {said.seeds} seeds, {min(times):.0f} to {max(times):.0f} s each", flush=True)
    print("nobody was accused" if not bad else f"{bad} runs failed")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
