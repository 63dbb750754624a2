"""A second write that fails, on purpose: nothing is lost, and the ledger knows the key until it is repaired."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from migdsl.executor.status import unrepaired
from migdsl.rehearsal.model import Mark, Stuck
from migdsl.rehearsal.rights import lacking
from migdsl.rehearsal.troupe import Troupe
from migdsl.rehearsal.watch import statement
from migdsl.runtime.errors import safe_text
from migdsl.runtime.routing.repair import Repair, repair

_ENOUGH, _MOST_S = 3, 20.0
_WAY = "an application's router records what failed with `LedgerRecorder`, in the transaction of the write that didn't"


def failing(troupe: Troupe, look: Callable[[], None]) -> None:
    """New code's second writes fail for a while; `look` holds the journal against both sides."""
    # Code that writes one side alone, as of a table that moves, has no second write.
    twice = any(s.paired or s.computed or s.carried for s in troupe.shapes if s.move is None)
    if not twice or not any(plan.switched for plan in troupe.project.planned.lowered.tables):
        return
    recorder, log, start = troupe.traffic.recorder, troupe.log, troupe.log.now()
    known = len(recorder.broken)
    with unsaid():
        with troupe.traffic.resting():
            troupe.rules.failing = True
        until = time.monotonic() + _MOST_S
        while len(recorder.broken) - known < _ENOUGH and time.monotonic() < until:
            time.sleep(0.01)
        with troupe.traffic.resting():
            troupe.rules.failing = False
    broken = recorder.broken[known:]
    log.marks.append(Mark("fault", "second writes of new code fail", start, log.now()))
    if broken:
        _judged(troupe, broken, look)


@contextmanager
def unsaid() -> Iterator[None]:
    """What the router's log says of what we do on purpose is nobody's news."""
    log = logging.getLogger("migdsl.routing")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _judged(troupe: Troupe, broken: list[tuple[str, str, str]], look: Callable[[], None]) -> None:
    recorder, log, project = troupe.traffic.recorder, troupe.log, troupe.project
    recorded = {(each.tenant, each.side, each.key) for each in recorder.failures}
    for tenant, side, key in [each for each in broken if each not in recorded][:1]:
        log.against(
            "second_write", f"a second write on the {side} side of {key} failed, and nobody knows ({tenant})", "", _WAY
        )
    look()
    if not unrepaired(project, troupe.ledger):
        log.against("second_write", f"{len(broken)} second writes failed, and the ledger says that none did", "", _WAY)
    with troupe.traffic.resting():
        repair(troupe.desk, project.name, lambda _, each: _written(troupe, each))
    look()
    if (left := unrepaired(project, troupe.ledger)) != ():
        log.against("second_write", f"all are repaired, and the ledger says: {'; '.join(left)}", "", _WAY)
    log.saw("second_write", f"{len(broken)} failed in {log.step}: each was recorded by its key, and nothing was lost")


def _written(troupe: Troupe, each: Repair) -> None:
    """The side that lacks the write gets it, as an application repairs it: from what it has acknowledged. Raises Stuck."""
    entity, *key = each.key
    row = next((r for r in troupe.journals[entity].of(each.tenant) if list(r.key.values()) == key), None)
    if row is None:
        return  # it is deleted by now, on both sides
    client = next(c for c in troupe.traffic.clients if c.code == "new")
    shape = next(s for s in troupe.shapes if s.entity == entity)
    try:
        client.again(shape, each.side, row)
    except psycopg.Error as error:
        what, way = lacking(error) or (safe_text(error), _WAY)
        troupe.log.against("traffic", f"{client.code} code, in a repair: {what}", statement(client.said), way)
        raise Stuck from None
    # Code that has written this side alone since left the other one to the trigger, and what that holds is another question.
    row.last = row.last if row.last == each.side else "both"
