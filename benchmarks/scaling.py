"""Files of 10, 100 and 1,000 entities become the time that each command takes, where it goes, and whether it grows in step.

Times are CPU seconds of this process, medians of interleaved rounds, so that a slow spell of the machine falls on all
alike. `bare` is Lark's own LALR parser of our grammar, with its contextual lexer and
without positions. Whole processes, from the interpreter's start on, and their memory are measured besides, with a warm cache.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.texts import text_of

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ("bare", "check", "fmt", "fmt, laid out already", "compile")
MOST_GROWTH = 11.0  # ten times the entities take at most so many times the time
MOST_CHECK = 2.0  # multiples of the bare parse
MOST_MEMORY = 500.0  # MB
LARGE = 1000  # entities; the two targets above are for that many
# What a phase is called, and the functions (`module:name`) whose time it is, less that of the phases within it.
PHASES = (
    ("lex and parse", "migdsl.syntax.parser:run"),
    ("syntax tree", "migdsl.syntax.parser:declarations"),
    ("lint", "migdsl.lint:lint"),
    ("lower", "migdsl.planning.build:lower"),
    ("plan", "migdsl.planning.build:build"),
    ("emit", "migdsl.emit.run:emit"),
    ("prove what was emitted", "migdsl.emit.proof:prove"),
    ("compare and write", "migdsl.cli.build:compare"),
    ("compare and write", "migdsl.cli.build:write"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """One size: CPU seconds by column, a whole process's CPU seconds and peak memory (MB) by command, and seconds by phase."""

    entities: int
    lines: int
    seconds: dict[str, float]
    processes: dict[str, tuple[float, float]]
    phases: dict[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure next to what it may be at most."""

    name: str
    figure: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it is within."""
        return self.figure <= self.most


def commands(text: str) -> dict[str, Callable[[], object]]:
    """What is timed, by column."""
    from migdsl.formatting import format_source  # after the cache folder has been set
    from migdsl.resources import read_resource
    from migdsl.source import SourceFile
    from migdsl.syntax.derive import lark_parser
    from migdsl.workspace import check, compile_files

    bare = lark_parser(read_resource("grammar", "mig.lark"))
    neat = format_source(SourceFile("wide.mig", text)).text
    tight = text.replace("  ", " ")
    return {
        "bare": lambda: bare.parse(text),
        "check": lambda: check({"wide.mig": text}, "wide.mig"),
        "fmt": lambda: format_source(SourceFile("wide.mig", tight)),
        "fmt, laid out already": lambda: format_source(SourceFile("wide.mig", neat)),
        "compile": lambda: compile_files({"wide.mig": text}, "wide.mig"),
    }


def timed(work: Callable[[], object]) -> float:
    """CPU seconds; what an earlier run left behind is forgotten outside the clock, as in a process of its own."""
    from migdsl.dialect.sql import expression  # see `commands`

    expression.cache_clear()
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(sizes: Sequence[int], rounds: int, folder: Path) -> list[Size]:
    """Every column of every size once a round."""
    texts = {size: text_of(size) for size in sizes}
    works = {size: commands(text) for size, text in texts.items()}
    times: dict[tuple[int, str], list[float]] = {(size, name): [] for size in sizes for name in COLUMNS}
    for size in sizes:
        works[size]["compile"]()  # what black has formatted once it need not format again
    for _ in range(rounds):
        for (size, name), taken in times.items():
            taken.append(timed(works[size][name]))
    return [
        Size(
            size,
            texts[size].count("\n"),
            {name: statistics.median(times[size, name]) for name in COLUMNS},
            {command: process(command, texts[size], folder) for command in ("check", "fmt", "compile")},
            phases(texts[size], folder),
        )
        for size in sizes
    ]


def process(command: str, text: str, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command in a process of its own."""
    (folder / "wide.mig").write_text(text, encoding="utf-8")
    out = ("--out", f"out-{len(text)}") if command == "compile" else ("--check",) if command == "fmt" else ()
    argv = [sys.executable, "-c", _WEIGHED, command, "wide.mig", *out]
    subprocess.run(argv, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, check=True)
    seconds, memory = (folder / "spent").read_text(encoding="utf-8").split()
    return float(seconds), int(memory) / 1024


# The command itself, and then what it took. (The figure for memory that a parent gets would count the parent's own.)
_WEIGHED = """
import re, resource, sys, time
from migdsl.cli import main
code = main()
try:
    with open("/proc/self/status") as file:
        peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (10 if sys.platform == "darwin" else 0)
with open("spent", "w") as file:
    file.write(f"{time.process_time()} {peak}")
sys.exit(0 if code == 2 else code)
"""


class Clock:
    """CPU seconds by phase; what runs within another phase counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = time.process_time()

    def turn(self) -> None:
        """Count the time since the last turn for what was running."""
        now = time.process_time()
        name = self._running[-1] if self._running else "the rest"
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def around(self, phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def run(*args: Any, **named: Any) -> Any:
            self.turn()
            self._running.append(phase)
            try:
                return work(*args, **named)
            finally:
                self.turn()
                self._running.pop()

        return run


@contextlib.contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Every phase's functions, and each pass of the semantics, in the clock's hands."""
    semantics: Any = importlib.import_module("migdsl.semantics.check")
    spots = [(importlib.import_module(p.partition(":")[0]), p.partition(":")[2], n) for n, p in PHASES]
    kept = [(module, name, getattr(module, name)) for module, name, _ in spots]
    kept.append((semantics, "_PASSES", semantics._PASSES))  # noqa: SLF001 - to look at each pass alone
    for module, name, phase in spots:
        setattr(module, name, clock.around(phase, getattr(module, name)))
    passes = tuple(clock.around(f"semantics: {each.__name__.strip('_')}", each) for each in kept[-1][2])
    semantics._PASSES = passes  # noqa: SLF001
    try:
        yield
    finally:
        for module, name, work in kept:
            setattr(module, name, work)


def phases(text: str, folder: Path) -> dict[str, float]:
    """Where the time of a compile into an empty folder goes."""
    from migdsl.cli.run import run  # see `commands`

    (folder / "wide.mig").write_text(text, encoding="utf-8")
    clock = Clock()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with watched(clock), contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory(dir=folder) as out:
            code = clock.around("the rest", run)(["compile", "wide.mig", "--out", Path(out).name])
    finally:
        os.chdir(before)
    assert code == 0, code
    return dict(sorted(clock.seconds.items(), key=lambda item: -item[1]))


def targets(sizes: Sequence[Size]) -> list[Target]:
    """What the figures are held against."""
    found = []
    for small, large in pairwise(sizes):
        for name in COLUMNS[1:]:
            growth = large.seconds[name] / small.seconds[name]
            found.append(Target(f"{name}: {small.entities} to {large.entities} entities", growth, MOST_GROWTH))
    last = sizes[-1]
    found.append(
        Target(f"check / bare, {last.entities} entities", last.seconds["check"] / last.seconds["bare"], MOST_CHECK)
    )
    found += [Target(f"memory of {c}, MB", used, MOST_MEMORY) for c, (_, used) in last.processes.items()]
    return found


def report(sizes: Sequence[Size]) -> str:
    """The tables for people."""
    lines = [f"{'entities':>8}{'lines':>8}" + "".join(f"{name:>24}" for name in COLUMNS)]
    for size in sizes:
        cells = [f"{s:.3f} s ({s / size.seconds['bare']:.1f} bare)" for s in size.seconds.values()]
        lines.append(f"{size.entities:>8}{size.lines:>8}" + "".join(f"{cell:>24}" for cell in cells))
    lines += ["", "whole processes"]
    for size in sizes:
        cells = [f"{name} {seconds:.2f} s, {memory:.0f} MB" for name, (seconds, memory) in size.processes.items()]
        lines.append(f"{size.entities:>8}  {'   '.join(cells)}")
    last = sizes[-1]
    whole = sum(last.phases.values())
    lines += ["", f"where a compile of {last.entities} entities spends its time"]
    lines += [f"{name:>28} {seconds:>8.3f} s {seconds / whole:>6.1%}" for name, seconds in last.phases.items()]
    lines += ["", f"{'target':<56}{'figure':>8}{'at most':>9}"]
    lines += [f"{t.name:<56}{t.figure:>8.2f}{t.most:>9g}{'' if t.met else '  over'}" for t in targets(sizes)]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; 0 whatever it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 and 100 entities, one round")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    sizes, rounds = ((10, 100), 1) if options.quick else ((10, 100, LARGE), options.rounds)
    with tempfile.TemporaryDirectory(prefix="migdsl-scaling-") as name:
        os.environ["XDG_CACHE_HOME"] = name
        found = measure(sizes, rounds, Path(name))
    if options.json:
        rows = {"sizes": [asdict(s) for s in found], "targets": [{**asdict(t), "met": t.met} for t in targets(found)]}
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.write(report(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
