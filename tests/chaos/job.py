"""The backfill that chaos is made of, as a generated file would have it; and two ways to break the runtime, as controls.

`MIGDSL_CHAOS_SETTINGS` holds what differs from run to run, as JSON; see `Settings`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import get_ident
from typing import Any

from migdsl.runtime import BackfillJob, Budget, Limits, Pace, Retry, main
from migdsl.runtime.database import Transaction

SETTINGS = "MIGDSL_CHAOS_SETTINGS"


@dataclass(frozen=True, slots=True)
class Settings:
    """`control`: "" (none), "fence" (nobody looks at it) or "checkpoint" (it is written after the batch's commit)."""

    lease_s: int = 2
    rows_per_second: float = 500.0
    batch: int = 25
    slice_rows: int = 1_000
    budget: int = 100
    workers: int = 2
    control: str = ""


def make_job(settings: Settings) -> BackfillJob:
    span = "(t.id > :after OR :after IS NULL) AND t.id <= :upto"
    own = "t.tenant = :tenant_id"
    return BackfillJob(
        migration="chaos",
        backfill="thing.target",
        table="public.thing",
        database_env="DATABASE_URL",
        key=("id",),
        tenants="SELECT name FROM tenant ORDER BY name",
        upper=f"SELECT t.id FROM thing AS t WHERE {own} ORDER BY t.id DESC LIMIT 1",
        next_bound=f"SELECT t.id FROM thing AS t WHERE {own} AND {span} ORDER BY t.id OFFSET :skip LIMIT 1",
        batch=f"UPDATE thing AS t SET target = t.source::int WHERE {own} AND {span} AND t.target IS NULL",
        count=f"SELECT count(*) FROM thing AS t WHERE {own} AND {span}",
        remaining=f"SELECT count(*) FROM thing AS t WHERE {own} AND t.target IS NULL",
        pace=Pace(first=settings.batch, ceiling=settings.batch * 4, duty=1.0, rows_per_second=settings.rows_per_second),
        retry=Retry(first_s=0.2, longest_s=5, attempts=30),
        limits=Limits(lease_s=settings.lease_s, lock_ms=500),
        slice_rows=settings.slice_rows,
        budget=Budget(rows=settings.budget),
        workers=settings.workers,
    )


def break_fence() -> None:
    """Controls must fail: a worker that went on after it was taken for dead."""
    from migdsl.runtime import ledger
    from migdsl.runtime.sql import Statement

    def blind(held: Statement) -> Statement:
        text = held.text.replace(" AND state = 'running'", "").replace(" FOR UPDATE", "")
        fence = held.names.index("fence") + 1
        assert f"fence = ${fence}::bigint" in text
        return Statement(text.replace(f"fence = ${fence}::bigint", f"${fence}::bigint IS NOT NULL"), held.names)

    for name in ("_HOLD", "_ADVANCE"):
        setattr(ledger, name, blind(getattr(ledger, name)))


def break_checkpoint() -> None:
    """Controls must fail: a watermark that is written after the batch has committed."""
    from migdsl.runtime.backfill import lane
    from migdsl.runtime.ledger import Ledger

    late: dict[int, list[Callable[[Transaction], object]]] = {}
    advance, succeed, try_batch = Ledger.advance, Ledger.succeed, lane.Worker._try_batch

    def later(write: Callable[..., object]) -> Callable[..., None]:
        def noted(self: Ledger, _tx: Transaction, *given: object) -> None:
            late.setdefault(get_ident(), []).append(lambda tx: write(self, tx, *given))

        return noted

    def split(self: lane.Worker, *given: Any, **named: Any) -> lane.Batch:
        late.pop(get_ident(), None)
        batch = try_batch(self, *given, **named)
        time.sleep(0.05)
        for write in late.pop(get_ident(), []):
            self.database.perform(write)
        return batch

    for name, replacement in (("advance", later(advance)), ("succeed", later(succeed))):
        setattr(Ledger, name, replacement)
    lane.Worker._try_batch = split  # type: ignore[method-assign]


_settings = Settings(**json.loads(os.environ.get(SETTINGS, "{}")))
JOB = make_job(_settings)

if __name__ == "__main__":
    if _settings.control == "fence":
        break_fence()
    elif _settings.control == "checkpoint":
        break_checkpoint()
    raise SystemExit(main(JOB))
