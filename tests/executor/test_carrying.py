"""Appliers in a walk's own process end with it, whatever they meet, and nothing is heard of them but why."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import psycopg
import pytest

from migdsl.executor.carriers import _Own
from migdsl.runtime.errors import DatabaseFailedError, StoppedError
from migdsl.runtime.stop import Signals
from migdsl.runtime.stream.relay import Relay


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (StoppedError(), ""),
        (DatabaseFailedError("can't connect"), "can't connect"),
        (psycopg.OperationalError("gone"), "the appliers ended: the database refused: OperationalError"),
        (ValueError("a value of somebody's"), "the appliers ended: ValueError"),
    ],
)
def test_what_ends_them_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch, met: Exception, said: str):
    def run(_relay: Relay, _workers: int) -> None:
        raise met

    heard: list[object] = []
    monkeypatch.setattr(Relay, "run", run)
    monkeypatch.setattr(threading, "excepthook", heard.append)
    ledger = SimpleNamespace(signals=Signals(), run="r")
    stream = SimpleNamespace(workers=1)
    own = _Own(SimpleNamespace(old=SimpleNamespace(ledger=ledger), stream=stream, urls=None))  # type: ignore[arg-type]
    own.end()
    assert (own._error, heard) == (said, [])
