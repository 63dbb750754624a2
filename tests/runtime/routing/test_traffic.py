"""Two-way traffic through the router on a real PostgreSQL: no stage and no move loses a write or serves a stale read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migdsl.emit.flags import StageLine
from migdsl.runtime.routing import LedgerRecorder, OpenFeature, Pace, Router, advisory_lock, open_repairs
from migdsl.runtime.routing import meters as m
from migdsl.runtime.routing.stages import POLICIES, Policy
from tests.runtime.routing.support import Switch
from tests.runtime.routing.traffic import (
    FLAG,
    KEYS,
    TENANTS,
    LoopProcess,
    ThreadProcess,
    World,
    select,
    setup,
    traffic,
    upsert,
)

api: Any = pytest.importorskip("openfeature.api", reason="openfeature-sdk is not installed")
pytest.importorskip("openfeature.contrib.provider.flagd", reason="openfeature-provider-flagd is not installed")

THERE = ("dualwrite", "shadow", "live", "rampdown")
BACK = ("live", "shadow", "dualwrite", "off")


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    setup(database)
    made = World(database, tmp_path / "users_email.flagd.json")
    made.flag(StageLine("all", "off"))
    yield made
    api.shutdown()
    for connection in made.connections:
        connection.close()


def flags(world: World) -> OpenFeature:
    return OpenFeature.flagd_file(world.path, poll_seconds=0.03)


def value(url: str, side: str, tenant: str, key: int) -> int | None:
    with psycopg.connect(url) as connection:
        found = connection.execute(select(side), (tenant, key)).fetchone()
    return None if found is None else found[0]


def sums(world: World, side: str) -> dict[tuple[str, int], int | None]:
    return {(tenant, key): value(world.url, side, tenant, key) for tenant in TENANTS for key in KEYS}


@pytest.mark.slow
def test_no_write_is_lost_and_no_read_is_stale_from_off_to_complete_with_a_way_back_between(world: World):
    """Each stage and each change, forward and back, with one tenant ahead of the others; second writes fail in every
    stage that has them, and are repaired before the authority changes."""
    service = flags(world)
    processes = (ThreadProcess(world, service), ThreadProcess(world, service), LoopProcess(world, service))
    with traffic(world, *processes) as running:
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
    journal = world.journal
    assert journal.wrong == []
    assert journal.reads > 200
    acknowledged = {row: len(numbers) for row, numbers in journal.acknowledged.items()}
    assert sums(world, "new") == acknowledged
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in journal.acknowledged.values())
    failed = sum(each.router.meters.value(m.REPAIRS, FLAG, "recorded") for each in processes)
    assert running.second_failures == failed > 20, "what failed was recorded, and what was recorded was repaired"
    for each in processes:
        assert each.router.meters.value(m.REPAIRS, FLAG, "spilled") == 0
        assert each.router.meters.value(m.FLAG_ERRORS) == 0


def test_shadow_finds_nothing_where_both_sides_agree_and_what_a_failed_second_write_left(world: World):
    with traffic(world, process := ThreadProcess(world, flags(world))) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        running.stage(rest="shadow")
        running.laps(50)
        running.until(lambda: process.router.meters.value(m.COMPARED) > 5, "nothing was compared")
        assert process.router.meters.value(m.MISMATCHED) == 0
        world.faults = 1.0
        running.until(lambda: process.router.meters.value(m.MISMATCHED) > 0, "no mismatch was seen")


def test_control_a_process_that_does_not_see_the_flag_loses_writes(world: World, tmp_path: Path):
    """Why a stage has to stand until every process has seen it: `off` and `live` don't go together."""
    blind = World(world.url, tmp_path / "blind.json", world.journal, stop=world.stop)
    blind.flag(StageLine("all", "off"))
    seeing, deaf = ThreadProcess(world, flags(world)), ThreadProcess(blind, flags(blind))
    with traffic(world, seeing) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        running.stage(rest="shadow")
        running.stage(rest="live")
        assert world.journal.wrong == []
        with traffic(blind, deaf):
            running.until(lambda: len(world.journal.wrong) > 0, "nothing was lost")


def test_control_the_wrong_order_loses_writes(world: World):
    """With the authoritative side written second its failures fail no request, and acknowledged writes are gone."""
    wrong = {**POLICIES, "live": Policy("live", "new", ("old", "new"))}
    with traffic(world, ThreadProcess(world, flags(world), policies=wrong)) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        running.stage(rest="shadow")
        running.stage(rest="live")
        assert world.journal.wrong == []
        world.faults = 0.5
        running.until(lambda: len(world.journal.wrong) > 0, "nothing was lost")


