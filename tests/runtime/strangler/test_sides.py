"""A flag's answers become sides, and what stands while nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from migdsl.runtime.strangler.sides import ANSWERS, Sides
from tests.runtime.routing.support import Clock, Switch


def sides(flags: Switch, clock: Clock, most: int = 10) -> tuple[Sides, list[int]]:
    missed: list[int] = []
    return Sides(flags, "m", lambda: missed.append(1), fresh_s=1.0, most=most, clock=clock), missed


@pytest.mark.parametrize("stage", ANSWERS)
def test_each_stage_has_a_side(stage: str) -> None:
    found, missed = sides(Switch(stage), Clock())
    assert asyncio.run(found.side("a")) == ("new" if stage in ("live", "rampdown", "complete") else "old")
    assert missed == []


def test_the_flag_is_asked_once_a_second_for_each() -> None:
    flags, clock = Switch("live"), Clock()
    found, _ = sides(flags, clock)

    async def asked() -> list[str]:
        return [await found.side("a"), await found.side("a"), await found.side("b")]

    assert asyncio.run(asked()) == ["new", "new", "new"]
    assert flags.asked == ["a", "b"]
    flags.stage, clock.now = "off", clock.now + 1
    assert asyncio.run(found.side("a")) == "old"


def test_without_an_answer_whoever_is_known_stays_and_others_are_old() -> None:
    flags, clock = Switch("live"), Clock()
    found, missed = sides(flags, clock)
    assert asyncio.run(found.side("a")) == "new"
    flags.down, clock.now = OSError("gone"), clock.now + 5
    assert asyncio.run(found.side("a")) == "new"
    assert asyncio.run(found.side("b")) == "old"
    assert missed == [1], "for a second nobody is asked for again"
    clock.now += 1
    assert asyncio.run(found.side("b")) == "old"
    assert missed == [1, 1]
    flags.down, clock.now = None, clock.now + 1
    assert asyncio.run(found.side("b")) == "new"


def test_a_variant_that_is_no_stage_is_no_answer() -> None:
    found, missed = sides(Switch("blue"), Clock())
    assert asyncio.run(found.side("a")) == "old"
    assert missed == [1]


def test_a_service_that_hangs_is_not_waited_for() -> None:
    class Hanging:
        async def variant_async(self, flag: str, tenant: str) -> str:  # noqa: ARG002 (it says nothing of anybody)
            await asyncio.Event().wait()
            return "live"

    missed: list[int] = []
    found = Sides(Hanging(), "m", lambda: missed.append(1), timeout_s=0.01)
    assert asyncio.run(found.side("a")) == "old"
    assert missed == [1]


def test_only_the_most_recent_are_remembered() -> None:
    flags, clock = Switch("live"), Clock()
    found, _ = sides(flags, clock, most=2)

    async def many() -> None:
        for subject in "abc":
            await found.side(subject)

    asyncio.run(many())
    flags.down = OSError("gone")
    clock.now += 2
    assert asyncio.run(found.side("c")) == "new"
    assert asyncio.run(found.side("a")) == "old", "it was forgotten, so it is nobody's that is known"
