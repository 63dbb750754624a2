"""Two databases under traffic, lost connections and failed second writes: the record of failures makes both sides equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migdsl.emit.flags import StageLine
from migdsl.rehearsal.server import Server
from migdsl.runtime.routing import OpenFeature, router
from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.stages import POLICIES
from tests.runtime.routing.apart import Apart, ApartLoop, ApartThreads, Storm
from tests.runtime.routing.support import Memory
from tests.runtime.routing.test_traffic import BACK, THERE
from tests.runtime.routing.traffic import FLAG, traffic

api: Any = pytest.importorskip("openfeature.api", reason="openfeature-sdk is not installed")
pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")


@pytest.fixture
def apart(pg: Server, database: str, tmp_path: Path) -> Iterator[Apart]:
    name = database.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_far"
    made = Apart(database, tmp_path / "users_email.flagd.json", far=pg.create_database(name))
    made.prepare()
    made.flag(StageLine("all", "off"))
    yield made
    api.shutdown()
    pg.drop_database(name)


def flags(world: Apart) -> OpenFeature:
    return OpenFeature.flagd_file(world.path, poll_seconds=0.03)


@pytest.mark.slow
def test_two_databases_lose_no_write_and_serve_no_stale_read(apart: Apart):
    """Through all stages, there, back to off, and to the end; in each stage that has them second writes are refused,
    answers are lost, backends end."""
    service = flags(apart)
    processes = (ApartThreads(apart, service), ApartLoop(apart, service))
    with traffic(apart, *processes, made=Storm) as running:
        before = "off"
        for stage in (*THERE, *BACK, *THERE, "complete"):
            running.stage(first=stage, rest=before)
            running.stage(rest=stage)
            if stage == "dualwrite" and before == "off":
                running.backfill()
            if len(POLICIES[stage].writes) == 2:  # type: ignore[index]
                running.fault()
            before = stage
        running.laps(10)
    assert apart.journal.wrong == []
    assert apart.journal.reads > 100
    assert running.kills > 10
    assert apart.failed > 10
    recorded = sum(each.router.meters.value(m.REPAIRS, FLAG, "recorded") for each in processes)
    assert running.second_failures == recorded > 20
    assert all(each.router.meters.value(m.REPAIRS, FLAG, "spilled") == 0 for each in processes)


def test_control_a_failed_second_write_that_is_dropped_leaves_the_sides_unequal(apart: Apart):
    with traffic(apart, ApartThreads(apart, flags(apart), recorder=Memory()), made=Storm) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        apart.faults = 1.0
        running.laps(3)
        running.end()
        running.mend()
    assert any("after the repair" in each for each in apart.journal.wrong)


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "control"])
def test_an_answer_that_is_lost_is_a_failure_too(apart: Apart, monkeypatch: pytest.MonkeyPatch, recorded: bool):
    """The write stands, nobody was told so, and the other side doesn't have it. Control: as if it were undone."""
    if not recorded:
        monkeypatch.setattr(router, "settled", lambda _error: True)
    with traffic(apart, ApartThreads(apart, flags(apart)), made=Storm) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        apart.lost = 1.0
        running.laps(3)
        running.end()
        running.mend()
    assert apart.failed > 0
    assert (apart.journal.wrong == []) == recorded
