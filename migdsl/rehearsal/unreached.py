"""The other side takes no writes for a while, on purpose: no request fails, each key waits, and all is carried over later."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from migdsl.executor.streams import streams
from migdsl.rehearsal import moving
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import Passage
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.waiting import until
from migdsl.runtime.routing import meters
from migdsl.runtime.stream.jobs import Side, other

_ENOUGH, _MOST_S = 3, 60.0
_DONE, _LEFT = ("carried", "part"), ("late", "failed", "paused", "full")
_TOLD = "the trigger must tell of each key in the transaction of the write: see the revisions of expand"
_WAY = "the generated module must carry over what was told after its write: see its statements, and how it is called"
Standing = Mapping[tuple[str, ...], tuple[dict[str, str | None], bool]]


def failing(passage: Passage, side: Side) -> None:
    """Somebody builds an index over there, while tenants are written on `side` and the application carries its writes over."""
    shape = next((s for s in passage.shapes if s.entity in passage.twofold), None)
    if shape is None:
        return
    log, start, direction = passage.log, passage.log.now(), f"{side}_to_{other(side)}"
    left = _count(passage, direction, _LEFT)
    move = moving.move_of(shape)
    far = (move.target if side == "old" else move.table).database
    with psycopg.connect(passage.stages[far].url, application_name="rehearsal somebody") as somebody:
        with passage.traffic.resting():
            passage.drained()
            somebody.execute(f"LOCK TABLE {passage.end(shape, other(side))[1]} IN SHARE MODE".encode())
            before = _standing(passage, shape)
        enough = until(lambda: _count(passage, direction, _LEFT) - left >= _ENOUGH, _MOST_S)
        with passage.traffic.resting():
            after, told = _standing(passage, shape), _told(passage, shape, side)
            somebody.rollback()
    log.marks.append(Mark("fault", "second writes fail", start, log.now()))
    changed = [key for key, each in after.items() if before.get(key) != each]
    lost = [key for key in changed if key not in told]
    if lost:
        what = f"{len(lost)} writes of {shape.entity} wait for the other side, and no outbox knows {' '.join(lost[0])}"
        log.against("second_write", what, "", _TOLD)
    if not enough:
        what = f"nobody has tried to carry writes of {shape.entity} over, which the other side refused"
        log.against("second_write", what, "", _WAY)
    _going_on(passage, shape, direction, len(changed))


def _going_on(passage: Passage, shape: Shape, direction: str, count: int) -> None:
    """Without anybody's help, and what was left is carried over."""
    done = _count(passage, direction, _DONE)
    if not until(lambda: _count(passage, direction, _DONE) > done, _MOST_S):
        what = f"second writes of {shape.entity} aren't made again although the other side takes them"
        passage.log.against("second_write", what, "", _WAY)
    passage.look()
    told = f"{count} writes of {shape.entity} could not be carried {direction.replace('_', ' ')} in {passage.log.step}"
    passage.log.saw("second_write", f"{told}: no request failed, the outbox had each by its key, and nothing was lost")


def _count(passage: Passage, direction: str, outcomes: tuple[str, ...]) -> int:
    found = passage.client("new").routed.router.meters
    return sum(found.value(meters.CARRIED, passage.project.name, direction, each) for each in outcomes)


def _standing(passage: Passage, shape: Shape) -> Standing:
    """The rows as they were acknowledged; a write replaces a row's facts."""
    return {tuple(row.key.values()): (row.facts, row.alive) for row in passage.journals[shape.entity].rows}


def _told(passage: Passage, shape: Shape, side: Side) -> frozenset[tuple[str, ...]]:
    """The keys that wait in the outbox of the side that is written."""
    found = next(m for each in streams(passage.sites) for m in each.stream.moves if m.entity == shape.entity)
    outbox = (found.forward if side == "old" else found.back).outbox
    keys = ", ".join(f"key_{number}::text" for number in range(1, len(found.key) + 1))
    desk, _ = passage.end(shape, side)
    return frozenset(tuple(map(str, row)) for row in desk.execute(f"SELECT {keys} FROM {outbox}".encode()).fetchall())
