"""Texts of every bad kind become a verdict on the compiler: no traceback, no hang, no memory that grows without bound.

Each input follows from the seed and its number alone. It runs in a child process with a memory limit and a time limit;
what fails is made smaller while it fails in the same way, and printed with the seed and the number that make it again:

    python tools/fuzz.py --seconds 600 --seed 1
    python tools/fuzz.py --seed 1 --only 4711
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.fuzz_inputs import LARGE, Input, make

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 4096  # MB of address space for the child
PATIENCE = {False: 30.0, True: 400.0}  # CPU seconds an input may take: small ones, and those of ten megabytes
_SLOWER = 10  # how much longer it may take on the clock of the wall, while others use the machine too


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that the compiler did not take well; `signature` is the same for inputs that fail alike."""

    number: int
    kind: str
    signature: str
    detail: str
    data: bytes


class Child:
    """A process that runs input after input; it is started anew when one was too much for it."""

    def __init__(self, memory: int, folder: str, program: Path = ROOT / "tools/fuzz_child.py") -> None:
        self._argv = [sys.executable, str(program), str(memory)]
        self._environment = {**os.environ, "XDG_CACHE_HOME": folder}
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, data: bytes, patience: float) -> tuple[str, str]:
        """How it went: a signature (empty: well) and details."""
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{patience} ".encode() + base64.b64encode(data) + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], patience * _SLOWER)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            ready, line = [process.stdout], b""
        if line:
            said = json.loads(line)
            return said["signature"], said["detail"]
        self.stop()
        return ("died", f"exit code {process.returncode}") if ready else ("hang", "in one step that nothing interrupts")

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def _process(self) -> subprocess.Popen[bytes]:
        if self._running is None or self._running.poll() is not None:
            self._running = subprocess.Popen(
                self._argv, cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self._running


def numbers(seconds: float, count: int | None, *, large: bool) -> Iterator[int]:
    """The large inputs first, which have negative numbers, then small ones for so many seconds."""
    yield from (-1 - index for index in range(len(LARGE) if large else 0))
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end and (count is None or number < count):
        yield number
        number += 1


def smaller(child: Child, failure: Failure, seconds: float) -> bytes:
    """The least that fails in the same way, as far as the time allows: pieces are left out, large ones first."""
    data, end = failure.data, time.monotonic() + seconds
    size = len(data) // 2
    while size and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            less = data[:at] + data[at + size :]
            if child.run(less, PATIENCE[False])[0] == failure.signature:
                data = less
            else:
                at += size
        size //= 2
    return data


def fuzz(seed: int, which: Iterator[int], memory: int, minimise: float) -> tuple[int, list[Failure]]:
    """How many inputs were tried, and one failure a signature."""
    folder = tempfile.TemporaryDirectory(prefix="migdsl-fuzz-")  # what is kept there is not for use
    child, found, tried = Child(memory, folder.name), dict[str, Failure](), 0
    try:
        for number in which:
            tried += 1
            made: Input = make(seed, number)
            began = time.monotonic()
            signature, detail = child.run(made.data, PATIENCE[number < 0])
            if number < 0:
                sys.stderr.write(f"{made.kind}: {time.monotonic() - began:.1f} s\n")
            if signature and signature not in found:
                failure = Failure(number, made.kind, signature, detail, made.data)
                least = made.data if signature == "hang" else smaller(child, failure, minimise)
                found[signature] = Failure(number, made.kind, signature, detail, least)
                sys.stdout.write(told(seed, found[signature]) + "\n")
                sys.stdout.flush()
    finally:
        child.stop()
        folder.cleanup()
    return tried, list(found.values())


def told(seed: int, failure: Failure) -> str:
    """A failure for people: what to run to see it again, and the least input that shows it."""
    shown = repr(failure.data[:600].decode("utf-8", "surrogateescape")) + ("…" if len(failure.data) > 600 else "")
    again = f"python tools/fuzz.py --seed {seed} --only={failure.number}"
    return f"{failure.signature} ({failure.kind}; {again})\n  {len(failure.data)} bytes: {shown}\n{failure.detail}"


def main(argv: Sequence[str] | None = None) -> int:
    """1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, after the large ones (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="which inputs (default 0)")
    parser.add_argument("--count", type=int, help="at most so many small inputs")
    parser.add_argument("--only", type=int, help="this input and no other")
    parser.add_argument("--no-large", action="store_true", help="none of ten megabytes")
    parser.add_argument("--memory", type=int, default=MEMORY, help=f"MB of address space (default {MEMORY})")
    parser.add_argument("--minimise", type=float, default=30.0, help="seconds to make a failure smaller (default 30)")
    options = parser.parse_args(argv)
    which = numbers(options.seconds, options.count, large=not options.no_large)
    if options.only is not None:
        which = iter([options.only])
    tried, found = fuzz(options.seed, which, options.memory, options.minimise)
    sys.stdout.write(f"{tried} inputs of seed {options.seed}: {len(found)} ways to fail\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
