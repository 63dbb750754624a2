"""Old code that writes once more when the soak is over becomes proof that it is counted, and that contract waits anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg

from migdsl.executor.model import Outcome
from migdsl.ops.model import Gate, TablePlan
from migdsl.rehearsal.clients import Client, Wrong
from migdsl.rehearsal.model import Stuck
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.stage import pass_time
from migdsl.rehearsal.troupe import Troupe
from migdsl.values import Value

_AGAIN = 3  # the first time nobody may have read the counter before the soak began
_TRIES = 12  # writes, of which rules that bind by then may refuse some, and some change nothing that is counted
_STILL = "still wrote"  # what the condition says of a write that it sees
_COUNT = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}"
_WAY = "what is dropped waits until nobody has written it for a whole soak: see what the trigger counts, and what contract asks"


class Counted(Value):
    """A table of which old code's writes are counted, as old code knows it, and the condition that looks at the counter."""

    plan: TablePlan
    shape: Shape
    gate: Gate

    @property
    def counter(self) -> str:
        """A sequence, as SQL."""
        assert self.plan.counter is not None
        return self.plan.counter


def counted(troupe: Troupe) -> Iterator[Counted]:
    """All of them. What only Python computes old code leaves alone by then, and so nothing of it is counted."""
    lowered = troupe.project.planned.lowered
    asked = [part for step in lowered.phase("contract") for part in step.up if isinstance(part, Gate)]
    gates = {gate.name: gate for gate in asked}
    for plan in (plan for plan in lowered.tables if plan.counter is not None):
        entity = plan.table.entity if plan.origin is None else plan.origin.table.entity
        shape = next((s for s in troupe.shapes if s.entity == entity and not s.computed), None)
        gate = gates.get(f"old_writes_{plan.table.entity}")
        if shape is not None and gate is not None:
            yield Counted(plan, shape, gate)


def late(troupe: Troupe, reach: Callable[[], Outcome], waits: Callable[[], None]) -> None:
    """A write of each such table; `reach` walks to contract, `waits` runs it by Alembic: both must refuse. Raises Stuck."""
    found = tuple(counted(troupe))
    for _ in range(_AGAIN if found else 0):
        with troupe.traffic.resting():
            written = [each for each in found if _written(troupe, each)]
        if not written or _judged(troupe, written, reach, waits):
            return
        pass_time(troupe.desk, "31 days")


def _judged(troupe: Troupe, written: list[Counted], reach: Callable[[], Outcome], waits: Callable[[], None]) -> bool:
    """Whether there is anything to say of it: the counter was read before the soak began. Raises Stuck."""
    said = ", ".join(each.plan.written for each in written)
    if reach().code == "reached":
        troupe.log.against("gates", f"contract was reached right after old code had written {said}", "", _WAY)
        raise Stuck
    answers = [_answer(troupe, each) for each in written]
    if any(answer and _STILL not in answer for answer in answers):
        return False
    waits()
    for each in (each for each, answer in zip(written, answers, strict=True) if answer is None):
        what = f"old code has written {each.plan.written}, and the condition that nobody does holds"
        troupe.log.against("gates", what, "", _WAY)
    if all(answers):
        troupe.log.saw("gates", f"contract waits for another soak since old code wrote {said} when the first was over")
    return True


def _answer(troupe: Troupe, each: Counted) -> str | None:
    row = troupe.desk.execute(each.gate.unmet.encode()).fetchone()
    return str(row[0]) if row is not None and row[0] is not None else None


def _written(troupe: Troupe, each: Counted) -> bool:
    """Whether old code could write at all; that nobody counts it is a finding."""
    client = next(client for client in troupe.traffic.clients if client.code == "old")
    before, done = _count(troupe, each), 0
    for number in range(_TRIES):
        done += _write(troupe, client, each.shape, number)
        if _count(troupe, each) != before:
            return True
    if done:
        what = f"old code has written {each.plan.written} {done} times, and {each.counter} stands still"
        troupe.log.against("gates", what, "", _WAY)
    return False


def _write(troupe: Troupe, client: Client, shape: Shape, number: int) -> bool:
    """A row is given other values, or there is a new one; whether anything was written."""
    tenants = troupe.tenants.busy if shape.table.owned else ("",)
    tenant = tenants[number % len(tenants)]
    rows = troupe.journals[shape.entity].of(tenant)
    try:
        if number % 3 == 2 or not rows:
            return client.put(shape, tenant) is not None
        return client.rewrite(shape, rows[number % len(rows)])
    except (psycopg.Error, Wrong):
        return False  # a rule binds by now, or the table has gone: old code that fails loses nothing


def _count(troupe: Troupe, each: Counted) -> int:
    row = troupe.desk.execute(_COUNT.format(each.counter).encode()).fetchone()
    return int(str(row[0])) if row is not None else 0