def test_control_a_shadow_that_answers_from_the_other_side_serves_stale_reads(world: World):
    """What isn't authoritative lacks the writes that failed there."""
    wrong = {**POLICIES, "shadow": Policy("shadow", "new", ("old", "new"))}
    with traffic(world, ThreadProcess(world, flags(world), policies=wrong)) as running:
        running.stage(rest="dualwrite")
        running.backfill()
        running.stage(rest="shadow")
        assert world.journal.wrong == []
        world.faults = 0.5
        running.until(lambda: any("a read in shadow gave" in each for each in world.journal.wrong), "nothing was stale")


def test_control_a_dualwrite_that_writes_once_serves_stale_reads(world: World):
    wrong = {**POLICIES, **{stage: Policy(stage, "old", ("old",)) for stage in ("dualwrite", "shadow")}}
    with traffic(world, ThreadProcess(world, flags(world), policies=wrong)) as running:  # type: ignore[arg-type]
        running.stage(rest="dualwrite")
        running.backfill()
        running.stage(rest="shadow")
        running.stage(rest="live")
        running.until(lambda: len(world.journal.wrong) > 0, "nothing was stale")


def routers(lock: Any) -> tuple[Any, Any]:
    """Two processes, one of which has seen the flag move on to live."""
    made = []
    for stage in ("shadow", "live"):
        router = Router(Switch(stage), LedgerRecorder(), pace=Pace(ttl=1e9))
        made.append(router.migration(FLAG, lock=lock))
    return made[0], made[1]


def add_one(users: Any, connection: Any, halfway: Any = None) -> None:
    with connection.transaction(), users.at(TENANTS[0], on=connection) as at:
        at.lock(1)
        row = (TENANTS[0], 1)
        n = at.read(
            old=lambda c: c.execute(select("old") + b" FOR UPDATE", row).fetchone()[0],
            new=lambda c: c.execute(select("new") + b" FOR UPDATE", row).fetchone()[0],
        )
        if halfway is not None:
            halfway()
        at.write(
            old=lambda c: c.execute(upsert("old"), (*row, n + 1)),
            new=lambda c: c.execute(upsert("new"), (*row, n + 1)),
            key=1,
        )


@pytest.mark.parametrize(("lock", "lost"), [(advisory_lock, 0), (None, 1)], ids=["locked", "control"])
def test_writes_that_rest_on_a_read_need_a_lock_while_the_authority_changes(world: World, lock: Any, lost: int):
    """One process locks the old row, the other the new one: neither sees the other's, unless both take one lock."""
    early, late = routers(lock)
    with psycopg.connect(world.url, autocommit=True) as a, psycopg.connect(world.url, autocommit=True) as b:
        a.execute(upsert("new"), (TENANTS[0], 1, 0))
        reading = threading.Barrier(2)
        met = None if lock else lambda: reading.wait(60)
        other = threading.Thread(target=add_one, args=(late, b, met))
        other.start()
        add_one(early, a, met)
        other.join(60)
        assert not other.is_alive()
        found = {side: value(world.url, side, TENANTS[0], 1) for side in ("old", "new")}
        assert 2 - max(n or 0 for n in found.values()) == lost
        if lock:
            assert found == {"old": 2, "new": 2}
            assert open_repairs(a, FLAG) == []


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "control"])
def test_a_request_that_changes_its_stage_halfway_writes_half_of_it(world: World, pinned: bool):
    """One unit is moved between two rows, so that their sum stays 0 on each side; the flag moves to dualwrite between
    the two writes."""
    switch = Switch("off")
    router = Router(switch, LedgerRecorder(), pace=Pace(ttl=0))
    users = router.migration(FLAG)

    def put(connection: Any, key: int, n: int) -> None:
        row = (TENANTS[0], key, n)
        with users.at(TENANTS[0], on=connection) as at:
            at.write(old=lambda c: c.execute(upsert("old"), row), new=lambda c: c.execute(upsert("new"), row), key=key)

    def transfer(connection: Any) -> None:
        put(connection, 1, -1)
        switch.stage = "dualwrite"
        put(connection, 2, 1)

    with psycopg.connect(world.url, autocommit=True) as connection, connection.transaction():
        if pinned:
            with router.request():
                transfer(connection)
        else:
            transfer(connection)
    found = [n for n in sums(world, "new").values() if n is not None]
    assert (sum(found) == 0) == pinned
