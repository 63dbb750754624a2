"""A backfill's speed, WAL and memory, and what other clients feel of it, become ratios to baselines of the same run.

    python benchmarks/backfill.py                 # 500,000 rows, 5 rounds; --rows, --rounds, --json
    python benchmarks/backfill.py --only speed    # speed, clients, ddl

Every measurement has a fresh copy of one database: 200 tenants of unequal size, interleaved on the heap, with the expand
revision's trigger in place. In each round every kind is measured once, so that a slow spell falls on all; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from benchmarks.live import COPY, FILL, Clients, Cost, Stage, job, measured, percentile, stage, upgrade

SINGLE = "UPDATE users SET contact = coalesce(email, username) WHERE contact IS NULL"
ALONE = 20_000  # rows of the loop that takes each by itself
LOCK_MS = 100  # lock_timeout of generated DDL
QUIET = ("--duty", "1")


@dataclass(frozen=True, slots=True)
class Figure:
    """What came out, next to what it should be: at least `least`, or at most `most`."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is what it should be."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def speed(on: Stage, rounds: int) -> list[Figure]:
    """Rows per second, WAL and memory: one statement, our job, two workers, row by row, a copy into a new table."""
    fill, copy = on.compiled(FILL, "fill"), on.compiled(COPY, "copy")
    kinds: dict[str, Callable[[], Cost]] = {
        "single": lambda: _expanded(on, fill, lambda url: measured(url, SINGLE)),
        "job": lambda: _expanded(on, fill, lambda url: job(url, fill, *QUIET)),
        "two workers": lambda: _expanded(on, fill, lambda url: job(url, fill, *QUIET, "--workers", "2")),
        "row by row": lambda: _expanded(on, fill, _row_by_row),
        "copy": lambda: _expanded(on, copy, lambda url: job(url, copy, *QUIET)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, measure in kinds.items():
            costs[name].append(measure())
            sys.stderr.write(f"{name}: {costs[name][-1].seconds:.2f} s, {costs[name][-1].wal / 2**20:.0f} MB of WAL\n")
    seconds = {name: statistics.median(c.seconds for c in found) for name, found in costs.items()}
    wal = {name: statistics.median(c.wal for c in found) for name, found in costs.items()}
    single, alone = seconds["single"], seconds["row by row"] * on.rows / ALONE
    return [
        Figure("single UPDATE, rows/s", on.rows / single),
        Figure("job / single UPDATE, rows/s", single / seconds["job"], least=0.95),
        Figure("job / single UPDATE, WAL", wal["job"] / wal["single"], most=0.65),
        Figure("two workers / one, rows/s", seconds["job"] / seconds["two workers"]),
        Figure("job / row by row, rows/s", alone / seconds["job"]),
        Figure("copy into a new table / single UPDATE, rows/s", single / seconds["copy"], least=2.0),
        Figure("memory of the job, MB", max(c.memory for c in costs["job"]), most=150.0),
    ]


def _expanded(on: Stage, folder: Path, measure: Callable[[str], Cost]) -> Cost:
    with on.database("work") as url:
        upgrade(folder, url)
        with psycopg.connect(on.server.url, autocommit=True) as admin:
            admin.execute("CHECKPOINT")
        return measure(url)


def _row_by_row(url: str) -> Cost:
    with psycopg.connect(url, autocommit=True) as connection:
        keys = connection.execute("SELECT id FROM users ORDER BY id LIMIT %s", [ALONE]).fetchall()
        began = time.perf_counter()
        for (key,) in keys:
            connection.execute(
                "UPDATE users SET contact = coalesce(email, username) WHERE id = %s AND contact IS NULL", [key]
            )
        return Cost(time.perf_counter() - began, 0)


def clients(on: Stage, rounds: int, seconds: int = 15) -> list[Figure]:
    """What 500 transactions a second feel of a job with the default throttle, and how much of its speed is left."""
    fill = on.compiled(FILL, "fill")
    idle: list[list[float]] = []
    busy: list[list[float]] = []
    kept: list[float] = []
    for _ in range(rounds):
        with on.database("work") as url:
            upgrade(fill, url)
            idle.append(Clients(on, url, seconds).run())
            whole = _expanded_speed(on, fill)
            with Clients(on, url, seconds).working() as working:
                passed = _for_a_while(url, fill, seconds - 2)
            busy.append(working.latencies)
            kept.append(passed / whole)
        sys.stderr.write(
            f"p99 {percentile(idle[-1], 0.99):.2f} → {percentile(busy[-1], 0.99):.2f} ms, kept {kept[-1]:.2f}\n"
        )
    ratios = [percentile(b, 0.99) / percentile(i, 0.99) for i, b in zip(idle, busy, strict=True)]
    return [
        Figure("p99 of clients, idle, ms", statistics.median(percentile(i, 0.99) for i in idle)),
        Figure("p99 of clients beside the job / idle", statistics.median(ratios), most=1.25),
        Figure("longest stall of a client, ms", statistics.median(max(b) for b in busy), most=50.0),
        Figure("longest stall of a client, idle, ms", statistics.median(max(i) for i in idle)),
        Figure("speed kept under clients", statistics.median(kept), least=0.30),
    ]


def _expanded_speed(on: Stage, folder: Path) -> float:
    """Rows per second without clients or throttle."""
    with on.database("other") as url:
        upgrade(folder, url)
        return on.rows / job(url, folder, *QUIET).seconds


def _for_a_while(url: str, folder: Path, seconds: float) -> float:
    """Rows per second of a job that is stopped after some seconds."""
    (path,) = (folder / "backfills").rglob("*.py")
    process = subprocess.Popen(
        [sys.executable, str(path), "--url", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = None
    with psycopg.connect(url, autocommit=True) as connection:
        passed = "SELECT coalesce(sum(rows_scanned), 0)::bigint FROM migdsl.slice"
        while began is None:
            if _number(connection, passed):
                began = time.perf_counter()
            time.sleep(0.02)
        before = _number(connection, passed)
        time.sleep(max(0.0, seconds - 3))
        rows, took = _number(connection, passed) - before, time.perf_counter() - began
    process.terminate()
    process.wait()
    return rows / took


def _number(connection: psycopg.Connection[tuple[object, ...]], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(str(row[0]))


def ddl(on: Stage, rounds: int) -> list[Figure]:
    """How long clients stand still while DDL waits behind somebody's open transaction."""
    fill, stalls, quiet = on.compiled(FILL, "fill"), [], []
    for _ in range(rounds):
        with on.database("work") as url:
            quiet.append(max(Clients(on, url, 6).run()))
            with psycopg.connect(url) as sleeper:
                sleeper.execute("SELECT count(*) FROM users WHERE id = 1")
                release = threading.Timer(4, sleeper.rollback)
                with Clients(on, url, 8).working() as working:
                    release.start()
                    upgrade(fill, url)
                stalls.append(max(working.latencies))
        sys.stderr.write(f"stall {stalls[-1]:.1f} ms, quiet {quiet[-1]:.1f} ms\n")
    return [
        Figure("longest stall behind waiting DDL / lock_timeout", statistics.median(stalls) / LOCK_MS, most=1.5),
        Figure("longest stall of the same clients alone, ms", statistics.median(quiet)),
    ]


PARTS: dict[str, Callable[[Stage, int], list[Figure]]] = {"speed": speed, "clients": clients, "ddl": ddl}


def main(argv: Sequence[str] | None = None) -> int:
    """1 where a target isn't met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the table (default 500,000)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind (default 5)")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part and no other")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    with stage(options.rows) as on:
        found = [f for name, part in PARTS.items() if options.only in (None, name) for f in part(on, options.rounds)]
    if options.json:
        sys.stdout.write(json.dumps([{**asdict(f), "met": f.met} for f in found], indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{_shown(f)}\n" for f in found))
    return 0 if all(f.met for f in found) else 1


def _shown(figure: Figure) -> str:
    wanted, verdict = "", ""
    if figure.least is not None:
        wanted, verdict = f"at least {figure.least:g}", "under"
    elif figure.most is not None:
        wanted, verdict = f"at most {figure.most:g}", "over"
    return f"{figure.name:<52} {figure.value:>12,.2f}  {wanted:<14} {'' if figure.met else verdict}".rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
