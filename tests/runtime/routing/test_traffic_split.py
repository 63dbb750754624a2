"""Processes that see the flag move at different moments: neighbouring stages serve one tenant side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migdsl.emit.flags import StageLine
from migdsl.runtime.routing import OpenFeature, open_repairs, repair
from migdsl.runtime.routing.stages import POLICIES
from tests.runtime.routing.test_traffic import BACK, THERE, sums
from tests.runtime.routing.traffic import (
    FLAG,
    LoopProcess,
    Process,
    ThreadProcess,
    Traffic,
    World,
    copy,
    setup,
    traffic,
)

api: Any = pytest.importorskip("openfeature.api", reason="openfeature-sdk is not installed")
pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")


@dataclass
class Split(Traffic):
    """Each process has a world, and in it a flag file, of its own; the journal is one."""

    worlds: list[World] = field(default_factory=list)

    def one(self, place: int, stage: str) -> None:
        """One process alone sees the flag move."""
        self.worlds[place].flag(StageLine("all", stage))
        process = self.processes[place]
        self.until(lambda: process.users is not None and {s for _, s in process.stages()} == {stage}, f"not at {stage}")
        self.laps(2)

    def everybody(self, stage: str, *, before: str, faults: float) -> None:
        """One after the other; meanwhile second writes fail, and all stay apart for a while."""
        for place in range(len(self.processes)):
            self.fail(faults)
            self.one(place, stage)
            self.fail(0)
        self.laps(2)
        self.mend()
        if (before, stage) == ("off", "dualwrite"):
            self.backfill()

    def fail(self, share: float) -> None:
        for world in self.worlds:
            world.faults = share

    def mend(self) -> None:
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            self.second_failures += repair(connection, FLAG, copy)


@pytest.fixture
def worlds(database: str, tmp_path: Path) -> Iterator[list[World]]:
    setup(database)
    first = World(database, tmp_path / "0.json")
    made = [first, *(World(database, tmp_path / f"{n}.json", first.journal, stop=first.stop) for n in (1,))]
    for world in made:
        world.flag(StageLine("all", "off"))
    yield made
    api.shutdown()
    for connection in (c for world in made for c in world.connections):
        connection.close()


def process(kind: type[ThreadProcess] | type[LoopProcess], world: World) -> Process:
    """One that starts now: its provider reads the flag file as it stands."""
    return kind(world, OpenFeature.flagd_file(world.path, poll_seconds=0.03))


def processes(worlds: list[World]) -> list[Process]:
    early, late = worlds
    return [process(ThreadProcess, early), process(LoopProcess, late)]


@pytest.mark.slow
def test_neighbouring_stages_serve_a_tenant_side_by_side(worlds: list[World]):
    """Every edge, there and back. Second writes fail on all but those where the authority changes."""
    with traffic(worlds[0], *processes(worlds), made=Split) as running:
        running.worlds = worlds
        for before, stage in pairwise(("off", *THERE, *BACK, *THERE, "complete")):
            changes = POLICIES[before].reads != POLICIES[stage].reads  # type: ignore[index]
            running.everybody(stage, before=before, faults=0.0 if changes else 0.3)
        running.laps(10)
    journal = worlds[0].journal
    assert journal.wrong == []
    assert journal.reads > 100
    assert running.second_failures > 20
    assert sums(worlds[0], "new") == {row: len(numbers) for row, numbers in journal.acknowledged.items()}


def test_what_fails_while_the_authority_changes_is_stale_and_recorded(worlds: list[World]):
    """The limit: one process reads the side that another one's second write has just missed. It is exactly those rows
    that the ledger names, and none else."""
    with traffic(worlds[0], *processes(worlds), made=Split) as running:
        running.worlds = worlds
        for before, stage in pairwise(("off", "dualwrite", "shadow")):
            running.everybody(stage, before=before, faults=0.0)
        running.one(0, "live")
        assert worlds[0].journal.wrong == []
        running.fail(0.1)
        running.until(lambda: len(worlds[0].journal.wrong) > 20, "nothing was stale")
        running.end()
        with psycopg.connect(worlds[0].url) as connection:
            named = {(each.tenant, int(each.key[0])) for each in open_repairs(connection, FLAG)}
    assert all(any(wrong.startswith(f"{row}:") for row in named) for wrong in worlds[0].journal.wrong)


def test_a_process_that_starts_meanwhile_takes_the_flag_at_its_word(worlds: list[World]):
    """A deploy in the middle of a move: new processes come up at the stage that is being moved to."""
    early, coming = worlds
    first = process(ThreadProcess, early)
    with traffic(early, first, made=Split) as running:
        running.worlds = worlds
        for before, stage in pairwise(("off", "dualwrite", "shadow")):
            running.everybody(stage, before=before, faults=0.0)
        coming.flag(StageLine("all", "live"))
        late = process(LoopProcess, coming)
        late.begin()
        running.processes.append(late)
        running.until(lambda: late.users is not None and late.stages(), "nobody came")
        running.laps(10)
        assert {stage for _, stage in late.stages()} == {"live"}
        assert {stage for _, stage in first.stages()} == {"shadow"}
        running.one(0, "live")
        running.laps(10)
    assert early.journal.wrong == []
