"""Two databases become a world with a move between them, and the job is run in this process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from migdsl.ops import stream_slot
from migdsl.ops.stream_model import Moved
from migdsl.rehearsal.server import Server, start_server
from migdsl.runtime.cli import main as jobs
from migdsl.runtime.stop import Halt, Signals
from migdsl.runtime.stream.cli import main
from migdsl.runtime.stream.pair import Pair, Urls
from migdsl.runtime.stream.relay import Relay
from tests.conftest import ENGINE
from tests.runtime.stream.world import World, backfill, make, moved, reconciliation, stream

Job = Callable[..., str]
_SETTINGS = {"wal_level": "logical", "fsync": "off", "full_page_writes": "off", "max_connections": "50"}


@contextmanager
def databases(server: Server) -> Iterator[tuple[str, str]]:
    """The URLs of two empty databases."""
    names = [f"migdsl_{side}_{uuid.uuid4().hex}" for side in ("old", "new")]
    try:
        yield server.create_database(names[0]), server.create_database(names[1])
    finally:
        for name in names:
            server.drop_database(name)


@contextmanager
def opened(world: World, of: Moved) -> Iterator[Pair]:
    """Connections to both sides."""
    made = Pair.of(stream(of), Urls(world.old, world.new), "test", Halt(Signals()), lambda _error, _seconds: None)
    made.open()
    try:
        yield made
    finally:
        made.close()


def until(what: str, holds: Callable[[], object]) -> None:
    """Waits for it."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@contextmanager
def running(world: World, of: Moved) -> Iterator[tuple[Relay, list[dict[str, Any]]]]:
    """A job at work, and what it logs."""
    said: list[dict[str, Any]] = []

    def log(event: str, **fields: Any) -> None:
        said.append({"event": event, **fields})

    relay = Relay(stream(of), Urls(world.old, world.new), "test", Halt(Signals()), log)
    thread = threading.Thread(target=relay.run, args=(1,), daemon=True)
    thread.start()
    try:
        yield relay, said
    finally:
        relay.halt.ended = True
        thread.join(30)
    assert relay.errors == []


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose WAL can be decoded."""
    with start_server(tmp_path_factory.mktemp("logical"), settings=_SETTINGS) as server:
        yield server


@contextmanager
def slotted(server: Server, folder: Path, of: Moved) -> Iterator[World]:
    """40 orders of two tenants, published; whoever makes the slot needn't drop it."""
    with databases(server) as (old, new):
        made = make(old, new, folder, 2, 40, of)
        for sql in stream_slot.publish((of,), ENGINE):
            made.run("old", sql)
        yield made
        made.run(
            "old",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
        )


@pytest.fixture
def world(pg: Server, tmp_path: Path) -> Iterator[World]:
    """60 orders of three tenants."""
    with databases(pg) as (old, new):
        yield make(old, new, tmp_path, 3, 60)


@pytest.fixture
def job(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Job:
    """Runs a command of the sync job (or `enqueue`); what it printed. `code`: its exit code."""
    monkeypatch.setenv("MONOLITH_URL", world.old)
    monkeypatch.setenv("ORDERS_URL", world.new)

    def run(*args: str, code: int = 0) -> str:
        capsys.readouterr()
        if args[0] == "enqueue":
            done = jobs(backfill(moved()), args[1:])
        elif args[0] == "reconcile":
            done = jobs(
                reconciliation(moved(), portable="--portable" in args), [a for a in args[1:] if a != "--portable"]
            )
        else:
            done = main(stream(moved()), args)
        said = capsys.readouterr()
        assert done == code, said
        return said.out + said.err

    return run


@pytest.fixture
def pair(world: World) -> Iterator[Pair]:
    """Connections to both sides."""
    with opened(world, moved()) as made:
        yield made
