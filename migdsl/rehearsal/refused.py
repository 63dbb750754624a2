"""A row that the other side refuses, on purpose: it is set aside by its key, its tenant stays, and all else goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence

from migdsl.dialect.names import literal, quote
from migdsl.executor.streams import Carried, opened, streams
from migdsl.executor.turning import turned
from migdsl.rehearsal import moving
from migdsl.rehearsal.journal import Row
from migdsl.rehearsal.model import Mark
from migdsl.rehearsal.passage import WAY, Passage
from migdsl.rehearsal.scrutiny import fire
from migdsl.rehearsal.shapes import Shape
from migdsl.rehearsal.waiting import until
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream.meters import SYNC_METRICS, samples
from migdsl.runtime.stream.relay import Relay
from migdsl.runtime.telemetry.metrics import render

_RULE = '"migdsl rehearsal: a row that can\'t be carried over"'
_LETTERS = (
    b"SELECT row_key::text, error_class || ' ' || template FROM migdsl.dead_letter WHERE migration = %s AND entity = %s"
)
_ALERT = "MigdslSyncDeadLetters"
_DEAD = "can't be applied"  # what a switch says of a dead letter, and of nothing else
_SHOWN = 8  # shorter values stand in any sentence
_SEE = "a row that can't be applied becomes a dead letter: `dead-letters` shows it by its key"


def refused(passage: Passage) -> None:
    """A row of the tenant that nobody writes, of one table of each stream."""
    tenant = passage.tenants.quiet
    for carried in streams(passage.sites) if tenant is not None else ():
        shapes = [s for s in passage.shapes if s.entity in carried.entities]
        found = next(((s, row) for s in shapes for row in passage.journals[s.entity].of(tenant or "")), None)
        if found is not None:
            _played(passage, carried, *found)


def _played(passage: Passage, carried: Carried, shape: Shape, row: Row) -> None:
    log, start = passage.log, passage.log.now()
    desk, table = passage.end(shape, "new")
    key = " AND ".join(f"{quote(ours)}::text = {literal(row.key[theirs])}" for ours, theirs in moving.keys(shape))
    with passage.traffic.resting():
        passage.drained()
        desk.execute(f"ALTER TABLE {table} ADD CONSTRAINT {_RULE} CHECK (NOT ({key})) NOT VALID".encode())
        passage.rewrite(shape, row)
    try:
        there = until(lambda: bool(_letters(passage, shape)))
        passage.traffic.work(10)
        if there:
            _judged(passage, carried, shape, row)
        else:
            log.against("quarantine", f"a row of {shape.entity} that is refused isn't set aside", carried.path, _SEE)
    finally:
        desk.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_RULE}".encode())
        log.marks.append(Mark("fault", f"a row of {shape.entity} is refused over there", start, log.now()))
    passage.run(carried, "dead-letters", "--retry")
    passage.look()
    if _letters(passage, shape):
        log.against("quarantine", f"a row of {shape.entity} is mended, and set aside still", carried.path, _SEE)
    else:
        log.saw("quarantine", f"a row of {shape.entity} was set aside by its key, and is in place since it was mended")


def _letters(passage: Passage, shape: Shape) -> Sequence[tuple[object, ...]]:
    desk, _ = passage.end(shape, "old")
    return desk.execute(_LETTERS, (passage.project.name, shape.entity)).fetchall()


def _judged(passage: Passage, carried: Carried, shape: Shape, row: Row) -> None:
    log, letters = passage.log, _letters(passage, shape)
    if [tuple(map(str, json.loads(str(key)))) for key, _ in letters] != [tuple(row.key.values())]:
        what = f"one row of {shape.entity} is refused, and {len(letters)} are set aside, not that one by its key"
        log.against("quarantine", what, carried.path, _SEE)
    values = [v for v in row.facts.values() if v is not None and len(v) > _SHOWN and v != row.tenant]
    if any(value in str(said) for _, said in letters for value in values):
        log.against("quarantine", "what is kept of an error quotes a value of the row", carried.path, _SEE)
    with passage.traffic.resting():
        if not until(lambda: _waiting(carried) == 0):
            what = f"a row of {shape.entity} that is refused keeps others from being carried over"
            log.against("quarantine", what, carried.path, WAY)
    _stays(passage, carried, row.tenant)
    fire(passage, _metrics(carried), frozenset([_ALERT]), f"a row of {shape.entity} that is refused over there")


def _waiting(carried: Carried) -> int:
    with opened(carried) as pair:
        return sum(each.events for each in pair.waiting())


def _stays(passage: Passage, carried: Carried, tenant: str) -> None:
    """Its tenant can't be switched: over there it would lack a write. Refused for another reason, such as a lock that somebody
    holds, it is tried again."""
    why: tuple[str, ...] = (_DEAD,)

    def decided() -> bool:
        nonlocal why
        why = turned(carried, {tenant: "new"}, lambda _: None)
        return not why or _DEAD in why[0]

    if not until(decided):
        passage.log.notes.append(
            f"not played: the switch of a tenant with a dead letter, which is refused for {why[0]}"
        )
        return
    if why:
        passage.log.saw("gates", f"the switch of a tenant with a dead letter: {why[0][:160]}")
        return
    turned(carried, {tenant: "old"}, lambda _: None)
    what = "a tenant is turned over while a row of it can't be applied on the other side"
    passage.log.against("gates", what, carried.path, "a switch must refuse while there is a dead letter of its tenant")


def _metrics(carried: Carried) -> str:
    """What the sync job says of itself."""
    relay = Relay(
        carried.stream, carried.urls, carried.old.ledger.run, Halt(carried.old.ledger.signals), lambda *_, **__: None
    )
    with opened(carried) as pair:
        relay.meters.saw(pair.waiting())
    return render(samples(relay), SYNC_METRICS)
