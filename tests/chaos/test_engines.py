"""The same chaos with an engine between the two processes: their queue is in the database, or on a broker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.chaos import test_chaos as chaos
from tests.chaos.job import Settings
from tests.chaos.world import World
from tests.engines.conftest import HASTE, broker

__all__ = ["broker", "make", "server"]

server = chaos.server
make = chaos.make


@pytest.mark.parametrize("engine", ["procrastinate", "celery"])
def test_everything_at_once(
    make: Callable[..., World], engine: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    def start(world: World, settings: Settings) -> subprocess.Popen[bytes]:
        # It submits before it works: that this does no harm is a part of it.
        return world.start(settings, "--engine", engine)

    for name, value in HASTE.items():
        monkeypatch.setenv(name, value)
    if engine == "celery":
        monkeypatch.setenv("CELERY_BROKER_URL", request.getfixturevalue("broker").url)
    monkeypatch.setitem(chaos.ENGINES, engine, start)
    chaos.test_everything_at_once(make, engine)
