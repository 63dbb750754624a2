"""Turns waiting events into applied ones, lane by lane, at a size that keeps batches short; bad ones are found by halving."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

import psycopg

from migdsl.runtime.backfill.pace import BatchSize, Search, pause_after
from migdsl.runtime.errors import Remedy, remedy
from migdsl.runtime.stream.apply import Applied, Way
from migdsl.runtime.stream.faults import of_the_rows
from migdsl.runtime.stream.pair import Pair

# How long one lane is worked on while others wait.
_TURN_S: Final = 1.0


@dataclass(slots=True)
class Held:
    """The lanes that the workers of one process have in hand: between the commit and the forgetting of its keys a lane is
    free for others, who would do the same once more, which is harmless and idle."""

    _lanes: set[tuple[str, str, int]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lane(self, way: Way, lane: int) -> Iterator[bool]:
        """Whether nobody else here has the lane; it is the caller's while this lasts."""
        name = (way.move.entity, way.side, lane)
        with self._lock:
            free = name not in self._lanes
            self._lanes.add(name)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._lanes.discard(name)


@dataclass(slots=True)
class Applier:
    """One worker. `on_batch` hears of each batch and its seconds, `on_letter` of each event that became a dead letter.
    `held` is what all workers of the process share."""

    pair: Pair
    on_batch: Callable[[Way, Applied, float], None] = lambda _way, _applied, _seconds: None
    on_letter: Callable[[Way, Applied], None] = lambda _way, _applied: None
    held: Held = field(default_factory=Held)
    _size: BatchSize = field(init=False)
    _random: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        self._size = BatchSize(self.pair.stream.pace.first)

    def sweep(self) -> tuple[int, bool]:
        """Every lane once; how many events were applied, and whether nothing was waiting. Raises psycopg.Error."""
        events, idle = 0, True
        for way, queue in zip(self.pair.ways, self.pair.queues, strict=True):
            floor = self.pair.floors.of(queue)
            # However long it takes: one that is cut off would be made again, and as long.
            firsts = way.origin.perform(partial(floor.look, queue=queue), patient=True).firsts
            lanes = list(firsts)
            # Workers that go in one order would stand in each other's way.
            self._random.shuffle(lanes)
            for lane in lanes:
                if way.origin.stop.requested:
                    return events, False
                idle = False
                with self.held.lane(way, lane) as free:
                    events += self._lane(way, lane, firsts[lane] - 1 if floor.slow else 0) if free else 0
        return events, idle

    def _lane(self, way: Way, lane: int, after: int) -> int:
        search, until, events = Search(), time.monotonic() + _TURN_S, 0
        while not way.origin.stop.requested:
            size, began = search.size(self._size.rows), time.monotonic()
            try:
                done = way.apply(lane, size, alone=search.alone, after=after)
            except psycopg.Error as error:
                if remedy(error) is Remedy.SHRINK:
                    self._size = self._size.cut(self.pair.stream.pace)
                if not of_the_rows(error) or search.alone:
                    raise
                search.failed(size)
                continue
            if done is None:
                break
            events += done.events
            self._note(way, done, time.monotonic() - began, searching=search.suspects > 0)
            search.passed(done.events, done.fault is not None)
            if not search.suspects and (done.events < size or time.monotonic() >= until):
                break
        return events

    def _note(self, way: Way, done: Applied, seconds: float, *, searching: bool) -> None:
        if done.fault is not None:
            self.on_letter(way, done)
        if done.events:
            self.on_batch(way, done, seconds)
        if not searching:
            self._size = self._size.after(self.pair.stream.pace, done.events, seconds)
        way.origin.stop.sleep(pause_after(self.pair.stream.pace, seconds, done.events))
