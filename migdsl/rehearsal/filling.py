"""Tables whose rows from before are to be filled become backfills that are killed, held up, refused a row, and resumed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from migdsl.ops.model import TablePlan
from migdsl.rehearsal import faults, holding, scrutiny
from migdsl.rehearsal.poison import Poison
from migdsl.rehearsal.standby import Standby
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.unfilled import wanting

_MOVED = "each batch and its watermark must be one transaction, and cover (after, upto]"


def filled(troupe: Troupe, standby: Standby | None, reach: Callable[[str], None]) -> None:
    """The whole phase; `reach` walks on to it. Raises Stuck."""
    plans = [p for p in troupe.project.planned.lowered.tables if p.fills]
    for place, plan in enumerate(plans):
        scrutiny.isolated(troupe, plan)
        faults.killed(troupe, plan)
        _refused(troupe, plan, standby, first=place == 0)
    reach("backfill")
    for plan in plans:
        faults.resumed(troupe, plan)
    troupe.rules.filled = True


def again(troupe: Troupe) -> None:
    """Another pass of each backfill: over rows that moved while it walked."""
    for plan in (p for p in troupe.project.planned.lowered.tables if p.fills):
        troupe.job(troupe.project.planned.paths.backfill(plan.table), "--again", "--duty", "1")


def _refused(troupe: Troupe, plan: TablePlan, standby: Standby | None, *, first: bool) -> None:
    """Resumed while rows can't be filled, the first one of all while it has to wait, too; then to its end."""
    poison, path = Poison(troupe, plan), troupe.project.planned.paths.backfill(plan.table)
    with tempfile.TemporaryDirectory(prefix="migdsl-metrics-") as folder:
        metrics = Path(folder, "migdsl.prom")
        for count, spent in poison.courses:
            poison.put(count)
            code = _run(troupe, plan, standby if first else None, metrics, waiting=first)
            first = False
            poison.judged(code, metrics, spent=spent)
            poison.waited()
        poison.away()
        if first:
            _run(troupe, plan, standby, metrics, waiting=True)
    # All tenants: a job that was run for some of them counts as done where no slice of theirs is open.
    code, _ = troupe.job(path, "--duty", "1")
    poison.healed()
    _left(troupe, plan)
    if code:
        again(troupe)


def _run(troupe: Troupe, plan: TablePlan, standby: Standby | None, metrics: Path, *, waiting: bool) -> int:
    if waiting:
        return holding.held(troupe, plan, standby, metrics)
    path = troupe.project.planned.paths.backfill(plan.table)
    code, _ = troupe.job(path, "--duty", "1", "--metrics", str(metrics))
    return code


def _left(troupe: Troupe, plan: TablePlan) -> None:
    """Of the tenant that nobody writes no row may be left: a second pass would hide what the first one lost."""
    left = wanting(troupe, plan, troupe.tenants.quiet) if troupe.tenants.quiet is not None else []
    if left:
        shown = ", ".join(" ".join(key) for key, _ in left[:3])
        what = f"the backfill of {plan.table.entity} is over and has passed over {len(left)} rows that nobody wrote: {shown}"
        troupe.log.against("backfill", what, troupe.project.planned.paths.backfill(plan.table), _MOVED)
    if not left:
        troupe.log.saw("backfill", f"{plan.table.entity}: no row of the tenant that nobody writes was passed over")
