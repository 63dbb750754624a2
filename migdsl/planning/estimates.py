"""Steps, and the pauses that a file asks for, become durations: from declared numbers of rows, at rates that are stated.

PostgreSQL 18 on two shared cores, all of 1M rows of about 150 bytes in memory: a VALIDATE reads 10M rows a second, an index
is built from 800k, a rewrite copies 150k, batches without pauses update 36k. Tables that outgrow the memory are slower,
so the rates are set lower. They tell seconds from minutes and days, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.ops.model import BuildIndex, Cost, Step

SCANNED = 1_000_000
INDEXED = 250_000
REWRITTEN = 100_000
FILLED = 10_000  # batches of 10 ms, 60% of the time: a third to a half of what the table could take

_RATES = {Cost.SCAN: SCANNED, Cost.REWRITE: REWRITTEN, Cost.BATCHES: FILLED}


def of_step(step: Step) -> int | None:
    """Seconds that a step of a revision works; None where the rows of its table aren't declared."""
    rows = step.table.rows if step.table is not None else None
    if step.cost is Cost.SCAN and any(isinstance(part, BuildIndex) for part in step.up):
        return None if rows is None else _seconds(rows, INDEXED)
    return of_cost(step.cost, rows)


def of_cost(cost: Cost, rows: int | None) -> int | None:
    """Seconds for a cost class and a number of rows; what is instant is so whatever the table holds."""
    if cost is Cost.INSTANT:
        return 0
    return None if rows is None else _seconds(rows, _RATES[cost])


def total(seconds: tuple[int | None, ...]) -> int | None:
    """The sum; None where one of them is unknown."""
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None


def assumptions(tables: str, filled: str, *, owned: bool) -> Iterator[str]:
    """What the estimates for some tables rest on, as sentences; `filled` are those with a backfill, if any, and `owned` says
    whether they go tenant by tenant."""
    scan = f"a scan reads {SCANNED:,} rows a second, an index is built from {INDEXED:,}, a rewrite copies {REWRITTEN:,}"
    yield f"Of {tables} {scan}"
    if filled:
        pace = f"10 ms each, 60% of the time at work{'; each tenant takes at least one' if owned else ''}"
        yield f"Batches of {filled} fill {FILLED:,} rows a second: {pace}"
    yield f"Waiting for locks on {tables}, and for transactions that are older than an index build there, isn't counted"


def _seconds(rows: int, rate: int) -> int:
    return -(-rows // rate)
