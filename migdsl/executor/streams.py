"""A migration's sync jobs and its databases become streams: who carries over, what waits, and where each tenant writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import psycopg

from migdsl.executor.sites import Site, Sites
from migdsl.planning.works import works
from migdsl.runtime.stop import Halt
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.jobs import Side, Stream
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.sides import Sides, together
from migdsl.runtime.stream.tenants import switchable
from migdsl.values import Value

# A job that runs leaves a reading a minute; after that long somebody should have a look.
CARRIED_S: Final = 180
# As the job's own `switch`: what writers hold is waited for a moment, and then tried again.
_SWITCH_MS: Final = 200


class Carried(Value):
    """A sync job with the two databases that it keeps equal. `path` is its file."""

    stream: Stream
    path: str
    old: Site
    new: Site

    @property
    def both(self) -> tuple[Site, Site]:
        return self.old, self.new

    @property
    def entities(self) -> tuple[str, ...]:
        """What moves by it."""
        return tuple(move.entity for move in self.stream.moves)

    @property
    def urls(self) -> Urls:
        """Where both sides are."""
        return Urls(self.old.ledger.conninfo, self.new.ledger.conninfo)

    def command(self, words: str) -> str:
        """How a person runs it."""
        return f"python {self.path} {words}"

    def run(self, *words: str) -> int:
        """The exit code of one of its commands, run to its end in this process."""
        urls = ("--old-url", self.urls.old, "--new-url", self.urls.new)
        return main(self.stream, [*urls, "--correlation-id", self.old.ledger.run, *words])

    def absent(self) -> str:
        """Why it seems that nobody carries over; empty where somebody does. By what a running job leaves in the ledger."""
        events = self.old.ledger.newest()
        for entity in self.entities:
            reading = events.get(("reading", f"sync_lag:{entity}"))
            if reading is None:
                return f"nobody carries {entity} over: no sync job has been running"
            if reading.age > CARRIED_S:
                return f"nobody carries {entity} over: the sync job was last heard of {reading.age // 60} minutes ago"
        return ""


def streams(sites: Sites) -> tuple[Carried, ...]:
    """All sync jobs of a migration, in the order in which they are run; none where its files aren't at hand."""
    project, module = sites.project, sites.project.planned.module
    at = {module.database(site.name).url_env: site for site in sites.all}
    found: dict[str, Carried] = {}
    for work in (w for phase in project.phases for w in works(project.planned, phase)):
        path = work.path or ""
        if work.kind == "carry" and path in project.texts and path not in found:
            stream = _described(project.texts[path], path)
            found[path] = Carried(stream, path, at[stream.old_env], at[stream.new_env])
    return tuple(found.values())


def _described(text: str, path: str) -> Stream:
    # What was compared with the disk is what runs; its last lines, which would run it as a program, don't.
    space: dict[str, object] = {"__name__": "migdsl_job"}
    exec(compile(text, path, "exec"), space)  # noqa: S102
    stream = space["STREAM"]
    assert isinstance(stream, Stream)
    return stream


def stands(carried: Carried) -> bool:
    """Whether both sides have their outboxes, with fences and triggers: expanded, and not contracted."""
    moves = carried.stream.moves
    old, new = carried.old.ledger, carried.new.ledger
    return all(old.has(move.forward.outbox) and new.has(move.back.outbox) for move in moves)


def late(carried: Carried, sides: frozenset[Side]) -> str:
    """What was written on one of the sides, and has waited longer than the file allows: who reads the other one misses it.
    Empty where nothing has. Raises DatabaseFailedError, psycopg.Error."""
    bound = carried.stream.lag_s
    with opened(carried) as pair:
        waiting = [each for each in pair.waiting() if each.side in sides and each.lag_s > bound]
    found = [f"{each.entity} that was written on the {each.side} side, for {each.lag_s:.0f} s" for each in waiting]
    if found:
        return f"waiting to be carried over: {', '.join(found)} (more than {bound:g} s is too far behind)"
    # What a slot hasn't been read for is in no outbox yet.
    return carried.absent() if carried.stream.slot is not None and "old" in sides else ""


@contextmanager
def opened(carried: Carried) -> Iterator[Pair]:
    """Connections to both sides. Raises DatabaseFailedError."""
    stream = replace(carried.stream, limits=replace(carried.stream.limits, lock_ms=_SWITCH_MS))
    pair = Pair.of(stream, carried.urls, carried.old.ledger.run, Halt(carried.old.ledger.signals), _quietly)
    try:
        pair.open()
        yield pair
    finally:
        pair.close()


def _quietly(_error: psycopg.Error, _seconds: float) -> None:
    """Tried again: nothing to say yet."""


def known(pair: Pair) -> Mapping[str, str]:
    """Every tenant that can be switched, and its side: old, new or switching. Who is gone is nobody's."""
    rows = Sides(pair.stream)
    old, new = (pair.at(side).perform(rows.standing) for side in ("old", "new"))
    return {tenant: together(old.of(tenant), new.of(tenant)) for tenant in switchable(pair)}
