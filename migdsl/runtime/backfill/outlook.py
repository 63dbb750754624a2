"""Turns what the ledger says, and what a backfill would do, into the lines that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import dedent
from typing import Final

from migdsl.runtime.backfill.control import Verb
from migdsl.runtime.backfill.program import Program
from migdsl.runtime.database import Database, Transaction
from migdsl.runtime.jobs import BackfillJob, Pace
from migdsl.runtime.ledger import SPENT, Part, Totals
from migdsl.runtime.sql import Statement

_SHOWN_SLICES: Final = 10


def summary(totals: Totals) -> str:
    """Slices by state and rows, in half a line."""
    states = ", ".join(f"{n:,} {state}" for state, n in totals.states.items()) or "none planned"
    return f"slices {states}; {totals.scanned:,} of {totals.planned:,} rows passed, {totals.changed:,} changed"


def troubles(totals: Totals) -> str:
    """What is in the way and what to do about it, a line each; nothing where nothing is."""
    lines = [f"  tenant {tenant!r} failed: {error}" for tenant, error in totals.errors]
    lines += [f"  {rows:,} set aside: {why}" for why, rows in totals.quarantined.items()]
    lines += [f"  waits: {why}" for why in totals.held]
    if any(error.startswith(SPENT) for _, error in totals.errors):
        lines.append("  stopped: more rows can't be filled than the job may set aside (errors at most)")
    if totals.quarantined:
        lines.append("  their keys are in migdsl.quarantine; mend those rows, or the expression, and run it again")
    if totals.states.get("paused"):
        lines.append("  paused: --resume lets it go on")
    return "".join(f"{line}\n" for line in lines)


def told(name: str, verb: Verb, moved: int, totals: Totals) -> str:
    """What a pause, a resume or a cancel did."""
    done = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}[verb]
    then = {
        "pause": "--resume lets it go on",
        "resume": "a worker that waits goes on; where none does, run it again",
        "cancel": "--again begins anew",
    }[verb]
    said = f"{moved:,} slices {done}; {then}" if moved else f"nothing to {verb}"
    return f"{name}: {said}\n{name}: {summary(totals)}\n"


def statements(job: BackfillJob) -> str:
    """The SQL that will run, each statement under a comment."""
    shown = (
        ("tenants", job.tenants),
        ("next bound", job.next_bound),
        ("batch", job.batch),
        ("why to wait", job.hold),
    )
    return "".join(f"-- {title}\n{dedent(sql).strip()}\n\n" for title, sql in shown if sql is not None)


def forecast(slices: Mapping[str, Sequence[Part]], pace: Pace, workers: int) -> str:
    """Slices, the biggest tenants, and how long it would take if batches took what they aim at."""
    sizes = {tenant: sum(part.rows for part in parts) for tenant, parts in slices.items()}
    rows, count = sum(sizes.values()), sum(len(parts) for parts in slices.values())
    batches = {tenant: sum(-(-part.rows // pace.first) for part in parts) for tenant, parts in slices.items()}
    # A tenant is one worker's: the biggest one bounds the time from below.
    alone = max(batches.values(), default=0)
    seconds = _seconds(pace, max(sum(batches.values()) / workers, alone), rows)
    biggest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_SLICES]
    lines = [f"{count:,} slices of {len(slices):,} tenants, {rows:,} rows; the biggest:"]
    lines += [
        f"  tenant {tenant!r}: {size:,} rows" + (f" in {len(slices[tenant])} slices" if len(slices[tenant]) > 1 else "")
        for tenant, size in biggest
    ]
    lines.append(f"about {sum(batches.values()):,} batches of {pace.first:,} rows, {workers} tenants side by side")
    lines.append(f"{seconds:,.0f} s if a batch takes {pace.target_ms:g} ms, at {pace.duty:.0%} duty")
    return "".join(f"{line}\n" for line in lines)


def _seconds(pace: Pace, batches: float, rows: int) -> float:
    least = 0.0 if pace.rows_per_second is None else rows / pace.rows_per_second
    return max(batches * pace.target_ms / 1000 / pace.duty, least)


def explain(database: Database, program: Program, slices: Mapping[str, Sequence[Part]]) -> None:
    """Lets PostgreSQL plan one batch, so that what it would refuse is known. Raises psycopg.Error."""
    tenant = next((tenant for tenant, parts in slices.items() if parts[-1].upper is not None), None)
    if tenant is None:
        return
    upper = slices[tenant][-1].upper
    explained = replace(program, filler=None, batch=Statement(f"EXPLAIN {program.batch.text}", program.batch.names))

    def work(tx: Transaction) -> None:
        if upper is not None:
            explained.fill(tx, tenant, None, upper)

    database.perform(work, snapshot=True)
